import { useEffect, useRef } from 'preact/hooks'
import type { ReadingState } from './state'

const WORDS = {
  unaided: {
    ask: 'Lock unaided answer',
    warning:
      'After locking, the unaided answer cannot be changed. Then the AI result is shown, and you may revise.',
    confirm: 'Lock it now',
    sending: 'Locking…',
  },
  last: {
    ask: 'Submit final answer',
    warning: 'After submitting, nothing in this reading can be changed.',
    confirm: 'Submit it now',
    sending: 'Submitting…',
  },
} as const

/** Lock or submit, in two steps, and why it did not go through. */
export function Finish({
  state,
  answered,
  of,
  onAsk,
  onConfirm,
  onBack,
  onFirstProblem,
}: {
  state: Exclude<ReadingState, { stage: 'submitted' }>
  answered: number
  of: number
  onAsk(): void
  onConfirm(): void
  onBack(): void
  onFirstProblem(): void
}) {
  const words = state.ends ? WORDS.last : WORDS.unaided
  const confirm = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (state.step === 'confirming') confirm.current?.focus()
  }, [state.step])

  return (
    <footer class="finish">
      {state.refusal && (
        <p class="refusal" role="alert">
          {state.refusal}
        </p>
      )}
      {state.problems.length > 0 && (
        <p class="refusal" role="alert">
          {state.problems.length === 1
            ? 'One question needs an answer.'
            : `${state.problems.length} questions need an answer.`}{' '}
          <button type="button" class="link" onClick={onFirstProblem}>
            Go to the first
          </button>
        </p>
      )}
      {state.step === 'answering' ? (
        <div class="row">
          <span class="quiet" data-answered={answered} data-of={of}>
            {answered} of {of} required answers
          </span>
          <button type="button" class="primary" data-action="ask" onClick={onAsk}>
            {words.ask}
          </button>
        </div>
      ) : (
        <fieldset aria-label={words.ask} class="confirm" disabled={state.step === 'sending'}>
          <p>{words.warning}</p>
          <div class="row">
            <button type="button" data-action="back" onClick={onBack}>
              Go on answering
            </button>
            <button
              type="button"
              class="primary"
              data-action="confirm"
              ref={confirm}
              onClick={onConfirm}
            >
              {state.step === 'sending' ? words.sending : words.confirm}
            </button>
          </div>
        </fieldset>
      )}
    </footer>
  )
}
