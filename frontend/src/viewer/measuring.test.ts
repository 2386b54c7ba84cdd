import { expect, test } from 'vitest'
import type { PatientPoint } from '../api/types'
import { handleAt, isShown, type Length, length_mm, Measurements } from './measuring'
import { aView } from './testing'

const LENGTH: Length = {
  id: 'a',
  plane: 'axial',
  ends_mm: [
    [10, 20, 30],
    [13, 24, 30],
  ],
}

test('a length is the distance in the patient, in millimetres', () => {
  expect(length_mm(LENGTH)).toBe(5)
})

test('a length is shown in its plane within half a slice, and nowhere else', () => {
  const at = (z: number) => aView('axial', { point: [0, 0, z], spacing_mm: 2.5 })
  expect([28.8, 30, 31.2].map(z => isShown(LENGTH, 'axial', at(z)))).toEqual([true, true, true])
  expect([28.7, 31.3].map(z => isShown(LENGTH, 'axial', at(z)))).toEqual([false, false])
  const coronal = aView('coronal', { point: [10, 20, 30], spacing_mm: 100 })
  expect(isShown(LENGTH, 'coronal', coronal)).toBe(false)
})

test('the pointer takes hold of the end that it is nearest to', () => {
  const view = aView('axial', { point: [10, 20, 30], width: 400, height: 300, mm_per_pixel: 0.25 })
  // The first end is in the middle, the second 12 pixels to the right and 16 below it.
  expect(handleAt([LENGTH], view, [203, 152])).toEqual({ id: 'a', end: 0 })
  expect(handleAt([LENGTH], view, [210, 165])).toEqual({ id: 'a', end: 1 })
  expect(handleAt([LENGTH], view, [230, 190])).toBeNull()
})

test('drawing, dragging and deleting are undone step by step', () => {
  const measurements = new Measurements()
  const to = (x: number): PatientPoint => [x, 24, 30]
  measurements.add(LENGTH)
  measurements.grab({ id: 'a', end: 1 })
  for (const x of [14, 15, 16]) measurements.move({ id: 'a', end: 1 }, to(x))
  measurements.drop({ id: 'a', end: 1 }, 1)
  expect(measurements.all[0]?.ends_mm).toEqual([LENGTH.ends_mm[0], to(16)])
  measurements.removeSelected()
  expect(measurements.all).toEqual([])
  measurements.undo()
  expect(measurements.all[0]?.ends_mm[1]).toEqual(to(16))
  measurements.undo()
  expect(measurements.all).toEqual([LENGTH])
  measurements.undo()
  expect(measurements.all).toEqual([])
  measurements.undo()
  expect(measurements.all).toEqual([])
})

test('a click leaves no length', () => {
  const measurements = new Measurements()
  const [end] = LENGTH.ends_mm
  measurements.add({ ...LENGTH, ends_mm: [end, end] })
  measurements.drop({ id: 'a', end: 1 }, 1)
  expect(measurements.all).toEqual([])
})
