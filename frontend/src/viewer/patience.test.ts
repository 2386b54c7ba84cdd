import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { inTime, TooLate } from './patience'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

test('what never answers is given up, and what answers in time is taken', async () => {
  const silent = inTime(new Promise(() => {}), 20_000)
  const refused = expect(silent).rejects.toBeInstanceOf(TooLate)
  await vi.advanceTimersByTimeAsync(20_000)
  await refused
  await expect(inTime(Promise.resolve(7), 20_000)).resolves.toBe(7)
  await expect(inTime(Promise.reject(new Error('broken')), 20_000)).rejects.toThrow('broken')
  expect(vi.getTimerCount()).toBe(0)
})
