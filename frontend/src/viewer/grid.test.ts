import { expect, test } from 'vitest'
import { add } from './geometry'
import { gridOf, scalingOf } from './grid'
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
