import { add, type CanvasPoint, crossSection, depth_mm, meetingLine, type View } from './geometry'
import type { Marker, MarkerOnCanvas } from './viewer'

/** The circle keeps this distance from the nodule, so that its margin stays readable. */
const CLEARANCE_MM = 4
/** For a nodule whose size nobody gave. */
const USUAL_DIAMETER_MM = 10

/** Half the width of the cross at the very point of a mark. */
const CROSS_PX = 4

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

  draw(
    view: View,
    markers: readonly Marker[],
    selected: Marker['id'] | null,
    lines: ReferenceLine[],
  ): void {
    this.#drawn = markers.flatMap(marker => place(marker, view) ?? [])
    this.element.replaceChildren(
      ...lines.map(drawLine),
      ...this.#drawn.flatMap(drawn => {
        const marker = markers.find(({ id }) => id === drawn.nodule)
        return marker ? drawMarker(drawn, marker, marker.id === selected) : []
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

/** Where a nodule or mark is drawn on the pane, or null when the slice passes it by. */
export function place(marker: Marker, view: View): MarkerOnCanvas | null {
  const radius = (marker.diameter_mm ?? USUAL_DIAMETER_MM) / 2 + CLEARANCE_MM
  const circle = crossSection(marker.centre_mm, radius, view)
  if (circle === null) return null
  const [x, y] = view.project(circle.centre)
  return {
    nodule: marker.id,
    x,
    y,
    radius_px: circle.radius_mm / view.mm_per_pixel,
    off_centre: circle.off_centre,
  }
}

/** Given nodules have a circle, the reader's own marks a cross in it, the AI's a square. */
function drawMarker(drawn: MarkerOnCanvas, marker: Marker, selected: boolean): SVGElement[] {
  const { x, y, radius_px: r } = drawn
  const kind = `marker ${marker.by}${drawn.off_centre ? ' off-centre' : ''}${selected ? ' selected' : ''}`
  const diagonal = marker.by === 'ai' ? r : r * Math.SQRT1_2
  const outline =
    marker.by === 'ai'
      ? svg('rect', { class: kind, x: x - r, y: y - r, width: 2 * r, height: 2 * r })
      : svg('circle', { class: kind, cx: x, cy: y, r })
  const cross =
    marker.by === 'reader' && !drawn.off_centre
      ? [
          svg('line', { class: kind, x1: x - CROSS_PX, y1: y, x2: x + CROSS_PX, y2: y }),
          svg('line', { class: kind, x1: x, y1: y - CROSS_PX, x2: x, y2: y + CROSS_PX }),
        ]
      : []
  return [
    outline,
    ...cross,
    svg('text', { class: kind, x: x + diagonal + 4, y: y - diagonal - 4 }, marker.label),
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
