// Made from docs/openapi.yaml by `manage.py describe_api`; not written by hand.

/** What the AI says of the nodules of a case, by their id. */
export interface Ai {
  nodules: Record<string, NoduleAi>
  model: Model
}

export type AnsweringStage = 'unaided' | 'aided'

/** What a reader says of a case, its nodules and what they marked themselves. */
export interface Answers {
  case: Section
  nodules: Record<string, Section>
  marks?: Mark[]
  /** Said by a reader who has no mark. */
  no_finding?: boolean
  measurements?: Measurement[]
}

export type Artefact = 'score' | 'semantic' | 'saliency' | 'similar'

/** The category of nodules of these kinds and changes from a size on, until the next band. */
export interface Band {
  kinds: string[]
  changes: string[]
  size_mm: number
  solid_mm: number
  category: string
}

/** What came true of the model's probabilities; shown with the score alone. */
export interface Calibration {
  truth: string
  points: CalibrationPoint[]
}

/** Held out nodules scored alike, and the share that was malignant, with its 95 % interval. */
export interface CalibrationPoint {
  low: number
  high: number
  n: number
  mean_probability: number
  share: number
  lower: number
  upper: number
}

/** The questions from which a category follows, and the table in which it is looked up. */
export interface Computed {
  type: string
  diameter_mm: string
  solid_mm: string
  change: string
  reason: string
  table: Band[]
}

/** What is filled in so far, and the key of the save that brought it. */
export interface Draft {
  version: number
  key: string | null
  answers: Answers
  saved_at: string | null
}

/** What is filled in so far, the last version the client has seen, and the key of this save. */
export interface DraftRequest {
  stage: AnsweringStage
  version: number
  answers: Answers
  key?: string | null
  sent?: string[]
}

/** What happened since the last time. */
export interface Events {
  events: RoomEvent[]
}

/** How far the score falls without the most relevant tissue, and without a random one. */
export interface Faithfulness {
  deletion_drop: number
  random_drop: number
}

export type Findings = 'given' | 'free_response' | 'both'

/** A filled-in form, the version of the draft that it follows, and the key of this step. */
export interface FormSent {
  answers: Answers
  version?: number | null
  key?: string | null
  sent?: string[]
}

export type Layout = 'mpr' | 'axial' | 'quad'

/** The locked answers. */
export interface Locked {
  unaided: Answers | null
  aided: Answers | null
}

/** A finding that nobody told the reader about. */
export interface Mark {
  id: string
  series: number
  point_mm: PatientPoint
  answers: Section
}

/** Points in one plane of the patient. What they come to is computed, and never stored. */
export interface Measurement {
  id: string
  kind: 'length' | 'bidirectional' | 'ellipse' | 'arrow'
  /** Where it was made, and where alone it is shown. */
  plane: 'axial' | 'sagittal' | 'coronal'
  series: number
  /** The nodule or mark it belongs to, by its id as text. */
  nodule: string | null
  /** The ends of one axis, then of the other; an arrow's tip first. */
  points_mm: PatientPoint[]
  /** What is said at an arrow. */
  text?: string
}

export type MeasuresEnum = 'mean_diameter' | 'long_axis' | 'short_axis'

/** The model that spoke. */
export interface Model {
  title: string
  version: string
  notice: string
  demonstration: boolean
  calibration?: Calibration
}

export type MouseEnum = 'window' | 'scroll' | 'pan'

/** A nodule to be rated: LPS millimetres. */
export interface Nodule {
  id: number
  number: number
  centre_mm: PatientPoint
  diameter_mm: number | null
  series: number
}

/** What the AI says of a nodule; the parts the condition does not show are absent. `place` is there where the reader was not given the nodule: it is a mark of the AI. */
export interface NoduleAi {
  status: NoduleAiStatusEnum
  detail: string
  place?: Nodule
  score?: Score
  semantic?: Record<string, Record<string, number>>
  saliency?: Saliency
  similar?: Similar[]
}

export type NoduleAiStatusEnum = 'done' | 'failed'

export type NullEnum = null

/** One answer of a choice. */
export interface Option {
  value: string
  label: string
  exclusive: boolean
}

/** Patient coordinates in mm: left, posterior, superior are positive. */
export type PatientPoint = readonly [number, number, number]

/** Settings of the reading room; what is not set is left out. */
export interface Preferences {
  layout?: Layout
  prior?: PriorEnum
  mouse?: MouseEnum
  thickness_mm?: number
  slices_per_s?: number
}

export type PriorEnum = 'beside' | 'on_key'

/** A refusal: a code that is stable, a sentence for people, and what is wrong where. */
export interface Problem {
  code: string
  detail: string
  problems?: Record<string, unknown>[]
}

/** A question of the form. */
export interface Question {
  name: string
  label: string
  help: string
  kind: QuestionKindEnum
  required: boolean
  cannot_assess: boolean
  options: Option[]
  scale: Scale | null
  unit: string | null
  semantic: boolean
  measures?: MeasuresEnum | NullEnum
  computed?: Computed | null
  when?: When | null
}

export type QuestionKindEnum = 'single_choice' | 'multiple_choice' | 'scale' | 'number' | 'measurement' | 'text'

/** The questions about a case, about each of its nodules, and about marks before those. */
export interface Questionnaire {
  case: Question[]
  nodule: Question[]
  mark?: Question[]
}

/** A reading as its reader may see it at its present stage. */
export interface Reading {
  id: number
  stage: Stage
  path: AnsweringStage[]
  case: string
  position: number
  of: number
  study: string
  next: string | null
  worklist: string
  shows: Artefact[]
  findings: Findings
  nodules: Nodule[]
  series: Series[]
  questionnaire: Questionnaire
  answers: Locked
  draft: Draft
  /** Whether the truth is shown once it is submitted. */
  feedback: boolean
  layouts: Layout[]
  preferences: Preferences
  reopened: Reopened | null
}

/** When and why a coordinator let the last answer be given anew. */
export interface Reopened {
  at: string
  reason: string
}

/** One thing that happened in the browser. */
export interface RoomEvent {
  key: string
  kind: string
  stage: Stage
  monotonic_ms: number
  data?: Record<string, unknown>
}

/** Where in the patient the model looked. */
export interface Saliency {
  planes: SaliencyPlane[]
  scale: number
  token_mm: number
  faithfulness: Faithfulness
}

/** A relevance map and its place in the patient: LPS millimetres, unit vectors. */
export interface SaliencyPlane {
  name: string
  weight: number
  centre_mm: PatientPoint
  row: PatientPoint
  column: PatientPoint
  cell_mm: number
  relevance: number[][]
}

/** The version that is now stored. */
export interface Saved {
  version: number
  saved_at: string
}

/** A range of numbers with the meaning of its ends. */
export interface Scale {
  min: number
  max: number
  step: number
  low: string
  high: string
}

/** The AI's probability of malignancy, calibrated and as it came. */
export interface Score {
  probability: number
  probability_raw: number
  wording: string
  unlike_training: boolean | null
}

/** Answers of one section by question name; one not given is absent. */
export type Section = Record<string, Value>

/** Where a series' images are, under pseudonymous UIDs. A `prior` one is of an examination `days_before` the current one, null if that is not known. Series of one `frame_of_reference_uid` share their coordinates. */
export interface Series {
  id: number
  study_uid: string
  series_uid: string
  frame_of_reference_uid: string
  dicomweb: string
  slices: number
  slice_mm: number | null
  kernel: string
  prior: boolean
  days_before: number | null
}

/** A nodule of the model's reference set; the image is a PNG as an address of its own. */
export interface Similar {
  distance: number
  malignant: boolean
  truth: string
  diameter_mm: number
  image: string
}

export type Stage = 'assigned' | 'unaided' | 'aided' | 'submitted'

/** How many events were taken in. */
export interface Stored {
  stored: number
}

/** What is known of a nodule of a training case: null where the source leaves it open. */
export interface Truth {
  nodule: number
  number: number
  centre_mm: PatientPoint
  malignant: boolean | null
  source: string
}

/** The truth of a training case. */
export interface Truths {
  nodules: Truth[]
}

/** An answer; one that is taken from the viewer names its measurement. */
export type Value = {
  value: string | number | string[]
  measurement?: string
} | {
  cannot_assess: true
}

/** The answer to an earlier choice with which a question is asked: one of `is`. */
export interface When {
  question: string
  is: string[]
}
