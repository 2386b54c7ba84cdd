import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Cine, following, nextSpeed } from './cine'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('cine turns as many slices a second as it says, also when the speed changes', () => {
  const turn = vi.fn()
  const cine = new Cine(turn)
  cine.play()
  vi.advanceTimersByTime(1000)
  expect(turn).toHaveBeenCalledTimes(10)
  cine.setSpeed(20)
  vi.advanceTimersByTime(1000)
  expect(turn).toHaveBeenCalledTimes(30)
  cine.stop()
  cine.setSpeed(30)
  vi.advanceTimersByTime(1000)
  expect(turn).toHaveBeenCalledTimes(30)
  expect(cine.playing).toBe(false)
})

test('after the last slice comes the first', () => {
  expect([0, 1, 2].map(index => following(index, 3))).toEqual([1, 2, 0])
})

test('speeds go up and down in steps, and no farther than the last of them', () => {
  expect([nextSpeed(10, 1), nextSpeed(10, -1)]).toEqual([15, 8])
  expect([nextSpeed(30, 1), nextSpeed(2, -1)]).toEqual([30, 2])
})
