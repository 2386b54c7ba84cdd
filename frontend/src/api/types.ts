/** What the site and the reading room say to each other, as JSON. */

export type Stage = 'assigned' | 'unaided' | 'aided' | 'submitted'

/** A stage in which the reader answers questions. */
export type AnsweringStage = 'unaided' | 'aided'

/** An answer; one that is taken from the viewer names its measurement. */
export type Value =
  | { value: string | number | string[]; measurement?: string }
  | { cannot_assess: true }

/** Answers of one section by question name; an unanswered question is absent. */
export type Section = Record<string, Value>

export type Plane = 'axial' | 'sagittal' | 'coronal'

export type Tool = 'length' | 'bidirectional' | 'ellipse' | 'arrow'

/** Points in one plane of the patient. What they come to is computed, and never stored. */
export interface Measurement {
  id: string
  kind: Tool
  /** Where it was made, and where alone it is shown. */
  plane: Plane
  series: number
  /** The nodule or mark it belongs to, by its id as text. */
  nodule: string | null
  /** Two axes have the ends of the one, then of the other; an arrow its tip first. */
  points_mm: PatientPoint[]
  /** What is said at an arrow. */
  text?: string
}

/** A finding that nobody told the reader about. */
export interface Mark {
  id: string
  series: number
  point_mm: PatientPoint
  answers: Section
}

export interface Answers {
  case: Section
  nodules: Record<string, Section>
  marks?: Mark[]
  /** Said by a reader who has no mark. */
  no_finding?: boolean
  measurements?: readonly Measurement[]
}

/** What questions are about: a nodule by its id, a mark by its, or the case. */
export type Subject = number | string | null

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

/** The category of nodules of these kinds and changes from a size on, until the next band. */
export interface Band {
  kinds: string[]
  changes: string[]
  size_mm: number
  solid_mm: number
  category: string
}

/** The questions from which a category follows, and the table in which it is looked up. */
export interface Computed {
  type: string
  diameter_mm: string
  solid_mm: string
  change: string
  /** The question that says why another category was chosen. */
  reason: string
  table: Band[]
}

export interface Question {
  name: string
  label: string
  help: string
  kind: 'single_choice' | 'multiple_choice' | 'scale' | 'number' | 'measurement' | 'text'
  required: boolean
  cannot_assess: boolean
  options: Option[]
  scale: Scale | null
  unit: string | null
  /** Named like a feature that the AI predicts. */
  semantic: boolean
  /** Asked only when the answer to an earlier choice is one of `is`, or has one of them. */
  when?: { question: string; is: string[] } | null
  /** What of a bidirectional measurement answers it; null for other kinds of questions. */
  measures?: 'mean_diameter' | 'long_axis' | 'short_axis' | null
  computed?: Computed | null
}

export interface Questionnaire {
  case: Question[]
  nodule: Question[]
  /** Asked about marks, before what is asked about nodules. */
  mark?: Question[]
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
  id: number
  study_uid: string
  series_uid: string
  dicomweb: string
  slices: number
}

export type Artefact = 'score' | 'semantic' | 'saliency' | 'similar'

export interface Draft {
  version: number
  /** Of the save that brought it; null when nobody has saved. */
  key?: string | null
  answers: Answers
  saved_at: string | null
}

export type Layout = 'axial' | 'mpr' | 'quad'

/** What a reader has set in the reading room. */
export interface Preferences {
  layout?: Layout
  mouse?: 'window' | 'scroll' | 'pan'
  thickness_mm?: number
  slices_per_s?: number
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
  /** What the reader rates: nodules that are given, what the reader finds, or both. */
  findings?: 'given' | 'free_response' | 'both'
  nodules: Nodule[]
  series: Series[]
  questionnaire: Questionnaire
  answers: { unaided: Answers | null; aided: Answers | null }
  draft: Draft
  /** Whether the truth of this training case is shown once it is submitted; absent from older sites. */
  feedback?: boolean
  /** Those that the protocol allows, the usual one first. */
  layouts?: Layout[]
  preferences?: Preferences
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
  faithfulness: { deletion_drop: number; random_drop: number } | null
}

/** A nodule of the model's reference set. */
export interface Similar {
  /** From 0, the same, to 2. */
  distance: number
  malignant: boolean
  /** Where the truth comes from. */
  truth: string
  diameter_mm: number
  /** An address that holds the image itself. */
  image: string
}

/** Held out nodules scored alike, and the share of them that was malignant. */
export interface CalibrationPoint {
  low: number
  high: number
  n: number
  mean_probability: number
  share: number
  lower: number
  upper: number
}

export interface Calibration {
  truth: string
  points: CalibrationPoint[]
}

export interface NoduleAi {
  /** Where the reader was not given the nodule: a mark of the AI's. */
  place?: Nodule
  status: 'done' | 'failed'
  detail: string
  score?: {
    probability: number
    probability_raw: number
    /** What the protocol calls the score. */
    wording: string
    /** Whether the nodule is unlike those of the training; null where that is not known. */
    unlike_training: boolean | null
  }
  semantic?: Record<string, Record<string, number>>
  saliency?: Saliency
  similar?: Similar[]
}

export interface Ai {
  nodules: Record<string, NoduleAi>
  model: {
    title: string
    version: string
    notice: string
    demonstration: boolean
    calibration?: Calibration
  }
}

export interface Problem {
  nodule: Subject
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

/** What is known of a nodule of a training case. */
export interface Truth {
  nodule: number
  number: number
  centre_mm: PatientPoint
  /** Null where the source leaves it open. */
  malignant: boolean | null
  source: string
}
