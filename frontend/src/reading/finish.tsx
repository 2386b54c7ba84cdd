import { useEffect, useRef } from 'preact/hooks'
import type { ReadingState } from './state'
import type { Waiting } from './steps'
import { OBSTACLES, timeOf } from './topbar'

const WORDS = {
  unaided: {
    ask: 'Lock unaided answer',
    warning:
      'After locking, the unaided answer cannot be changed. Then the AI result is shown, and you may revise.',
    confirm: 'Lock it now',
    sending: 'Locking…',
    waiting: 'It is locked as soon as the server has it.',
    back: 'Do not lock yet',
  },
  last: {
    ask: 'Submit final answer',
    warning: 'After submitting, nothing in this reading can be changed.',
    confirm: 'Submit it now',
    sending: 'Submitting…',
    waiting: 'It is submitted as soon as the server has it.',
    back: 'Do not submit yet',
  },
} as const

/** Lock or submit, in two steps, and why it did not go through. */
export function Finish({
  state,
  waiting,
  answered,
  of,
  onAsk,
  onConfirm,
  onBack,
  onTakeBack,
  onFirstProblem,
}: {
  state: Exclude<ReadingState, { stage: 'submitted' }>
  /** The step was taken and has not reached the server. */
  waiting: Waiting | null
  answered: number
  of: number
  onAsk(): void
  onConfirm(): void
  onBack(): void
  onTakeBack(): void
  onFirstProblem(): void
}) {
  const words = state.ends ? WORDS.last : WORDS.unaided
  const confirm = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (state.step === 'confirming') confirm.current?.focus()
  }, [state.step])

  if (state.step === 'ended') return null
  if (state.step === 'sending' && waiting !== null) {
    return (
      <footer class="finish" data-waiting={waiting.because}>
        <p class="refusal" role="status">
          Waiting since {timeOf(waiting.since)}: {OBSTACLES[waiting.because]}. {words.waiting}
          {!waiting.kept && ' This browser keeps nothing: leave this page open until then.'}
        </p>
        <div class="row">
          <button type="button" data-action="take-back" onClick={onTakeBack}>
            {words.back}
          </button>
          {waiting.because === 'signed_out' && <SignIn />}
        </div>
      </footer>
    )
  }
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

/** In a tab of its own: whatever this page holds stays where it is. */
export function SignIn() {
  return (
    <a
      class="button"
      data-action="sign-in"
      href="/login?next=/worklist"
      target="_blank"
      rel="noreferrer"
    >
      Sign in again
    </a>
  )
}
