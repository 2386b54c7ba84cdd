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
}

/** The slices of a volume along one plane's normal. */
export interface Slices {
  /** A point of the first slice. */
  first: PatientPoint
  /** Unit vector from the first slice to the last. */
  direction: PatientPoint
  spacing_mm: number
  total: number
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
    if (!reversed) return { first: origin, direction, spacing_mm, total, reversed }
    const first = add(origin, direction, spacing_mm * (total - 1))
    const back: PatientPoint = [-direction[0], -direction[1], -direction[2]]
    return { first, direction: back, spacing_mm, total, reversed }
  }
  const [axial, sagittal, coronal] = PLANES.map(along)
  if (!axial || !sagittal || !coronal) throw new Error('there are three planes')
  return { axial, sagittal, coronal }
}

/** The middle of the volume. */
export function middleOf({ origin, axes, spacing_mm, dimensions }: VolumeGeometry): PatientPoint {
  return ([0, 1, 2] as const).reduce(
    (point, i) => add(point, axes[i], (spacing_mm[i] * (dimensions[i] - 1)) / 2),
    origin,
  )
}

/** Index from 0 of the slice nearest to `point`. */
export function nearestSlice(slices: Slices, point: PatientPoint): number {
  const index = Math.round(dot(subtract(point, slices.first), slices.direction) / slices.spacing_mm)
  return Math.min(Math.max(index, 0), slices.total - 1)
}

/** `point` moved along the normal into slice `index`. */
export function ontoSlice(slices: Slices, point: PatientPoint, index: number): PatientPoint {
  const here = dot(subtract(point, slices.first), slices.direction)
  return add(point, slices.direction, index * slices.spacing_mm - here)
}

/** Index, in the order of the volume, of slice `index`; and the other way round. */
export function imageOf(slices: Slices, index: number): number {
  return slices.reversed ? slices.total - 1 - index : index
}
