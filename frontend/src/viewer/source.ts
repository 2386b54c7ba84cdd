import type { PatientPoint, Series } from '../api/types'
import { cross, dot, subtract } from './geometry'
import type { Kept, Stored } from './kept'
import { type Frame, Parts, readFrame } from './parts'

/** Headers of one image, as DICOM JSON. */
export type Header = Record<string, { Value?: unknown[] } | undefined>

/** So many of the slices nearest to the start are asked for before the viewer asks. */
const ASKED_AHEAD = 8

/**
 * Slices that one request brings: asked for alone, each costs the site as much as all of them. The
 * page says how many; one by one where a proxy keeps single slices, or where it says nothing.
 */
function together(): number {
  return Number(document.body.dataset.together) || 1
}

/** Frames as they are stored. */
const ANY_FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'

/** A request that hangs is given up, so that it can be tried again. */
const PATIENCE_MS = 20_000

const headersAsked = new Map<string, Promise<Header[]>>()
const framesAsked = new Map<string, Promise<Stored>>()
/** What has been handed out: who asks again, had no luck with it. */
const handedOut = new Set<string>()
/** Which slice of which series an address is. */
const places = new Map<string, { series: Series; index: number; addresses: string[] }>()

/**
 * Ask for what the first picture needs while the code of the viewer is still being read: the
 * headers, and the images around `start`.
 */
export async function askAhead(series: Series, start: PatientPoint | null): Promise<void> {
  const headers = await headersOf(series)
  const [first, ...others] = nearestFirst(headers, start).slice(0, ASKED_AHEAD)
  if (!first) return
  // Alone, so that it waits for no other.
  const address = addressOf(series, first)
  if (!framesAsked.has(address)) ask([address], [fetchFrame(address)])
  for (const header of others) askTogether(addressOf(series, header))
}

function ask(addresses: readonly string[], frames: readonly Promise<Frame>[]): void {
  frames.forEach((frame, i) => {
    const address = addresses[i] ?? ''
    framesAsked.set(address, frame)
    frame.catch(() => framesAsked.delete(address)) // whoever needs it will ask again
  })
}

/** Ask for a slice with those beside it that nobody has asked for. */
function askTogether(address: string): void {
  const place = places.get(address)
  if (!place || framesAsked.has(address)) return
  const { series, index, addresses } = place
  const block = Math.floor(index / together())
  const isFree = (at: number) => {
    const one = addresses[at]
    const here = Math.floor(at / together()) === block
    return here && one !== undefined && !framesAsked.has(one) && !handedOut.has(one)
  }
  let [first, last] = [index, index]
  while (isFree(first - 1)) first -= 1
  while (isFree(last + 1)) last += 1
  const wanted = addresses.slice(first, last + 1)
  const frames =
    wanted.length === 1
      ? [fetchFrame(address)]
      : fetchFrames(addressOfSlices(series, first, last), wanted.length)
  ask(wanted, frames)
}

/** Take in what was fetched before this page was opened. */
export function offer({ headers, images }: Kept): void {
  for (const [address, one] of headers) headersAsked.set(address, Promise.resolve(one))
  for (const [address, one] of images) framesAsked.set(address, Promise.resolve(one))
}

/** The headers of a series, asked for once. */
export async function headersOf(series: Series): Promise<Header[]> {
  const address = addressOfHeaders(series)
  const asked = headersAsked.get(address) ?? fetchHeaders(address)
  headersAsked.set(address, asked)
  asked.catch(() => headersAsked.delete(address))
  const headers = await asked
  const addresses = headers.map(header => addressOf(series, header))
  addresses.forEach((address, index) => {
    places.set(address, { series, index, addresses })
  })
  return headers
}

/** The image at `address`, from what was prepared or asked for ahead, or from the server. */
export function imageAt(address: string): Promise<Stored> {
  if (!handedOut.has(address)) askTogether(address)
  const asked = framesAsked.get(address)
  framesAsked.delete(address) // the viewer keeps it decoded
  handedOut.add(address)
  return asked ?? fetchFrame(address)
}

export function addressOf(series: Series, header: Header): string {
  const number = header['00200013']?.Value?.[0] // along the normal of the series, from 1
  const path = `${addressOfSeries(series)}/slices/${number}/frames/1`
  return new URL(path, document.baseURI).href
}

/** Of slices `first` to `last`, counted from 0 in the order of the headers. */
export function addressOfSlices(series: Series, first: number, last: number): string {
  const path = `${addressOfSeries(series)}/frames/${first + 1}-${last + 1}`
  return new URL(path, document.baseURI).href
}

export function addressOfHeaders(series: Series): string {
  return `${addressOfSeries(series)}/metadata`
}

function addressOfSeries({ dicomweb, study_uid, series_uid }: Series): string {
  return `${dicomweb}/studies/${study_uid}/series/${series_uid}`
}

/** Headers by their distance from the slice through `start`, or from the middle one. */
export function nearestFirst(headers: Header[], start: PatientPoint | null): Header[] {
  const middle = (headers.length - 1) / 2
  const distance = (header: Header, index: number): number => {
    const position = header['00200032']?.Value as PatientPoint | undefined
    const axes = header['00200037']?.Value as number[] | undefined
    if (!start || !position || axes?.length !== 6) return Math.abs(index - middle)
    const [rx = 0, ry = 0, rz = 0, cx = 0, cy = 0, cz = 0] = axes
    return Math.abs(dot(subtract(start, position), cross([rx, ry, rz], [cx, cy, cz])))
  }
  return headers
    .map((header, index) => ({ header, distance: distance(header, index) }))
    .sort((a, b) => a.distance - b.distance)
    .map(({ header }) => header)
}

/** First and last slice of what is asked for together, from 0, by their distance from `start`. */
export function blocksNearestFirst(
  headers: Header[],
  start: PatientPoint | null,
): [number, number][] {
  const indices = new Map(headers.map((header, index) => [header, index]))
  const blocks = nearestFirst(headers, start).map(header =>
    Math.floor((indices.get(header) ?? 0) / together()),
  )
  return [...new Set(blocks)].map(block => [
    block * together(),
    Math.min((block + 1) * together(), headers.length) - 1,
  ])
}

/** Read the headers at `address`, whatever was asked for before. */
export async function fetchHeaders(address: string): Promise<Header[]> {
  const response = await fetch(address, {
    credentials: 'same-origin',
    signal: AbortSignal.timeout(PATIENCE_MS),
    headers: { Accept: 'application/dicom+json' },
  })
  const headers = response.ok ? await response.json() : null
  if (!Array.isArray(headers) || headers.length === 0) throw new Error('no headers')
  return headers
}

/** Read the image at `address`, whatever was asked for before. */
export async function fetchFrame(address: string): Promise<Frame> {
  const response = await fetch(address, {
    credentials: 'same-origin',
    signal: AbortSignal.timeout(PATIENCE_MS),
    headers: { Accept: ANY_FRAME },
  })
  if (!response.ok) throw new Error(`the image was refused: ${response.status}`)
  return readFrame(await response.arrayBuffer(), response.headers.get('Content-Type') ?? '')
}

/** Read the `count` images at `address`; each comes as soon as it is there. */
export function fetchFrames(address: string, count: number): Promise<Frame>[] {
  const waiting = Array.from({ length: count }, () => {
    let settle = { resolve: (_: Frame) => {}, reject: (_: unknown) => {} }
    const frame = new Promise<Frame>((resolve, reject) => {
      settle = { resolve, reject }
    })
    return { frame, ...settle }
  })
  const read = async (): Promise<void> => {
    let came = 0
    for await (const frame of readFrames(address)) waiting[came++]?.resolve(frame)
    if (came < count) throw new Error('an image is missing')
  }
  read().catch(error => {
    for (const { reject } of waiting) reject(error) // what has come stays
  })
  return waiting.map(({ frame }) => frame)
}

async function* readFrames(address: string): AsyncGenerator<Frame> {
  const giveUp = new AbortController()
  let patience = setTimeout(() => giveUp.abort(), PATIENCE_MS)
  try {
    const response = await fetch(address, {
      credentials: 'same-origin',
      signal: giveUp.signal,
      headers: { Accept: ANY_FRAME },
    })
    if (!response.ok || !response.body) throw new Error(`refused: ${response.status}`)
    const parts = new Parts()
    const reader = response.body.getReader()
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      clearTimeout(patience)
      patience = setTimeout(() => giveUp.abort(), PATIENCE_MS)
      yield* parts.take(read.value)
    }
  } finally {
    clearTimeout(patience)
  }
}
