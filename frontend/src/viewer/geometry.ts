import type { PatientPoint, SaliencyPlane } from '../api/types'

/** A direction in patient space, of length 1 unless said otherwise. */
export type Direction = PatientPoint
export type CanvasPoint = readonly [number, number]

/** What one pane shows: a plane in the patient and how it lies on the canvas. */
export interface View {
  /** A point of the slice on screen. */
  point: PatientPoint
  /** Out of the screen, towards the viewer. */
  normal: Direction
  /** To the right of the screen. */
  right: Direction
  /** To the top of the screen. */
  up: Direction
  mm_per_pixel: number
  /** Distance between neighbouring slices. */
  spacing_mm: number
  /** How far what is seen reaches through the slice; 0 for a single slice. */
  slab_mm: number
  width: number
  height: number
  /** Patient space to canvas pixels, along the normal. */
  project(point: PatientPoint): CanvasPoint
}

export function dot(a: PatientPoint, b: PatientPoint): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

export function add(a: PatientPoint, b: PatientPoint, times = 1): PatientPoint {
  return [a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2]]
}

export function subtract(a: PatientPoint, b: PatientPoint): PatientPoint {
  return add(a, b, -1)
}

export function cross(a: PatientPoint, b: PatientPoint): PatientPoint {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

const LETTERS = [
  ['L', 'R'],
  ['P', 'A'],
  ['H', 'F'],
] as const

/** Name a direction by the sides of the patient it points to, the strongest first. */
export function orientationLetters(direction: Direction): string {
  return LETTERS.map(([positive, negative], axis) => {
    const part = direction[axis] ?? 0
    return { letter: part > 0 ? positive : negative, strength: Math.abs(part) }
  })
    .filter(({ strength }) => strength > 0.26) // 15 degrees off an axis deserves a second letter
    .sort((a, b) => b.strength - a.strength)
    .map(({ letter }) => letter)
    .join('')
}

/** The letters at the four edges of a view. */
export function edgeLetters({ right, up }: Pick<View, 'right' | 'up'>) {
  const opposite = (d: Direction): Direction => [-d[0], -d[1], -d[2]]
  return {
    right: orientationLetters(right),
    left: orientationLetters(opposite(right)),
    top: orientationLetters(up),
    bottom: orientationLetters(opposite(up)),
  }
}

/** How far `point` lies in front of the slice, in millimetres; negative is behind. */
export function depth_mm(point: PatientPoint, view: Pick<View, 'point' | 'normal'>): number {
  return dot(subtract(point, view.point), view.normal)
}

/** The circle in which the slice, or the slab, cuts a sphere, or null when it misses. */
export function crossSection(
  centre: PatientPoint,
  radius_mm: number,
  view: Pick<View, 'point' | 'normal' | 'spacing_mm' | 'slab_mm'>,
): { centre: PatientPoint; radius_mm: number; off_centre: boolean } | null {
  const depth = depth_mm(centre, view)
  const outside = Math.max(0, Math.abs(depth) - view.slab_mm / 2)
  if (outside >= radius_mm) return null
  return {
    centre: add(centre, view.normal, -depth),
    radius_mm: Math.sqrt(radius_mm ** 2 - outside ** 2),
    off_centre: outside > (view.slab_mm > 0 ? 0 : view.spacing_mm / 2) + 1e-6,
  }
}

/**
 * The line in which two slices at right angles meet, in two halves that leave out `gap_px` on
 * either side of `centre`, so that what lies there is not crossed out.
 */
export function meetingLine(
  view: View,
  other: Pick<View, 'point' | 'normal'>,
  centre: PatientPoint,
  gap_px: number,
): [CanvasPoint, CanvasPoint][] {
  const along = cross(view.normal, other.normal)
  const onView = add(centre, view.normal, -depth_mm(centre, view))
  const onBoth = add(onView, other.normal, -depth_mm(onView, other))
  const far = (view.width + view.height) * view.mm_per_pixel
  const at = (distance_mm: number) => view.project(add(onBoth, along, distance_mm))
  const gap = gap_px * view.mm_per_pixel
  return [
    [at(-far), at(-gap)],
    [at(gap), at(far)],
  ]
}

/** A round length for a scale bar of at most `most_px` pixels. */
export function scaleBar(mm_per_pixel: number, most_px: number): { mm: number; px: number } {
  const mm = [200, 100, 50, 20, 10, 5, 2, 1].find(length => length / mm_per_pixel <= most_px) ?? 1
  return { mm, px: mm / mm_per_pixel }
}

/** Where a grid of relevance lies on the canvas: its top left corner, and its two edges. */
export interface GridOnCanvas {
  corner: CanvasPoint
  alongRow: CanvasPoint
  alongColumn: CanvasPoint
}

/** Whether the pane shows the plane of the grid, or a slice within half a cell of it. */
export function isShownBy(view: View, plane: SaliencyPlane): boolean {
  const parallel =
    Math.abs(dot(plane.row, view.normal)) < 0.02 && Math.abs(dot(plane.column, view.normal)) < 0.02
  return parallel && Math.abs(depth_mm(plane.centre_mm, view)) <= plane.cell_mm / 2
}

/** Place a grid of cells, centred on `centre_mm`, on the canvas. */
export function placeGrid(view: View, plane: SaliencyPlane): GridOnCanvas {
  const rows = plane.relevance.length
  const columns = plane.relevance[0]?.length ?? 0
  const width = columns * plane.cell_mm
  const height = rows * plane.cell_mm
  const corner = add(add(plane.centre_mm, plane.row, -width / 2), plane.column, -height / 2)
  const [x, y] = view.project(corner)
  const [rx, ry] = view.project(add(corner, plane.row, width))
  const [cx, cy] = view.project(add(corner, plane.column, height))
  return { corner: [x, y], alongRow: [rx - x, ry - y], alongColumn: [cx - x, cy - y] }
}

/** Relevance at a point of the grid (0 to columns, 0 to rows), between the centres of cells. */
export function relevanceAt(grid: number[][], x: number, y: number): number {
  const rows = grid.length
  const columns = grid[0]?.length ?? 0
  const clamp = (value: number, last: number) => Math.min(Math.max(value, 0), last)
  const u = clamp(x - 0.5, columns - 1)
  const v = clamp(y - 0.5, rows - 1)
  const [c, r] = [Math.floor(u), Math.floor(v)]
  const [c1, r1] = [Math.min(c + 1, columns - 1), Math.min(r + 1, rows - 1)]
  const at = (row: number, column: number) => grid[row]?.[column] ?? 0
  const [fu, fv] = [u - c, v - r]
  return (
    (at(r, c) * (1 - fu) + at(r, c1) * fu) * (1 - fv) +
    (at(r1, c) * (1 - fu) + at(r1, c1) * fu) * fv
  )
}
