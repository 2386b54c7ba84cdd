import { type Api, Refusal } from '../api/client'
import type { AnsweringStage, Answers, Draft } from '../api/types'
import { sameAnswers } from './answers'

export type SavedState =
  | { kind: 'saved'; at: string | null }
  | { kind: 'saving' }
  | { kind: 'unsaved'; because: string }
  | { kind: 'refused'; because: string }
  | { kind: 'conflict'; theirs: Draft }

/** A copy of what the server does not have yet, kept by the browser; see `browserCopy`. */
export interface LocalCopy {
  read(): { stage: string; version: number; answers: Answers } | null
  write(copy: { stage: string; version: number; answers: Answers }): void
  clear(): void
}

const SAVE_AFTER_MS = 400
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000

/** Saves the draft of one stage as it is written, until the server has all of it. */
export class DraftSaver {
  #version: number
  #pending: Answers | null = null
  /** What was sent since the server last confirmed: an answer that got lost is not a conflict. */
  #sent: Answers[] = []
  #left: Answers | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  #sending: Promise<void> | null = null
  #retry_ms = FIRST_RETRY_MS
  #theirs: Draft | null = null
  #stopped = false

  constructor(
    readonly stage: AnsweringStage,
    draft: Draft,
    readonly api: Pick<Api, 'saveDraft' | 'reading'>,
    readonly copy: LocalCopy,
    readonly report: (state: SavedState) => void,
  ) {
    this.#version = draft.version
    report({ kind: 'saved', at: draft.saved_at })
  }

  /** Answers that an earlier visit could not bring to the server, if they still follow its draft. */
  static left(stage: AnsweringStage, draft: Draft, copy: LocalCopy): Answers | null {
    const left = copy.read()
    return left?.stage === stage && left.version === draft.version ? left.answers : null
  }

  change(answers: Answers): void {
    if (this.#stopped) return
    this.#pending = answers
    this.copy.write({ stage: this.stage, version: this.#version, answers })
    if (this.#theirs === null) this.#saveIn(SAVE_AFTER_MS)
  }

  /** Send what is pending at once; the page is going away. */
  leave(): void {
    if (this.#pending === null || this.#stopped || this.#theirs !== null) return
    if (this.#pending === this.#left) return // already on its way
    this.#left = this.#pending
    const draft = { stage: this.stage, version: this.#version, answers: this.#pending }
    this.#sent.push(draft.answers)
    this.api.saveDraft(draft, true).then(
      ({ version, saved_at }) => this.#saved(draft.answers, version, saved_at),
      () => {}, // the local copy is still there
    )
  }

  /** Try again now, the connection may be back. */
  retry(): void {
    if (this.#pending !== null && this.#theirs === null && !this.#stopped) this.#saveIn(0)
  }

  /** Save no more and wait for what is under way: the stage is being locked. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await this.#sending
  }

  /** The stage was not locked after all. */
  resume(): void {
    this.#stopped = false
    this.retry()
  }

  /** Forget the answers of this tab for those that the server has. */
  takeTheirs(): Answers | null {
    const theirs = this.#theirs
    if (theirs === null) return null
    this.#theirs = null
    this.#version = theirs.version
    this.#pending = null
    this.#sent = []
    this.copy.clear()
    this.report({ kind: 'saved', at: theirs.saved_at })
    return theirs.answers
  }

  /** Put the answers of this tab in place of those that the server has. */
  keepMine(): void {
    if (this.#theirs === null) return
    this.#version = this.#theirs.version
    this.#theirs = null
    this.#saveIn(0)
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
    while (this.#pending !== null && !this.#stopped && this.#theirs === null) {
      const answers = this.#pending
      this.report({ kind: 'saving' })
      try {
        this.#sent.push(answers)
        const draft = { stage: this.stage, version: this.#version, answers }
        const { version, saved_at } = await this.api.saveDraft(draft)
        this.#saved(answers, version, saved_at)
      } catch (error) {
        if (error instanceof Refusal && error.code === 'draft_conflict') {
          if (await this.#mayGoOn()) continue
          return
        }
        return this.#failed(error)
      }
    }
  }

  #saved(answers: Answers, version: number, saved_at: string): void {
    this.#version = version
    this.#retry_ms = FIRST_RETRY_MS
    this.#sent = []
    if (this.#pending === answers) {
      this.#pending = null
      this.copy.clear()
      this.report({ kind: 'saved', at: saved_at })
    }
  }

  #failed(error: unknown): void {
    if (error instanceof Refusal && error.code !== 'not_authenticated') {
      this.report({ kind: 'refused', because: error.message })
      return
    }
    const because =
      error instanceof Refusal
        ? 'you are signed out. Sign in again in another tab; nothing is lost here'
        : 'no connection, retrying'
    this.report({ kind: 'unsaved', because })
    const wait = this.#retry_ms
    this.#retry_ms = Math.min(2 * wait, LAST_RETRY_MS)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.retry(), wait)
  }

  /** The server has another version: ours whose confirmation got lost, or that of another tab. */
  async #mayGoOn(): Promise<boolean> {
    try {
      const { stage, draft } = await this.api.reading()
      if (stage !== this.stage) {
        const because = 'this answer was finished in another tab. Reload the page'
        this.report({ kind: 'refused', because })
        return false
      }
      if (this.#sent.some(answers => sameAnswers(answers, draft.answers))) {
        this.#version = draft.version
        return true
      }
      this.#theirs = draft
      this.report({ kind: 'conflict', theirs: draft })
    } catch (error) {
      this.#failed(error)
    }
    return false
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

/** A local copy in the browser's storage. */
export function browserCopy(readingId: number): LocalCopy {
  return stored(`reread.draft.${readingId}`)
}
