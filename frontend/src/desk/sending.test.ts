import { afterEach, describe, expect, it, vi } from 'vitest'
import { send } from './sending'

/** A server that keeps what it is sent, and is gone whenever `gone` says so. */
function server(gone: () => boolean) {
  const names: string[] = []
  const bytes = new Map<number, number[]>()
  const parts: number[] = []
  const answer = (value: unknown) => ({ ok: true, redirected: false, json: async () => value })
  const fetched = async (address: string, { body }: { body: string | Blob }) => {
    if (gone()) throw new TypeError('network')
    if (typeof body === 'string') {
      const files = (JSON.parse(body) as [string, number][]).map(([path, size]) => {
        if (!names.includes(path)) names.push(path)
        const id = names.indexOf(path)
        return { id, path, size, received: bytes.get(id)?.length ?? 0 }
      })
      return answer({ files })
    }
    const [, id, offset] = /\/(\d+)\?offset=(\d+)/.exec(address) ?? []
    const here = bytes.get(Number(id)) ?? []
    if (Number(offset) === here.length) {
      parts.push(body.size)
      bytes.set(Number(id), [...here, ...new Array(body.size).fill(0)])
    }
    if (gone()) throw new TypeError('the answer was lost')
    return answer({ received: bytes.get(Number(id))?.length ?? 0 })
  }
  return { fetched, bytes, parts }
}

describe('sending files', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.useRealTimers()
  })

  it('brings every byte once, however often the connection breaks', async () => {
    vi.useFakeTimers()
    let calls = 0
    const { fetched, bytes, parts } = server(() => calls++ % 3 === 1)
    vi.stubGlobal('fetch', fetched)
    const told: boolean[] = []
    const files = [
      { path: 'a', file: new Blob([new Uint8Array(4_000_000)]) },
      { path: 'b', file: new Blob([new Uint8Array(10)]) },
    ]
    const sent = send(files, '/files', (_, waiting) => told.push(waiting))
    await vi.runAllTimersAsync()
    await sent
    const sizes = [...bytes.values()].map(({ length }) => length)
    expect(sizes.sort((a, b) => a - b)).toEqual([10, 4_000_000])
    expect(parts.reduce((sum, size) => sum + size, 0)).toBe(4_000_010)
    expect(told).toContain(true)
  })

  it('does not send again what is here, and says why the server refuses', async () => {
    const { fetched, parts } = server(() => false)
    vi.stubGlobal('fetch', fetched)
    const files = [{ path: 'a', file: new Blob([new Uint8Array(100)]) }]
    await send(files, '/files', () => {})
    await send(files, '/files', () => {})
    expect(parts).toEqual([100])
    const json = async () => ({ detail: 'The disk is full.' })
    vi.stubGlobal('fetch', async () => ({ ok: false, redirected: false, status: 409, json }))
    await expect(send(files, '/files', () => {})).rejects.toThrow('The disk is full.')
  })
})
