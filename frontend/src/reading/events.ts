import { type Api, Refusal } from '../api/client'
import type { RoomEvent } from '../api/types'

const SEND_AFTER_MS = 5_000
const MOST_AT_ONCE = 100
const MOST_KEPT = 2_000

/** Collects what happens in the room and sends it in batches; it never makes anyone wait. */
export class EventQueue {
  stage = 'unaided'
  /** Which loading of the page this is: its clock starts anew with each. */
  readonly page = randomKey()
  #waiting: RoomEvent[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #sending = false
  #left = new Set<string>()
  #held = new Map<string, { at: number; timer?: ReturnType<typeof setTimeout> }>()

  constructor(
    readonly api: Pick<Api, 'sendEvents'>,
    readonly now: () => number = () => performance.now(),
  ) {}

  add(kind: string, data: Record<string, unknown> = {}): void {
    const event = {
      key: randomKey(),
      kind,
      stage: this.stage,
      monotonic_ms: this.now(),
      data: { ...data, page: this.page },
    }
    this.#waiting = [...this.#waiting, event].slice(-MOST_KEPT)
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

  /** Send what is waiting while the page goes away. */
  leave(): void {
    const going = this.#waiting.filter(({ key }) => !this.#left.has(key))
    for (let i = 0; i < going.length; i += MOST_AT_ONCE) {
      // Should the page stay, these are sent again; the server knows them by their keys.
      this.api.sendEvents(going.slice(i, i + MOST_AT_ONCE), true).catch(() => {})
    }
    for (const { key } of going) this.#left.add(key)
  }

  async #send(): Promise<void> {
    this.#timer = undefined
    if (this.#sending) return
    this.#sending = true
    const batch = this.#waiting.slice(0, MOST_AT_ONCE)
    try {
      await this.api.sendEvents(batch)
      this.#forget(batch)
    } catch (error) {
      // What the server will never take must not hold up the rest; all else waits for its turn.
      if (error instanceof Refusal && error.code !== 'not_authenticated') this.#forget(batch)
    }
    this.#sending = false
    if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#send(), SEND_AFTER_MS)
  }

  #forget(batch: RoomEvent[]): void {
    const keys = new Set(batch.map(({ key }) => key))
    this.#waiting = this.#waiting.filter(({ key }) => !keys.has(key))
  }
}

/** A version 4 UUID; `crypto.randomUUID` exists on secure origins only. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
