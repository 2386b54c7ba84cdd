import type { Calibration, NoduleAi } from '../api/types'
import { colour } from '../viewer/saliency'
import { CalibrationCurve } from './calibration'
import { SimilarNodules } from './similar'
import type { AiResult } from './state'

export interface Overlay {
  on: boolean
  opacity: number
}

interface AiPanelProps {
  result: AiResult
  /** The nodule whose section is open; null for the case. */
  nodule: { id: number; number: number } | null
  overlay: Overlay
  overlayDrawn: boolean
  /** The nodule lies in another series than the one on screen. */
  otherSeries: boolean
  /** The planes of the overlay cannot be drawn of what is on screen. */
  tilted: boolean
  onOverlay(overlay: Overlay): void
  onJump(): void
  onRetry(): void
}

/** What the AI says of the nodule at hand, and how much to make of it. */
export function AiPanel({ result, nodule, onRetry, ...rest }: AiPanelProps) {
  if (result === 'loading') {
    return (
      <section class="ai-panel" aria-label="AI" aria-busy="true">
        <p>Fetching the AI result…</p>
      </section>
    )
  }
  if ('missing' in result) {
    return (
      <section class="ai-panel" aria-label="AI">
        <p role="alert">The AI result could not be fetched: {result.missing}</p>
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      </section>
    )
  }
  const { model, nodules } = result.ai
  return (
    <section class="ai-panel" aria-label="AI">
      <p class="model">
        <span class="ai-tag">AI</span> {model.title}, version {model.version}
      </p>
      {model.notice && (
        <p class={`notice${model.demonstration ? ' demonstration' : ''}`}>{model.notice}</p>
      )}
      {nodule === null ? (
        <p class="quiet">The AI speaks of nodules; choose one.</p>
      ) : (
        <OfNodule
          ai={nodules[nodule.id]}
          number={nodule.number}
          calibration={model.calibration}
          {...rest}
        />
      )}
    </section>
  )
}

function OfNodule({
  ai,
  number,
  calibration,
  overlay,
  overlayDrawn,
  otherSeries,
  tilted,
  onOverlay,
  onJump,
}: { ai: NoduleAi | undefined; number: number; calibration: Calibration | undefined } & Pick<
  AiPanelProps,
  'overlay' | 'overlayDrawn' | 'otherSeries' | 'tilted' | 'onOverlay' | 'onJump'
>) {
  if (ai?.status !== 'done') {
    return (
      <p class="failed">
        No AI result for nodule {number}. {ai?.detail}
      </p>
    )
  }
  const { score, saliency, similar } = ai
  return (
    <>
      {score && (
        <div class="score">
          <p>
            AI: <strong data-probability>{score.probability.toFixed(2)}</strong> {score.wording}
          </p>
          <meter min={0} max={1} value={score.probability} aria-label={score.wording} />
          {score.unlike_training && (
            <p class="unlike" role="note">
              This nodule is unlike those the model was trained on; its output may mean less.
            </p>
          )}
          {calibration && <CalibrationCurve {...calibration} at={score.probability} />}
        </div>
      )}
      {saliency && (
        <div class="saliency">
          <div class="row">
            <button
              type="button"
              aria-pressed={overlay.on}
              onClick={() => onOverlay({ ...overlay, on: !overlay.on })}
            >
              Overlay <kbd>O</kbd>
            </button>
            <label>
              Opacity
              <input
                type="range"
                min={0.1}
                max={1}
                step={0.05}
                value={overlay.opacity}
                aria-valuetext={`${Math.round(100 * overlay.opacity)}%`}
                onInput={event =>
                  onOverlay({ on: true, opacity: Number(event.currentTarget.value) })
                }
              />
            </label>
          </div>
          <div
            class="legend"
            role="img"
            aria-label={`Relevance from 0 to ${saliency.scale.toFixed(2)}`}
          >
            <span>0</span>
            <Ramp />
            <span>{saliency.scale.toPrecision(2)}</span>
          </div>
          <p class="quiet">
            Attention of the model, not a segmentation; {Math.round(saliency.token_mm)} mm per cell.{' '}
            {saliency.faithfulness && (
              <>
                Hiding the marked cells changes the output by{' '}
                {saliency.faithfulness.deletion_drop.toFixed(2)}, hiding random ones by{' '}
                {saliency.faithfulness.random_drop.toFixed(2)}.
              </>
            )}
          </p>
          {overlay.on && !overlayDrawn && (
            <p class="quiet">
              {otherSeries
                ? 'It belongs to another series of the examination.'
                : tilted
                  ? 'It lies on planes that cannot be drawn of a tilted series.'
                  : 'It lies on the planes through the nodule.'}{' '}
              <button type="button" class="link" onClick={onJump}>
                Show them
              </button>
            </p>
          )}
        </div>
      )}
      {similar && <SimilarNodules similar={similar} />}
    </>
  )
}

const RAMP_STEPS = Array.from({ length: 24 }, (_, step) => step)

function Ramp() {
  return (
    <svg
      class="ramp"
      viewBox={`0 0 ${RAMP_STEPS.length} 1`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {RAMP_STEPS.map(step => {
        const [r, g, b, a] = colour(step / (RAMP_STEPS.length - 1))
        return (
          <rect
            key={step}
            x={step}
            y={0}
            width={1.05}
            height={1}
            fill={`rgb(${r} ${g} ${b})`}
            opacity={a / 255}
          />
        )
      })}
    </svg>
  )
}
