import { expect, test } from 'vitest'
import { add } from './geometry'
import { gridOf, scalingOf } from './grid'
import { cornerOf } from './slices'
import type { Header } from './source'

const TILT = (20 * Math.PI) / 180
const COLUMN = [0, Math.cos(TILT), -Math.sin(TILT)]
const NORMAL = [0, Math.sin(TILT), Math.cos(TILT)] as const

/** Image `index` of a stack along the normal of tilted slices, 1.25 mm apart. */
function header(index: number): Header {
  const at = NORMAL.map((part, i) => (i === 0 ? -120 : -80) + 1.25 * index * part)
  return {
    '00200032': { Value: at },
    '00200037': { Value: [1, 0, 0, ...COLUMN] },
    '00280010': { Value: [400] },
    '00280011': { Value: [512] },
    '00280030': { Value: [0.8, 0.7] },
    '00180050': { Value: [2.5] },
  }
}

test('the grid of a tilted stack goes along its normal, and through the last image', () => {
  const headers = Array.from({ length: 9 }, (_, i) => header(i))

  const grid = gridOf(headers)

  expect(grid.dimensions).toEqual([512, 400, 9])
  expect(grid.spacing_mm[0]).toBe(0.7) // between columns: the second value of Pixel Spacing
  expect(grid.spacing_mm[2]).toBeCloseTo(1.25)
  expect(grid.axes[2].map(part => part.toFixed(6))).toEqual(NORMAL.map(part => part.toFixed(6)))
  const last = add(grid.origin, grid.axes[2], 8 * grid.spacing_mm[2])
  last.forEach((part, i) => {
    expect(part).toBeCloseTo(Number(header(8)['00200032']?.Value?.[i]))
  })
})

/** Images across z at the given places, and shifted along y by `shear` per millimetre. */
function stack(places: readonly number[], shear = 0): Header[] {
  return places.map(z => ({
    ...header(0),
    '00200032': { Value: [-120, -80 + shear * z, z] },
    '00200037': { Value: [1, 0, 0, 0, 1, 0] },
  }))
}

test('where images are missing, the others keep their places', () => {
  const grid = gridOf(stack([0, 2.5, 5, 15, 17.5, 20.1]))

  expect(grid.dimensions[2]).toBe(9)
  expect(grid.images).toEqual([0, 1, 2, 6, 7, 8])
  expect(grid.spacing_mm[2]).toBeCloseTo(2.5, 1)
  expect(grid.offsets_mm).toBeUndefined()
  expect(grid.lean).toBeUndefined()
})

test('distances without a rule are kept as they are, whichever way the images go', () => {
  const places = [0, 1, 2, 3, 8.3, 13, 18.5]
  expect(gridOf(stack(places)).offsets_mm).toEqual(places)
  const downwards = gridOf(stack([...places].reverse()))
  expect(downwards.offsets_mm?.map(offset => 18.5 - offset)).toEqual([...places].reverse())
  expect(downwards.images).toEqual([0, 1, 2, 3, 4, 5, 6])
})

test('a tilted gantry shifts every image in its plane', () => {
  const grid = gridOf(stack([0, 2.5, 5, 7.5], 0.3))

  expect(grid.axes[2]).toEqual([0, 0, 1])
  expect(grid.lean?.map(part => Number(part.toFixed(6)))).toEqual([0, 0.3, 0])
  expect(cornerOf(grid, 2)[1]).toBeCloseTo(-80 + 1.5)
  expect(gridOf(stack([0, 2.5, 5, 7.5], 0.02)).lean).toBeUndefined() // less than half a pixel
})

test('of one image the thickness is all that is known of the distance', () => {
  expect(gridOf([header(0)]).spacing_mm[2]).toBe(2.5)
})

test('headers that do not say where the images lie are refused', () => {
  const { '00200032': _, ...without } = header(0)
  expect(() => gridOf([without, without])).toThrow('where the images lie')
})

test('what holds the Hounsfield units follows from how they are stored', () => {
  const of = (slope: number, intercept: number, signed: number) =>
    scalingOf({
      '00281053': { Value: [slope] },
      '00281052': { Value: [intercept] },
      '00280103': { Value: [signed] },
    }).numbers
  expect(of(1, -1024, 0)).toBe('Int16Array')
  expect(of(1, 0, 1)).toBe('Int16Array')
  expect(of(1, 0, 0)).toBe('Uint16Array')
  expect(of(0.5, -1000, 0)).toBe('Float32Array')
})
