import type { Reading } from '../api/types'
import type { Obstacle } from '../outbox/deliver'
import type { SavedState } from './draft'
import type { ReadingState } from './state'

const STAGE_WORDS = { unaided: 'Unaided', aided: 'With AI', submitted: 'Submitted' } as const

export function TopBar({
  reading,
  stage,
  saved,
}: {
  reading: Reading
  stage: ReadingState['stage']
  saved: SavedState | null
}) {
  return (
    <header class="topbar">
      <a class="back" href={reading.worklist}>
        ← Worklist
      </a>
      <h1>{reading.case}</h1>
      <span class="position">
        {reading.position} of {reading.of}
      </span>
      <span class={`stage-chip ${stage}`} data-stage={stage}>
        {STAGE_WORDS[stage]}
      </span>
      {reading.reopened && stage !== 'submitted' ? (
        <span class="reopened" title={reading.reopened.reason}>
          Reopened by a coordinator: {reading.reopened.reason}
        </span>
      ) : (
        <span class="study">{reading.study}</span>
      )}
      <span
        class={`saved ${saved?.kind ?? ''}`}
        role="status"
        data-saved={saved?.kind}
        title={saved ? savedWords(saved) : undefined}
      >
        {saved && savedWords(saved)}
      </span>
    </header>
  )
}

export function savedWords(saved: SavedState): string {
  switch (saved.kind) {
    case 'saved':
      return saved.at === null ? '' : `Saved ${timeOf(saved.at)}`
    case 'saving':
      return 'Saving…'
    case 'waiting':
      return `Waiting since ${timeOf(saved.since)}: ${OBSTACLES[saved.because]}`
    case 'refused':
      return `Refused, because: ${saved.because}`
    case 'conflict':
      return 'Waiting for your choice: changed in another tab'
    case 'ended':
      return 'Read-only: finished elsewhere'
  }
}

export const OBSTACLES: Record<Obstacle, string> = {
  offline: 'no connection, retrying',
  server: 'the server has a problem, retrying',
  signed_out: 'you are signed out',
  somebody_else: 'somebody else is signed in',
}

/** Hours and minutes of a moment, by the clock of this computer. */
export function timeOf(moment: string): string {
  const at = new Date(moment)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${two(at.getHours())}:${two(at.getMinutes())}`
}
