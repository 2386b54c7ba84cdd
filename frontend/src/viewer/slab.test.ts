import { expect, test } from 'vitest'
import { imagesOfSlab, nextSlab, nextThickness, type Slab, slabLabel } from './slab'
import type { Slices } from './slices'

const SLICES: Slices = {
  first: [0, 0, 100],
  direction: [0, 0, -1],
  spacing_mm: 2.5,
  total: 40,
  reversed: true,
}

test('the key goes from the slice to MIP, MinIP and mean, and back to the slice', () => {
  const seen: (Slab | null)[] = [null]
  for (let i = 0; i < 4; i++) seen.push(nextSlab(seen.at(-1) ?? null, 10))
  expect(seen.map(slab => slab?.projection ?? null)).toEqual([null, 'mip', 'minip', 'mean', null])
  expect(seen[1]?.thickness_mm).toBe(10)
})

test('a slab grows and shrinks in steps, and no farther than the last of them', () => {
  expect(nextThickness(10, 1)).toBe(15)
  expect(nextThickness(10, -1)).toBe(8)
  expect(nextThickness(3, -1)).toBe(3)
  expect(nextThickness(120, 1)).toBe(120)
})

test('a slab says what it is and how thick', () => {
  expect(slabLabel({ projection: 'minip', thickness_mm: 5 })).toBe('MinIP 5 mm')
})

test('a slab of 10 mm over slices of 2.5 mm needs two slices on either side', () => {
  // Slice 10 from the head is image 29 of a series that begins at the feet.
  expect(imagesOfSlab(SLICES, 10, 10)).toEqual([31, 30, 29, 28, 27])
})

test('a slab that ends between two slices needs the one beyond, and none outside the series', () => {
  expect(imagesOfSlab(SLICES, 10, 3)).toEqual([30, 29, 28])
  expect(imagesOfSlab(SLICES, 0, 6)).toEqual([39, 38, 37])
})
