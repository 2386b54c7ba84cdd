import Decoder from './decoder?worker'
import { numberOf, scalingOf } from './grid'
import type { Frame } from './parts'
import { inTime, TooLate } from './patience'
import type { Header } from './source'

/*
 * Images are decoded by workers of our own, which begin with the page and need nothing of
 * Cornerstone's: to read its code takes longer than to decode and draw the first image without it.
 */

/** A slow computer needs a fraction of it. */
const DECODED_WITHIN_MS = 10_000

export type Numbers = Int16Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>

/** What a worker is asked. */
export interface Task {
  id: number
  frame: Frame
  rows: number
  columns: number
  bits: { allocated: number; stored: number; signed: boolean }
  scaling: ReturnType<typeof scalingOf>
}

/** What it answers. */
export type ToPage = { id: number; values: Numbers } | { id: number; problem: string }

interface Waiting {
  decoder: Worker
  answered(answer: ToPage): void
}

let decoders: Worker[] = []
const waiting = new Map<number, Waiting>()
let asked = 0
let restarted = -DECODED_WITHIN_MS

/** Start the workers, which read their code and that of the usual codec at once. */
export function startDecoders(): void {
  if (decoders.length > 0) return
  decoders = Array.from({ length: count() }, () => {
    const decoder = new Decoder()
    decoder.addEventListener('message', ({ data }: MessageEvent<ToPage>) => {
      waiting.get(data.id)?.answered(data)
    })
    return decoder
  })
}

/**
 * Decode an image into Hounsfield units, row by row; the bytes of `frame` go to a worker.
 *
 * @throws TooLate when no worker answers; another one is then started.
 */
export async function decode(frame: Frame, header: Header): Promise<Numbers> {
  startDecoders()
  asked += 1
  const id = asked
  const task: Task = {
    id,
    frame,
    rows: numberOf(header, '00280010', 0),
    columns: numberOf(header, '00280011', 0),
    bits: {
      allocated: numberOf(header, '00280100', 16),
      stored: numberOf(header, '00280101', 16),
      signed: numberOf(header, '00280103', 0) === 1,
    },
    scaling: scalingOf(header),
  }
  const answer = new Promise<Numbers>((resolve, reject) => {
    const decoder = leastBusy()
    const answered = (answer: ToPage) =>
      'values' in answer ? resolve(answer.values) : reject(new Error(answer.problem))
    waiting.set(id, { decoder, answered })
    decoder.postMessage(task, [frame.bytes.buffer])
  })
  try {
    return await inTime(answer, DECODED_WITHIN_MS)
  } catch (error) {
    if (error instanceof TooLate) restart()
    throw error // it is tried again
  } finally {
    waiting.delete(id)
  }
}

function leastBusy(): Worker {
  const all = [...waiting.values()]
  const tasks = (decoder: Worker) => all.filter(one => one.decoder === decoder).length
  return decoders.reduce((a, b) => (tasks(b) < tasks(a) ? b : a))
}

/**
 * A worker whose code could not be read never answers, and nothing says so; in its place, another
 * one begins.
 */
function restart(): void {
  const now = performance.now()
  if (now - restarted < DECODED_WITHIN_MS) return
  restarted = now
  for (const decoder of decoders) decoder.terminate()
  decoders = []
  startDecoders()
}

function count(): number {
  return Math.min(4, Math.max(2, (navigator.hardwareConcurrency || 4) / 2))
}
