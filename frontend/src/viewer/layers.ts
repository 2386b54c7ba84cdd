import type { Measurement, Saliency } from '../api/types'
import type { View } from './geometry'
import { linesOfOthers, type ReferenceLine } from './markers'
import type { Measurer } from './measurer'
import type { Scene } from './scene'
import type { CtSeries } from './series'
import { type HuStatistics, statisticsOf } from './statistics'
import { type Marker, PLANES, type Plane } from './viewer'

/** Lines of other planes stop short of the point where they meet. */
const LINE_GAP_PX = 36

/** What is drawn over the images: markers, lines, measurements, saliency and words. */
export class Layers {
  markersShown = true
  saliencyOpacity = 0.45
  saliency: (Saliency & { series: number }) | null = null
  #markers: readonly Marker[] = []
  #selected: Marker['id'] | null = null

  constructor(
    readonly scene: Scene,
    readonly measurer: Measurer,
  ) {}

  mark(markers: readonly Marker[], selected: Marker['id'] | null): void {
    this.#markers = markers
    this.#selected = selected
    this.drawAll()
  }

  drawAll(): void {
    for (const plane of PLANES) this.draw(plane)
  }

  /** Draw anew in the planes in which the place of `plane` is a line. */
  drawOthers(plane: Plane): void {
    for (const other of PLANES) if (other !== plane) this.draw(other)
  }

  draw(plane: Plane): void {
    const { scene, measurer } = this
    const { series } = scene
    if (scene.closed || !series) return
    const pane = scene.panes[plane]
    const view = scene.view(plane)
    const place = scene.place(plane)
    const crossed = scene.layout === 'mpr' || scene.layout === 'quad'
    const lines = crossed ? this.#linesOfOtherPlanes(plane, view) : []
    pane.markers.draw(view, this.markersShown ? this.#markersHere() : [], this.#selected, lines)
    const { selected } = measurer.measurements
    pane.rulers.draw(view, measurer.shownIn(plane, view), selected, one => this.statisticsOf(one))
    pane.coverMissing(view, series, place.loaded)
    const before = pane.saliency.drawn
    const elsewhere = this.saliency?.series !== scene.of.id
    const hidden = !place.loaded || pane.element.inert || elsewhere
    pane.saliency.draw(view, hidden ? null : this.saliency, this.saliencyOpacity)
    if (pane.saliency.drawn !== before) {
      const planes = PLANES.filter(other => scene.panes[other].saliency.drawn !== null)
      scene.tell({ kind: 'saliency', planes })
    }
    const shown = place.loaded && (plane === 'axial' || scene.drawn.includes(plane))
    const notice = shown
      ? ''
      : plane === 'axial'
        ? series.noticeAt(place.index - 1, pane.thickness_mm)
        : 'Loading…'
    const arrived = series.arrived.size / series.total
    const title = scene.layout === 'compare' ? 'Current' : undefined
    pane.labels.draw(
      view,
      place,
      scene.window,
      scene.inverted,
      notice,
      arrived,
      title,
      series.limits.label,
    )
  }

  statisticsOf(measurement: Measurement): HuStatistics | null {
    const { series, of } = this.scene
    return series && of.id === measurement.series ? statisticsIn(series, measurement) : null
  }

  /** Those in the coordinates of what is shown. */
  #markersHere(): readonly Marker[] {
    const here = this.scene.of.frame_of_reference_uid
    return this.#markers.filter(({ frame }) => !frame || !here || frame === here)
  }

  #linesOfOtherPlanes(plane: Plane, view: View): ReferenceLine[] {
    const others = PLANES.filter(other => other !== plane).map(other => {
      const { focalPoint: point, normal } = this.scene.rendering.camera(other)
      return { plane: other, point, normal }
    })
    return linesOfOthers(view, others, LINE_GAP_PX)
  }
}

/** Hounsfield units within a measurement of a series; null where its images are not there. */
export function statisticsIn(series: CtSeries, measurement: Measurement): HuStatistics | null {
  let missing = false
  const found = statisticsOf(measurement.points_mm, series.geometry, (column, row, image) => {
    if (!series.arrived.has(image)) missing = true
    return missing ? 0 : series.valueAt(column, row, image)
  })
  return missing ? null : found
}
