import { useEffect, useRef } from 'preact/hooks'
import type { Api } from '../api/client'
import type { Reading } from '../api/types'
import { Feedback } from './feedback'

/** A reading that is done, and the way to the next one. */
export function Submitted({
  reading,
  api,
  next,
  onNext,
}: {
  reading: Reading
  api: Api
  next: string | null
  onNext(): void
}) {
  const link = useRef<HTMLAnchorElement>(null)
  useEffect(() => link.current?.focus(), [])
  return (
    <div class="done" role="status">
      <h2>Submitted</h2>
      <p>Your answers to {reading.case} are stored.</p>
      {reading.feedback && (
        <Feedback
          api={api}
          places={reading.findings !== undefined && reading.findings !== 'given'}
        />
      )}
      {next === null ? (
        <p>This was the last case on your worklist.</p>
      ) : (
        <a class="primary" data-action="next" href={next} ref={link} onClick={onNext}>
          Next case
        </a>
      )}
      <a class="quiet-link" href={reading.worklist}>
        Worklist
      </a>
    </div>
  )
}
