import type { Frame } from './parts'
import type { Header } from './source'

/** Images of the next case, before they are decoded. */
export interface Kept {
  /** By the address that they were read from. */
  headers: [string, Header[]][]
  frames: [string, Frame][]
}

/** What a page says to the keeper of images; only `take` and `keep_frame` are answered. */
export type ToKeeper =
  | { do: 'keep_headers'; reading: number; address: string; headers: Header[] }
  | { do: 'keep_frame'; reading: number; address: string; frame: Frame }
  | { do: 'take'; reading: number }
  | { do: 'leave' }
  | { do: 'empty' }

/** The images of one reading, up to so many bytes, given away once. */
export class KeptImages {
  #reading: number | null = null
  #headers = new Map<string, Header[]>()
  #frames = new Map<string, Frame>()
  #bytes = 0

  constructor(readonly limit_bytes: number) {}

  get bytes(): number {
    return this.#bytes
  }

  keepHeaders(reading: number, address: string, headers: Header[]): void {
    this.#only(reading)
    this.#headers.set(address, headers)
  }

  /** Keep an image; false when there is no room for it. */
  keepFrame(reading: number, address: string, frame: Frame): boolean {
    this.#only(reading)
    const size = frame.bytes.byteLength
    if (this.#bytes + size > this.limit_bytes) return false
    if (this.#frames.has(address)) return true
    this.#frames.set(address, frame)
    this.#bytes += size
    return true
  }

  /** Give away what is kept for `reading`; nothing stays, and another reading gets nothing. */
  take(reading: number): Kept {
    const mine = reading === this.#reading
    const kept: Kept = {
      headers: mine ? [...this.#headers] : [],
      frames: mine ? [...this.#frames] : [],
    }
    this.empty()
    return kept
  }

  empty(): void {
    this.#reading = null
    this.#headers.clear()
    this.#frames.clear()
    this.#bytes = 0
  }

  #only(reading: number): void {
    if (reading === this.#reading) return
    this.empty()
    this.#reading = reading
  }
}
