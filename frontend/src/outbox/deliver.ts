import { type Api, Refusal, Unreachable } from '../api/client'
import type { Draft, Problem, Reading } from '../api/types'
import { sameAnswers } from '../reading/answers'
import type { Outbox, Parcel } from './box'

/** What keeps a parcel waiting; it is sent again later, as it is. */
export type Obstacle = 'offline' | 'server' | 'signed_out' | 'somebody_else'

/** What became of a parcel. */
export type Delivery =
  | { kind: 'saved'; version: number; saved_at: string | null }
  | { kind: 'done'; reading: Reading }
  | { kind: 'waiting'; because: Obstacle }
  /** The server has other answers that ours do not follow. */
  | { kind: 'conflict'; theirs: Draft }
  /** The stage is over: these answers cannot be saved any more. */
  | { kind: 'ended'; because: string }
  /** These answers will not be taken as they are. */
  | { kind: 'refused'; because: string; problems: Problem[] }

export type Postman = Pick<Api, 'reading' | 'saveDraft' | 'lock' | 'submit'>

const REFUSED = new Set(['answers_invalid', 'answers_incomplete', 'malformed'])
/** What the server takes. */
const MOST_SENT = 1_000

/** Why to wait with an error; null when waiting is of no use. */
export function obstacleOf(error: unknown): Obstacle | null {
  if (error instanceof Unreachable) return error.answered ? 'server' : 'offline'
  if (!(error instanceof Refusal)) return null
  if (error.code === 'not_authenticated') return 'signed_out'
  // To somebody else's account this reading does not exist.
  return error.code === 'not_found' ? 'somebody_else' : null
}

/**
 * Send a parcel once. `keep` is called before, when its key is about to be on its way.
 *
 * The server knows it by its key, and by those in `sent` what it follows: an acknowledgement that was
 * lost is no conflict.
 */
export async function deliver(
  api: Postman,
  parcel: Parcel,
  keep: () => void,
  leaving = false,
): Promise<Delivery> {
  const { stage, step, version, answers, key } = parcel
  const before = parcel.sent
  if (step === 'draft' && !before.includes(key)) parcel.sent = [...before, key].slice(-MOST_SENT)
  keep()
  const form = { version, answers, key, sent: before }
  try {
    if (step === 'lock') return { kind: 'done', reading: await api.lock(form) }
    if (step === 'submit') return { kind: 'done', reading: await api.submit(form) }
    return { kind: 'saved', ...(await api.saveDraft({ stage, ...form }, leaving)) }
  } catch (error) {
    if (!(error instanceof Refusal && error.code === 'draft_conflict')) return whatIs(error)
  }
  try {
    const now = await api.reading()
    if (now.stage !== stage) return { kind: 'ended', because: FINISHED }
    const same = step === 'draft' && sameAnswers(answers, now.draft.answers)
    return same ? { kind: 'saved', ...now.draft } : { kind: 'conflict', theirs: now.draft }
  } catch (error) {
    return whatIs(error)
  }
}

export const FINISHED = 'This answer was finished in another tab or on another computer.'

function whatIs(error: unknown): Delivery {
  const because = obstacleOf(error)
  if (because) return { kind: 'waiting', because }
  if (error instanceof Refusal && !REFUSED.has(error.code) && !error.code.startsWith('http_')) {
    return { kind: 'ended', because: error.message }
  }
  const problems = error instanceof Refusal ? error.problems : []
  return { kind: 'refused', because: error instanceof Error ? error.message : `${error}`, problems }
}

/** Send the events that other pages could not; what the server will never take is let go. */
export async function deliverEvents(
  box: Outbox,
  connect: (reading: number) => Pick<Api, 'sendEvents'>,
  ofThisPage: (name: string) => boolean = () => false,
): Promise<void> {
  for (const [name, { reading, events }] of box.events()) {
    if (ofThisPage(name)) continue
    try {
      await connect(reading).sendEvents(events)
    } catch (error) {
      if (obstacleOf(error)) return
    }
    // Unless the page that writes it is still there and has added to it meanwhile.
    const now = box.events().find(([other]) => other === name)
    if (now && now[1].events.length === events.length) box.drop('events', name)
  }
}
