import type { Measurement } from '../api/types'
import type { CanvasPoint, View } from './geometry'
import { svg } from './markers'
import { handlesOf, quantities } from './measuring'
import type { HuStatistics } from './statistics'
import type { MeasurementOnCanvas } from './viewer'

const SVG = 'http://www.w3.org/2000/svg'
const LINE_PX = 16
const ARROW_PX = 12

/** Measurements drawn over one pane, with points to take hold of. */
export class RulerLayer {
  readonly element = document.createElementNS(SVG, 'svg')
  #drawn: MeasurementOnCanvas[] = []

  constructor() {
    this.element.classList.add('ruler-layer')
    this.element.setAttribute('aria-hidden', 'true')
  }

  get drawn(): readonly MeasurementOnCanvas[] {
    return this.#drawn
  }

  draw(
    view: View,
    measurements: readonly Measurement[],
    selected: string | null,
    statistics: (of: Measurement) => HuStatistics | null,
  ): void {
    this.#drawn = measurements.map(one => ({
      id: one.id,
      kind: one.kind,
      points: one.points_mm.map(point => view.project(point)),
      lines: inWords(one, one.kind === 'ellipse' ? statistics(one) : null),
      quantities: quantities(one),
    }))
    this.element.replaceChildren(
      ...this.#drawn.flatMap((one, i) => {
        const measurement = measurements[i]
        const handles = measurement ? handlesOf(measurement).map(({ at }) => view.project(at)) : []
        return drawMeasurement(one, handles, one.id === selected ? 'selected' : '')
      }),
    )
  }
}

/** What is written beside a measurement, a line each. */
export function inWords(one: Measurement, statistics: HuStatistics | null): string[] {
  const { length, long_axis, short_axis, mean_diameter, area } = quantities(one)
  const mm = (value: number | undefined) => (value ?? 0).toFixed(1)
  switch (one.kind) {
    case 'length':
      return [`${mm(length)} mm`]
    case 'bidirectional':
      return [`${mm(long_axis)} × ${mm(short_axis)} mm`, `mean ${mm(mean_diameter)} mm`]
    case 'ellipse': {
      const size = `${mm(area)} mm²`
      if (statistics === null) return [size]
      const { mean, sd, min, max } = statistics
      const hu = (value: number) => value.toFixed(0).replace('-', '−')
      return [`mean ${hu(mean)} ± ${hu(sd)} HU`, `${hu(min)} to ${hu(max)} HU`, size]
    }
    case 'arrow':
      return one.text ? [one.text] : []
  }
}

function drawMeasurement(
  { kind, points, lines }: MeasurementOnCanvas,
  handles: readonly CanvasPoint[],
  chosen: string,
): SVGElement[] {
  const [a, b, c, d] = points
  if (!a || !b) return []
  const shapes: SVGElement[] = []
  if (kind === 'ellipse' && c && d) {
    const [rx, ry] = [apart(a, b) / 2, apart(c, d) / 2]
    const [cx, cy] = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]
    const turn = (Math.atan2(b[1] - a[1], b[0] - a[0]) * 180) / Math.PI
    const transform = `rotate(${turn.toFixed(3)} ${cx.toFixed(2)} ${cy.toFixed(2)})`
    shapes.push(svg('ellipse', { class: chosen, cx, cy, rx, ry, transform }))
  } else {
    shapes.push(line(a, b, chosen))
    if (c && d) shapes.push(line(c, d, chosen))
  }
  if (kind === 'arrow') shapes.push(...arrowHead(a, b, chosen))
  const rightmost = points.reduce((one, other) => (other[0] > one[0] ? other : one))
  return [
    ...shapes,
    ...handles.map(([cx, cy]) => svg('circle', { class: chosen, cx, cy, r: 3.5 })),
    ...lines.map((words, i) =>
      svg('text', { class: chosen, x: rightmost[0] + 9, y: rightmost[1] + 5 + i * LINE_PX }, words),
    ),
  ]
}

/** An arrow points at its first point. */
function arrowHead(tip: CanvasPoint, tail: CanvasPoint, chosen: string): SVGElement[] {
  const angle = Math.atan2(tail[1] - tip[1], tail[0] - tip[0])
  return [-0.45, 0.45].map(turn =>
    line(
      tip,
      [tip[0] + ARROW_PX * Math.cos(angle + turn), tip[1] + ARROW_PX * Math.sin(angle + turn)],
      chosen,
    ),
  )
}

function line([x1, y1]: CanvasPoint, [x2, y2]: CanvasPoint, chosen: string): SVGElement {
  return svg('line', { class: chosen, x1, y1, x2, y2 })
}

function apart(a: CanvasPoint, b: CanvasPoint): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1])
}
