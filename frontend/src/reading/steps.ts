import { uuid } from '../api/uuid'
import type { Outbox, Parcel } from '../outbox/box'
import { type Delivery, deliver, type Obstacle, type Postman } from '../outbox/deliver'
import { FIRST_RETRY_MS, LAST_RETRY_MS } from './draft'

/** A lock or submission on its way, as the reader is told. */
export interface Waiting {
  since: string
  because: Obstacle
  kept: boolean
}

/** Brings the step that ends a stage to the server, however long that takes. */
export class StepSender {
  #parcel: Parcel | null = null
  #name = ''
  #timer: ReturnType<typeof setTimeout> | undefined
  #sending = false
  #retry_ms = FIRST_RETRY_MS

  constructor(
    readonly api: Postman,
    readonly box: Outbox,
    /** What became of it, once something did. */
    readonly ended: (delivery: Delivery, parcel: Parcel) => void,
    readonly waits: (waiting: Waiting) => void,
  ) {}

  /** Send `parcel`, under the name that it is kept by if another page has left it. */
  send(parcel: Parcel, name = `${parcel.reading}.${parcel.step}.${uuid()}`): Promise<void> {
    this.#parcel = parcel
    this.#name = name
    this.#retry_ms = FIRST_RETRY_MS
    return this.#try()
  }

  /** Try again now, the connection may be back. */
  retry(): void {
    if (this.#parcel !== null) this.#try()
  }

  /** The reader has thought better of it. What has arrived already is done all the same. */
  takeBack(): void {
    clearTimeout(this.#timer)
    this.#parcel = null
    this.box.drop('answers', this.#name)
  }

  async #try(): Promise<void> {
    const parcel = this.#parcel
    if (parcel === null || this.#sending) return
    clearTimeout(this.#timer)
    this.#sending = true
    const keep = () => this.#parcel === parcel && this.box.keep(this.#name, parcel)
    const delivery = await deliver(this.api, parcel, keep)
    this.#sending = false
    const wanted = this.#parcel === parcel
    if (!wanted && delivery.kind !== 'done') return void this.retry() // another may be waiting
    if (delivery.kind === 'waiting') {
      const { because } = delivery
      this.waits({ since: parcel.since, because, kept: this.box.keeps })
      this.#timer = setTimeout(() => this.retry(), this.#retry_ms)
      this.#retry_ms = Math.min(2 * this.#retry_ms, LAST_RETRY_MS)
      return
    }
    this.#parcel = null
    // Of a stage that was finished elsewhere it stays, to be copied from.
    if (delivery.kind !== 'ended') this.box.drop('answers', this.#name)
    this.ended(delivery, parcel)
  }
}
