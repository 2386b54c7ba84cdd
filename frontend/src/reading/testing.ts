import { type Api, type FormSent, Refusal } from '../api/client'
import type {
  Ai,
  AnsweringStage,
  Answers,
  PatientPoint,
  Question,
  Reading,
  RoomEvent,
  Series,
  Stage,
} from '../api/types'
import type { Viewer, ViewerEvent, ViewerState } from '../viewer/viewer'
import { PLANES } from '../viewer/viewer'
import { missingAnswers, sameAnswers } from './answers'

export function aQuestion(change: Partial<Question>): Question {
  return {
    name: 'margin',
    label: 'Margin',
    help: '',
    kind: 'single_choice',
    required: true,
    cannot_assess: true,
    options: [
      { value: 'smooth', label: 'Smooth', exclusive: false },
      { value: 'spiculated', label: 'Spiculated', exclusive: false },
    ],
    scale: null,
    unit: null,
    semantic: true,
    ...change,
  }
}

export const MALIGNANCY = aQuestion({
  name: 'malignancy',
  label: 'Malignancy',
  kind: 'scale',
  cannot_assess: false,
  options: [],
  scale: { min: 0, max: 100, step: 1, low: 'Benign', high: 'Malignant' },
  semantic: false,
})

export function aSeries(change: Partial<Series>): Series {
  return {
    id: 5,
    study_uid: '2.25.1',
    series_uid: '2.25.2',
    frame_of_reference_uid: '2.25.3',
    dicomweb: '/dw',
    slices: 9,
    slice_mm: 1,
    kernel: '',
    prior: false,
    days_before: null,
    ...change,
  }
}

export function aReading(change: Partial<Reading> = {}): Reading {
  return {
    id: 7,
    stage: 'unaided',
    case: 'Case 03',
    position: 3,
    of: 10,
    study: 'A study',
    next: '/reading/8',
    worklist: '/worklist',
    shows: [],
    nodules: [
      { id: 11, number: 1, centre_mm: [1, 2, 3], diameter_mm: 8, series: 5 },
      { id: 12, number: 2, centre_mm: [4, 5, 6], diameter_mm: null, series: 5 },
    ],
    series: [aSeries({})],
    questionnaire: {
      nodule: [MALIGNANCY, aQuestion({})],
      case: [aQuestion({ name: 'comment', kind: 'text', required: false, options: [] })],
    },
    answers: { unaided: null, aided: null },
    draft: { version: 1, key: null, answers: { case: {}, nodules: {} }, saved_at: null },
    path: ['unaided', 'aided'],
    findings: 'given',
    feedback: false,
    layouts: ['mpr', 'axial', 'quad'],
    preferences: {},
    reopened: null,
    ...change,
  }
}

export const COMPLETE: Answers = {
  case: {},
  nodules: {
    11: { malignancy: { value: 40 }, margin: { value: 'smooth' } },
    12: { malignancy: { value: 5 }, margin: { cannot_assess: true } },
  },
}

export const PROBABILITY = 0.7312

export function anAi(): Ai {
  const of = (probability: number) => ({
    status: 'done' as const,
    detail: '',
    score: {
      probability,
      probability_raw: probability,
      wording: 'probability of malignancy (calibrated)',
      unlike_training: null,
    },
    semantic: { margin: { smooth: 0.2, spiculated: 0.8 } },
  })
  return {
    nodules: { 11: of(PROBABILITY), 12: of(0.1) },
    model: { title: 'Demo', version: '1', notice: 'A demonstration.', demonstration: true },
  }
}

/** A server that keeps one reading in memory and holds to the steps, as far as a room sees. */
export class MemoryApi implements Api {
  savePreferences = async () => {}
  events: RoomEvent[] = []
  calls: string[] = []
  /** Thrown by the next requests, one each. */
  failures: Error[] = []

  constructor(public stored: Reading) {}

  async reading() {
    return this.#answer('reading', () => this.stored)
  }

  async open() {
    return this.#answer('open', () => {
      this.stored = { ...this.stored, stage: 'unaided' }
      return this.stored
    })
  }

  async saveDraft({ stage, version, answers, key, sent }: FormSent & { stage: string }) {
    return this.#answer('draft', () => {
      const { draft } = this.stored
      if (stage !== this.stored.stage) throw new Refusal('answer_locked', 'It is locked.')
      if (draft.key === key) return { version: draft.version, saved_at: draft.saved_at ?? '' }
      if (version !== draft.version && !sent.includes(draft.key ?? '')) {
        throw new Refusal('draft_conflict', 'Another tab changed it.')
      }
      const saved = { version: draft.version + 1, saved_at: '2026-01-02T10:32:00Z' }
      this.stored = { ...this.stored, draft: { ...saved, answers, key } }
      return saved
    })
  }

  async lock(form: FormSent) {
    return this.#answer('lock', () => this.#finish(form, 'unaided', 'aided'))
  }

  async submit(form: FormSent) {
    return this.#answer('submit', () => this.#finish(form, 'aided', 'submitted'))
  }

  async truth() {
    return this.#answer('truth', () => ({
      nodules: this.stored.nodules.map(({ id, number, centre_mm }) => ({
        nodule: id,
        number,
        centre_mm,
        malignant: true,
        source: 'pathology',
      })),
    }))
  }

  async ai() {
    return this.#answer('ai', () => {
      if (this.stored.stage === 'unaided') throw new Refusal('not_found', 'No such reading.')
      return anAi()
    })
  }

  async sendEvents(events: RoomEvent[]) {
    return this.#answer('events', () => this.events.push(...events))
  }

  #finish({ answers, version }: FormSent, of: AnsweringStage, stage: Stage): Reading {
    const { questionnaire, nodules, draft } = this.stored
    const locked = this.stored.answers[of]
    if (locked !== null) {
      if (sameAnswers(locked, answers)) return this.stored
      throw new Refusal('answer_locked', 'It is locked.')
    }
    if (version !== draft.version && !sameAnswers(draft.answers, answers)) {
      throw new Refusal('draft_conflict', 'Another tab changed it.')
    }
    const problems = missingAnswers(questionnaire, nodules, answers)
    if (problems.length > 0) throw new Refusal('answers_incomplete', 'Not complete.', problems)
    const finished = stage === 'aided' ? { unaided: answers } : { aided: answers }
    this.stored = {
      ...this.stored,
      stage,
      answers: { ...this.stored.answers, ...finished },
      draft: { version: 0, key: null, answers, saved_at: null },
    }
    return this.stored
  }

  #answer<T>(call: string, give: () => T): T {
    this.calls.push(call)
    const failure = this.failures.shift()
    if (failure) throw failure
    return give()
  }
}

/** A viewer that shows nothing and writes down what it is asked for. */
export class FakeViewer implements Viewer {
  asked: [string, ...unknown[]][] = []
  /** Where the pointer would be. */
  point: PatientPoint | null = [1, 2, 3]
  #listeners = new Set<(event: ViewerEvent) => void>()

  async show(...what: Parameters<Viewer['show']>) {
    this.asked.push(['show', ...what])
    this.tell({ kind: 'first_image', plane: 'axial', index: 1 })
    this.tell({ kind: 'series_loaded', slices: 9, failed: 0 })
    this.tell({ kind: 'all_loaded' })
  }
  listen(listener: (event: ViewerEvent) => void) {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  tell(event: ViewerEvent) {
    for (const listener of this.#listeners) listener(event)
  }

  async switchTo(...what: Parameters<Viewer['switchTo']>) {
    this.asked.push(['switchTo', ...what])
    this.tell({ kind: 'series', series: what[0].id })
  }

  usePrior = this.#note('usePrior')
  linkPrior = this.#note('linkPrior')
  arrange = this.#note('arrange')
  goTo = this.#note('goTo')
  scroll = this.#note('scroll')
  scrollToEnd = this.#note('scrollToEnd')
  setWindow = this.#note('setWindow')
  invert = this.#note('invert')
  zoom = this.#note('zoom')
  useTool = this.#note('useTool')
  goToMeasurement = this.#note('goToMeasurement')
  redoMeasurement = this.#note('redoMeasurement')
  writeAt = this.#note('writeAt')
  releaseMeasurements = this.#note('releaseMeasurements')
  statisticsOf = () => null
  pointAtHand = () => this.point
  useMouse = this.#note('useMouse')
  useMagnifier = this.#note('useMagnifier')
  restoreMeasurements = this.#note('restoreMeasurements')
  deleteMeasurement = this.#note('deleteMeasurement')
  undoMeasurement = this.#note('undoMeasurement')
  setSlab = this.#note('setSlab')
  playCine = this.#note('playCine')
  setCineSpeed = this.#note('setCineSpeed')
  reset = this.#note('reset')
  mark = this.#note('mark')
  showMarkers = this.#note('showMarkers')
  showSaliency = this.#note('showSaliency')
  setSaliencyOpacity = this.#note('setSaliencyOpacity')
  useCrosshair = this.#note('useCrosshair')
  focus = this.#note('focus')
  close = this.#note('close')

  state(): ViewerState {
    throw new Error(`a fake viewer has no state of ${PLANES.length} planes`)
  }

  #note(method: string) {
    return (...what: unknown[]) => {
      this.asked.push([method, ...what])
    }
  }
}
