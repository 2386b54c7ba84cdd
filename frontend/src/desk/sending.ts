/*
 * Sending many files so that nothing is sent twice: the server says how much of each it has, a
 * part is put at the end of that, and what a broken connection cut off is asked about again.
 */

export interface Part {
  path: string
  file: Blob
}

interface Known {
  id: number
  path: string
  size: number
  received: number
}

/** Less than a proxy lets through at a time. */
const PART_BYTES = 1_500_000
const NAMED_AT_ONCE = 500
const AT_ONCE = 3
const LONGEST_WAIT_MS = 15_000

/** The server will not take it; trying again is of no use. */
class Refused extends Error {}

export type Told = (sent: number, waiting: boolean) => void

/**
 * Send files to the import at `address`; resolves when the server has all of them.
 *
 * @throws Error with what the server has against them.
 */
export async function send(parts: Part[], address: string, tell: Told): Promise<void> {
  let sent = 0
  const grown = (bytes: number) => {
    sent += bytes
    tell(sent, false)
  }
  const waiting = () => tell(sent, true)
  const left: [Known, Blob][] = []
  for (let at = 0; at < parts.length; at += NAMED_AT_ONCE) {
    const named = parts.slice(at, at + NAMED_AT_ONCE)
    const body = JSON.stringify(named.map(({ path, file }) => [path, file.size]))
    const { files } = (await ask(address, body, waiting)) as { files: Known[] }
    const byPath = new Map(named.map(({ path, file }) => [path, file]))
    for (const known of files) {
      grown(known.received)
      const file = byPath.get(known.path)
      if (file && (known.received < known.size || known.size === 0)) left.push([known, file])
    }
  }
  const next = async (): Promise<void> => {
    for (let one = left.shift(); one; one = left.shift()) {
      await sendOne(one[0], one[1], address, grown, waiting)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
}

async function sendOne(
  known: Known,
  file: Blob,
  address: string,
  grown: (bytes: number) => void,
  waiting: () => void,
): Promise<void> {
  let at = known.received
  do {
    const part = file.slice(at, at + PART_BYTES)
    const answer = await ask(`${address}/${known.id}?offset=${at}`, part, waiting)
    const { received } = answer as { received: number }
    grown(received - at)
    at = received
  } while (at < file.size)
}

/** Post until there is an answer. */
async function ask(address: string, body: BodyInit, waiting: () => void): Promise<unknown> {
  for (let wait = 500; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    try {
      const response = await fetch(address, {
        method: 'POST',
        credentials: 'same-origin',
        headers: { 'Content-Type': 'application/octet-stream', 'X-CSRFToken': csrfToken() },
        body,
      })
      if (response.ok && !response.redirected) return await response.json()
      if (response.redirected)
        throw new Refused('You were logged out. Log in and choose them again.')
      if (response.status < 500) throw new Refused(await why(response))
    } catch (error) {
      if (error instanceof Refused) throw error
    }
    waiting()
    await new Promise(done => setTimeout(done, wait))
  }
}

async function why(response: Response): Promise<string> {
  const said = await response.json().catch(() => null)
  return said?.detail ?? `The server refused it (${response.status}).`
}

function csrfToken(): string {
  return /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? ''
}
