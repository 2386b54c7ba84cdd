import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { loadNearestFirst } from './loading'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Load ten images one millisecond each; tells the order, and how it ended. */
async function run(options: {
  here?: () => number
  fails?: (index: number, time: number) => boolean
}) {
  const asked: number[] = []
  const told: [number, number][] = []
  const { here = () => 0, fails = () => false } = options
  const done = loadNearestFirst(10, {
    here,
    stopped: () => false,
    load: async index => {
      asked.push(index)
      await new Promise(resolve => setTimeout(resolve, 1))
      if (fails(index, asked.filter(other => other === index).length)) throw new Error('gone')
    },
    progress: (_, loaded, failed) => told.push([loaded.size, failed.size]),
  })
  await vi.advanceTimersByTimeAsync(60_000)
  await done
  return { asked, told }
}

test('images around the one on screen come first', async () => {
  const { asked } = await run({ here: () => 6 })
  expect(asked.slice(0, 6)).toEqual([6, 5, 7, 4, 8, 3])
  expect([...asked].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('when the reader scrolls away, loading follows', async () => {
  let asked = 0
  const here = () => (asked++ < 6 ? 0 : 9)
  const order = (await run({ here })).asked
  expect(order.slice(0, 6)).toEqual([0, 1, 2, 3, 4, 5])
  expect(order.slice(6)).toEqual([9, 8, 7, 6])
})

test('an image that fails is tried again, and counted as failed until it comes', async () => {
  const { asked, told } = await run({ fails: (index, time) => index === 3 && time < 3 })
  expect(asked.filter(index => index === 3).length).toBe(3)
  expect(told).toContainEqual([9, 1])
  expect(told.at(-1)).toEqual([10, 0])
})

test('an image that never comes is given up, and the others are there', async () => {
  const { asked, told } = await run({ fails: index => index === 3 })
  expect(asked.filter(index => index === 3).length).toBe(4)
  expect(told.at(-1)).toEqual([9, 1])
})
