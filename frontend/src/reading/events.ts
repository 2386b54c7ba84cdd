import type { Api } from '../api/client'
import type { RoomEvent, Stage } from '../api/types'
import { uuid } from '../api/uuid'
import type { Outbox } from '../outbox/box'
import { obstacleOf } from '../outbox/deliver'

const SEND_AFTER_MS = 5_000
const MOST_AT_ONCE = 100
/** Some hours of reading without a connection, and what fits a browser's storage. */
const MOST_BATCHES = 60

interface Batch {
  name: string
  events: RoomEvent[]
}

/**
 * Collects what happens in the room and sends it in batches; it never makes anyone wait.
 *
 * Until the server has acknowledged a batch it is kept in the outbox, for whichever page comes next.
 */
export class EventQueue {
  stage: Stage = 'unaided'
  /** Which loading of the page this is: its clock starts anew with each. */
  readonly page = uuid()
  #batches: Batch[] = []
  #made = 0
  #lost = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #sending: Batch | null = null
  #left = new Set<string>()
  #held = new Map<string, { at: number; timer?: ReturnType<typeof setTimeout> }>()

  constructor(
    readonly api: Pick<Api, 'sendEvents'>,
    readonly box: Pick<Outbox, 'keepEvents' | 'drop'>,
    readonly reading: number,
    readonly now: () => number = () => performance.now(),
  ) {}

  add(kind: string, data: Record<string, unknown> = {}): void {
    const event = {
      key: uuid(),
      kind,
      stage: this.stage,
      monotonic_ms: this.now(),
      data: { ...data, page: this.page },
    }
    const batch = this.#open()
    batch.events.push(event)
    this.box.keepEvents(batch.name, { reading: this.reading, events: batch.events })
    this.#timer ??= setTimeout(() => this.#send(), SEND_AFTER_MS)
  }

  /** Add at most one event of a `group` per `every_ms`; the last one is never left out. */
  addThrottled(group: string, kind: string, data: Record<string, unknown>, every_ms = 250): void {
    const held = this.#held.get(group) ?? { at: Number.NEGATIVE_INFINITY }
    clearTimeout(held.timer)
    const write = () => {
      this.#held.set(group, { at: this.now() })
      this.add(kind, data)
    }
    const wait = held.at + every_ms - this.now()
    if (wait <= 0) write()
    else this.#held.set(group, { at: held.at, timer: setTimeout(write, wait) })
  }

  /** Whether an outbox's name is one of this page's. */
  isMine = (name: string): boolean => name.includes(this.page)

  /** Send what is waiting while the page goes away. */
  leave(): void {
    for (const { events } of this.#batches) {
      const going = events.filter(({ key }) => !this.#left.has(key))
      // Should the page stay, these are sent again; the server knows them by their keys.
      if (going.length > 0) this.api.sendEvents(going, true).catch(() => {})
      for (const { key } of going) this.#left.add(key)
    }
  }

  /** The batch that is being filled: never one that is on its way. */
  #open(): Batch {
    const last = this.#batches.at(-1)
    if (last && last !== this.#sending && last.events.length < MOST_AT_ONCE) return last
    const batch: Batch = { name: `${this.reading}.${this.page}.${this.#made++}`, events: [] }
    this.#batches.push(batch)
    const [oldest] = this.#batches
    if (this.#batches.length > MOST_BATCHES && oldest && oldest !== this.#sending) {
      this.#lost += oldest.events.length
      this.#forget(oldest)
      // Whoever derives times from these must know that some are missing.
      this.addThrottled('events_lost', 'events_lost', { count: this.#lost }, 60_000)
    }
    return batch
  }

  async #send(): Promise<void> {
    this.#timer = undefined
    const [batch] = this.#batches
    if (this.#sending !== null || !batch) return
    this.#sending = batch
    try {
      await this.api.sendEvents(batch.events)
      this.#forget(batch)
    } catch (error) {
      // What the server will never take must not hold up the rest; all else waits for its turn.
      if (obstacleOf(error) === null) this.#forget(batch)
    }
    this.#sending = null
    if (this.#batches.length > 0) this.#timer ??= setTimeout(() => this.#send(), SEND_AFTER_MS)
  }

  #forget(batch: Batch): void {
    this.#batches = this.#batches.filter(each => each !== batch)
    this.box.drop('events', batch.name)
  }
}
