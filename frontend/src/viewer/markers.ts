import type { Nodule } from '../api/types'
import { add, type CanvasPoint, crossSection, depth_mm, meetingLine, type View } from './geometry'
import type { MarkerOnCanvas } from './viewer'

/** The circle keeps this distance from the nodule, so that its margin stays readable. */
const CLEARANCE_MM = 4
/** For a nodule whose size nobody gave. */
const USUAL_DIAMETER_MM = 10

const SVG = 'http://www.w3.org/2000/svg'

export interface ReferenceLine {
  plane: string
  ends: [CanvasPoint, CanvasPoint]
}

/** Circles around nodules and the lines of the other planes, drawn over one pane. */
export class MarkerLayer {
  readonly element = document.createElementNS(SVG, 'svg')
  #drawn: MarkerOnCanvas[] = []

  constructor() {
    this.element.classList.add('marker-layer')
    this.element.setAttribute('aria-hidden', 'true')
  }

  get drawn(): readonly MarkerOnCanvas[] {
    return this.#drawn
  }

  draw(view: View, nodules: Nodule[], selected: number | null, lines: ReferenceLine[]): void {
    this.#drawn = nodules.flatMap(nodule => place(nodule, view) ?? [])
    this.element.replaceChildren(
      ...lines.map(drawLine),
      ...this.#drawn.flatMap(marker => {
        const nodule = nodules.find(({ id }) => id === marker.nodule)
        return nodule ? drawMarker(marker, nodule, nodule.id === selected) : []
      }),
    )
  }
}

/** The lines in which the slices of other panes meet this one, open round where all of them meet. */
export function linesOfOthers(
  view: View,
  others: readonly ({ plane: string } & Pick<View, 'point' | 'normal'>)[],
  gap_px: number,
): ReferenceLine[] {
  const centre = others.reduce(
    (point, other) => add(point, other.normal, -depth_mm(point, other)),
    view.point,
  )
  return others.flatMap(other =>
    meetingLine(view, other, centre, gap_px).map(ends => ({ plane: other.plane, ends })),
  )
}

/** Where a nodule is marked on the pane, or null when the slice passes it by. */
export function place(nodule: Nodule, view: View): MarkerOnCanvas | null {
  const radius = (nodule.diameter_mm ?? USUAL_DIAMETER_MM) / 2 + CLEARANCE_MM
  const circle = crossSection(nodule.centre_mm, radius, view)
  if (circle === null) return null
  const [x, y] = view.project(circle.centre)
  return {
    nodule: nodule.id,
    x,
    y,
    radius_px: circle.radius_mm / view.mm_per_pixel,
    off_centre: circle.off_centre,
  }
}

function drawMarker(marker: MarkerOnCanvas, nodule: Nodule, selected: boolean): SVGElement[] {
  const { x, y, radius_px } = marker
  const kind = `marker${marker.off_centre ? ' off-centre' : ''}${selected ? ' selected' : ''}`
  const diagonal = radius_px * Math.SQRT1_2
  return [
    svg('circle', { class: kind, cx: x, cy: y, r: radius_px }),
    svg('text', { class: kind, x: x + diagonal + 4, y: y - diagonal - 4 }, String(nodule.number)),
  ]
}

function drawLine({ plane, ends: [[x1, y1], [x2, y2]] }: ReferenceLine): SVGElement {
  return svg('line', { class: `reference ${plane}`, x1, y1, x2, y2 })
}

export function svg(
  name: string,
  attributes: Record<string, string | number>,
  text = '',
): SVGElement {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, typeof value === 'number' ? value.toFixed(2) : value)
  }
  element.textContent = text
  return element
}
