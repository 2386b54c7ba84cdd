import { expect, test } from 'vitest'
import { next, type ReadingEvent, stateOf } from './state'
import { anAi, aReading, COMPLETE } from './testing'

const unaided = stateOf(aReading())
const aided = stateOf(
  aReading({
    stage: 'aided',
    answers: { unaided: COMPLETE, aided: null },
    draft: { version: 1, key: null, answers: COMPLETE, saved_at: null },
  }),
)
const rated: ReadingEvent = {
  type: 'answered',
  nodule: 11,
  question: 'malignancy',
  value: { value: 70 },
}

test('a reading opens with its draft', () => {
  const draft = { version: 4, key: null, answers: COMPLETE, saved_at: null }
  expect(stateOf(aReading({ draft }))).toMatchObject({ stage: 'unaided', answers: COMPLETE })
})

test('a prediction that reaches an unaided reading has nowhere to go', () => {
  const after = next(unaided, { type: 'ai_arrived', ai: anAi() })
  expect(after).toBe(unaided)
  expect(JSON.stringify(after)).not.toContain('probability')
})

test('the aided stage starts from the unaided answers and keeps them beside the revised ones', () => {
  expect(aided).toMatchObject({ stage: 'aided', unaided: COMPLETE, answers: COMPLETE })
  const revised = next(aided, rated)
  expect(revised).toMatchObject({
    unaided: COMPLETE,
    answers: { nodules: { 11: { malignancy: { value: 70 } } } },
  })
})

test('locking is asked for twice', () => {
  const asked = next(unaided, { type: 'asked_to_finish', missing: [] })
  expect(asked).toMatchObject({ stage: 'unaided', step: 'confirming' })
  expect(next(asked, rated)).toMatchObject({ step: 'answering' })
  expect(next(asked, { type: 'went_on' })).toMatchObject({ step: 'answering' })
})

test('an incomplete answer is not confirmed, and answering a question settles its problem', () => {
  const missing = [
    { nodule: 11, question: 'malignancy', detail: '' },
    { nodule: 12, question: 'malignancy', detail: '' },
  ]
  const asked = next(unaided, { type: 'asked_to_finish', missing })
  expect(asked).toMatchObject({ step: 'answering', problems: missing })
  expect(next(asked, rated)).toMatchObject({ problems: [missing[1]] })
})

test('while an answer is under way to the server it cannot be changed', () => {
  const sent = next(unaided, { type: 'sent' })
  expect(next(sent, rated)).toBe(sent)
})

test('a refusal leaves the answers and says why', () => {
  const sent = next(next(unaided, rated), { type: 'sent' })
  const refused = next(sent, { type: 'refused', detail: 'Not complete.', problems: [] })
  expect(refused).toMatchObject({
    stage: 'unaided',
    step: 'answering',
    refusal: 'Not complete.',
    answers: { nodules: { 11: { malignancy: { value: 70 } } } },
  })
})

test('only the server moves a reading to another stage, and a submitted one stays as it is', () => {
  expect(next(unaided, { type: 'accepted', state: aided })).toBe(aided)
  const submitted = stateOf(aReading({ stage: 'submitted' }))
  expect(next(submitted, rated)).toBe(submitted)
})

test('in an arm of one stage its answer is the last, and none came before', () => {
  const unaided = stateOf(aReading({ stage: 'unaided', path: ['unaided'] }))
  const aided = stateOf(aReading({ stage: 'aided', path: ['aided'] }))

  expect(unaided).toMatchObject({ stage: 'unaided', ends: true })
  expect(aided).toMatchObject({ stage: 'aided', ends: true, unaided: null })
  expect(stateOf(aReading({ stage: 'unaided' }))).toMatchObject({ ends: false })
})
