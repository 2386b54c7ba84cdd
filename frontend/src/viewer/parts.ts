/** One image as it was sent, before it is decoded. */
export interface Frame {
  bytes: Uint8Array<ArrayBuffer>
  transfer_syntax: string
}

const BLANK_LINE = '\r\n\r\n'
const LONGEST_HEAD = 1024
const NO_TRANSFER_SYNTAX = '1.2.840.10008.1.2.1'

/** The parts of a multipart answer, whose heads say how long they are (PS3.18 8.6.1.2). */
export class Parts {
  #bytes = new Uint8Array(1 << 20)
  #held = 0

  /** Take in what has come; returns the frames that are complete now. */
  take(more: Uint8Array): Frame[] {
    this.#hold(more)
    const frames: Frame[] = []
    let at = 0
    for (let part = this.#partAt(at); part; part = this.#partAt(at)) {
      at = part.end
      const bytes = this.#bytes.slice(part.start, part.end)
      frames.push({ bytes, transfer_syntax: part.transfer_syntax })
    }
    this.#bytes.copyWithin(0, at, this.#held)
    this.#held -= at
    return frames
  }

  #hold(more: Uint8Array): void {
    const wanted = this.#held + more.length
    if (wanted > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(wanted, 2 * this.#bytes.length))
      larger.set(this.#bytes.subarray(0, this.#held))
      this.#bytes = larger
    }
    this.#bytes.set(more, this.#held)
    this.#held = wanted
  }

  #partAt(from: number): { start: number; end: number; transfer_syntax: string } | null {
    const held = this.#bytes.subarray(from, Math.min(from + LONGEST_HEAD, this.#held))
    const head = new TextDecoder('latin1').decode(held)
    const blank = head.indexOf(BLANK_LINE)
    const length = Number(/content-length: *(\d+)/i.exec(head.slice(0, blank))?.[1] ?? Number.NaN)
    if (blank < 0 || Number.isNaN(length)) return null
    const start = from + blank + BLANK_LINE.length
    const end = start + length
    return end > this.#held ? null : { start, end, transfer_syntax: syntaxIn(head.slice(0, blank)) }
  }
}

/**
 * The frame in an answer of WADO-RS (PS3.18 8.7): its first part, or all of it.
 *
 * @throws Error when the part has no end, as after a broken connection.
 */
export function readFrame(body: ArrayBuffer, contentType: string): Frame {
  const all = new Uint8Array(body)
  const boundary = /boundary="?([^";]+)"?/.exec(contentType)?.[1]
  if (!boundary) return { bytes: all, transfer_syntax: syntaxIn(contentType) }
  const separator = new TextEncoder().encode(`\r\n--${boundary}`)
  const head = new TextDecoder('latin1').decode(all.subarray(0, LONGEST_HEAD))
  const start = head.indexOf(BLANK_LINE, head.indexOf(`--${boundary}`))
  const end = lastIndexOf(all, separator)
  if (start < 0 || end < start + BLANK_LINE.length) throw new Error('the image is incomplete')
  return {
    bytes: all.slice(start + BLANK_LINE.length, end),
    transfer_syntax: syntaxIn(head.slice(0, start)),
  }
}

function syntaxIn(text: string): string {
  return /transfer-syntax="?([\d.]+)"?/i.exec(text)?.[1] ?? NO_TRANSFER_SYNTAX
}

/** Where `part` begins for the last time in `all`, or -1. */
function lastIndexOf(all: Uint8Array, part: Uint8Array): number {
  for (let at = all.length - part.length; at >= 0; at--) {
    if (part.every((byte, i) => all[at + i] === byte)) return at
  }
  return -1
}
