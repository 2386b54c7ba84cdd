import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Unreachable } from '../api/client'
import { Outbox } from '../outbox/box'
import { deliverEvents } from '../outbox/deliver'
import { EventQueue } from './events'
import { aReading, MemoryApi } from './testing'

let api: MemoryApi
let box: Outbox
let events: EventQueue

beforeEach(() => {
  vi.useFakeTimers()
  localStorage.clear()
  api = new MemoryApi(aReading())
  box = new Outbox('me')
  events = new EventQueue(api, box, 7)
})
afterEach(() => {
  vi.useRealTimers()
})

test('events travel together, each with its own key and the stage it happened in', async () => {
  events.add('first_image')
  events.stage = 'aided'
  events.add('ai_shown', { nodule: 1 })
  await vi.advanceTimersByTimeAsync(5_000)

  expect(api.calls).toEqual(['events'])
  expect(api.events.map(({ kind, stage }) => [kind, stage])).toEqual([
    ['first_image', 'unaided'],
    ['ai_shown', 'aided'],
  ])
  expect(new Set(api.events.map(({ key }) => key)).size).toBe(2)
  expect(api.events[0]?.key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/)
})

test('every event says which loading of the page its clock belongs to', async () => {
  const again = new EventQueue(api, box, 7)
  events.add('hidden')
  events.add('slice', { index: 3 })
  again.add('visible')
  await vi.advanceTimersByTimeAsync(5_000)

  const pages = api.events.map(({ data }) => data.page)
  expect(pages).toEqual([events.page, events.page, again.page])
  expect(events.page).not.toBe(again.page)
  expect(api.events[1]?.data.index).toBe(3)
})

test('without a connection they wait and are sent once', async () => {
  api.failures = [new Unreachable('gone')]
  events.add('window')
  await vi.advanceTimersByTimeAsync(5_000)
  expect(api.events).toEqual([])
  await vi.advanceTimersByTimeAsync(20_000)
  expect(api.events.length).toBe(1)
  expect(box.events()).toEqual([])
})

test('what a closed tab could not send is sent by the next page, with its keys', async () => {
  api.failures = [new Unreachable('gone')]
  for (let i = 0; i < 130; i++) events.add('window', { i })
  await vi.advanceTimersByTimeAsync(5_000)
  vi.clearAllTimers() // the tab is closed
  const kept = box.events().flatMap(([, parcel]) => parcel.events)
  expect([kept.length, api.events.length]).toEqual([130, 0])

  const next = new EventQueue(api, box, 8)
  next.add('hidden')
  await deliverEvents(box, () => api, next.isMine)

  expect(new Set(api.events.map(({ key }) => key))).toEqual(new Set(kept.map(({ key }) => key)))
  expect(box.events().map(([, { reading }]) => reading)).toEqual([8])
})

test('what is added while a batch is on its way is sent with the next', async () => {
  const send = api.sendEvents.bind(api)
  vi.spyOn(api, 'sendEvents').mockImplementationOnce(async sent => {
    events.add('slice')
    return send(sent)
  })
  events.add('window')
  await vi.advanceTimersByTimeAsync(12_000)
  expect(api.events.map(({ kind }) => kind)).toEqual(['window', 'slice'])
})

test('when too many wait the oldest go, and that is told', async () => {
  for (let i = 0; i < 6_101; i++) events.add('window', { i })
  await vi.advanceTimersByTimeAsync(61 * 5_000 + 70_000)
  const lost = api.events.filter(({ kind }) => kind === 'events_lost')
  expect(lost.at(-1)?.data.count).toBeGreaterThanOrEqual(100)
  expect(api.events.at(-1)?.data.i ?? api.events.at(-2)?.data.i).toBe(6_100)
})

test('fast scrolling is thinned out, but where it ends is kept', async () => {
  for (let index = 1; index <= 20; index++) {
    events.addThrottled('slice axial', 'slice', { index })
    await vi.advanceTimersByTimeAsync(20)
  }
  await vi.advanceTimersByTimeAsync(10_000)
  const indices = api.events.map(({ data }) => data.index)
  expect(indices.length).toBeLessThan(6)
  expect(indices.at(0)).toBe(1)
  expect(indices.at(-1)).toBe(20)
})
