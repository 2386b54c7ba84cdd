import type { View } from './geometry'
import { svg } from './markers'
import { type Length, length_mm } from './measuring'
import type { LengthOnCanvas } from './viewer'

const SVG = 'http://www.w3.org/2000/svg'

/** Lengths drawn over one pane, with an end to take hold of at either side. */
export class RulerLayer {
  readonly element = document.createElementNS(SVG, 'svg')
  #drawn: LengthOnCanvas[] = []

  constructor() {
    this.element.classList.add('ruler-layer')
    this.element.setAttribute('aria-hidden', 'true')
  }

  get drawn(): readonly LengthOnCanvas[] {
    return this.#drawn
  }

  draw(view: View, lengths: readonly Length[], selected: string | null): void {
    this.#drawn = lengths.map(length => ({
      id: length.id,
      ends: [view.project(length.ends_mm[0]), view.project(length.ends_mm[1])],
      mm: length_mm(length),
    }))
    this.element.replaceChildren(
      ...this.#drawn.flatMap(length => drawLength(length, length.id === selected)),
    )
  }
}

function drawLength({ ends: [[x1, y1], [x2, y2]], mm }: LengthOnCanvas, selected: boolean) {
  const kind = selected ? 'selected' : ''
  const [x, y] = x1 > x2 ? [x1, y1] : [x2, y2]
  return [
    svg('line', { class: kind, x1, y1, x2, y2 }),
    svg('circle', { class: kind, cx: x1, cy: y1, r: 3.5 }),
    svg('circle', { class: kind, cx: x2, cy: y2, r: 3.5 }),
    svg('text', { class: kind, x: x + 9, y: y + 5 }, `${mm.toFixed(1)} mm`),
  ]
}
