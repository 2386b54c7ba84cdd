import type { PatientPoint } from '../api/types'
import { add, dot, subtract } from './geometry'
import { cornerOf, type VolumeGeometry } from './slices'

/** Hounsfield units of the voxels of one slice whose centres lie in an ellipse. */
export interface HuStatistics {
  mean: number
  /** Of the voxels as a sample: divided by one less than their number; 0 for a single one. */
  sd: number
  min: number
  max: number
  voxels: number
}

/**
 * The statistics of an ellipse, given by the ends of its two axes, in the slice nearest to it; null
 * where it holds no voxel.
 */
export function statisticsOf(
  points_mm: readonly PatientPoint[],
  volume: VolumeGeometry,
  valueAt: (column: number, row: number, image: number) => number,
): HuStatistics | null {
  const [a, b, c, d] = points_mm
  if (!a || !b || !c || !d) return null
  const middle = add(a, subtract(b, a), 0.5)
  const [one, other] = [subtract(b, middle), subtract(d, middle)]
  const [one2, other2] = [dot(one, one), dot(other, other)]
  const { origin, axes, spacing_mm, dimensions, lean, offsets_mm } = volume
  const through = dot(subtract(middle, origin), axes[2])
  const from = add(subtract(middle, origin), lean ?? [0, 0, 0], -through)
  const range = ([0, 1, 2] as const).map(axis => {
    const at = dot(from, axes[axis]) / spacing_mm[axis]
    const reach = Math.hypot(dot(one, axes[axis]), dot(other, axes[axis])) / spacing_mm[axis]
    const flat = reach < 1e-3 // the slice in which the ellipse lies is one index thick
    if (axis === 2 && offsets_mm && flat) {
      const apart = offsets_mm.map(offset => Math.abs(offset - through))
      const nearest = apart.indexOf(Math.min(...apart))
      return [nearest, nearest] as const
    }
    const [first, last] = flat ? [Math.round(at), Math.round(at)] : [at - reach, at + reach]
    const most = dimensions[axis] - 1
    return [Math.max(0, Math.ceil(first)), Math.min(most, Math.floor(last))] as const
  })
  const [columns, rows, images] = range
  if (!columns || !rows || !images) return null
  const found: number[] = []
  for (let k = images[0]; k <= images[1]; k++) {
    const corner = cornerOf(volume, k)
    for (let j = rows[0]; j <= rows[1]; j++) {
      for (let i = columns[0]; i <= columns[1]; i++) {
        const voxel = add(add(corner, axes[0], i * spacing_mm[0]), axes[1], j * spacing_mm[1])
        const off = subtract(voxel, middle)
        if ((dot(off, one) / one2) ** 2 + (dot(off, other) / other2) ** 2 <= 1) {
          found.push(valueAt(i, j, k))
        }
      }
    }
  }
  if (found.length === 0) return null
  const mean = found.reduce((sum, value) => sum + value, 0) / found.length
  const squares = found.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return {
    mean,
    sd: found.length > 1 ? Math.sqrt(squares / (found.length - 1)) : 0,
    min: found.reduce((a, b) => Math.min(a, b)),
    max: found.reduce((a, b) => Math.max(a, b)),
    voxels: found.length,
  }
}
