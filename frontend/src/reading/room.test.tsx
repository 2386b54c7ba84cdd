import { render } from 'preact'
import { act } from 'preact/test-utils'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Refusal, Unreachable } from '../api/client'
import type { Answers } from '../api/types'
import { Outbox, type Parcel } from '../outbox/box'
import { Room } from './room'
import { aReading, COMPLETE, FakeViewer, MALIGNANCY, MemoryApi, PROBABILITY } from './testing'

let page: HTMLElement
let viewer: FakeViewer
let api: MemoryApi
let box: Outbox
let done: string[]

beforeEach(() => {
  vi.useFakeTimers()
  page = document.body.appendChild(document.createElement('main'))
  viewer = new FakeViewer()
  api = new MemoryApi(aReading())
  localStorage.clear()
  box = new Outbox('me')
  done = []
})
afterEach(() => {
  render(null, page)
  page.remove()
  vi.useRealTimers()
})

const passTime = (milliseconds = 600) =>
  act(async () => {
    await vi.advanceTimersByTimeAsync(milliseconds)
  })

async function enter(makeViewer = async () => viewer as FakeViewer) {
  const { stored: reading } = api
  const onViewer = () => {}
  const nextCase = { prepare: () => done.push('prepare'), going: () => done.push('going') }
  await act(() => {
    render(
      <Room {...{ reading, api, box, connect: () => api, makeViewer, onViewer, nextCase }} />,
      page,
    )
  })
  await passTime()
}

const find = <E extends HTMLElement = HTMLElement>(selector: string) => {
  const found = page.querySelector<E>(selector)
  if (!found) throw new Error(`nothing on the page is ${selector}`)
  return found
}
const click = async (selector: string) => {
  await act(() => find(selector).click())
  await passTime(0)
}
const tell = (event: Event) =>
  act(() => {
    dispatchEvent(event)
  })
const press = async (key: string, on: Element = document.body, more: KeyboardEventInit = {}) => {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more })
  await act(() => {
    on.dispatchEvent(event)
  })
  await passTime(0)
}
const type = async (selector: string, text: string) => {
  const input = find(selector) as HTMLInputElement
  await act(() => {
    input.value = text
    input.dispatchEvent(new InputEvent('input', { bubbles: true }))
  })
}
const withDraft = (answers = COMPLETE) =>
  new MemoryApi(aReading({ draft: { version: 1, key: null, answers, saved_at: null } }))

test('a new reading has no answer chosen and no slider placed', async () => {
  await enter()
  expect(page.querySelectorAll('[aria-checked=true], [aria-pressed=true].choice').length).toBe(0)
  expect(find('[type=range]').getAttribute('aria-valuetext')).toBe('not rated yet')
  expect((find('#\\31 1-malignancy') as HTMLInputElement).value).toBe('')
})

test('answers are saved as they are given, and come back', async () => {
  await enter()
  await type('[data-question=malignancy] [data-entry]', '40')
  await click('[data-question=margin] [data-value=smooth]')
  await passTime()

  const given = { malignancy: { value: 40 }, margin: { value: 'smooth' } }
  expect(api.stored.draft.answers.nodules[11]).toEqual(given)
  expect(find('.saved').textContent).toMatch(/^Saved \d\d:\d\d$/)

  render(null, page)
  await enter()
  expect(find('[data-value=smooth]').getAttribute('aria-checked')).toBe('true')
  expect((find('[data-question=malignancy] [data-entry]') as HTMLInputElement).value).toBe('40')
})

test('a digit chooses and goes to the next question; arrows change nothing', async () => {
  api.stored.questionnaire.nodule.push({ ...MALIGNANCY, name: 'confidence' })
  await enter()
  const smooth = find('[data-value=smooth]')
  await press('ArrowDown', smooth)
  expect(page.querySelector('[aria-checked=true]')).toBeNull()
  await press('2', smooth)
  expect(find('[data-value=spiculated]').getAttribute('aria-checked')).toBe('true')
  expect(document.activeElement?.id).toBe('11-confidence')
})

test('"none of these" and the features exclude each other', async () => {
  const options = ['none', 'necrosis', 'cavitation'].map(value => ({
    value,
    label: value,
    exclusive: value === 'none',
  }))
  api.stored.questionnaire.nodule.push({
    ...MALIGNANCY,
    name: 'features',
    kind: 'multiple_choice',
    options,
  })
  await enter()
  const chosen = () => {
    const on = page.querySelectorAll<HTMLElement>('[data-question=features] [aria-checked=true]')
    return [...on].map(({ dataset }) => dataset.value)
  }
  await click('[data-value=cavitation]')
  await click('[data-value=necrosis]')
  expect(chosen()).toEqual(['necrosis', 'cavitation'])
  await click('[data-value=none]')
  expect(chosen()).toEqual(['none'])
  await click('[data-value=necrosis]')
  expect(chosen()).toEqual(['necrosis'])
})

test('after a slider was dragged the keyboard is with the images again', async () => {
  await enter()
  viewer.asked = []
  await act(() => {
    find('[type=range]').dispatchEvent(new MouseEvent('click', { bubbles: true, detail: 1 }))
  })
  expect(viewer.asked).toEqual([['focus']])
})

test('an incomplete answer is not locked: the questions are named', async () => {
  await enter()
  await click('[data-action=ask]')
  expect(page.querySelector('[data-action=confirm]')).toBeNull()
  expect(find('.finish').textContent).toContain('4 questions need an answer')
  expect(find('[data-question=malignancy]').textContent).toContain('needs an answer')
  expect(api.calls).not.toContain('lock')
})

test('before the lock the AI is neither asked for nor shown; after it, both', async () => {
  api = withDraft()
  await enter()
  expect(api.calls).not.toContain('ai')
  expect(page.querySelector('.ai-panel, .predicted')).toBeNull()

  await click('[data-action=ask]')
  expect(find('.confirm').textContent).toContain('cannot be changed')
  expect(api.calls).not.toContain('lock')
  await click('[data-action=confirm]')
  await passTime()

  expect(find('[data-stage]').dataset.stage).toBe('aided')
  expect(find('[data-probability]').textContent).toBe(PROBABILITY.toFixed(2))
  expect(find('.ai-panel').textContent).toContain('A demonstration.')
  const margin = find('[data-question=margin]').textContent
  expect(margin).toContain('before: Smooth')
  expect(margin).toMatch(/Spiculated 80%.*differs/)
  expect(viewer.asked).toContainEqual(['goTo', [1, 2, 3], 8])
})

test('the truth of a training case is shown once it is submitted, and of no other', async () => {
  api = new MemoryApi(aReading({ stage: 'submitted', feedback: true }))
  await enter()
  expect(find('.feedback').textContent).toContain('Nodule 1: malignant (pathology)')
  render(null, page)
  api = new MemoryApi(aReading({ stage: 'submitted' }))
  await enter()
  expect(api.calls).not.toContain('truth')
  expect(page.querySelector('.feedback')).toBeNull()
})

test('the revised answer is submitted, and leads to the next case', async () => {
  api = withDraft()
  await api.lock({ answers: COMPLETE, version: 1, key: 'k', sent: [] })
  await enter()
  await click('[data-value=spiculated]')
  expect(find('[data-question=margin]').textContent).toContain('changed')
  await press('Enter', document.body, { ctrlKey: true })
  await click('[data-action=confirm]')

  expect(api.stored.answers.unaided).toEqual(COMPLETE)
  expect(api.stored.answers.aided?.nodules[11]?.margin).toEqual({ value: 'spiculated' })
  expect(find('[data-action=next]').getAttribute('href')).toBe('/reading/8')
  expect(page.querySelector('form, fieldset.question')).toBeNull()
})

test('what is on screen of the AI is written down', async () => {
  api = withDraft()
  await api.lock({ answers: COMPLETE, version: 1, key: 'k', sent: [] })
  await enter()
  await press('n')
  await passTime(6_000)

  const exposures = api.events
    .filter(({ kind }) => kind.startsWith('ai_'))
    .map(({ kind, data }) => `${kind} ${data.nodule} ${data.artefact}`)
  expect(exposures).toEqual([
    'ai_shown 11 score',
    'ai_shown 11 semantic',
    'ai_hidden 11 score',
    'ai_hidden 11 semantic',
    'ai_shown 12 score',
    'ai_shown 12 semantic',
  ])
})

test('leaving the page ends what was on screen, and sends it', async () => {
  api = withDraft()
  await api.lock({ answers: COMPLETE, version: 1, key: 'k', sent: [] })
  await enter()
  await passTime(6_000)
  api.events = []
  await act(() => {
    dispatchEvent(new Event('pagehide'))
    dispatchEvent(new Event('pagehide'))
  })
  expect(api.events.map(({ kind, data }) => `${kind} ${data.artefact ?? ''}`)).toEqual([
    'hidden ',
    'ai_hidden score',
    'ai_hidden semantic',
  ])
})

test('what reading time is derived from is written down', async () => {
  await enter()
  await press('n')
  await press('n')
  await passTime(60_000)

  const told = api.events
    .filter(({ kind }) => kind === 'section' || kind === 'input')
    .map(({ kind, data }) => `${kind} ${data.nodule ?? ''}`)
  expect(told.filter(line => line.startsWith('section'))).toEqual([
    'section 11',
    'section 12',
    'section 11',
  ])
  // One sign of activity at once, and the last one ten seconds later: none for every key.
  expect(told.filter(line => line.startsWith('input')).length).toBe(2)
})

test('keys drive the images, and the next nodule brings its questions along', async () => {
  await enter()
  await press('ArrowDown')
  await press('2')
  await press('n')
  expect(viewer.asked).toContainEqual(['scroll', 1])
  expect(viewer.asked.find(([method]) => method === 'setWindow')?.[1]).toMatchObject({ width: 400 })
  expect(viewer.asked).toContainEqual(['goTo', [4, 5, 6], null])
  expect(find('.questions').dataset.section).toBe('12')
})

test('slabs follow the active plane, and their thickness its keys', async () => {
  await enter()
  const slab = { projection: 'mip', thickness_mm: 10 } as const
  await press('s')
  expect(viewer.asked.at(-1)).toEqual(['setSlab', slab, 'active'])
  await act(() => viewer.tell({ kind: 'slab', plane: 'axial', slab }))
  await press('.')
  expect(viewer.asked.at(-1)).toEqual(['setSlab', { ...slab, thickness_mm: 15 }, 'active'])
  await press('S')
  expect(viewer.asked.at(-1)).toEqual(['setSlab', slab, 'all'])
  expect(find('.toolbar [aria-label=Slab] [aria-pressed=true]').textContent).toBe('MIPS')
  // another plane is chosen, which shows single slices
  await act(() => viewer.tell({ kind: 'active', plane: 'coronal' }))
  expect(page.querySelector('.toolbar [aria-label=Slab] [aria-pressed=true]')).toBeNull()
})

test('the next case is prepared once this one is complete, and kept when the reader goes there', async () => {
  api = new MemoryApi(aReading({ stage: 'submitted' }))
  await enter()
  expect(done).toEqual(['prepare'])
  find('[data-action=next]').addEventListener('click', event => event.preventDefault())
  await click('[data-action=next]')
  expect(done).toEqual(['prepare', 'going'])
})

test('a key pressed twice in a hurry counts twice', async () => {
  await enter()
  for (const _ of [1, 2]) {
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'n', bubbles: true }))
    await Promise.resolve() // long enough for a render, too short for its effects
    await Promise.resolve()
  }
  const jumps = viewer.asked.filter(([method]) => method === 'goTo').map(([, point]) => point)
  expect(jumps).toEqual([
    [4, 5, 6],
    [1, 2, 3],
  ])
})

test('without a viewer the form can still be used', async () => {
  await enter(async () => {
    throw new TypeError('Failed to fetch dynamically imported module')
  })
  expect(find('.banner p').textContent).toBe(
    'The viewer could not be loaded. The form can still be used.',
  )
  await click('[data-value=smooth]')
  await passTime()
  expect(api.stored.draft.answers.nodules[11]?.margin).toEqual({ value: 'smooth' })
})

const LIMITS = { software: true, notes: [], slabs: true, withheld: false }

test('without WebGL2 the reader is told which planes are missing', async () => {
  await enter()
  await act(() => viewer.tell({ kind: 'rendering', planes: ['axial'], ...LIMITS }))
  expect(find('.banner').textContent).toContain('sagittal and coronal planes')
  expect(document.querySelectorAll('.toolbar button:disabled').length).toBe(3)
})

test('what cannot be shown of a series is said, until the reader has read it', async () => {
  await enter()
  const tilted = { ...LIMITS, notes: ['The gantry was tilted.'], slabs: false, withheld: true }
  await act(() => viewer.tell({ kind: 'rendering', planes: ['axial'], ...tilted }))
  expect(find('.banner p').textContent).toBe('The gantry was tilted.')
  expect(document.querySelectorAll('.toolbar button:disabled').length).toBe(8)
  await click('.banner button')
  expect(document.querySelector('.banner')).toBeNull()
  const gap = { ...LIMITS, notes: ['3 slices are missing.'] }
  await act(() =>
    viewer.tell({ kind: 'rendering', planes: ['axial', 'sagittal', 'coronal'], ...gap }),
  )
  expect(find('.banner p').textContent).toBe('3 slices are missing.')
  expect(document.querySelectorAll('.toolbar button:disabled').length).toBe(0)
})

test('a lost graphics context offers to load the images again', async () => {
  await enter()
  await act(() => viewer.tell({ kind: 'context_lost' }))
  expect(find('.banner').textContent).toContain('Your answers are safe')
  expect(find('[data-action=reload]')).toBeTruthy()
})

test('answers of another tab are offered, not overwritten', async () => {
  await enter()
  await api.saveDraft({ stage: 'unaided', version: 1, answers: COMPLETE, key: 'other', sent: [] })
  await click('[data-value=spiculated]')
  await passTime()
  expect(find('.draft-conflict').textContent).toContain('Another tab')
  expect(rows()).toContainEqual(['Nodule 1: Margin', 'Spiculated', 'Smooth'])

  await click('[data-action=take-theirs]')
  expect(find('[data-value=smooth]').getAttribute('aria-checked')).toBe('true')
  expect(api.stored.draft.answers).toEqual(COMPLETE)
})

test('the images follow to the nodule whose question is missed', async () => {
  api = withDraft({ ...COMPLETE, nodules: { 11: COMPLETE.nodules[11] ?? {} } })
  await enter()
  await click('[data-action=ask]')
  expect(find('.questions').dataset.section).toBe('12')
  expect(viewer.asked).toContainEqual(['goTo', [4, 5, 6], null])
})

test('a refused lock says why and keeps the answers', async () => {
  api = withDraft()
  await enter()
  await click('[data-action=ask]')
  api.failures = [new Refusal('answers_invalid', 'boom')]
  await click('[data-action=confirm]')
  expect(find('.refusal').textContent).toBe('boom')
  expect(find('[data-value=smooth]').getAttribute('aria-checked')).toBe('true')
})

/** Answers that an earlier page has left in the outbox. */
const left = (change: Partial<Parcel> = {}) => {
  const since = '2026-01-02T10:32:00Z'
  const of = { reading: 7, case: 'Case 03', stage: 'unaided', step: 'draft' } as const
  box.keep('left', { ...of, version: 1, answers: COMPLETE, key: 'k', sent: [], since, ...change })
}
const rows = () =>
  [...page.querySelectorAll('.differences tbody tr')].map(row =>
    [...row.children].map(cell => cell.textContent?.trim()),
  )
const margin = (value: string): Answers => ({
  case: {},
  nodules: { ...COMPLETE.nodules, 11: { ...COMPLETE.nodules[11], margin: { value } } },
})

test('answers that never reached the server are taken up again', async () => {
  left()
  await enter()
  expect(find('[data-value=smooth]').getAttribute('aria-checked')).toBe('true')
  expect(api.stored.draft.answers).toEqual(COMPLETE)
  expect(box.parcels()).toEqual([])
})

test('a lock pressed without a connection waits, and is done once there is one', async () => {
  api = withDraft()
  await enter()
  await click('[data-action=ask]')
  api.failures = [new Unreachable('gone')]
  await click('[data-action=confirm]')
  expect(find('[data-waiting=offline]').textContent).toMatch(/Waiting since \d\d:\d\d/)
  expect(api.stored.stage).toBe('unaided')
  expect(box.parcels().map(([, { step }]) => step)).toEqual(['lock'])

  await tell(new Event('online'))
  await passTime()
  expect(api.stored).toMatchObject({ stage: 'aided', answers: { unaided: COMPLETE } })
  expect(find('.room').dataset.stage).toBe('aided')
  expect(box.parcels()).toEqual([])
})

test('a lock that waits can be taken back, and the answers be changed', async () => {
  api = withDraft()
  await enter()
  await click('[data-action=ask]')
  api.failures = [new Unreachable('gone')]
  await click('[data-action=confirm]')
  await click('[data-action=take-back]')
  await click('[data-value=spiculated]')
  await passTime(60_000)
  expect(api.stored).toMatchObject({ stage: 'unaided', draft: { answers: margin('spiculated') } })
})

test('a lock that a closed tab has left is gone on with', async () => {
  left({ step: 'lock' })
  await enter()
  expect(api.stored.stage).toBe('aided')
  expect(find('.room').dataset.stage).toBe('aided')
})

test('a lock whose acknowledgement got lost is done once', async () => {
  api = withDraft()
  await enter()
  const lock = api.lock.bind(api)
  vi.spyOn(api, 'lock').mockImplementationOnce(async form => {
    await lock(form)
    throw new Unreachable('the answer got lost')
  })
  await click('[data-action=ask]')
  await click('[data-action=confirm]')
  await passTime(2_000)
  expect(api.calls.filter(call => call === 'lock').length).toBe(2)
  expect(find('.room').dataset.stage).toBe('aided')
})

test('a lock does not pass over what another tab has saved since', async () => {
  api = withDraft()
  await enter()
  await click('[data-action=ask]')
  const theirs = {
    stage: 'unaided',
    version: 1,
    answers: margin('spiculated'),
    key: 'other',
    sent: [],
  }
  await api.saveDraft(theirs)
  await click('[data-action=confirm]')
  await passTime()
  expect(api.stored.stage).toBe('unaided')
  expect(rows()).toEqual([['Nodule 1: Margin', 'Smooth', 'Spiculated']])

  await click('[data-action=keep-mine]')
  await passTime()
  expect(api.stored.draft.answers).toEqual(COMPLETE)
})

test('a stale tab of a locked reading explains itself, is read-only, and keeps what was typed', async () => {
  api = withDraft()
  await enter()
  await api.lock({ answers: COMPLETE, version: 1, key: 'other', sent: [] })
  await click('[data-value=spiculated]')
  await passTime()
  await passTime() // it asks how the reading was finished

  expect(find('.stale').textContent).toContain('It is locked.')
  expect(rows()).toEqual([['Nodule 1: Margin', 'Spiculated', 'Smooth']])
  expect(find<HTMLFieldSetElement>('[data-question=margin]').disabled).toBe(true)
  expect(page.querySelector('.finish')).toBeNull()
  expect(api.calls).not.toContain('ai')
  expect(find('.room').dataset.stage).toBe('unaided')

  // The tab is loaded anew: the reading is as it is, and the words are still there to be copied.
  render(null, page)
  await enter()
  expect(find('.room').dataset.stage).toBe('aided')
  expect(rows()).toEqual([['Nodule 1: Margin', 'Spiculated', 'Smooth']])
  await click('[data-action=discard-aside]')
  expect([rows(), box.parcels()]).toEqual([[], []])
})

test('a tab notices by itself that another one has locked', async () => {
  api = withDraft()
  await enter()
  await api.lock({ answers: COMPLETE, version: 1, key: 'other', sent: [] })
  await tell(new StorageEvent('storage', { key: 'reread.news.7' }))
  await passTime()
  await passTime()
  expect(find('.stale').textContent).toContain('finished in another tab')
  expect(find('.stale').textContent).toContain('No answer differs')
})

test('an ended session says what to do, and loses nothing', async () => {
  await enter()
  api.failures = [new Refusal('not_authenticated', 'Sign in.')]
  await click('[data-value=smooth]')
  await passTime()
  expect(find('.saving-notice').textContent).toContain('You are signed out')
  expect(find('.saved').textContent).toMatch(/^Waiting since \d\d:\d\d: you are signed out$/)
  expect(find('[data-action=sign-in]').getAttribute('target')).toBe('_blank')

  await tell(new StorageEvent('storage', { key: 'reread.news.signed_in' }))
  await passTime()
  expect(api.stored.draft.answers.nodules[11]?.margin).toEqual({ value: 'smooth' })
  expect(page.querySelector('.saving-notice')).toBeNull()
})
