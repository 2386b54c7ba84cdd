import { expect, test } from 'vitest'
import { KeptImages } from './kept'

const frame = (bytes: number) => ({ bytes: new Uint8Array(bytes), transfer_syntax: '1.2' })

test('images are given away once, to the reading that they were kept for', () => {
  const kept = new KeptImages(100)
  kept.keepHeaders(8, '/m', [{}])
  kept.keepImage(8, '/f/1', frame(40))
  expect(kept.take(8)).toEqual({ headers: [['/m', [{}]]], images: [['/f/1', frame(40)]] })
  expect(kept.take(8).images).toEqual([])
  expect(kept.bytes).toBe(0)
})

test('another reading gets nothing, and what was kept is gone', () => {
  const kept = new KeptImages(100)
  kept.keepImage(8, '/f/1', frame(40))
  expect(kept.take(9).images).toEqual([])
  expect(kept.take(8).images).toEqual([])
})

test('no more is kept than the limit says', () => {
  const kept = new KeptImages(100)
  expect([60, 50, 40, 1].map((size, i) => kept.keepImage(8, `/f/${i}`, frame(size)))).toEqual([
    true,
    false,
    true,
    false,
  ])
  expect(kept.bytes).toBe(100)
})

test('a decoded image takes the room that it has in memory', () => {
  const kept = new KeptImages(100)
  const decoded = () => new Int16Array(30)
  expect(kept.keepImage(8, '/f/1', decoded())).toBe(true)
  expect(kept.keepImage(8, '/f/2', decoded())).toBe(false)
  expect(kept.bytes).toBe(60)
  expect(kept.take(8).images).toEqual([['/f/1', decoded()]])
})

test('the images of one reading make room for those of another', () => {
  const kept = new KeptImages(100)
  kept.keepImage(8, '/f/1', frame(90))
  expect(kept.keepImage(9, '/f/2', frame(90))).toBe(true)
  expect(kept.take(9).images.map(([address]) => address)).toEqual(['/f/2'])
})
