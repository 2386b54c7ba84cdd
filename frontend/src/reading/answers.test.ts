import { expect, test } from 'vitest'
import {
  askedQuestions,
  compareWithAi,
  inWords,
  isAnswered,
  missingAnswers,
  predictedFor,
  requiredQuestions,
  sameAnswers,
  sectionOf,
  withAnswer,
} from './answers'
import { aQuestion, aReading, COMPLETE, MALIGNANCY } from './testing'

const { questionnaire, nodules } = aReading()
const EMPTY = { case: {}, nodules: {} }

test('every required question of every nodule is missed until it has an answer', () => {
  const missing = missingAnswers(questionnaire, nodules, EMPTY)
  expect(missing.map(({ nodule, question }) => [nodule, question])).toEqual([
    [11, 'malignancy'],
    [11, 'margin'],
    [12, 'malignancy'],
    [12, 'margin'],
  ])
  expect(missingAnswers(questionnaire, nodules, COMPLETE)).toEqual([])
})

test('zero is a rating, an empty choice is not an answer', () => {
  expect(isAnswered(MALIGNANCY, { value: 0 })).toBe(true)
  expect(isAnswered(aQuestion({ kind: 'multiple_choice' }), { value: [] })).toBe(false)
  expect(isAnswered(aQuestion({ kind: 'text' }), { value: '' })).toBe(false)
})

test('"cannot be assessed" is an answer only where the protocol allows it', () => {
  expect(isAnswered(aQuestion({}), { cannot_assess: true })).toBe(true)
  expect(isAnswered(MALIGNANCY, { cannot_assess: true })).toBe(false)
})

test('an answer is given and taken back without touching the others', () => {
  const given = withAnswer(COMPLETE, 11, 'margin', { value: 'spiculated' })
  expect(sectionOf(given, 11)).toEqual({
    malignancy: { value: 40 },
    margin: { value: 'spiculated' },
  })
  expect(sectionOf(withAnswer(given, 11, 'margin', null), 11)).not.toHaveProperty('margin')
  expect(sectionOf(COMPLETE, 11).margin).toEqual({ value: 'smooth' })
  expect(withAnswer(EMPTY, null, 'comment', { value: 'x' }).case).toHaveProperty('comment')
})

test('answers are the same whatever their order and their empty sections', () => {
  const a = { case: {}, nodules: { 11: { x: { value: 1 }, y: { value: 2 } } } }
  const b = { case: {}, nodules: { 12: {}, 11: { y: { value: 2 }, x: { value: 1 } } } }
  expect(sameAnswers(a, b)).toBe(true)
  expect(sameAnswers(a, EMPTY)).toBe(false)
})

test('an answer is told in the words of the form', () => {
  expect(inWords(aQuestion({}), { value: 'spiculated' })).toBe('Spiculated')
  expect(inWords(aQuestion({}), { cannot_assess: true })).toBe('cannot be assessed')
  expect(inWords(aQuestion({ kind: 'number', unit: 'mm' }), { value: 8.5 })).toBe('8.5 mm')
  expect(inWords(aQuestion({}), undefined)).toBe('no answer')
})

test('the AI agrees when its most probable category is the reader’s', () => {
  const predicted = { smooth: 0.2, spiculated: 0.8 }
  const margin = aQuestion({})
  expect(predictedFor(margin, { margin: predicted, shape: {} })).toBe(predicted)
  expect(compareWithAi(margin, predicted, { value: 'spiculated' })).toEqual({
    categories: ['spiculated'],
    agrees: true,
  })
  expect(compareWithAi(margin, predicted, { value: 'smooth' })?.agrees).toBe(false)
  expect(compareWithAi(margin, predicted, { cannot_assess: true })?.agrees).toBeNull()
  expect(compareWithAi(margin, {}, undefined)).toBeNull()
})

test('where several features may be present, each is compared', () => {
  const options = ['none', 'necrosis', 'cavitation'].map(value => ({
    value,
    label: value,
    exclusive: value === 'none',
  }))
  const features = aQuestion({ name: 'features', kind: 'multiple_choice', options })
  const predicted = predictedFor(features, {
    cavitation: { present: 0.7, absent: 0.3 },
    necrosis: { present: 0.1, absent: 0.9 },
    margin: { smooth: 1 },
  })
  expect(predicted).toEqual({ cavitation: 0.7, necrosis: 0.1 })

  const agrees = (value: string[]) => compareWithAi(features, predicted ?? {}, { value })?.agrees
  expect(agrees(['cavitation'])).toBe(true)
  expect(agrees(['cavitation', 'necrosis'])).toBe(false)
  expect(agrees(['none'])).toBe(false)
  expect(predictedFor(features, { margin: { smooth: 1 } })).toBeNull()
})

test('a question that hangs on another is asked, and missed, with the answers it names only', () => {
  const solid = aQuestion({
    name: 'solid',
    kind: 'number',
    when: { question: 'margin', is: ['spiculated'] },
  })
  const further = aQuestion({ name: 'further', when: { question: 'solid', is: ['x'] } })
  const nodule = [aQuestion({}), solid, further]
  const asked = (value: Parameters<typeof withAnswer>[3]) =>
    askedQuestions(nodule, sectionOf(withAnswer(EMPTY, 11, 'margin', value), 11)).map(q => q.name)

  expect(asked(null)).toEqual(['margin'])
  expect(asked({ value: 'smooth' })).toEqual(['margin'])
  expect(asked({ value: 'spiculated' })).toEqual(['margin', 'solid'])
  expect(asked({ value: ['smooth', 'spiculated'] })).toEqual(['margin', 'solid'])
  expect(asked({ cannot_assess: true })).toEqual(['margin'])

  const answers = withAnswer(EMPTY, 11, 'margin', { value: 'spiculated' })
  const missing = missingAnswers({ case: [], nodule }, nodules.slice(0, 1), answers)
  expect(missing.map(({ question }) => question)).toEqual(['solid'])
  const required = (given: typeof answers) =>
    requiredQuestions({ case: [], nodule }, nodules.slice(0, 1), given).length
  expect([required(EMPTY), required(answers)]).toEqual([1, 2])
})
