import { expect, test } from 'vitest'
import { KeptImages } from './kept'

const frame = (bytes: number) => ({ bytes: new Uint8Array(bytes), transfer_syntax: '1.2' })

test('images are given away once, to the reading that they were kept for', () => {
  const kept = new KeptImages(100)
  kept.keepHeaders(8, '/m', [{}])
  kept.keepFrame(8, '/f/1', frame(40))
  expect(kept.take(8)).toEqual({ headers: [['/m', [{}]]], frames: [['/f/1', frame(40)]] })
  expect(kept.take(8).frames).toEqual([])
  expect(kept.bytes).toBe(0)
})

test('another reading gets nothing, and what was kept is gone', () => {
  const kept = new KeptImages(100)
  kept.keepFrame(8, '/f/1', frame(40))
  expect(kept.take(9).frames).toEqual([])
  expect(kept.take(8).frames).toEqual([])
})

test('no more is kept than the limit says', () => {
  const kept = new KeptImages(100)
  expect([60, 50, 40, 1].map((size, i) => kept.keepFrame(8, `/f/${i}`, frame(size)))).toEqual([
    true,
    false,
    true,
    false,
  ])
  expect(kept.bytes).toBe(100)
})

test('the images of one reading make room for those of another', () => {
  const kept = new KeptImages(100)
  kept.keepFrame(8, '/f/1', frame(90))
  expect(kept.keepFrame(9, '/f/2', frame(90))).toBe(true)
  expect(kept.take(9).frames.map(([address]) => address)).toEqual(['/f/2'])
})
