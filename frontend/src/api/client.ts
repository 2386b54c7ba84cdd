import type {
  Ai,
  AnsweringStage,
  Answers,
  Preferences,
  Problem,
  Reading,
  RoomEvent,
  Truth,
} from './types'

/** The server understood the request and will not do it; `code` is stable, `message` is for people. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    detail: string,
    readonly problems: Problem[] = [],
  ) {
    super(detail)
  }
}

/** No answer came, or none that could be understood; the same request may be sent again. */
export class Unreachable extends Error {
  constructor(
    message: string,
    /** Whether somebody answered: the line is there, the server is not well. */
    readonly answered = false,
  ) {
    super(message)
  }
}

/** A dead line is noticed after so long. */
const PATIENCE_MS = 20_000

/** A draft, and a form that is locked: `key` names it, so that it is stored once. */
export interface FormSent {
  version: number
  answers: Answers
  key: string
  /** Keys of earlier saves whose acknowledgement did not come. */
  sent: string[]
}

export interface Api {
  reading(): Promise<Reading>
  open(): Promise<Reading>
  saveDraft(
    draft: FormSent & { stage: AnsweringStage },
    leaving?: boolean,
  ): Promise<{ version: number; saved_at: string }>
  lock(form: FormSent): Promise<Reading>
  submit(form: FormSent): Promise<Reading>
  ai(): Promise<Ai>
  truth(): Promise<{ nodules: Truth[] }>
  sendEvents(events: RoomEvent[], leaving?: boolean): Promise<unknown>
  savePreferences(preferences: Preferences): Promise<unknown>
}

/** Speak for one reading; a session that ended is a `Refusal` with the code `not_authenticated`. */
export function connect(readingId: number): Api {
  const at = (step: string) => `/api/readings/${readingId}${step}`
  return {
    reading: () => request('GET', at('')),
    open: () => request('POST', at('/open'), {}),
    saveDraft: (draft, leaving) => request('PUT', at('/draft'), draft, leaving),
    lock: form => request('POST', at('/lock'), form),
    submit: form => request('POST', at('/submit'), form),
    ai: () => request('GET', at('/ai')),
    truth: () => request('GET', at('/truth')),
    savePreferences: preferences => request('PUT', '/api/preferences', preferences),
    sendEvents: (events, leaving) => request('POST', at('/events'), { events }, leaving),
  }
}

async function request<T>(
  method: string,
  address: string,
  body?: unknown,
  keepalive = false,
): Promise<T> {
  let response: Response
  // A request that outlives its page has nobody to end it.
  const patience = keepalive ? null : new AbortController()
  const timer = setTimeout(() => patience?.abort(), PATIENCE_MS)
  try {
    response = await fetch(address, {
      method,
      keepalive,
      signal: patience?.signal ?? null,
      credentials: 'same-origin',
      headers: {
        Accept: 'application/json',
        ...(body === undefined
          ? {}
          : { 'Content-Type': 'application/json', 'X-CSRFToken': csrfToken() }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch {
    clearTimeout(timer)
    throw new Unreachable('no connection')
  }
  const answer = await response.json().catch(() => null)
  clearTimeout(timer)
  if (response.ok && answer !== null) return answer as T
  if (response.ok || response.status >= 500) throw new Unreachable('the server has a problem', true)
  throw new Refusal(
    refusalCode(response.status, answer?.code),
    answer?.detail ?? `The server refused (${response.status}).`,
    readProblems(answer?.problems),
  )
}

/** A nodule may be named by its id as text, as answers name it. */
function readProblems(problems: unknown): Problem[] {
  if (!Array.isArray(problems)) return []
  // One of a request that has not the right form names a place in it, and no question.
  const asked = problems.filter(({ question }) => question !== undefined)
  return asked.map(({ nodule, mark, question, detail }) => ({
    nodule: mark ?? (nodule === null || nodule === undefined ? null : Number(nodule)),
    question: String(question),
    detail: String(detail),
  }))
}

function refusalCode(status: number, code: unknown): string {
  // Signing in changes the token of the site's forms, too: a stale one is refused with 403.
  if (status === 401 || status === 403) return 'not_authenticated'
  return typeof code === 'string' ? code : `http_${status}`
}

/** Read at each request: signing in again in another tab changes the token. */
function csrfToken(): string {
  return /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? ''
}
