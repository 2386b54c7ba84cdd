import { useState } from 'preact/hooks'
import type { Mark, PatientPoint, Reading } from '../api/types'
import { uuid } from '../api/uuid'
import type { Viewer } from '../viewer/viewer'
import type { EventQueue } from './events'
import { hasMarks } from './findings'
import type { SectionId } from './sections'
import type { ReadingEvent, ReadingState } from './state'

const NO_MARKS: readonly Mark[] = []

/** The marks of the answer on screen. */
export function marksOf(state: ReadingState): readonly Mark[] {
  return state.stage === 'submitted' ? NO_MARKS : (state.answers.marks ?? NO_MARKS)
}

/** Marks in a study whose readers find nodules themselves: made, taken away, put back. */
export function useMarking({
  reading,
  state,
  viewer,
  events,
  dispatch,
  series,
  open,
  goToForm,
}: {
  reading: Reading
  state: ReadingState
  viewer: Viewer | null
  events: EventQueue
  dispatch(event: ReadingEvent): void
  /** What is shown of the examination that is read. */
  series: number
  open(section: SectionId): void
  /** To what is asked about a mark, once its section is on screen. */
  goToForm(): void
}) {
  const marks = marksOf(state)
  const [removed, setRemoved] = useState<{ mark: Mark; at: number } | null>(null)

  const markAt = (point_mm: PatientPoint | null) => {
    if (!hasMarks(reading) || state.stage === 'submitted' || !point_mm) return
    const id = uuid()
    dispatch({ type: 'marked', mark: { id, series, point_mm, answers: {} } })
    events.add('marked', { mark: id })
    setRemoved(null)
    open(id)
    goToForm()
  }
  const isLocked = (id: string) =>
    state.stage === 'aided' && Boolean(state.unaided?.marks?.some(mark => mark.id === id))
  const unmark = (mark: Mark) => {
    if (isLocked(mark.id)) return
    const at = marks.indexOf(mark)
    viewer?.releaseMeasurements(mark.id)
    dispatch({ type: 'unmarked', mark: mark.id })
    events.add('unmarked', { mark: mark.id })
    setRemoved({ mark, at })
    open(marks[at + 1]?.id ?? marks[at - 1]?.id ?? reading.nodules[0]?.id ?? 'case')
    viewer?.focus()
  }
  const putBack = () => {
    if (removed === null) return
    dispatch({ type: 'marked', ...removed })
    events.add('marked', { mark: removed.mark.id })
    open(removed.mark.id)
    setRemoved(null)
  }
  const sayNone = () => {
    if (!hasMarks(reading) || marks.length > 0 || state.stage === 'submitted') return
    dispatch({ type: 'found_nothing', said: !state.answers.no_finding })
  }
  return { marks, removed: removed !== null, isLocked, markAt, unmark, putBack, sayNone }
}
