import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Refusal, Unreachable } from '../api/client'
import type { Answers } from '../api/types'
import { DraftSaver, type SavedState } from './draft'
import { aReading, MemoryApi, MemoryCopy } from './testing'

let api: MemoryApi
let copy: MemoryCopy
let told: SavedState[]
let saver: DraftSaver

const answers = (malignancy: number): Answers => ({
  case: {},
  nodules: { 11: { malignancy: { value: malignancy } } },
})
const kinds = () => told.map(({ kind }) => kind)
const open = () => new DraftSaver('unaided', api.stored.draft, api, copy, state => told.push(state))

beforeEach(() => {
  vi.useFakeTimers()
  api = new MemoryApi(aReading())
  copy = new MemoryCopy()
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

test('without a connection it is tried again, ever more slowly, until it is saved', async () => {
  api.failures = Array.from({ length: 3 }, () => new Unreachable('gone'))
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(400)
  expect(told.at(-1)).toEqual({ kind: 'unsaved', because: 'no connection, retrying' })

  await vi.advanceTimersByTimeAsync(1_000 + 2_000 + 10)
  expect(api.calls.length).toBe(3)
  await vi.advanceTimersByTimeAsync(4_000)

  expect(api.stored.draft.answers).toEqual(answers(40))
  expect(told.at(-1)?.kind).toBe('saved')
})

test('what the server does not have survives a closed tab in the browser', async () => {
  api.failures = [new Unreachable('gone')]
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(500)

  expect(DraftSaver.left('unaided', api.stored.draft, copy)).toEqual(answers(40))
  expect(DraftSaver.left('aided', api.stored.draft, copy)).toBeNull()
  const newer = { ...api.stored.draft, version: 2 }
  expect(DraftSaver.left('unaided', newer, copy)).toBeNull()

  await vi.advanceTimersByTimeAsync(5_000)
  expect(copy.kept).toBeNull()
})

test('an ended session keeps the answers and saves them after signing in again', async () => {
  api.failures = [new Refusal('not_authenticated', 'Sign in.')]
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(400)
  expect(told.at(-1)).toMatchObject({ kind: 'unsaved' })

  saver.retry() // the tab has the focus again
  await vi.advanceTimersByTimeAsync(0)
  expect(api.stored.draft.answers).toEqual(answers(40))
})

test('another tab’s draft is not overwritten: the reader decides', async () => {
  await api.saveDraft({ stage: 'unaided', version: 1, answers: answers(90) })
  saver.change(answers(10))
  await vi.advanceTimersByTimeAsync(400)

  expect(told.at(-1)).toMatchObject({ kind: 'conflict', theirs: { answers: answers(90) } })
  saver.change(answers(11))
  await vi.advanceTimersByTimeAsync(60_000)
  expect(api.stored.draft.answers).toEqual(answers(90))

  saver.keepMine()
  await vi.advanceTimersByTimeAsync(0)
  expect(api.stored.draft.answers).toEqual(answers(11))
})

test('the draft of the other tab can be loaded, and is then saved from here', async () => {
  await api.saveDraft({ stage: 'unaided', version: 1, answers: answers(90) })
  saver.change(answers(10))
  await vi.advanceTimersByTimeAsync(400)

  expect(saver.takeTheirs()).toEqual(answers(90))
  saver.change(answers(91))
  await vi.advanceTimersByTimeAsync(400)
  expect(api.stored.draft.answers).toEqual(answers(91))
})

test('a save whose confirmation got lost is not taken for another tab', async () => {
  const save = api.saveDraft.bind(api)
  vi.spyOn(api, 'saveDraft').mockImplementationOnce(async draft => {
    await save(draft)
    throw new Unreachable('the answer got lost')
  })
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(400)
  saver.change(answers(50))
  await vi.advanceTimersByTimeAsync(400)

  expect(kinds()).not.toContain('conflict')
  expect(api.stored.draft.answers).toEqual(answers(50))
})

test('leaving the page sends what is pending at once', async () => {
  saver.change(answers(40))
  saver.leave()
  await vi.advanceTimersByTimeAsync(0)
  expect(api.stored.draft.answers).toEqual(answers(40))
  expect(copy.kept).toBeNull()
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

test('a locked stage refuses drafts, and says so', async () => {
  api.stored = aReading({ stage: 'aided' })
  saver.change(answers(40))
  await vi.advanceTimersByTimeAsync(400)
  expect(told.at(-1)).toEqual({ kind: 'refused', because: 'It is locked.' })
})
