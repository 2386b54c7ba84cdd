import { imageOf, offsetOf, type Slices } from './slices'

/** What a slab of slices shows along each ray: the brightest, the darkest, or the mean value. */
export type Projection = 'mip' | 'minip' | 'mean'

export interface Slab {
  projection: Projection
  thickness_mm: number
}

export const PROJECTIONS: readonly { projection: Projection; name: string }[] = [
  { projection: 'mip', name: 'MIP' },
  { projection: 'minip', name: 'MinIP' },
  { projection: 'mean', name: 'Mean' },
]

const THICKNESSES_MM = [3, 5, 8, 10, 15, 20, 30, 40, 60, 80, 120] as const
/** Vessels become lines and nodules stay dots. */
export const USUAL_THICKNESS_MM = 10

/** The slab after a key that goes round: none, MIP, MinIP, mean, none. */
export function nextSlab(slab: Slab | null, thickness_mm: number): Slab | null {
  const here = PROJECTIONS.findIndex(({ projection }) => projection === slab?.projection)
  const projection = PROJECTIONS[here + 1]?.projection
  return projection ? { projection, thickness_mm } : null
}

/** The next thickness that is offered; the thinnest and the thickest stay as they are. */
export function nextThickness(thickness_mm: number, step: 1 | -1): number {
  const offered = step > 0 ? THICKNESSES_MM : [...THICKNESSES_MM].reverse()
  return offered.find(mm => step * (mm - thickness_mm) > 0.01) ?? thickness_mm
}

/** What stands on screen: a slab looks like an image, and is none. */
export function slabLabel({ projection, thickness_mm }: Slab): string {
  const name = PROJECTIONS.find(one => one.projection === projection)?.name
  return `${name} ${Number(thickness_mm.toFixed(1))} mm`
}

/** The images, in the order of the volume, that a slab around slice `index` is made of. */
export function imagesOfSlab(slices: Slices, index: number, thickness_mm: number): number[] {
  // Between two slices a ray meets both of them.
  const reach = Math.ceil(thickness_mm / 2 / slices.spacing_mm - 1e-6)
  let [first, last] = [Math.max(0, index - reach), Math.min(slices.total - 1, index + reach)]
  if (slices.offsets_mm) {
    const here = offsetOf(slices, index)
    const isWithin = (at: number) => Math.abs(offsetOf(slices, at) - here) < thickness_mm / 2 - 1e-6
    first = last = index
    while (first > 0 && isWithin(first)) first -= 1
    while (last < slices.total - 1 && isWithin(last)) last += 1
  }
  return Array.from({ length: last - first + 1 }, (_, i) => imageOf(slices, first + i))
}
