import { expect, test } from 'vitest'
import { pointAt } from './calibration'

const point = (low: number, high: number) => ({
  low,
  high,
  n: 10,
  mean_probability: (low + high) / 2,
  share: 0.5,
  lower: 0.4,
  upper: 0.6,
})
const POINTS = [point(0.1, 0.2), point(0.4, 0.5)]

test('a probability belongs to the range that holds it, or to the nearest there is', () => {
  expect(pointAt(POINTS, 0.15)?.low).toBe(0.1)
  expect(pointAt(POINTS, 0.45)?.low).toBe(0.4)
  expect(pointAt(POINTS, 0.9)?.low).toBe(0.4)
  expect(pointAt(POINTS, 0)?.low).toBe(0.1)
  expect(pointAt([], 0.5)).toBeNull()
})
