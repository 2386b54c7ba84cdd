/**
 * What the site and the reading room say to each other. The forms are the API's own, made from its
 * description (schema.ts); here they have the names the room knows them by, and what it adds itself.
 */

import type * as api from './schema'

export type {
  Ai,
  AnsweringStage,
  Answers,
  Artefact,
  Band,
  Calibration,
  CalibrationPoint,
  Computed,
  Draft,
  Mark,
  Measurement,
  Nodule,
  NoduleAi,
  Option,
  PatientPoint,
  Preferences,
  Question,
  Questionnaire,
  Reading,
  Saliency,
  SaliencyPlane,
  Scale,
  Section,
  Series,
  Similar,
  Stage,
  Truth,
  Value,
} from './schema'

/** What happened in the room, with what it knows of it. */
export type RoomEvent = Required<api.RoomEvent>

export type Plane = api.Measurement['plane']

/** What a protocol names, and, for cases with an earlier examination, that beside the current one. */
export type Layout = api.Layout | 'compare'
export type UsualLayout = api.Layout

export type Tool = api.Measurement['kind']

/** What questions are about: a nodule by its id, a mark by its, or the case. */
export type Subject = number | string | null

/** What is wrong with one answer. */
export interface Problem {
  nodule: Subject
  question: string
  detail: string
}
