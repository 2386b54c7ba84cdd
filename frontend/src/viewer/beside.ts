import type { PatientPoint } from '../api/types'
import { add, type CanvasPoint, edgeLetters, type View } from './geometry'
import { Pane } from './pane'
import type { Camera, ExtraRendering, Rendering } from './rendering'
import type { CtSeries } from './series'
import type { Slab } from './slab'
import { nearestSlice, ontoSlice } from './slices'
import type { PaneState, Window } from './viewer'

/** A second axial pane that shows a slab of the same series and goes where the first one goes. */
export class Beside {
  readonly pane = new Pane('axial', 'beside')
  shown = false
  #rendering: ExtraRendering | null = null
  #series: CtSeries | null = null
  #starting = false

  get started(): boolean {
    return this.#starting
  }

  /** Begin to draw `series`; nothing is on screen before `follow`. */
  async start(from: Rendering, series: CtSeries, slab: Slab, drawn: () => void): Promise<void> {
    this.#starting = true
    const rendering = await from.addAxial(this.pane.canvas, series, drawn)
    if (!rendering) this.#starting = false // it may be able to, later
    if (!rendering || !this.#starting) return
    this.#rendering = rendering
    this.#series = series
    this.pane.slab = slab
    rendering.setSlab(slab)
    this.pane.fitted_mm = rendering.camera().parallelScale
  }

  stop(): void {
    this.#starting = false
    this.#rendering = null
  }

  /** Go where the axial pane has gone. */
  follow({ focalPoint, parallelScale }: Pick<Camera, 'focalPoint' | 'parallelScale'>): void {
    const slices = this.#series?.slices.axial
    if (!this.shown || !slices || !this.#rendering) return
    const onSlice = ontoSlice(slices, focalPoint, nearestSlice(slices, focalPoint))
    this.#rendering.look({ focalPoint: onSlice, parallelScale })
    this.render()
  }

  /** The way of so many slices, from head to feet. */
  slices(by: number): PatientPoint {
    const slices = this.#series?.slices.axial
    return slices ? add([0, 0, 0], slices.direction, by * slices.spacing_mm) : [0, 0, 0]
  }

  setWindow(window: Window, inverted: boolean): void {
    this.#rendering?.setWindow(window, inverted)
    this.render()
  }

  render(): void {
    if (this.shown) this.#rendering?.render()
  }

  unproject(at: CanvasPoint): PatientPoint {
    return this.#rendering?.unproject(at) ?? [0, 0, 0]
  }

  draw(window: Window, inverted: boolean): void {
    const [view, place] = [this.#view(), this.state()]
    if (!view || !place || !this.#series) return
    this.pane.canvas.style.visibility = place.loaded ? 'visible' : 'hidden'
    const { thickness_mm } = this.pane
    const notice = this.#series.noticeAt(place.index - 1, thickness_mm)
    const arrived = this.#series.arrived.size / this.#series.total
    this.pane.labels.draw(view, place, window, inverted, notice, arrived, 'Axial slab')
  }

  state(): PaneState | null {
    const view = this.#view()
    const [rendering, series] = [this.#rendering, this.#series]
    if (!view || !rendering || !series) return null
    const { focalPoint, parallelScale } = rendering.camera()
    const index = nearestSlice(series.slices.axial, focalPoint)
    const { x, y, width, height } = this.pane.element.getBoundingClientRect()
    return {
      index: index + 1,
      total: series.slices.axial.total,
      position_mm: focalPoint,
      loaded: series.hasSlice(index, this.pane.thickness_mm),
      mm_per_pixel: view.mm_per_pixel,
      zoom: this.pane.fitted_mm / parallelScale,
      slab: this.pane.slab,
      letters: edgeLetters(view),
      drawn: true,
      markers: [],
      measurements: [],
      saliency: null,
      rect: { x, y, width, height },
    }
  }

  #view(): View | null {
    const rendering = this.#rendering
    if (!rendering) return null
    const spacing_mm = this.#series?.slices.axial.spacing_mm ?? 1
    return this.pane.view(rendering.camera(), spacing_mm, rendering.project)
  }
}
