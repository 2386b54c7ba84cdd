/** What the site and the reading room say to each other, as JSON. */

export type Stage = 'assigned' | 'unaided' | 'aided' | 'submitted'

/** A stage in which the reader answers questions. */
export type AnsweringStage = 'unaided' | 'aided'

export type Value = { value: string | number | string[] } | { cannot_assess: true }

/** Answers of one section by question name; an unanswered question is absent. */
export type Section = Record<string, Value>

export interface Answers {
  case: Section
  nodules: Record<string, Section>
}

export interface Option {
  value: string
  label: string
  /** Goes with no other option of a multiple choice. */
  exclusive?: boolean
  key?: string | null
}

export interface Scale {
  min: number
  max: number
  step: number
  low: string
  high: string
}

export interface Question {
  name: string
  label: string
  help: string
  kind: 'single_choice' | 'multiple_choice' | 'scale' | 'number' | 'text'
  required: boolean
  cannot_assess: boolean
  options: Option[]
  scale: Scale | null
  unit: string | null
  /** Named like a feature that the AI predicts. */
  semantic: boolean
  /** Asked only when the answer to an earlier choice is one of `is`, or has one of them. */
  when?: { question: string; is: string[] } | null
}

export interface Questionnaire {
  case: Question[]
  nodule: Question[]
}

/** Patient coordinates in millimetres: left, posterior, superior are positive. */
export type PatientPoint = readonly [number, number, number]

export interface Nodule {
  id: number
  number: number
  centre_mm: PatientPoint
  diameter_mm: number | null
}

export interface Series {
  study_uid: string
  series_uid: string
  dicomweb: string
  slices: number
}

export type Artefact = 'score' | 'semantic' | 'saliency'

export interface Draft {
  version: number
  answers: Answers
  saved_at: string | null
}

export interface Reading {
  id: number
  stage: Stage
  /** The stages in which this reading is answered; without it, unaided and then aided. */
  path?: AnsweringStage[]
  case: string
  position: number
  of: number
  study: string
  next: string | null
  worklist: string
  shows: string[]
  nodules: Nodule[]
  series: Series[]
  questionnaire: Questionnaire
  answers: { unaided: Answers | null; aided: Answers | null }
  draft: Draft
  /** When and why a coordinator let the last answer be given anew; absent from older sites. */
  reopened?: { at: string; reason: string } | null
}

export interface SaliencyPlane {
  name: string
  weight: number
  centre_mm: PatientPoint
  /** Unit vector along which the column index grows. */
  row: PatientPoint
  /** Unit vector along which the row index grows. */
  column: PatientPoint
  cell_mm: number
  relevance: number[][]
}

export interface Saliency {
  planes: SaliencyPlane[]
  /** The relevance that is drawn in the strongest colour. */
  scale: number
  token_mm: number
  faithfulness: { deletion_drop: number; random_drop: number }
}

export interface NoduleAi {
  status: 'done' | 'failed'
  detail: string
  score?: { probability: number; probability_raw: number }
  semantic?: Record<string, Record<string, number>>
  saliency?: Saliency
}

export interface Ai {
  nodules: Record<string, NoduleAi>
  model: { title: string; version: string; notice: string; demonstration: boolean }
}

export interface Problem {
  nodule: number | null
  question: string
  detail: string
}

export interface RoomEvent {
  key: string
  kind: string
  stage: string
  monotonic_ms: number
  data: Record<string, unknown>
}
