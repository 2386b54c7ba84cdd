import { expect, test } from 'vitest'
import type { Measurement, PatientPoint, Tool } from '../api/types'
import { dot, subtract } from './geometry'
import {
  distance_mm,
  dragged,
  drawn,
  handleAt,
  isShown,
  Measurements,
  quantities,
  tenth,
} from './measuring'
import { aView } from './testing'

const a = (kind: Tool, points_mm: PatientPoint[]): Measurement => ({
  id: 'a',
  kind,
  plane: 'axial',
  series: 5,
  nodule: null,
  points_mm,
})
const LENGTH = a('length', [
  [10, 20, 30],
  [13, 24, 30],
])
const CROSS = a('bidirectional', [
  [0, 0, 30],
  [10, 0, 30],
  [4, -3, 30],
  [4, 3, 30],
])

const direction = (points: readonly PatientPoint[], from: number, to: number) =>
  subtract(points[to] as PatientPoint, points[from] as PatientPoint)

function isSquare(points: readonly PatientPoint[]) {
  expect(points).toHaveLength(4)
  expect(dot(direction(points, 0, 1), direction(points, 2, 3))).toBeCloseTo(0, 9)
}

test('points come to millimetres with one decimal, a half upwards', () => {
  expect(quantities(LENGTH)).toEqual({ length: 5 })
  expect(quantities(CROSS)).toEqual({ long_axis: 10, short_axis: 6, mean_diameter: 8 })
  expect(quantities(a('ellipse', [...CROSS.points_mm])).area).toBe(47.1)
  expect(quantities(a('arrow', [...LENGTH.points_mm]))).toEqual({})
  expect([6.05, 6.04, 6.25].map(tenth)).toEqual([6.1, 6, 6.3])
})

test('two axes are drawn at right angles, and stay so wherever they are dragged', () => {
  const view = aView('axial', { point: [0, 0, 30] })
  const points = drawn('bidirectional', [0, 0, 30], [8, 6, 30], view)
  isSquare(points)
  expect(quantities(a('bidirectional', points))).toMatchObject({ long_axis: 10, short_axis: 5 })

  const turned = dragged(CROSS, 1, [0, 20, 30])
  isSquare(turned)
  // The second axis keeps its length, and its place along the first.
  expect(distance_mm(turned[2] as PatientPoint, turned[3] as PatientPoint)).toBeCloseTo(6, 9)
  expect(((turned[2]?.[1] ?? 0) + (turned[3]?.[1] ?? 0)) / 2).toBeCloseTo(8, 9)

  const longer = dragged(CROSS, 3, [7, 9, 30])
  isSquare(longer)
  expect(longer.slice(2)).toEqual([
    [7, -3, 30],
    [7, 9, 30],
  ])
})

test('an ellipse fills the rectangle that is drawn, and keeps its middle', () => {
  const view = aView('axial', { point: [0, 0, 30] })
  const points = drawn('ellipse', [0, 0, 30], [10, 6, 30], view)
  isSquare(points)
  expect(quantities(a('ellipse', points))).toMatchObject({ long_axis: 10, short_axis: 6 })
  const wider = dragged(a('ellipse', points), 1, [13, 3, 30])
  expect(quantities(a('ellipse', wider))).toMatchObject({ long_axis: 16, short_axis: 6 })
  const moved = dragged(a('ellipse', points), 'all', [0, 0, 30])
  expect(quantities(a('ellipse', moved))).toEqual(quantities(a('ellipse', points)))
  expect(direction([...moved, ...points], 0, 4)).toEqual([5, 3, 0])
})

test('a measurement is shown in its plane within half a slice, and nowhere else', () => {
  const at = (z: number) => aView('axial', { point: [0, 0, z], spacing_mm: 2.5 })
  expect([28.8, 30, 31.2].map(z => isShown(LENGTH, 'axial', at(z)))).toEqual([true, true, true])
  expect([28.7, 31.3].map(z => isShown(LENGTH, 'axial', at(z)))).toEqual([false, false])
  const coronal = aView('coronal', { point: [10, 20, 30], spacing_mm: 100 })
  expect(isShown(LENGTH, 'coronal', coronal)).toBe(false)
})

test('the pointer takes hold of the end that it is nearest to', () => {
  const view = aView('axial', { point: [10, 20, 30], width: 400, height: 300, mm_per_pixel: 0.25 })
  // The first end is in the middle, the second 12 pixels to the right and 16 below it.
  expect(handleAt([LENGTH], view, [203, 152])).toEqual({ id: 'a', point: 0 })
  expect(handleAt([LENGTH], view, [210, 165])).toEqual({ id: 'a', point: 1 })
  expect(handleAt([LENGTH], view, [230, 190])).toBeNull()
})

test('drawing, dragging and deleting are undone and done again step by step', () => {
  const measurements = new Measurements()
  const to = (x: number): PatientPoint[] => [
    [10, 20, 30],
    [x, 24, 30],
  ]
  const ends = () => measurements.all[0]?.points_mm
  measurements.add(LENGTH)
  measurements.grab('a')
  for (const x of [14, 15, 16]) measurements.change('a', to(x))
  measurements.drop('a', 1)
  measurements.removeSelected()
  expect(measurements.all).toEqual([])
  measurements.undo()
  expect(ends()).toEqual(to(16))
  measurements.undo()
  expect(measurements.all).toEqual([LENGTH])
  measurements.redo()
  expect(ends()).toEqual(to(16))
  measurements.undo()
  measurements.undo()
  measurements.undo()
  expect(measurements.all).toEqual([])
  measurements.redo()
  measurements.add({ ...LENGTH, id: 'b' })
  measurements.redo() // what was done since has taken its place
  expect(measurements.all.map(({ id }) => id)).toEqual(['a', 'b'])
})

test('a click leaves no measurement', () => {
  const view = aView('axial', { point: [0, 0, 30] })
  for (const kind of ['length', 'bidirectional', 'ellipse', 'arrow'] as const) {
    const measurements = new Measurements()
    measurements.add(a(kind, drawn(kind, [1, 2, 30], [1, 2, 30], view)))
    measurements.drop('a', 1)
    expect(measurements.all).toEqual([])
  }
})
