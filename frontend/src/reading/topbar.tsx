import type { Reading } from '../api/types'
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
      <span class={`saved ${saved?.kind ?? ''}`} role="status" data-saved={saved?.kind}>
        {saved && savedWords(saved)}
      </span>
    </header>
  )
}

export function savedWords(saved: SavedState): string {
  switch (saved.kind) {
    case 'saved': {
      if (saved.at === null) return ''
      const at = new Date(saved.at)
      const two = (n: number) => String(n).padStart(2, '0')
      return `Saved ${two(at.getHours())}:${two(at.getMinutes())}`
    }
    case 'saving':
      return 'Saving…'
    case 'unsaved':
      return `Not saved: ${saved.because}`
    case 'refused':
      return `Refused: ${saved.because}`
    case 'conflict':
      return 'Not saved: changed in another tab'
  }
}
