import type { PatientPoint, Series } from '../api/types'
import { cross, dot, subtract } from './geometry'
import type { Kept } from './kept'

/** Headers of one image, as DICOM JSON. */
export type Header = Record<string, { Value?: unknown[] } | undefined>

/** One image as it was sent, before it is decoded. */
export interface Frame {
  bytes: Uint8Array<ArrayBuffer>
  transfer_syntax: string
}

/** As many as the loader will ask for at a time. */
const ASKED_AHEAD = 6

/** A request that hangs is given up, so that it can be tried again. */
const PATIENCE_MS = 20_000

const headersAsked = new Map<string, Promise<Header[]>>()
const framesAsked = new Map<string, Promise<Frame>>()

/**
 * Ask for what the first picture needs while the code of the viewer is still being read: the
 * headers, and the images around `start`.
 */
export async function askAhead(series: Series, start: PatientPoint | null): Promise<void> {
  const headers = await headersOf(series)
  for (const header of nearestFirst(headers, start).slice(0, ASKED_AHEAD)) {
    const address = addressOf(series, header)
    if (framesAsked.has(address)) continue
    const frame = fetchFrame(address)
    frame.catch(() => framesAsked.delete(address)) // whoever needs it will ask again
    framesAsked.set(address, frame)
  }
}

/** Take in what was fetched before this page was opened. */
export function offer({ headers, frames }: Kept): void {
  for (const [address, one] of headers) headersAsked.set(address, Promise.resolve(one))
  for (const [address, one] of frames) framesAsked.set(address, Promise.resolve(one))
}

/** The headers of a series, asked for once. */
export function headersOf(series: Series): Promise<Header[]> {
  const address = addressOfHeaders(series)
  const asked = headersAsked.get(address)
  if (asked) return asked
  const headers = fetchHeaders(address)
  headersAsked.set(address, headers)
  headers.catch(() => headersAsked.delete(address))
  return headers
}

/** The image at `address`, from what was asked for ahead or from the server. */
export function frameAt(address: string): Promise<Frame> {
  const asked = framesAsked.get(address)
  framesAsked.delete(address) // the viewer keeps it decoded
  return asked ?? fetchFrame(address)
}

export function addressOf(series: Series, header: Header): string {
  const number = header['00200013']?.Value?.[0] // along the normal of the series, from 1
  const path = `${addressOfSeries(series)}/slices/${number}/frames/1`
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
    headers: { Accept: 'multipart/related; type="application/octet-stream"; transfer-syntax=*' },
  })
  if (!response.ok) throw new Error(`the image was refused: ${response.status}`)
  return readFrame(await response.arrayBuffer(), response.headers.get('Content-Type') ?? '')
}

const NO_TRANSFER_SYNTAX = '1.2.840.10008.1.2.1'

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
  const [BLANK_LINE, LONGEST_HEAD] = ['\r\n\r\n', 1024]
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
