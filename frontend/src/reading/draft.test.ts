import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Refusal, Unreachable } from '../api/client'
import type { Answers } from '../api/types'
import { Outbox } from '../outbox/box'
import { DraftSaver, type SavedState } from './draft'
import { takeLeft } from './left'
import { aReading, MemoryApi } from './testing'

let api: MemoryApi
let box: Outbox
let told: SavedState[]
let saver: DraftSaver

const answers = (malignancy: number): Answers => ({
  case: {},
  nodules: { 11: { malignancy: { value: malignancy } } },
})
const kinds = () => told.map(({ kind }) => kind)
const open = () => {
  const of = { reading: 7, case: 'Case 03', stage: 'unaided' } as const
  return new DraftSaver(of, api.stored.draft, api, box, state => told.push(state))
}
/** Another tab or computer saves `malignancy`. */
const elsewhere = (malignancy: number) => {
  const { version } = api.stored.draft
  return api.saveDraft({
    stage: 'unaided',
    version,
    answers: answers(malignancy),
    key: 'other',
    sent: [],
  })
}

beforeEach(() => {
  vi.useFakeTimers()
  localStorage.clear()
  api = new MemoryApi(aReading())
  box = new Outbox('me')
  told = []
  saver = open()
})
afterEach(() => {
  vi.useRealTimers()
})

test('typing is saved once, when it pauses', async () => {
  for (const value of [1, 12, 123]) {
    saver.change(answers(value))
    await vi.advanceTimersByTimeAsync(100)
  }
  expect(api.calls).toEqual([])
  await vi.advanceTimersByTimeAsync(400)

  expect(api.calls).toEqual(['draft'])
  expect(api.stored.draft.answers).toEqual(answers(123))
  expect(kinds()).toEqual(['saved', 'saving', 'saved'])
})

test('without a connection it waits, says since when, and is tried again ever more slowly', async () => {
  api.failures = Array.from({ length: 3 }, () => new Unreachable('gone'))
  const since = new Date().toISOString()
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(300)
  saver.change(answers(41))
  await vi.advanceTimersByTimeAsync(400)
  expect(told.at(-1)).toEqual({ kind: 'waiting', since, because: 'offline', kept: true })

  await vi.advanceTimersByTimeAsync(1_000 + 2_000 + 10)
  expect(api.calls.length).toBe(3)
  await vi.advanceTimersByTimeAsync(4_000)

  expect(api.stored.draft.answers).toEqual(answers(41))
  expect(told.at(-1)?.kind).toBe('saved')
})

test('what the server has not acknowledged survives a closed tab, and is sent as what it was', async () => {
  api.failures = [new Unreachable('gone')]
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(500)
  await saver.stop() // the tab is closed

  const { goOn, aside } = takeLeft(box, api.stored)
  expect([goOn?.parcel.answers, aside]).toEqual([answers(40), []])
  const next = open()
  if (goOn) next.adopt(goOn.name, goOn.parcel)
  await vi.advanceTimersByTimeAsync(10)

  expect(api.stored.draft).toMatchObject({ answers: answers(40), key: goOn?.parcel.key })
  expect(box.parcels()).toEqual([])
})

test('what arrived although its page was closed is let go', async () => {
  saver.change(answers(40))
  const [[, parcel] = []] = box.parcels()
  if (parcel) await api.saveDraft({ ...parcel })

  expect(takeLeft(box, api.stored)).toEqual({ goOn: null, aside: [] })
  expect(box.parcels()).toEqual([])
})

test('what was typed before the stage was locked elsewhere is set aside, not thrown away', () => {
  saver.change(answers(40))
  const locked = { unaided: answers(50), aided: null }
  const { goOn, aside } = takeLeft(box, aReading({ stage: 'aided', answers: locked }))

  expect(goOn).toBeNull()
  expect(aside.map(({ parcel }) => parcel.answers)).toEqual([answers(40)])
  expect(box.parcels().length).toBe(1)
})

test('two tabs that could not save do not write over each other', async () => {
  api.failures = [new Unreachable('gone'), new Unreachable('gone')]
  const second = open()
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(10)
  second.change(answers(60))
  await saver.stop()
  await second.stop()

  const { goOn, aside } = takeLeft(box, api.stored)
  const kept = [goOn, ...aside].map(each => each?.parcel.answers)
  expect(kept).toEqual([answers(60), answers(40)])
})

test('an ended session keeps the answers and saves them after signing in again', async () => {
  api.failures = [new Refusal('not_authenticated', 'Sign in.')]
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(400)
  expect(told.at(-1)).toMatchObject({ kind: 'waiting', because: 'signed_out' })

  saver.retry() // the tab has the focus again
  await vi.advanceTimersByTimeAsync(0)
  expect(api.stored.draft.answers).toEqual(answers(40))
})

test('under another account nothing is given up', async () => {
  api.failures = [new Refusal('not_found', 'There is nothing here for you.')]
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(400)
  expect(told.at(-1)).toMatchObject({ kind: 'waiting', because: 'somebody_else' })
  expect(box.parcels().length).toBe(1)
  expect(new Outbox('another user').parcels()).toEqual([])
})

test('another tab’s draft is not overwritten: the reader decides', async () => {
  await elsewhere(90)
  saver.change(answers(10))
  await vi.advanceTimersByTimeAsync(400)

  expect(told.at(-1)).toMatchObject({ kind: 'conflict', theirs: { answers: answers(90) } })
  saver.change(answers(11))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(api.stored.draft.answers).toEqual(answers(90))
  expect(box.parcels().map(([, { answers }]) => answers)).toEqual([answers(11)])

  saver.keepMine(answers(11))
  await vi.advanceTimersByTimeAsync(0)
  expect(api.stored.draft.answers).toEqual(answers(11))
})

test('the draft of the other tab can be loaded, and is then saved from here', async () => {
  await elsewhere(90)
  saver.change(answers(10))
  await vi.advanceTimersByTimeAsync(400)

  expect(saver.takeTheirs()).toEqual(answers(90))
  saver.change(answers(91))
  await vi.advanceTimersByTimeAsync(400)
  expect(api.stored.draft.answers).toEqual(answers(91))
})

test('a tab that has nothing to save takes over what another has saved', async () => {
  await elsewhere(90)
  expect(await saver.look()).toMatchObject({ answers: answers(90) })
  saver.change(answers(91))
  await vi.advanceTimersByTimeAsync(400)
  expect(kinds()).not.toContain('conflict')
  expect(api.stored.draft.answers).toEqual(answers(91))
})

test('a save whose acknowledgement got lost is not taken for another tab', async () => {
  const save = api.saveDraft.bind(api)
  vi.spyOn(api, 'saveDraft').mockImplementationOnce(async draft => {
    await save(draft)
    throw new Unreachable('the answer got lost')
  })
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(400)
  saver.change(answers(50))
  await saver.stop() // the tab is closed, and another one opened
  const { goOn } = takeLeft(box, api.stored)
  if (goOn) open().adopt(goOn.name, goOn.parcel)
  await vi.advanceTimersByTimeAsync(400)

  expect(kinds()).not.toContain('conflict')
  expect(api.stored.draft.answers).toEqual(answers(50))
})

test('leaving the page sends what is pending at once', async () => {
  saver.change(answers(40))
  saver.leave()
  await vi.advanceTimersByTimeAsync(0)
  expect(api.stored.draft.answers).toEqual(answers(40))
  expect(box.parcels()).toEqual([])
})

test('once stopped for the lock nothing is saved, unless the lock is refused', async () => {
  saver.change(answers(40))
  await saver.stop()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(api.calls).toEqual([])

  saver.resume()
  await vi.advanceTimersByTimeAsync(0)
  expect(api.stored.draft.answers).toEqual(answers(40))
})

test('a stage that was finished elsewhere takes no draft, and what was typed is kept', async () => {
  api.stored = aReading({ stage: 'aided' })
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(400)
  expect(told.at(-1)).toEqual({ kind: 'ended', because: 'It is locked.' })
  saver.change(answers(41))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(api.calls).toEqual(['draft'])
  expect(box.parcels().map(([, { answers }]) => answers)).toEqual([answers(40)])
})

test('a browser that keeps nothing says so', async () => {
  box = new Outbox('me', null)
  saver = open()
  api.failures = [new Unreachable('gone')]
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(400)
  expect(told.at(-1)).toMatchObject({ kind: 'waiting', kept: false })
})
