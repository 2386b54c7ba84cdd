import { expect, test } from 'vitest'
import type { Saliency, SaliencyPlane } from '../api/types'
import { colour, planeToDraw } from './saliency'
import { aView } from './testing'

const plane = (name: string, change: Partial<SaliencyPlane>): SaliencyPlane => ({
  name,
  weight: 0.1,
  centre_mm: [0, 0, 0],
  row: [1, 0, 0],
  column: [0, 1, 0],
  cell_mm: 7,
  relevance: [[1]],
  ...change,
})

const SALIENCY: Saliency = {
  planes: [
    plane('axial', {}),
    plane('coronal', { column: [0, 0, -1] }),
    plane('sagittal', { row: [0, 1, 0], column: [0, 0, -1] }),
    plane('axial+45', { row: [Math.SQRT1_2, 0, Math.SQRT1_2] }),
  ],
  scale: 1,
  token_mm: 7,
  faithfulness: { deletion_drop: 0.3, random_drop: 0.1 },
}

test.each(['axial', 'sagittal', 'coronal'] as const)(
  'the %s pane draws the plane of its own orientation',
  name => {
    expect(planeToDraw(aView(name), SALIENCY)?.name).toBe(name)
  },
)

test('away from the nodule nothing is drawn', () => {
  expect(planeToDraw(aView('axial', { point: [0, 0, 10] }), SALIENCY)).toBeNull()
  expect(planeToDraw(aView('axial'), null)).toBeNull()
})

test('no relevance leaves the image bare, much of it is bright', () => {
  expect(colour(0)[3]).toBe(0)
  expect(colour(-1)).toEqual(colour(0))
  expect(colour(1)).toEqual([252, 240, 130, 255])
  expect(colour(7)).toEqual(colour(1))
})
