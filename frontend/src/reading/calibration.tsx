import type { Calibration, CalibrationPoint } from '../api/types'

/** The point whose range holds a probability; the nearest where none does. */
export function pointAt(points: CalibrationPoint[], probability: number): CalibrationPoint | null {
  const away = ({ low, high }: CalibrationPoint) =>
    Math.max(low - probability, probability - high, 0)
  return points.reduce<CalibrationPoint | null>(
    (best, point) => (best === null || away(point) < away(best) ? point : best),
    null,
  )
}

const percent = (share: number) => `${Math.round(100 * share)}%`

/** What came true of the model's probabilities, with the nodule at hand marked. */
export function CalibrationCurve({ truth, points, at }: Calibration & { at: number }) {
  const here = pointAt(points, at)
  if (here === null) return null
  const within = here.low <= at && at <= here.high
  const words =
    `Of ${here.n} held out nodules scored ${here.low.toFixed(1)} to ${here.high.toFixed(1)}` +
    `${within ? '' : ' (the nearest there are)'}: ${percent(here.share)} ` +
    `(95% interval ${percent(here.lower)} to ${percent(here.upper)}), ${truth}.`
  const y = (share: number) => 100 - 100 * share
  return (
    <figure class="calibration">
      <svg viewBox="-2 -2 104 104" role="img" aria-label="Calibration curve">
        <path d="M0 100 L100 0" class="ideal" />
        <path d="M0 0 V100 H100" class="axis" />
        {points.map(point => (
          <g key={point.low} class={point === here ? 'here' : undefined}>
            <path
              d={`M${100 * point.mean_probability} ${y(point.lower)} V${y(point.upper)}`}
              class="interval"
            />
            <circle cx={100 * point.mean_probability} cy={y(point.share)} r={3} />
          </g>
        ))}
        <path d={`M${100 * at} 100 V0`} class="at" />
      </svg>
      <figcaption class="quiet">{words}</figcaption>
    </figure>
  )
}
