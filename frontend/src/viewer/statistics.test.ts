import { expect, test } from 'vitest'
import type { PatientPoint } from '../api/types'
import type { VolumeGeometry } from './slices'
import { statisticsOf } from './statistics'

const VOLUME: VolumeGeometry = {
  origin: [0, 0, 0],
  axes: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  spacing_mm: [1, 1, 2],
  dimensions: [50, 50, 20],
}

const ellipse = (centre: PatientPoint, one: number, other: number, axis: 1 | 2 = 1) => {
  const off = (along: 0 | 1 | 2, by: number) =>
    centre.map((mm, i) => (i === along ? mm + by : mm)) as unknown as PatientPoint
  return [off(0, -one), off(0, one), off(axis, -other), off(axis, other)]
}

test('the voxels whose centres lie in the ellipse count, and no others', () => {
  // In x = 8 to 12 around 10, in y 1 around 20: a plus sign, and one voxel more at each side.
  const seen: string[] = []
  const found = statisticsOf(ellipse([10, 20, 8], 2, 1), VOLUME, (i, j, k) => {
    seen.push(`${i} ${j} ${k}`)
    return i
  })
  expect(seen.sort()).toEqual([
    '10 19 4',
    '10 20 4',
    '10 21 4',
    '11 20 4',
    '12 20 4',
    '8 20 4',
    '9 20 4',
  ])
  expect(found).toMatchObject({ mean: 10, min: 8, max: 12, voxels: 7 })
  expect(found?.sd).toBeCloseTo(Math.sqrt(10 / 6), 12)
})

test('in another plane the slices lie farther apart', () => {
  const found = statisticsOf(ellipse([10, 20, 8], 0.5, 4.5, 2), VOLUME, (_i, _j, k) => k)
  expect(found).toMatchObject({ min: 2, max: 6, voxels: 5 })
})

test('between voxels there is none', () => {
  expect(statisticsOf(ellipse([10.5, 20.5, 8], 0.3, 0.3), VOLUME, () => 0)).toBeNull()
})

test('in tilted or uneven slices the voxels are where the slice is', () => {
  const volume: VolumeGeometry = {
    ...VOLUME,
    dimensions: [50, 50, 4],
    lean: [0, 0.5, 0],
    offsets_mm: [0, 1, 8, 10],
  }
  // On the slice at 8 mm, whose rows begin 4 mm further to the back.
  const seen: string[] = []
  const found = statisticsOf(ellipse([10, 24, 8], 2, 1), volume, (i, j, k) => {
    seen.push(`${i} ${j} ${k}`)
    return j
  })
  expect(seen.sort()).toEqual([
    '10 19 2',
    '10 20 2',
    '10 21 2',
    '11 20 2',
    '12 20 2',
    '8 20 2',
    '9 20 2',
  ])
  expect(found).toMatchObject({ mean: 20, voxels: 7 })
})
