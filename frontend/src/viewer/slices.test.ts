import { expect, test } from 'vitest'
import { imagesOfSlab } from './slab'
import {
  cornerOf,
  imageOf,
  measureSlices,
  middleOf,
  nearestSlice,
  ontoSlice,
  spacingAt,
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

test('slices at uneven distances are found and kept where they are, from the head downwards', () => {
  const { axial } = measureSlices({
    ...VOLUME,
    origin: [-200, -190, 0],
    dimensions: [512, 512, 5],
    offsets_mm: [0, 1, 2, 8, 13],
  })
  expect([0, 1, 2, 3, 4].map(index => ontoSlice(axial, [3, 4, 99], index)[2])).toEqual([
    13, 8, 2, 1, 0,
  ])
  expect(nearestSlice(axial, [0, 0, 5.2])).toBe(1)
  expect(nearestSlice(axial, [0, 0, 4.8])).toBe(2)
  expect([0, 1, 2, 4].map(index => spacingAt(axial, index))).toEqual([5, 5, 1, 1])
  expect(imagesOfSlab(axial, 1, 12)).toEqual([4, 3, 2])
  expect(imagesOfSlab(axial, 1, 14)).toEqual([4, 3, 2, 1])
})

test('slices of a tilted gantry are gone through as they follow each other', () => {
  const volume: VolumeGeometry = { ...VOLUME, lean: [0, 0.3, 0] }
  const { axial } = measureSlices(volume)
  const corner = cornerOf(volume, 132)
  expect(axial.first).toEqual(corner)
  expect(nearestSlice(axial, [0, 0, -38])).toBe(0)
  const onto = ontoSlice(axial, [3, 4, -38], 4) // 10 mm towards the feet
  expect(onto[1]).toBeCloseTo(4 - 3)
  expect(onto[2]).toBeCloseTo(-48)
  expect(middleOf(volume)[1]).toBeCloseTo((-190 + corner[1]) / 2 + 0.39 * 511)
})
