import type { AnsweringStage, Answers, RoomEvent } from '../api/types'

/** Answers on their way to the server. Nothing of the AI has a place in it. */
export interface Parcel {
  reading: number
  /** The case, as the reader knows it. */
  case: string
  stage: AnsweringStage
  /** A draft is saved; the others end the stage. */
  step: 'draft' | 'lock' | 'submit'
  /** The draft of the server that these answers follow. */
  version: number
  answers: Answers
  /** Names these very answers, so that they are stored once, however often they are said. */
  key: string
  /** Keys that were sent and not acknowledged: they may have arrived all the same. */
  sent: string[]
  /** Since when it waits, in ISO 8601. */
  since: string
}

export interface EventParcel {
  reading: number
  events: RoomEvent[]
}

const PREFIX = 'reread.outbox'

/**
 * What a reader has done and the server has not acknowledged, kept by the browser: it outlives a
 * closed tab. The storage is written before anything is sent and read by whichever page comes next.
 *
 * Each page writes under names of its own, so that two tabs never write over each other. A parcel
 * taken over by another page keeps its key: should both send it, it is stored once.
 */
export class Outbox {
  /** False once something could not be written: then only the open page has it. */
  keeps = true

  constructor(
    /** Names the user in this browser and says nothing of who it is. */
    readonly user: string,
    readonly storage: Storage | null = browserStorage(),
  ) {}

  keep(name: string, parcel: Parcel): void {
    this.keeps = this.#write('answers', name, parcel)
    if (this.keeps) return
    // A full storage is full of events, and answers matter more.
    for (const [other] of this.events()) this.drop('events', other)
    this.keeps = this.#write('answers', name, parcel)
  }

  keepEvents(name: string, parcel: EventParcel): void {
    this.#write('events', name, parcel)
  }

  drop(kind: 'answers' | 'events', name: string): void {
    this.#attempt(() => this.storage?.removeItem(this.#address(kind, name)))
  }

  /** Answers that wait, the latest first; of one reading or of all. */
  parcels(reading?: number): [string, Parcel][] {
    return this.#read<Parcel>('answers')
      .filter(([, parcel]) => reading === undefined || parcel.reading === reading)
      .sort(([, a], [, b]) => (a.since < b.since ? 1 : -1))
  }

  events(): [string, EventParcel][] {
    return this.#read<EventParcel>('events')
  }

  /** Forget everything of this user. */
  empty(): void {
    for (const [name] of this.parcels()) this.drop('answers', name)
    for (const [name] of this.events()) this.drop('events', name)
  }

  /** Tell the other tabs that something of a reading has changed, or that somebody signed in. */
  announce(news: string): void {
    this.#attempt(() => this.storage?.setItem(`reread.news.${news}`, String(Date.now())))
  }

  #address(kind: string, name: string): string {
    return `${PREFIX}.${this.user}.${kind}.${name}`
  }

  #write(kind: 'answers' | 'events', name: string, value: unknown): boolean {
    const { storage } = this
    const written = this.#attempt(() => {
      storage?.setItem(this.#address(kind, name), JSON.stringify(value))
      return storage !== null
    })
    return written === true
  }

  #read<T>(kind: string): [string, T][] {
    const start = this.#address(kind, '')
    const found: [string, T][] = []
    this.#attempt(() => {
      const storage = this.storage
      for (let i = 0; storage && i < storage.length; i++) {
        const address = storage.key(i)
        if (!address?.startsWith(start)) continue
        const value = this.#attempt(() => JSON.parse(storage.getItem(address) ?? 'null'))
        if (value) found.push([address.slice(start.length), value as T])
      }
    })
    return found
  }

  #attempt<T>(what: () => T): T | null {
    try {
      return what()
    } catch {
      return null
    }
  }
}

/** The storage, which a browser may refuse. */
function browserStorage(): Storage | null {
  try {
    return localStorage
  } catch {
    return null
  }
}

/** Call back when another tab announces `news`; returns how to stop. */
export function onNews(news: string, then: () => void): () => void {
  const listen = ({ key }: StorageEvent) => {
    if (key === `reread.news.${news}`) then()
  }
  addEventListener('storage', listen)
  return () => removeEventListener('storage', listen)
}
