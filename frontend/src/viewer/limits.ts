import type { PatientPoint } from '../api/types'
import { dot } from './geometry'
import type { Grid } from './grid'
import { cornerOf, imageOf, type Slices } from './slices'
import type { Header } from './source'

/** Fewer make no other plane. */
const MANY_SLICES = 3
/** Numbers that no image has. */
const PLACEHOLDERS = 100_000
const INSTANCE = '00200013'
const SOP_UID = '00080018'
const POSITION = '00200032'

/** Axial slices that are missing between two others. */
export interface Gap {
  /** Their places in the volume. */
  slots: readonly number[]
  /** What is missing, and between which slices. */
  said: string
}

/** What of a series cannot be shown as usual: sentences for the reader, and words in each pane. */
export function limitsOf(grid: Grid): {
  /** Why the planes across the slices are not drawn; empty where they are. */
  withheld: string
  /** Slabs would be drawn aslant. */
  slabs: boolean
  /** What the reader is told of it once. */
  notes: readonly string[]
  /** What stands in the pane all the time. */
  label: string
} {
  const { lean, offsets_mm, images } = grid
  const missing = grid.dimensions[2] - images.length
  const withheld = lean
    ? `the gantry was tilted by ${tiltOf(lean).toFixed(1)}°, and a plane across its slices, or a slab of them, would be drawn aslant`
    : offsets_mm
      ? `its slices are ${rangeOf(offsets_mm)} mm apart, and a plane across them would be drawn in wrong proportions`
      : grid.dimensions[2] < MANY_SLICES
        ? `it has ${counted(images.length)} only`
        : ''
  const notes: string[] = []
  if (withheld) notes.push(`Axial images only, each in its true place: ${withheld}.`)
  if (missing > 0) {
    notes.push(
      `${counted(missing)} of this series ${missing === 1 ? 'is' : 'are'} missing. Nothing is drawn where ${missing === 1 ? 'it' : 'they'} would be.`,
    )
  }
  const labels = [
    lean ? `gantry tilt ${tiltOf(lean).toFixed(1)}°` : '',
    offsets_mm ? 'uneven distances' : '',
    missing > 0 ? `${counted(missing)} missing` : '',
  ]
  return { withheld, slabs: !lean, notes, label: labels.filter(Boolean).join('\n') }
}

/** Where slices are missing, from the first to the last image. */
export function gapsOf(grid: Grid, axial: Slices): Gap[] {
  const gaps: Gap[] = []
  grid.images.forEach((image, i) => {
    const next = grid.images[i + 1]
    if (next === undefined || next === image + 1) return
    const slots = Array.from({ length: next - image - 1 }, (_, k) => image + 1 + k)
    const [above, below] = [image, next]
      .sort((a, b) => imageOf(axial, a) - imageOf(axial, b))
      .map(at => cornerOf(grid, at)[2].toFixed(1).replace('-', '−'))
    const said = `${counted(slots.length)} ${slots.length === 1 ? 'is' : 'are'} missing between z ${above} and ${below} mm`
    gaps.push({ slots, said })
  })
  return gaps
}

/** A header for each place in the volume; where an image is missing, one made up of its place. */
export function withPlaceholders(headers: readonly Header[], grid: Grid): Header[] {
  const [first = {}] = headers
  const of = new Map(grid.images.map((image, i) => [image, headers[i] ?? {}]))
  return Array.from({ length: grid.dimensions[2] }, (_, image) => {
    const header = of.get(image)
    if (header) return header
    const uid = `${first[SOP_UID]?.Value?.[0]}.0.${image}`
    return {
      ...first,
      [INSTANCE]: { ...first[INSTANCE], Value: [PLACEHOLDERS + image] },
      [SOP_UID]: { ...first[SOP_UID], Value: [uid] },
      [POSITION]: { ...first[POSITION], Value: [...cornerOf(grid, image)] },
    }
  })
}

/** The angle by which slices are shifted, in degrees. */
function tiltOf(lean: PatientPoint): number {
  return (Math.atan(Math.sqrt(dot(lean, lean))) * 180) / Math.PI
}

function rangeOf(offsets_mm: readonly number[]): string {
  const distances = offsets_mm.slice(1).map((at, i) => at - (offsets_mm[i] ?? 0))
  return `${Math.min(...distances).toFixed(1)} to ${Math.max(...distances).toFixed(1)}`
}

function counted(slices: number): string {
  return slices === 1 ? '1 slice' : `${slices} slices`
}
