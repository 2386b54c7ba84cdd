import type { PatientPoint, Reading, Series } from '../api/types'
import { decode } from './decoding'
import keeperCode from './keeper?worker&url'
import { bufferOf, type Kept, type Stored, type ToKeeper } from './kept'
import type { Frame } from './parts'
import { inTime } from './patience'
import {
  addressOf,
  addressOfHeaders,
  addressOfSlices,
  blocksNearestFirst,
  fetchFrame,
  fetchFrames,
  fetchHeaders,
  type Header,
  offer,
} from './source'

/** The case after this one, prepared while this one is read. */
export interface NextCase {
  /** Fetch its images, beginning with the slices round the nodule; for when the line is free. */
  prepare(): void
  /** The page goes away to the next case: what is prepared is kept for it. */
  going(): void
}

/** A keeper that does not answer holds no case up; it may take its time to store an image. */
const TAKEN_WITHIN_MS = 3_000
const KEPT_WITHIN_MS = 30_000
const ATTEMPTS_PER_IMAGE = 3

/**
 * So much of a case is decoded already, far more than most have; of what goes beyond it, several
 * times as much can be kept as it was sent.
 */
const DECODED_BYTES = 192 * 1024 * 1024

/**
 * Speak to the keeper of images, see `keeper.ts`; null where the browser has none that outlives a
 * page (so far all but Chrome and Edge), and the next case is then read when it is opened.
 */
function keeper(): MessagePort | null {
  if (typeof SharedWorker === 'undefined') return null
  const options: WorkerOptions & { extendedLifetime: boolean } = {
    type: 'module',
    name: 'reread-next-case',
    extendedLifetime: true,
  }
  try {
    const { port } = new SharedWorker(keeperCode, options)
    port.start()
    return port
  } catch {
    return null
  }
}

function ask<T>(
  port: MessagePort,
  message: ToKeeper,
  within_ms: number,
  transfer: Transferable[] = [],
): Promise<T> {
  const answer = new Promise<T>(resolve => {
    port.addEventListener('message', ({ data }: MessageEvent<T>) => resolve(data), { once: true })
    port.postMessage(message, transfer)
  })
  return inTime(answer, within_ms)
}

/** Read an image, again where it fails. */
async function fetchPatiently(address: string): Promise<Frame> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchFrame(address)
    } catch (error) {
      if (attempt === ATTEMPTS_PER_IMAGE) throw error
    }
  }
}

/** Take over what the page before has prepared for `reading`. */
export async function takePrepared(reading: number): Promise<void> {
  const port = keeper()
  if (port === null) return
  const kept = await ask<Kept>(port, { do: 'take', reading }, TAKEN_WITHIN_MS).catch(() => null)
  if (kept) offer(kept)
}

/** Prepare the reading at the address `next`; it is not opened, and nothing but images is asked. */
export function nextCase(next: string | null, read: (id: number) => Promise<Reading>): NextCase {
  const id = Number(/\/reading\/(\d+)/.exec(next ?? '')?.[1] ?? Number.NaN)
  const port = Number.isNaN(id) ? null : keeper()
  if (port === null) return { prepare: () => {}, going: () => {} }
  let [begun, stopped, going] = [false, false, false]
  let decoded_bytes = 0
  const tell = (message: ToKeeper) => port.postMessage(message)

  const prepare = async (): Promise<void> => {
    const { series, nodules } = await read(id)
    const [first] = series
    const prior = series.find(one => one.prior)
    if (first) await prepareSeries(first, nodules[0]?.centre_mm ?? null)
    if (prior && !stopped) await prepareSeries(prior, null)
    performance.mark('next_prepared')
  }
  const prepareSeries = async (of: Series, start: PatientPoint | null): Promise<void> => {
    if (stopped) return
    const address = addressOfHeaders(of)
    const headers = await fetchHeaders(address)
    if (stopped) return
    tell({ do: 'keep_headers', reading: id, address, headers })
    // One request at a time: answers and events must not wait for images.
    for (const [from, to] of blocksNearestFirst(headers, start)) {
      const alone = from === to
      const frames = alone ? [] : fetchFrames(addressOfSlices(of, from, to), to - from + 1)
      for (let i = 0; i <= to - from; i++) {
        const address = addressOf(of, headers[from + i] ?? {})
        const again = () => fetchPatiently(address)
        const frame = await (frames[i]?.catch(again) ?? again())
        const image = await ready(frame, headers[from + i] ?? {}).catch(() => null)
        if (stopped) return
        if (image === null) continue // the next page tries it again
        const message = { do: 'keep_image', reading: id, address, image } as const
        if (!(await ask<boolean>(port, message, KEPT_WITHIN_MS, [bufferOf(image)]))) return
      }
    }
  }
  const ready = async (frame: Frame, header: Header): Promise<Stored> => {
    if (decoded_bytes >= DECODED_BYTES) return frame
    const image = await decode(frame, header)
    decoded_bytes += image.byteLength
    return image
  }
  addEventListener('pagehide', () => {
    stopped = true
    tell({ do: going ? 'leave' : 'empty' })
  })
  return {
    prepare: () => {
      if (begun) return
      begun = true
      prepare().catch(() => {}) // the next page reads what is missing
    },
    going: () => {
      going = true
    },
  }
}
