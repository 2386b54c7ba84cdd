import { afterEach, expect, test, vi } from 'vitest'
import { aSeries } from '../reading/testing'
import { type Frame, Parts, readFrame } from './parts'
import { addressOf, askAhead, type Header, headersOf, imageAt, nearestFirst } from './source'

const JPEG_LS = '1.2.840.10008.1.2.4.80'
const TYPE = 'multipart/related; type="image/jls"; boundary=abc'

function multipart(bytes: number[], end = '\r\n--abc--\r\n'): ArrayBuffer {
  const head = `--abc\r\nContent-Type: image/jls; transfer-syntax=${JPEG_LS}\r\n\r\n`
  const text = (words: string) => [...new TextEncoder().encode(words)]
  return new Uint8Array([...text(head), ...bytes, ...text(end)]).buffer
}

function header(index: number): Header {
  return {
    '00080018': { Value: [`1.${index}`] },
    '00200013': { Value: [index + 1] },
    '00200032': { Value: [-100, -100, -50 + 2.5 * index] },
    '00200037': { Value: [1, 0, 0, 0, 1, 0] },
  }
}
const HEADERS = Array.from({ length: 40 }, (_, index) => header(index))
const uids = (headers: Header[]) => headers.map(one => one['00080018']?.Value?.[0])

afterEach(() => {
  vi.unstubAllGlobals()
})

test('a frame is the first part of an answer, with the transfer syntax it was sent in', () => {
  const frame = readFrame(multipart([255, 216, 13, 10, 45, 45, 7]), TYPE)
  expect([...frame.bytes]).toEqual([255, 216, 13, 10, 45, 45, 7])
  expect(frame.transfer_syntax).toBe(JPEG_LS)
})

test('a frame that was cut off on its way is no frame', () => {
  expect(() => readFrame(multipart([1, 2, 3], ''), TYPE)).toThrow('incomplete')
})

test('a frame may come without parts', () => {
  const type = `image/jls; transfer-syntax=${JPEG_LS}`
  const frame = readFrame(new Uint8Array([1, 2]).buffer, type)
  expect(frame).toEqual({ bytes: new Uint8Array([1, 2]), transfer_syntax: JPEG_LS })
})

test('the parts of an answer are frames as soon as they are complete', () => {
  const part = (bytes: number[]) => {
    const type = `Content-Type: image/jls; transfer-syntax=${JPEG_LS}`
    const head = `--abc\r\n${type}\r\nContent-Length: ${bytes.length}\r\n\r\n`
    return [...new TextEncoder().encode(head), ...bytes, 13, 10]
  }
  const body = Uint8Array.from([...part([13, 10, 45]), ...part([]), ...part([7, 8])])
  for (const step of [1, 50, body.length]) {
    const parts = new Parts()
    const frames = []
    for (let at = 0; at < body.length; at += step) {
      frames.push(...parts.take(body.subarray(at, at + step)))
    }
    expect(frames.map(({ bytes }) => [...bytes])).toEqual([[13, 10, 45], [], [7, 8]])
    expect(frames[2]?.transfer_syntax).toBe(JPEG_LS)
  }
})

test('the slices round the nodule come first, then the ones farther out', () => {
  // z is -50 + 2.5 k: the nodule at -30.5 lies in slice 8, and slice 7 is nearer than slice 9.
  expect(uids(nearestFirst(HEADERS, [0, 0, -30.5])).slice(0, 3)).toEqual(['1.8', '1.7', '1.9'])
  expect(uids(nearestFirst(HEADERS, null)).slice(0, 2)).toEqual(['1.19', '1.20'])
})

test('slices that follow each other are asked for together, and none of them twice', async () => {
  document.body.dataset.together = '8'
  const asked: string[] = []
  vi.stubGlobal('fetch', async (address: string) => {
    asked.push(address.replace(/.*\/series\/2\//, ''))
    if (address.endsWith('/metadata')) return Response.json(HEADERS)
    const [first = 1, last = first] = (/frames\/(.*)/.exec(address)?.[1] ?? '')
      .split('-')
      .map(Number)
    const parts = Array.from({ length: last - first + 1 }, (_, i) => {
      const head = `--abc\r\nContent-Type: image/jls; transfer-syntax=${JPEG_LS}\r\n`
      return `${head}Content-Length: 1\r\n\r\n${String.fromCharCode(first + i)}\r\n`
    })
    return new Response(`${parts.join('')}--abc--`, { headers: { 'Content-Type': TYPE } })
  })
  const series = aSeries({ study_uid: '1', series_uid: '2', slices: 40 })
  await askAhead(series, [0, 0, -30])
  // The slice at the nodule alone, and the eight nearest in the blocks they belong to.
  expect(asked).toEqual(['metadata', 'slices/9/frames/1', 'frames/1-8', 'frames/10-16'])
  expect(await headersOf(series)).toEqual(HEADERS)
  const frame = async (index: number) =>
    [...((await imageAt(addressOf(series, header(index)))) as Frame).bytes][0]
  for (const index of [6, 7, 9, 10, 0]) expect(await frame(index)).toBe(index + 1)
  expect(asked.length).toBe(4)
  expect(await frame(17)).toBe(18)
  expect(asked.at(-1)).toBe('frames/17-24')
  await frame(17) // the viewer asks a second time only after a failure
  expect(asked.at(-1)).toBe('slices/18/frames/1')
})

test('what failed ahead is asked for again', async () => {
  vi.stubGlobal('fetch', async () => {
    throw new TypeError('no connection')
  })
  const series = aSeries({ study_uid: '1', series_uid: '3', slices: 40 })
  await expect(askAhead(series, null)).rejects.toThrow()
  vi.stubGlobal('fetch', async () => Response.json(HEADERS))
  expect((await headersOf(series)).length).toBe(40)
})
