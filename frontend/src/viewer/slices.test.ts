import { expect, test } from 'vitest'
import {
  imageOf,
  measureSlices,
  middleOf,
  nearestSlice,
  ontoSlice,
  type VolumeGeometry,
} from './slices'

/** Images sorted from the feet up, as the server sends them. */
const VOLUME: VolumeGeometry = {
  origin: [-200, -190, -368],
  axes: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  spacing_mm: [0.78, 0.78, 2.5],
  dimensions: [512, 512, 133],
}

test('the first axial slice is the one nearest to the head, whatever the order of the images', () => {
  const upwards = measureSlices(VOLUME).axial
  const downwards = measureSlices({
    ...VOLUME,
    origin: [-200, -190, -38],
    axes: [VOLUME.axes[0], VOLUME.axes[1], [0, 0, -1]],
  }).axial
  for (const slices of [upwards, downwards]) {
    expect(nearestSlice(slices, [0, 0, -38])).toBe(0)
    expect(nearestSlice(slices, [0, 0, -368])).toBe(132)
    expect(nearestSlice(slices, [0, 0, -41])).toBe(1)
  }
  expect(imageOf(upwards, 0)).toBe(132)
  expect(imageOf(downwards, 0)).toBe(0)
})

test('sagittal slices are counted from the right, coronal ones from the front', () => {
  const { sagittal, coronal } = measureSlices(VOLUME)
  expect(nearestSlice(sagittal, [-200, 0, 0])).toBe(0)
  expect(nearestSlice(coronal, [0, -190, 0])).toBe(0)
  expect([sagittal.total, coronal.total]).toEqual([512, 512])
})

test('a prone patient is counted the same way', () => {
  const prone = measureSlices({
    ...VOLUME,
    origin: [200, 190, -368],
    axes: [
      [-1, 0, 0],
      [0, -1, 0],
      [0, 0, 1],
    ],
  })
  expect(nearestSlice(prone.sagittal, [-198.58, 0, 0])).toBe(0)
  expect(nearestSlice(prone.coronal, [0, -208.58, 0])).toBe(0)
})

test('a point outside has the outermost slice; a point inside keeps its place in the plane', () => {
  const { axial } = measureSlices(VOLUME)
  expect(nearestSlice(axial, [0, 0, 500])).toBe(0)
  expect(ontoSlice(axial, [3, 4, -39], 0)).toEqual([3, 4, -38])
  expect(middleOf(VOLUME)[2]).toBeCloseTo(-203)
})
