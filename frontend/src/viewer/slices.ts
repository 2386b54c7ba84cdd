import type { PatientPoint } from '../api/types'
import { add, dot, subtract } from './geometry'
import { PLANES, type Plane } from './viewer'

/** Where the voxels of a volume lie in the patient. */
export interface VolumeGeometry {
  /** Centre of the first voxel. */
  origin: PatientPoint
  /** Unit vectors along columns, rows and images. */
  axes: readonly [PatientPoint, PatientPoint, PatientPoint]
  spacing_mm: PatientPoint
  dimensions: readonly [number, number, number]
  /** How far images are shifted in their plane per millimetre across them: the gantry was tilted. */
  lean?: PatientPoint
  /** Where images lie across their plane, whose distances follow no rule. */
  offsets_mm?: readonly number[]
}

/** Where an image lies, as its first voxel does. */
export function cornerOf(volume: VolumeGeometry, image: number): PatientPoint {
  const { origin, axes, spacing_mm, lean, offsets_mm } = volume
  const across = offsets_mm?.[image] ?? image * spacing_mm[2]
  const straight = add(origin, axes[2], across)
  return lean ? add(straight, lean, across) : straight
}

/** The slices of a volume along one plane's normal. */
export interface Slices {
  /** A point of the first slice. */
  first: PatientPoint
  /** Unit vector from the first slice to the last. */
  direction: PatientPoint
  /** The usual one, where they differ. */
  spacing_mm: number
  total: number
  /** As those of the volume, along `direction`. */
  lean?: PatientPoint | undefined
  offsets_mm?: readonly number[] | undefined
  /** Along the axis of the volume, the slices run the other way. */
  reversed: boolean
}

/** Slices are counted from the head, from the right and from the front. */
const FIRST_TO_LAST: Record<Plane, PatientPoint> = {
  axial: [0, 0, -1],
  sagittal: [1, 0, 0],
  coronal: [0, 1, 0],
}

/** Find the slices of each plane, along the axis of the volume nearest to its normal. */
export function measureSlices(volume: VolumeGeometry): Record<Plane, Slices> {
  const along = (plane: Plane): Slices => {
    const wanted = FIRST_TO_LAST[plane]
    const strength = (axis: 0 | 1 | 2) => Math.abs(dot(volume.axes[axis], wanted))
    const axis = ([0, 1, 2] as const).reduce((a, b) => (strength(b) > strength(a) ? b : a))
    const { origin } = volume
    const direction = volume.axes[axis]
    const [total, spacing_mm] = [volume.dimensions[axis], volume.spacing_mm[axis]]
    const reversed = dot(direction, wanted) < 0
    const { lean, offsets_mm } = axis === 2 ? volume : {}
    if (!reversed) {
      return { first: origin, direction, spacing_mm, total, reversed, lean, offsets_mm }
    }
    const first =
      axis === 2 ? cornerOf(volume, total - 1) : add(origin, direction, spacing_mm * (total - 1))
    const length = offsets_mm?.at(-1) ?? 0
    return {
      ...{ first, direction: turned(direction), spacing_mm, total, reversed },
      lean: lean && turned(lean),
      offsets_mm: offsets_mm && [...offsets_mm].reverse().map(offset => length - offset),
    }
  }
  const [axial, sagittal, coronal] = PLANES.map(along)
  if (!axial || !sagittal || !coronal) throw new Error('there are three planes')
  return { axial, sagittal, coronal }
}

function turned(direction: PatientPoint): PatientPoint {
  return [-direction[0], -direction[1], -direction[2]]
}

/** The middle of the volume. */
export function middleOf(volume: VolumeGeometry): PatientPoint {
  const { origin, axes, spacing_mm, dimensions } = volume
  const through = subtract(cornerOf(volume, dimensions[2] - 1), origin)
  return ([0, 1] as const).reduce(
    (point, i) => add(point, axes[i], (spacing_mm[i] * (dimensions[i] - 1)) / 2),
    add(origin, through, 0.5),
  )
}

/** How far slice `index` lies from the first, across them. */
export function offsetOf({ offsets_mm, spacing_mm }: Slices, index: number): number {
  return offsets_mm?.[index] ?? index * spacing_mm
}

/** From slice `index` to the one next to it, the nearer of both. */
export function spacingAt(slices: Slices, index: number): number {
  const { offsets_mm, spacing_mm } = slices
  if (!offsets_mm) return spacing_mm
  const here = offsetOf(slices, index)
  const apart = [offsets_mm[index - 1], offsets_mm[index + 1]].map(one =>
    one === undefined ? Number.POSITIVE_INFINITY : Math.abs(one - here),
  )
  return Math.min(...apart)
}

/** Index from 0 of the slice nearest to `point`. */
export function nearestSlice(slices: Slices, point: PatientPoint): number {
  const across = dot(subtract(point, slices.first), slices.direction)
  if (slices.offsets_mm) {
    const apart = slices.offsets_mm.map(offset => Math.abs(offset - across))
    return apart.indexOf(Math.min(...apart))
  }
  const index = Math.round(across / slices.spacing_mm)
  return Math.min(Math.max(index, 0), slices.total - 1)
}

/** `point` moved into slice `index`, the way the slices follow each other. */
export function ontoSlice(slices: Slices, point: PatientPoint, index: number): PatientPoint {
  const here = dot(subtract(point, slices.first), slices.direction)
  const way = offsetOf(slices, index) - here
  const moved = add(point, slices.direction, way)
  return slices.lean ? add(moved, slices.lean, way) : moved
}

/** Index, in the order of the volume, of slice `index`; and the other way round. */
export function imageOf(slices: Slices, index: number): number {
  return slices.reversed ? slices.total - 1 - index : index
}
