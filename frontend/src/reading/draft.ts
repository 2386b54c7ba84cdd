import type { AnsweringStage, Answers, Draft } from '../api/types'
import { uuid } from '../api/uuid'
import type { Outbox, Parcel } from '../outbox/box'
import { type Delivery, deliver, FINISHED, type Obstacle, type Postman } from '../outbox/deliver'

export type SavedState =
  | { kind: 'saved'; at: string | null }
  | { kind: 'saving' }
  /** `kept`: whether the browser keeps it, should this page be closed. */
  | { kind: 'waiting'; since: string; because: Obstacle; kept: boolean }
  | { kind: 'refused'; because: string }
  | { kind: 'conflict'; theirs: Draft }
  /** The stage is over, and not by this page. */
  | { kind: 'ended'; because: string }

const NOTHING_YET: Answers = { case: {}, nodules: {} }
const SAVE_AFTER_MS = 400
export const FIRST_RETRY_MS = 1_000
export const LAST_RETRY_MS = 30_000

/** Where the drafts of one stage come from and go to. */
export interface Stage {
  reading: number
  case: string
  stage: AnsweringStage
}

/** Saves the draft of one stage as it is written, until the server has all of it. */
export class DraftSaver {
  #version: number
  /** What the server has not acknowledged. */
  #pending: Parcel | null = null
  #sent: string[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #sending: Promise<void> | null = null
  #retry_ms = FIRST_RETRY_MS
  #theirs: Draft | null = null
  #stopped = false
  #ended = false
  readonly #name: string

  constructor(
    readonly of: Stage,
    draft: Draft,
    readonly api: Postman,
    readonly box: Outbox,
    readonly report: (state: SavedState) => void,
    page = uuid(),
  ) {
    this.#name = `${of.reading}.${of.stage}.${page}`
    this.#version = draft.version
    report({ kind: 'saved', at: draft.saved_at })
  }

  /** The draft of the server that the answers on screen follow. */
  get version(): number {
    return this.#version
  }

  /** Keys of this page that the server may hold without our knowing. */
  get sent(): string[] {
    return this.#sent
  }

  change(answers: Answers): void {
    if (this.#stopped || this.#ended) return
    const since = this.#pending?.since ?? new Date().toISOString()
    this.#take({ ...this.#parcel(answers), since })
    if (this.#theirs === null) this.#saveIn(SAVE_AFTER_MS)
  }

  /** Go on with what an earlier page could not deliver. */
  adopt(name: string, left: Parcel): void {
    this.#version = left.version
    this.#sent = left.sent
    this.#take(left)
    if (name !== this.#name) this.box.drop('answers', name)
    this.#saveIn(0)
  }

  /** Send what is pending at once; the page is going away. */
  leave(): void {
    const parcel = this.#pending
    if (parcel === null || this.#stopped || this.#theirs !== null) return
    if (parcel.sent.includes(parcel.key)) return // already on its way
    deliver(this.api, parcel, () => this.#keep(parcel), true).then(delivery => {
      if (delivery.kind === 'saved') this.#delivered(parcel, delivery) // else it is sent again
    })
  }

  /** Try again now, the connection may be back. */
  retry(): void {
    if (this.#pending !== null && this.#theirs === null && !this.#stopped) this.#saveIn(0)
  }

  /** Look whether another tab or computer has gone on with this stage; return its draft if so. */
  async look(): Promise<Draft | null> {
    if (this.#stopped || this.#ended || this.#sending !== null) return null
    const now = await this.api.reading().catch(() => null)
    if (now === null || this.#stopped || this.#ended) return null
    if (now.stage !== this.of.stage) {
      this.#end(FINISHED)
      return null
    }
    if (this.#pending !== null || now.draft.version <= this.#version) return null
    this.#version = now.draft.version
    this.report({ kind: 'saved', at: now.draft.saved_at })
    return { ...now.draft, answers: { ...NOTHING_YET, ...now.draft.answers } }
  }

  /** Save no more and wait for what is under way: the stage is being locked. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#sending
  }

  /** The stage was not locked after all; `answers` are still what is on screen. */
  resume(): void {
    this.#stopped = false
    this.retry()
  }

  /** What is pending travels with the step that ends the stage. */
  handOver(): void {
    this.#pending = null
    this.box.drop('answers', this.#name)
  }

  /** The stage is locked: nothing is left to be saved of it. */
  done(): void {
    this.#ended = true
    this.handOver()
    this.box.announce(String(this.of.reading))
  }

  /** The server has others: the reader decides. */
  oppose(theirs: Draft): void {
    this.#theirs = theirs
    this.report({ kind: 'conflict', theirs })
  }

  /** Forget the answers of this tab for those that the server has. */
  takeTheirs(): Answers | null {
    const theirs = this.#theirs
    if (theirs === null) return null
    this.#theirs = null
    this.#version = theirs.version
    this.#pending = null
    this.#sent = []
    this.box.drop('answers', this.#name)
    this.report({ kind: 'saved', at: theirs.saved_at })
    return { ...NOTHING_YET, ...theirs.answers }
  }

  /** Put `mine` in place of those that the server has. */
  keepMine(mine: Answers): void {
    if (this.#theirs === null) return
    this.#version = this.#theirs.version
    this.#theirs = null
    this.#take({ ...this.#parcel(mine), since: new Date().toISOString() })
    this.#saveIn(0)
  }

  #parcel(answers: Answers): Omit<Parcel, 'since'> {
    const [key, sent, version] = [uuid(), this.#sent, this.#version]
    return { ...this.of, step: 'draft', version, answers, key, sent }
  }

  #take(parcel: Parcel): void {
    this.#pending = parcel
    this.#keep(parcel)
  }

  #keep(parcel: Parcel): void {
    this.#sent = parcel.sent
    if (this.#pending === parcel) this.box.keep(this.#name, parcel)
  }

  #saveIn(milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      if (this.#sending !== null) return // #save looks for more when it is done
      this.#sending = this.#save().finally(() => {
        this.#sending = null
      })
    }, milliseconds)
  }

  async #save(): Promise<void> {
    while (this.#pending !== null && !this.#stopped && !this.#ended && this.#theirs === null) {
      const parcel = this.#pending
      this.report({ kind: 'saving' })
      const delivery = await deliver(this.api, parcel, () => this.#keep(parcel))
      switch (delivery.kind) {
        case 'saved':
          this.#delivered(parcel, delivery)
          continue
        case 'waiting': {
          const { because } = delivery
          this.report({ kind: 'waiting', since: parcel.since, because, kept: this.box.keeps })
          this.#saveIn(this.#retry_ms)
          this.#retry_ms = Math.min(2 * this.#retry_ms, LAST_RETRY_MS)
          return
        }
        case 'conflict':
          return this.oppose(delivery.theirs)
        case 'ended':
          return this.#end(delivery.because)
        case 'refused':
          return this.report({ kind: 'refused', because: delivery.because })
      }
    }
  }

  #delivered(parcel: Parcel, { version, saved_at }: Delivery & { kind: 'saved' }): void {
    if (version < this.#version) return // said twice, and acknowledged late
    this.#version = version
    this.#retry_ms = FIRST_RETRY_MS
    this.#sent = []
    this.box.announce(String(this.of.reading))
    if (this.#pending === parcel) {
      this.#pending = null
      this.box.drop('answers', this.#name)
      this.report({ kind: 'saved', at: saved_at })
    } else if (this.#pending !== null) {
      this.#take({ ...this.#pending, version, sent: [] })
    }
  }

  #end(because: string): void {
    this.#ended = true
    this.report({ kind: 'ended', because })
  }
}

/** Keep something under `key` in the browser's storage; without storage, it is not kept. */
export function stored<T>(key: string) {
  const attempt = <R>(what: () => R): R | null => {
    try {
      return what()
    } catch {
      return null
    }
  }
  return {
    read: (): T | null => attempt(() => JSON.parse(localStorage.getItem(key) ?? 'null')),
    write: (value: T) => attempt(() => localStorage.setItem(key, JSON.stringify(value))),
    clear: () => attempt(() => localStorage.removeItem(key)),
  }
}
