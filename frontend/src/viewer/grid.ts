import type { PatientPoint } from '../api/types'
import { add, cross, dot, subtract } from './geometry'
import type { VolumeGeometry } from './slices'
import type { Header } from './source'

/** Numbers of an attribute, which stand as numbers or, as decimal strings may, as text. */
function numbersOf(header: Header, tag: string): number[] {
  return (header[tag]?.Value ?? []).map(Number)
}

/** One number of an attribute, or `otherwise` where it has none. */
export function numberOf(header: Header, tag: string, otherwise: number, at = 0): number {
  return numbersOf(header, tag)[at] ?? otherwise
}

/** A grid, and which image of it each header is of: some may be missing in between. */
export interface Grid extends VolumeGeometry {
  images: readonly number[]
}

/** Of the usual distance: a volume with equal distances is off by no more than this. */
const REGULAR_WITHIN = 0.1
/** So far aside, of a pixel, images may lie of where they would be if the gantry was not tilted. */
const SHIFTED_PIXELS = 0.5

/**
 * Where the voxels of a series lie, by the headers of its images in the order of their normal.
 *
 * @throws Error when the headers do not say it.
 */
export function gridOf(headers: readonly Header[]): Grid {
  const [first = {}] = headers
  const corners = headers.map(placeOf)
  const origin = placeOf(first)
  const [rx = 1, ry = 0, rz = 0, cx = 0, cy = 1, cz = 0] = numbersOf(first, '00200037')
  const [row, column]: [PatientPoint, PatientPoint] = [
    [rx, ry, rz],
    [cx, cy, cz],
  ]
  const [rows = 0] = numbersOf(first, '00280010')
  const [columns = 0] = numbersOf(first, '00280011')
  const [row_mm = Number.NaN, column_mm = Number.NaN] = numbersOf(first, '00280030')
  const upwards = cross(row, column)
  const turned = dot(subtract(corners.at(-1) ?? origin, origin), upwards) < 0
  const normal: PatientPoint = turned ? [-upwards[0], -upwards[1], -upwards[2]] : upwards
  const across = corners.map(corner => dot(subtract(corner, origin), normal))
  const [thickness = 1] = numbersOf(first, '00180050')
  const { images, slice_mm, offsets_mm } = distancesOf(across, thickness)
  const lean = leanOf(corners, across, normal, Math.min(row_mm, column_mm))
  const grid: Grid = {
    origin,
    axes: [row, column, normal],
    spacing_mm: [column_mm, row_mm, slice_mm],
    dimensions: [columns, rows, (images.at(-1) ?? 0) + 1],
    ...(lean && { lean }),
    ...(offsets_mm && { offsets_mm }),
    images,
  }
  const said = [...grid.origin, ...grid.spacing_mm, ...across, columns * rows]
  if (!said.every(Number.isFinite) || columns * rows === 0 || slice_mm === 0) {
    throw new Error('the headers do not say where the images lie')
  }
  return grid
}

function placeOf(header: Header): PatientPoint {
  const [x = Number.NaN, y = Number.NaN, z = Number.NaN] = numbersOf(header, '00200032')
  return [x, y, z]
}

/** How images follow each other across their plane: evenly, evenly but for some, or as they lie. */
function distancesOf(
  across: readonly number[],
  thickness_mm: number,
): { images: number[]; slice_mm: number; offsets_mm?: readonly number[] } {
  const one_by_one = across.map((_, i) => i)
  if (across.length === 1) return { images: one_by_one, slice_mm: thickness_mm }
  const length = across.at(-1) ?? 0
  const fits = (images: readonly number[]) => {
    const step = length / (images.at(-1) ?? 1)
    const off = across.map((at, i) => Math.abs(at - step * (images[i] ?? 0)))
    return Math.max(...off) <= REGULAR_WITHIN * step
  }
  if (fits(one_by_one)) return { images: one_by_one, slice_mm: length / (across.length - 1) }
  const distances = across.slice(1).map((at, i) => at - (across[i] ?? 0))
  const usual = [...distances].sort((a, b) => a - b)[Math.floor(distances.length / 2)] ?? 1
  const images = [0]
  for (const distance of distances) images.push((images.at(-1) ?? 0) + Math.round(distance / usual))
  const different = new Set(images).size === images.length
  if (different && fits(images)) return { images, slice_mm: length / (images.at(-1) ?? 1) }
  return { images: one_by_one, slice_mm: usual, offsets_mm: across }
}

/** The shift of the images in their plane per millimetre across; null where there is none. */
function leanOf(
  corners: readonly PatientPoint[],
  across: readonly number[],
  normal: PatientPoint,
  pixel_mm: number,
): PatientPoint | null {
  const [first, last, length] = [corners[0], corners.at(-1), across.at(-1)]
  if (!first || !last || !length) return null
  const off = corners.map((corner, i) => add(subtract(corner, first), normal, -(across[i] ?? 0)))
  const most = Math.max(...off.map(way => Math.sqrt(dot(way, way))))
  if (most <= SHIFTED_PIXELS * pixel_mm) return null
  return add([0, 0, 0], off.at(-1) ?? [0, 0, 0], 1 / length)
}

/** What makes Hounsfield units of stored values, and which numbers can hold them all. */
export function scalingOf(header: Header) {
  const [slope = 1] = numbersOf(header, '00281053')
  const [intercept = 0] = numbersOf(header, '00281052')
  const [signed = 0] = numbersOf(header, '00280103')
  const whole = Number.isInteger(slope) && Number.isInteger(intercept)
  const negative = signed === 1 || intercept < 0 || slope < 0
  const numbers = !whole ? 'Float32Array' : negative ? 'Int16Array' : 'Uint16Array'
  return { slope, intercept, numbers } as const
}
