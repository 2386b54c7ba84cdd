import type { Mark, Measurement, Reading } from '../api/types'
import { inWords } from '../viewer/rulers'
import type { Viewer } from '../viewer/viewer'
import { NO_FINDING } from './answers'

/** Marks in a study whose readers find nodules themselves, or that there are none. */
export function FindingsBar({
  marks,
  noFinding,
  problem,
  disabled,
  onMark,
  onNoFinding,
}: {
  marks: number
  noFinding: boolean
  problem: string | null
  disabled: boolean
  onMark(): void
  onNoFinding(said: boolean): void
}) {
  return (
    <fieldset
      class={`findings${problem ? ' has-problem' : ''}`}
      aria-label="Findings"
      data-question={NO_FINDING}
      disabled={disabled}
    >
      <span data-marks={marks}>
        {marks === 0 ? 'No mark yet' : marks === 1 ? '1 mark' : `${marks} marks`}
      </span>
      <button type="button" class="tool" data-action="mark" onClick={onMark}>
        Mark <kbd>X</kbd>
      </button>
      <button
        type="button"
        class="choice"
        data-entry
        data-value={NO_FINDING}
        aria-pressed={noFinding}
        disabled={disabled || marks > 0}
        onClick={() => onNoFinding(!noFinding)}
      >
        No finding <kbd>Shift X</kbd>
      </button>
      {problem && <p class="problem">{problem}</p>}
    </fieldset>
  )
}

/** What can be done with the mark whose section is open. */
export function MarkHead({
  number,
  mark,
  locked,
  onGoTo,
  onRemove,
}: {
  number: number
  mark: Mark
  /** Of the unaided answer: it stays where it is. */
  locked: boolean
  onGoTo(): void
  onRemove(): void
}) {
  const place = mark.point_mm.map(mm => mm.toFixed(1).replace('-', '−')).join(', ')
  return (
    <p class="mark-head">
      <span title="left, back and head, in millimetres">
        Mark {number} at {place} mm
      </span>
      <button type="button" class="tool" onClick={onGoTo}>
        Go to
      </button>
      {locked ? (
        <span class="quiet">of your unaided answer; it stays</span>
      ) : (
        <button type="button" class="tool" data-action="unmark" onClick={onRemove}>
          Remove
        </button>
      )}
    </p>
  )
}

/** What the reader removed last, with the way back. */
export function Removed({ onUndo }: { onUndo(): void }) {
  return (
    <p class="removed" role="status">
      The mark is removed.{' '}
      <button type="button" class="link" data-action="put-back" onClick={onUndo}>
        Put it back
      </button>
    </p>
  )
}

/** What was measured on the nodule at hand, in words. */
export function MeasurementList({
  measurements,
  viewer,
  disabled,
}: {
  measurements: readonly Measurement[]
  viewer: Viewer | null
  disabled: boolean
}) {
  if (measurements.length === 0) return null
  return (
    <section class="measurements" aria-label="Measurements">
      <ul>
        {measurements.map(one => (
          <li key={one.id} data-measurement={one.id}>
            <button
              type="button"
              class="link"
              disabled={viewer === null}
              onClick={() => viewer?.goToMeasurement(one.id)}
            >
              {NAMES[one.kind]}, {one.plane}
            </button>{' '}
            {one.kind === 'arrow' ? (
              <input
                class="words"
                type="text"
                maxLength={200}
                aria-label="What the arrow points at"
                placeholder="what is here?"
                disabled={disabled || viewer === null}
                value={one.text ?? ''}
                onInput={event => viewer?.writeAt(one.id, event.currentTarget.value)}
                onKeyDown={event => {
                  if (event.key !== 'Enter') return
                  event.preventDefault()
                  viewer?.focus()
                }}
              />
            ) : (
              <span>{inWords(one, viewer?.statisticsOf(one) ?? null).join(', ')}</span>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

const NAMES = { length: 'Distance', bidirectional: 'Two axes', ellipse: 'Ellipse', arrow: 'Arrow' }

/** Whether a study's readers mark what they find. */
export function hasMarks({ findings }: Pick<Reading, 'findings'>): boolean {
  return findings !== undefined && findings !== 'given'
}
