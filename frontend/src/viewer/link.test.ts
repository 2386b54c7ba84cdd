import { expect, test } from 'vitest'
import type { PatientPoint } from '../api/types'
import { aReading } from '../reading/testing'
import { earlier, Link, nameOf } from './link'

let made = 0
const at = (frame_of_reference_uid: string, middle: PatientPoint) => ({
  series_uid: `2.25.1${++made}`,
  frame_of_reference_uid,
  middle,
})

test('two examinations begin by their middles, and at the same place where they share coordinates', () => {
  const link = new Link()
  link.begin(at('2.25.1', [0, 10, -200]), at('2.25.2', [5, 0, 40]))
  expect(link.toPrior([1, 2, -100])).toEqual([6, -8, 140])

  link.begin(at('2.25.1', [0, 10, -200]), at('2.25.1', [5, 0, 40]))
  expect(link.toPrior([1, 2, -100])).toEqual([1, 2, -100])
})

test('once apart, they go on together from where both are', () => {
  const link = new Link()
  link.linked = false
  link.join([1, 2, -100], [4, 0, 30])

  expect(link.linked).toBe(true)
  expect(link.toPrior([0, 0, -90])).toEqual([3, -2, 40])
  expect(link.toCurrent([3, -2, 40])).toEqual([0, 0, -90])
})

test('how long before is said as people say it', () => {
  const said: [number | null, string][] = [
    [null, 'earlier'],
    [0, 'same day'],
    [1, '1 day earlier'],
    [13, '13 days earlier'],
    [28, '4 weeks earlier'],
    [425, '14 months earlier'],
    [913, '2.5 years earlier'],
  ]
  for (const [days, words] of said) expect(earlier(days)).toBe(words)
})

test('a series is called by its kernel and the distance of its slices', () => {
  const [series] = aReading().series
  if (!series) throw new Error('a reading has a series')
  expect(nameOf({ ...series, kernel: 'B30f', slice_mm: 1.25 }, 2)).toBe('B30f 1.25 mm')
  expect(nameOf({ ...series, kernel: '', slice_mm: null }, 2)).toBe('Series 2')
})

test('how a reader has joined two series is there again after a reload', () => {
  const [current, prior] = [at('2.25.8', [0, 0, 0]), at('2.25.9', [7, 7, 7])]
  const before = new Link()
  before.begin(current, prior)
  before.join([0, 0, 0], [1, 2, 3])

  const after = new Link()
  after.begin(current, prior)
  expect(after.offset_mm).toEqual([1, 2, 3])
  after.begin(current, at('2.25.9', [7, 7, 7]))
  expect(after.offset_mm).toEqual([7, 7, 7])
})
