import type {
  Ai,
  Answers,
  Mark,
  Measurement,
  Problem,
  Question,
  Reading,
  Subject,
  Value,
} from '../api/types'
import { NO_FINDING, withAnswer } from './answers'
import { withMark, withNoFinding, withoutMark } from './marks'
import { withMeasurements } from './measured'

interface Answering {
  answers: Answers
  /** Counts how often what is on screen had to give way to other answers. */
  replaced: number
  /** Questions to look at again, as found here or by the server. */
  problems: Problem[]
  /** "ended": the stage was finished elsewhere, and this page can only be read. */
  step: 'answering' | 'confirming' | 'sending' | 'ended'
  /** Whether this answer is the last of the reading: not every arm has both stages. */
  ends: boolean
  /** Why the last lock or submission did not happen. */
  refusal: string | null
}

export type AiResult = { ai: Ai } | { missing: string } | 'loading'

/** What the room shows. An unaided state has no place for a prediction. */
export type ReadingState =
  | ({ stage: 'unaided' } & Answering)
  | ({ stage: 'aided'; unaided: Answers | null; result: AiResult } & Answering)
  | { stage: 'submitted'; next: string | null }

export type ReadingEvent =
  | { type: 'answered'; nodule: Subject; question: string; value: Value | null }
  | { type: 'measured'; measurements: readonly Measurement[]; questions: readonly Question[] }
  | { type: 'marked'; mark: Mark; at?: number }
  | { type: 'unmarked'; mark: string }
  | { type: 'found_nothing'; said: boolean }
  | { type: 'draft_replaced'; answers: Answers }
  | { type: 'asked_to_finish'; missing: Problem[] }
  | { type: 'went_on' }
  | { type: 'sent' }
  | { type: 'took_back' } // before it could be delivered
  | { type: 'ended' }
  | { type: 'refused'; detail: string; problems: Problem[] }
  | { type: 'accepted'; state: ReadingState } // as the server now has it
  | { type: 'ai_arrived'; ai: Ai }
  | { type: 'ai_missing'; detail: string }

const NOTHING_YET: Answers = { case: {}, nodules: {} }

/** What to show of a reading as the server has it. */
export function stateOf(reading: Reading): ReadingState {
  if (reading.stage === 'submitted') return { stage: 'submitted', next: reading.next }
  const answering: Answering = {
    answers: { ...NOTHING_YET, ...reading.draft.answers },
    replaced: 0,
    problems: [],
    step: 'answering',
    ends: reading.stage === (reading.path?.at(-1) ?? 'aided'),
    refusal: null,
  }
  if (reading.stage !== 'aided') return { stage: 'unaided', ...answering }
  const { unaided } = reading.answers
  return { stage: 'aided', unaided, result: 'loading', ...answering }
}

export function next(state: ReadingState, event: ReadingEvent): ReadingState {
  if (event.type === 'accepted') return event.state
  if (state.stage === 'submitted') return state
  if (event.type === 'ai_arrived' || event.type === 'ai_missing') {
    if (state.stage !== 'aided') return state
    const result = event.type === 'ai_arrived' ? { ai: event.ai } : { missing: event.detail }
    return { ...state, result }
  }
  if (event.type === 'ended') return { ...state, step: 'ended', refusal: null, problems: [] }
  if (state.step === 'ended') return state
  if (event.type === 'took_back') return { ...state, step: 'answering' }
  if (event.type === 'refused') {
    // What was measured meanwhile has not been taken in.
    const replaced = state.replaced + 1
    return {
      ...state,
      replaced,
      step: 'answering',
      refusal: event.detail,
      problems: event.problems,
    }
  }
  if (state.step === 'sending') return state // what was sent is not changed under way
  switch (event.type) {
    case 'answered': {
      const { nodule, question, value } = event
      return {
        ...state,
        answers: withAnswer(state.answers, nodule, question, value),
        problems: state.problems.filter(p => p.nodule !== nodule || p.question !== question),
        step: 'answering',
        refusal: null,
      }
    }
    case 'measured': {
      const { measurements, questions } = event
      return {
        ...state,
        answers: withMeasurements(state.answers, measurements, questions),
        refusal: null,
      }
    }
    case 'marked':
      return changed(state, withMark(state.answers, event.mark, event.at))
    case 'unmarked':
      return changed(state, withoutMark(state.answers, event.mark))
    case 'found_nothing':
      return changed(state, withNoFinding(state.answers, event.said))
    case 'draft_replaced':
      return {
        ...state,
        answers: event.answers,
        replaced: state.replaced + 1,
        problems: [],
        step: 'answering',
        refusal: null,
      }
    case 'asked_to_finish': {
      const step = event.missing.length > 0 ? 'answering' : 'confirming'
      return { ...state, problems: event.missing, step, refusal: null }
    }
    case 'went_on':
      return { ...state, step: 'answering' }
    case 'sent':
      return { ...state, step: 'sending', refusal: null }
  }
}

/** The state with other findings, of which nothing is wrong any more. */
function changed<S extends Answering>(state: S, answers: Answers): S {
  const marks = new Set(answers.marks?.map(({ id }) => id))
  const problems = state.problems.filter(
    ({ nodule, question }) =>
      question !== NO_FINDING && (typeof nodule !== 'string' || marks.has(nodule)),
  )
  return { ...state, answers, problems, step: 'answering', refusal: null }
}
