import type { Numbers } from './decoding'
import type { Frame } from './parts'
import type { Header } from './source'

/** An image as it was sent, or in Hounsfield units. */
export type Stored = Frame | Numbers

/** Images of the next case. */
export interface Kept {
  /** By the address that they were read from. */
  headers: [string, Header[]][]
  images: [string, Stored][]
}

/** What a page says to the keeper of images; only `take` and `keep_image` are answered. */
export type ToKeeper =
  | { do: 'keep_headers'; reading: number; address: string; headers: Header[] }
  | { do: 'keep_image'; reading: number; address: string; image: Stored }
  | { do: 'take'; reading: number }
  | { do: 'leave' }
  | { do: 'empty' }

/** The images of one reading, up to so many bytes, given away once. */
export class KeptImages {
  #reading: number | null = null
  #headers = new Map<string, Header[]>()
  #images = new Map<string, Stored>()
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
  keepImage(reading: number, address: string, image: Stored): boolean {
    this.#only(reading)
    const size = bufferOf(image).byteLength
    if (this.#bytes + size > this.limit_bytes) return false
    if (this.#images.has(address)) return true
    this.#images.set(address, image)
    this.#bytes += size
    return true
  }

  /** Give away what is kept for `reading`; nothing stays, and another reading gets nothing. */
  take(reading: number): Kept {
    const mine = reading === this.#reading
    const kept: Kept = {
      headers: mine ? [...this.#headers] : [],
      images: mine ? [...this.#images] : [],
    }
    this.empty()
    return kept
  }

  empty(): void {
    this.#reading = null
    this.#headers.clear()
    this.#images.clear()
    this.#bytes = 0
  }

  #only(reading: number): void {
    if (reading === this.#reading) return
    this.empty()
    this.#reading = reading
  }
}

/** The memory of an image, which is handed from page to worker and back, and not copied. */
export function bufferOf(image: Stored): ArrayBuffer {
  return 'bytes' in image ? image.bytes.buffer : image.buffer
}
