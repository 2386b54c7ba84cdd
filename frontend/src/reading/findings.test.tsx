import { render } from 'preact'
import { act } from 'preact/test-utils'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Answers, Measurement, Question } from '../api/types'
import { Outbox } from '../outbox/box'
import { computedCategory } from './lung_rads'
import { withMeasurements } from './measured'
import { Room } from './room'
import { aQuestion, aReading, FakeViewer, MALIGNANCY, MemoryApi } from './testing'

const RATING = { ...MALIGNANCY, name: 'rating', label: 'Rating' }
const SIZE = aQuestion({
  name: 'size',
  label: 'Mean diameter',
  kind: 'measurement',
  unit: 'mm',
  measures: 'mean_diameter',
  options: [],
  cannot_assess: false,
  semantic: false,
})
const CHANGE = aQuestion({
  name: 'change',
  options: ['baseline', 'new'].map(value => ({ value, label: value, exclusive: false })),
  cannot_assess: false,
})
const KIND = aQuestion({
  name: 'kind',
  options: [
    { value: 'solid', label: 'Solid', exclusive: false },
    { value: 'part_solid', label: 'Part-solid', exclusive: false },
  ],
  cannot_assess: false,
})
const CATEGORY = aQuestion({
  name: 'category',
  options: ['2', '3', '4a', '4b'].map(value => ({
    value,
    label: value.toUpperCase(),
    exclusive: false,
  })),
  cannot_assess: false,
  computed: {
    ...{ type: 'kind', diameter_mm: 'size', solid_mm: 'solid', change: 'change', reason: 'why' },
    table: [
      { kinds: ['solid'], changes: ['baseline'], size_mm: 0, solid_mm: 0, category: '2' },
      { kinds: ['solid'], changes: ['baseline'], size_mm: 6, solid_mm: 0, category: '3' },
      { kinds: ['part_solid'], changes: ['baseline'], size_mm: 0, solid_mm: 0, category: '2' },
      { kinds: ['part_solid'], changes: ['baseline'], size_mm: 6, solid_mm: 6, category: '4a' },
    ],
  },
})
const WHY = aQuestion({ name: 'why', label: 'Why', kind: 'text', options: [], required: false })
const LUNG_RADS: Question[] = [KIND, SIZE, CHANGE, CATEGORY, WHY]

let page: HTMLElement
let viewer: FakeViewer
let api: MemoryApi

beforeEach(() => {
  vi.useFakeTimers()
  page = document.body.appendChild(document.createElement('main'))
  viewer = new FakeViewer()
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

async function enter(stored: MemoryApi) {
  api = stored
  const { stored: reading } = api
  localStorage.clear()
  const [box, connect] = [new Outbox('me'), () => api]
  const nextCase = { prepare() {}, going() {} }
  const makeViewer = async () => viewer
  await act(() => {
    render(<Room {...{ reading, api, box, connect, makeViewer, onViewer() {}, nextCase }} />, page)
  })
  await passTime()
}

const find = (selector: string) => {
  const found = page.querySelector<HTMLElement>(selector)
  if (!found) throw new Error(`nothing on the page is ${selector}`)
  return found
}
const click = async (selector: string) => {
  await act(() => find(selector).click())
  await passTime(0)
}
const press = async (key: string, on: Element = document.activeElement ?? document.body) => {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true })
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
const saved = async (): Promise<Answers> => {
  await passTime()
  return api.stored.draft.answers
}

const searching = () =>
  new MemoryApi(
    aReading({
      findings: 'free_response',
      nodules: [],
      questionnaire: { case: [], nodule: [KIND], mark: [RATING] },
    }),
  )

test('a mark is made at the pointer with one key, and asked about at once', async () => {
  await enter(searching())
  expect(find('[data-marks]').textContent).toBe('No mark yet')
  await press('x', document.body)
  const answers = await saved()
  const [mark] = answers.marks ?? []
  expect(mark).toMatchObject({ series: 5, point_mm: [1, 2, 3], answers: {} })
  expect(mark?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/)
  expect(find('[role=tab][aria-selected=true]').textContent).toContain('Mark 1')
  expect(document.activeElement).toBe(find('[data-question=rating] [data-entry]'))
  await type('[data-question=rating] [data-entry]', '70')
  await click('[data-question=kind] [data-value=solid]')
  expect((await saved()).marks?.[0]?.answers).toEqual({
    rating: { value: 70 },
    kind: { value: 'solid' },
  })
  // It is drawn as the reader's own.
  const drawn = viewer.asked.filter(([method]) => method === 'mark').at(-1)
  expect(drawn?.[1]).toMatchObject([{ by: 'reader', label: 'M1', centre_mm: [1, 2, 3] }])
})

test('away from the images there is nothing to mark', async () => {
  viewer.point = null
  await enter(searching())
  await press('x', document.body)
  expect(find('[data-marks]').textContent).toBe('No mark yet')
})

test('a removed mark is put back with its answers', async () => {
  await enter(searching())
  await press('x', document.body)
  await type('[data-question=rating] [data-entry]', '70')
  await press('Escape')
  await press('Delete', document.body)
  expect((await saved()).marks).toBeUndefined()
  expect(viewer.asked.some(([method]) => method === 'releaseMeasurements')).toBe(true)
  await click('[data-action=put-back]')
  expect((await saved()).marks?.[0]?.answers).toEqual({ rating: { value: 70 } })
})

test('who finds nothing says so, and whoever marks has not', async () => {
  await enter(searching())
  await click('[data-action=ask]')
  expect(find('.findings .problem').textContent).toContain('no finding')
  expect(document.activeElement).toBe(find('.findings [data-entry]'))
  await press('X', document.body)
  expect(await saved()).toMatchObject({ no_finding: true })
  await press('x', document.body)
  const answers = await saved()
  expect(answers.no_finding).toBeUndefined()
  expect(answers.marks).toHaveLength(1)
  await press('X', document.body)
  expect((await saved()).no_finding).toBeUndefined()
})

test('marks of the unaided answer stay, beside those of the AI', async () => {
  const mark = { id: 'm', series: 5, point_mm: [1, 2, 3] as const, answers: {} }
  const unaided = { case: {}, nodules: {}, marks: [mark] }
  const place = { id: 30, number: 1, centre_mm: [7, 8, 9] as const, diameter_mm: 6, series: 5 }
  const stored = searching()
  stored.stored = {
    ...stored.stored,
    stage: 'aided',
    answers: { unaided, aided: null },
    draft: { version: 0, key: null, answers: unaided, saved_at: null },
  }
  stored.ai = async () => ({
    nodules: {
      30: {
        status: 'done',
        detail: '',
        place,
        score: {
          probability: 0.4,
          probability_raw: 0.4,
          wording: 'probability of malignancy',
          unlike_training: null,
        },
      },
    },
    model: { title: 'Demo', version: '1', notice: '', demonstration: true },
  })
  await enter(stored)
  await click('#tab-m')
  expect(page.querySelector('[data-action=unmark]')).toBeNull()
  await press('Delete', document.body)
  expect(find('[data-marks]').textContent).toBe('1 mark')

  await click('#tab-30')
  expect(find('#tab-30').textContent).toBe('AI 1')
  expect(viewer.asked).toContainEqual(['goTo', [7, 8, 9], 6])
  expect(find('[data-probability]').textContent).toBe('0.40')
  expect(page.querySelector('.questions')).toBeNull() // the AI's mark is not rated
})

// Measurements

const CROSS: Measurement = {
  ...{ id: 'c', kind: 'bidirectional', plane: 'axial', series: 5, nodule: '11' },
  points_mm: [
    [0, 0, 3],
    [10, 0, 3],
    [4, -3, 3],
    [4, 3, 3],
  ],
}
const rating = () => new MemoryApi(aReading({ questionnaire: { case: [], nodule: LUNG_RADS } }))
const measure = (measurements: Measurement[], made: string | null) =>
  act(() => viewer.tell({ kind: 'measurements', measurements, made, selected: made }))

test('two axes fill an open size; T takes another measurement, and what is moved is followed', async () => {
  await enter(rating())
  viewer.asked = []
  await press('b', document.body)
  expect(viewer.asked.at(-1)).toEqual(['useTool', 'bidirectional'])
  await measure([CROSS], 'c')
  const size = async () => (await saved()).nodules[11]?.size
  expect(await size()).toEqual({ value: 8, measurement: 'c' })
  expect((await saved()).measurements).toEqual([CROSS])
  // What the viewer has told is not put back into it, where it would end the way back.
  expect(viewer.asked.some(([method]) => method === 'restoreMeasurements')).toBe(false)

  const line: Measurement = { ...CROSS, id: 'l', kind: 'length' as const }
  line.points_mm = CROSS.points_mm.slice(0, 2)
  await measure([CROSS, line], 'l')
  expect(await size()).toEqual({ value: 8, measurement: 'c' }) // an answer is not replaced unasked
  find('[data-question=size] [data-entry]').focus()
  await press('t')
  expect(await size()).toEqual({ value: 10, measurement: 'l' })

  const longer: Measurement = { ...line, points_mm: [CROSS.points_mm[0], [12, 0, 3]] as never }
  await measure([CROSS, longer], null)
  expect(await size()).toEqual({ value: 12, measurement: 'l' })
  await measure([CROSS], null)
  expect(await size()).toBeUndefined()
})

test('measurements of the draft are shown, and those of another tab replace them', async () => {
  const stored = rating()
  stored.stored.draft.answers = { case: {}, nodules: {}, measurements: [CROSS] }
  await enter(stored)
  expect(viewer.asked).toContainEqual(['restoreMeasurements', [CROSS]])
  expect(find('.measurements').textContent).toContain('10.0 × 6.0 mm, mean 8.0 mm')
  await press('Delete', document.body)
  await press('u', document.body)
  await press('U', document.body)
  expect(viewer.asked.slice(-3)).toEqual([
    ['deleteMeasurement'],
    ['undoMeasurement'],
    ['redoMeasurement'],
  ])
})

test('a measurement of another nodule answers nothing here', () => {
  const answers: Answers = {
    case: {},
    nodules: { 11: { size: { value: 8, measurement: 'c' } } },
  }
  const elsewhere = { ...CROSS, nodule: '12' }
  expect(withMeasurements(answers, [elsewhere], LUNG_RADS).nodules[11]).toEqual({})
})

// Lung-RADS

test('the category is shown as it follows, taken with Enter, or overridden with a reason', async () => {
  await enter(rating())
  expect(find('.computed').textContent).toContain('once they are given')
  expect(page.querySelector('[data-question=why]')).toBeNull()
  await click('[data-question=kind] [data-value=solid]')
  await measure([CROSS], 'c')
  await click('[data-question=change] [data-value=baseline]')
  expect(find('[data-computed]').dataset.computed).toBe('3')
  expect(find('[data-question=category] [data-entry]').dataset.value).toBe('3')

  find('[data-question=category] [data-entry]').focus()
  await press('Enter')
  expect((await saved()).nodules[11]?.category).toEqual({ value: '3' })
  expect(page.querySelector('[data-question=why]')).toBeNull()

  await click('#tab-11') // Enter has led on to the next nodule
  await click('[data-question=category] [data-value="4b"]')
  await click('#tab-12')
  await click('[data-question=kind] [data-value=solid]')
  await type('[data-question=size] [data-entry]', '5')
  await click('[data-question=change] [data-value=baseline]')
  await click('[data-question=category] [data-value="2"]')
  await click('[data-action=ask]')
  expect(find('[data-question=why] .problem').textContent).toContain('Say why')
  expect(find('#tab-11').getAttribute('aria-selected')).toBe('true')
  await type('[data-question=why] textarea', 'Spiculated.')
  await click('[data-action=ask]')
  expect(find('[data-action=confirm]')).toBeTruthy()
})

test('a part-solid nodule needs the size of its solid part, which is no larger', () => {
  const rule = CATEGORY.computed
  const of = (solid?: number) =>
    rule &&
    computedCategory(rule, {
      kind: { value: 'part_solid' },
      change: { value: 'baseline' },
      size: { value: 8 },
      ...(solid !== undefined && { solid: { value: solid } }),
    })
  expect([of(), of(5.9), of(5.95), of(9), of(0)]).toEqual([null, '2', '4a', null, null])
})
