import type {
  Answers,
  Nodule,
  Problem,
  Question,
  Questionnaire,
  Reading,
  Section,
  Subject,
  Value,
} from '../api/types'
import { unexplained } from './lung_rads'

/** The section of one nodule or mark, or of the case when `subject` is null. */
export function sectionOf(answers: Answers, subject: Subject): Section {
  if (typeof subject === 'string') {
    return answers.marks?.find(({ id }) => id === subject)?.answers ?? {}
  }
  return (subject === null ? answers.case : answers.nodules[subject]) ?? {}
}

/** What is asked about a nodule, a mark or the case. */
export function questionsOf(questionnaire: Questionnaire, subject: Subject): Question[] {
  if (subject === null) return questionnaire.case
  if (typeof subject === 'number') return questionnaire.nodule
  return [...(questionnaire.mark ?? []), ...questionnaire.nodule]
}

/** The answers with one of them given, or taken back when `value` is null. */
export function withAnswer(
  answers: Answers,
  subject: Subject,
  question: string,
  value: Value | null,
): Answers {
  const { [question]: _, ...others } = sectionOf(answers, subject)
  const section = value === null ? others : { ...others, [question]: value }
  if (typeof subject === 'string') {
    const marks = answers.marks?.map(mark =>
      mark.id === subject ? { ...mark, answers: section } : mark,
    )
    return marks ? { ...answers, marks } : answers
  }
  return subject === null
    ? { ...answers, case: section }
    : { ...answers, nodules: { ...answers.nodules, [subject]: section } }
}

/** The questions that are asked, given the answers so far. */
export function askedQuestions(questions: readonly Question[], answers: Section): Question[] {
  const asked = new Set<string>()
  return questions.filter(({ name, when }) => {
    const isAsked = !when || (asked.has(when.question) && holds(when.is, answers[when.question]))
    if (isAsked) asked.add(name)
    return isAsked
  })
}

function holds(options: readonly string[], value: Value | undefined): boolean {
  if (value === undefined || 'cannot_assess' in value) return false
  const chosen = Array.isArray(value.value) ? value.value : [value.value]
  return chosen.some(option => typeof option === 'string' && options.includes(option))
}

/** The answers without those to questions that are not asked: what the server stores of them. */
export function onlyAsked(questionnaire: Questionnaire, answers: Answers): Answers {
  const of = (subject: Subject, section: Section) => {
    const questions = askedQuestions(questionsOf(questionnaire, subject), section)
    const asked = new Set(questions.map(({ name }) => name))
    return Object.fromEntries(Object.entries(section).filter(([name]) => asked.has(name)))
  }
  const nodules = Object.entries(answers.nodules ?? {})
  return {
    ...answers,
    case: of(null, answers.case ?? {}),
    nodules: Object.fromEntries(nodules.map(([id, section]) => [id, of(Number(id), section)])),
    ...(answers.marks && {
      marks: answers.marks.map(mark => ({ ...mark, answers: of(mark.id, mark.answers) })),
    }),
  }
}

/** One thing said in two ways, in words. */
export interface Difference {
  what: string
  here: string
  there: string
}

/** Where two sets of answers differ, in the order of the form. */
export function differences(
  questionnaire: Questionnaire,
  nodules: readonly Nodule[],
  here: Answers,
  there: Answers,
): Difference[] {
  const within = (subject: Subject, where: string): Difference[] =>
    questionsOf(questionnaire, subject).flatMap(question => {
      const [a, b] = [here, there].map(answers => sectionOf(answers, subject)[question.name])
      if (sameValue(a, b)) return []
      const what = `${where}: ${question.label}`
      return { what, here: inWords(question, a), there: inWords(question, b) }
    })
  const counted = (what: string, of: (answers: Answers) => unknown[] | undefined): Difference[] => {
    const [a, b] = [of(here) ?? [], of(there) ?? []]
    if (canonical(a) === canonical(b)) return []
    return [{ what, here: `${a.length}`, there: `${b.length}` }]
  }
  const marks = new Set([...(here.marks ?? []), ...(there.marks ?? [])].map(({ id }) => id))
  return [
    ...nodules.flatMap(({ id, number }) => within(id, `Nodule ${number}`)),
    ...counted('Marks', answers => answers.marks?.map(({ id, point_mm }) => [id, point_mm])),
    ...[...marks].flatMap((id, index) => within(id, `Mark ${index + 1}`)),
    ...within(null, 'Case'),
    ...counted('Measurements', answers => answers.measurements?.slice()),
  ]
}

interface Asked {
  nodule: Subject
  question: Question
}

/** The answer that stands for marks where there are none. */
export const NO_FINDING = 'no_finding'

/** The questions that are asked and need an answer, in the order of the form. */
export function requiredQuestions(
  questionnaire: Questionnaire,
  nodules: readonly Nodule[],
  answers: Answers,
): Asked[] {
  const required = (nodule: Subject) =>
    askedQuestions(questionsOf(questionnaire, nodule), sectionOf(answers, nodule))
      .filter(question => question.required)
      .map(question => ({ nodule, question }))
  return [
    ...nodules.flatMap(({ id }) => required(id)),
    ...(answers.marks ?? []).flatMap(({ id }) => required(id)),
    ...required(null),
  ]
}

/** Those of them without an answer. The server decides. */
export function missingAnswers(
  questionnaire: Questionnaire,
  nodules: readonly Nodule[],
  answers: Answers,
  findings: Reading['findings'] = 'given',
): Problem[] {
  const open = requiredQuestions(questionnaire, nodules, answers).flatMap(
    ({ nodule, question }) => {
      const section = sectionOf(answers, nodule)
      const detail = 'This question needs an answer.'
      if (!isAnswered(question, section[question.name])) {
        return { nodule, question: question.name, detail }
      }
      // Another category than the computed one is explained in a question that is not required.
      const reason = unexplained(question, section)
      return reason ? { nodule, question: reason, detail: 'Say why, or choose the other.' } : []
    },
  )
  const silent = findings !== 'given' && !answers.marks?.length && !answers.no_finding
  const detail = 'Mark what you find, or say that there is no finding.'
  return silent ? [{ nodule: null, question: NO_FINDING, detail }, ...open] : open
}

export function isAnswered(question: Question, value: Value | undefined): boolean {
  if (value === undefined) return false
  if ('cannot_assess' in value) return question.cannot_assess
  return Array.isArray(value.value) ? value.value.length > 0 : value.value !== ''
}

export const NO_ANSWER = 'no answer'

/** An answer in the words of the form. */
export function inWords(question: Question, value: Value | undefined): string {
  if (value === undefined) return NO_ANSWER
  if ('cannot_assess' in value) return 'cannot be assessed'
  const label = (chosen: string) =>
    question.options.find(option => option.value === chosen)?.label ?? chosen
  if (Array.isArray(value.value)) return value.value.map(label).join(', ')
  if (typeof value.value === 'string') return label(value.value)
  return question.unit ? `${value.value} ${question.unit}` : String(value.value)
}

export function sameValue(a: Value | undefined, b: Value | undefined): boolean {
  return canonical(a) === canonical(b)
}

/** Equal whatever the order of their keys; an empty section is as good as none. */
export function sameAnswers(a: Answers, b: Answers): boolean {
  return canonical(withoutEmpty(a)) === canonical(withoutEmpty(b))
}

function withoutEmpty({ case: ofCase, nodules, ...rest }: Answers): Answers {
  const filled = Object.entries(nodules ?? {}).filter(([, section]) => Object.keys(section).length)
  return {
    case: ofCase ?? {},
    nodules: Object.fromEntries(filled),
    ...(rest.marks?.length && { marks: rest.marks }),
    ...(rest.no_finding && { no_finding: true }),
    ...(rest.measurements?.length && { measurements: rest.measurements }),
  }
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}

/** Probabilities of the choices of a question by the AI, which predicts features by their name. */
export function predictedFor(
  question: Question,
  semantic: Record<string, Record<string, number>>,
): Record<string, number> | null {
  if (question.kind === 'single_choice') return semantic[question.name] ?? null
  if (question.kind !== 'multiple_choice') return null
  // Each option of such a question is a feature of its own, present or absent.
  const present = question.options.flatMap(({ value }) => {
    const probability = semantic[value]?.present
    return probability === undefined ? [] : [[value, probability] as const]
  })
  return present.length > 0 ? Object.fromEntries(present) : null
}

/** What the AI would have answered, and whether the reader did; null without an own answer. */
export function compareWithAi(
  question: Question,
  predicted: Record<string, number>,
  value: Value | undefined,
): { categories: string[]; agrees: boolean | null } | null {
  const byProbability = Object.entries(predicted).sort(([, a], [, b]) => b - a)
  if (byProbability.length === 0) return null
  const own = value !== undefined && 'value' in value ? value.value : null
  if (question.kind === 'multiple_choice') {
    const categories = byProbability.filter(([, p]) => p >= 0.5).map(([category]) => category)
    const agrees = Array.isArray(own)
      ? byProbability.every(([c]) => own.includes(c) === categories.includes(c))
      : null
    return { categories, agrees }
  }
  const categories = byProbability.slice(0, 1).map(([category]) => category)
  return { categories, agrees: typeof own === 'string' ? categories.includes(own) : null }
}
