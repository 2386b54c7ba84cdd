import { useEffect, useRef } from 'preact/hooks'
import type { Measurement, Questionnaire, Subject } from '../api/types'
import type { Viewer, ViewerEvent } from '../viewer/viewer'
import { questionsOf, sectionOf } from './answers'
import { measurementFor, questionFor, taken } from './measured'
import type { ReadingEvent, ReadingState } from './state'

type Measured = Extract<ViewerEvent, { kind: 'measurements' }>

const NONE: readonly Measurement[] = []

/** Keep what is measured in the viewer and what is answered in step. */
export function useMeasuring({
  viewer,
  questionnaire,
  state,
  subject,
  dispatch,
}: {
  viewer: Viewer | null
  questionnaire: Questionnaire
  state: ReadingState
  subject: Subject
  dispatch(event: ReadingEvent): void
}) {
  const answers = state.stage === 'submitted' ? null : state.answers
  const measurements = answers?.measurements ?? NONE
  const selected = useRef<string | null>(null)
  // The viewer is told of what came from elsewhere: a draft, another tab, the stage before.
  const replaced = state.stage === 'submitted' ? 0 : state.replaced
  useEffect(() => {
    viewer?.restoreMeasurements(measurements)
  }, [viewer, state.stage, replaced])

  const take = (question: string, from: Measurement, value: number) =>
    dispatch({
      type: 'answered',
      nodule: subject,
      question,
      value: { value, measurement: from.id },
    })

  return {
    /** Two axes on a nodule whose size is open answer it. */
    measured: ({ measurements, made, selected: touched }: Measured) => {
      selected.current = touched
      const questions = [...(questionnaire.mark ?? []), ...questionnaire.nodule]
      dispatch({ type: 'measured', measurements, questions })
      const from = measurements.find(({ id }) => id === made)
      if (answers === null || from?.kind !== 'bidirectional') return
      if (from.nodule !== String(subject)) return
      const section = sectionOf(answers, subject)
      const question = questionFor(questionsOf(questionnaire, subject), section, null)
      const value = question && taken(from, question)
      if (question && value !== null && section[question.name] === undefined) {
        take(question.name, from, value)
      }
    },
    /** Whether there is a measurement that Delete would take away. */
    hasSelected: () => selected.current !== null,
    /** Answer a question with the measurement at hand; false when there is none. */
    take: (atHand: string | null): boolean => {
      if (answers === null) return false
      const section = sectionOf(answers, subject)
      const question = questionFor(questionsOf(questionnaire, subject), section, atHand)
      if (!question) return false
      const from = measurementFor(measurements, question, subject, selected.current)
      const value = from && taken(from, question)
      if (!from || value === null) return false
      take(question.name, from, value)
      return true
    },
  }
}
