import type { Answers, Measurement, Question, Section, Subject } from '../api/types'
import { quantities } from '../viewer/measuring'
import { askedQuestions } from './answers'

/** What a question takes from a measurement; null if nothing. A length stands for each diameter. */
export function taken(measurement: Measurement, question: Question): number | null {
  if (question.kind !== 'measurement' || !question.measures) return null
  const found = quantities(measurement)
  if (measurement.kind === 'length') return found.length ?? null
  return measurement.kind === 'bidirectional' ? (found[question.measures] ?? null) : null
}

/** The answers with other measurements; what was taken from one follows it, or goes with it. */
export function withMeasurements(
  answers: Answers,
  measurements: readonly Measurement[],
  questions: readonly Question[],
): Answers {
  const follow = (section: Section, nodule: string): Section =>
    Object.fromEntries(
      Object.entries(section).flatMap(([name, answer]) => {
        if (!('measurement' in answer)) return [[name, answer]]
        const from = measurements.find(({ id }) => id === answer.measurement)
        const question = questions.find(each => each.name === name)
        if (!from || !question || from.nodule !== nodule) return []
        const value = taken(from, question)
        if (value === answer.value) return [[name, answer]]
        return value === null ? [] : [[name, { ...answer, value }]]
      }),
    )
  const { measurements: _, ...others } = answers
  return {
    ...others,
    nodules: Object.fromEntries(
      Object.entries(answers.nodules).map(([id, section]) => [id, follow(section, id)]),
    ),
    ...(answers.marks && {
      marks: answers.marks.map(mark => ({ ...mark, answers: follow(mark.answers, mark.id) })),
    }),
    ...(measurements.length > 0 && { measurements: [...measurements] }),
  }
}

/** The question that a measurement would answer: the one at hand, an open one, or the first. */
export function questionFor(
  questions: readonly Question[],
  section: Section,
  atHand: string | null,
): Question | null {
  const asked = askedQuestions(questions, section).filter(({ kind }) => kind === 'measurement')
  return (
    asked.find(({ name }) => name === atHand) ??
    asked.find(({ name }) => section[name] === undefined) ??
    asked[0] ??
    null
  )
}

/** The measurement that a question would be answered with: the one at hand, or the last. */
export function measurementFor(
  measurements: readonly Measurement[],
  question: Question,
  subject: Subject,
  atHand: string | null,
): Measurement | null {
  const own = measurements.filter(
    one => one.nodule === String(subject) && taken(one, question) !== null,
  )
  return own.find(({ id }) => id === atHand) ?? own.at(-1) ?? null
}
