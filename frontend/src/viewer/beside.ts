import type { PatientPoint } from '../api/types'
import { add, type CanvasPoint, cross, edgeLetters, subtract, type View } from './geometry'
import { Pane } from './pane'
import type { Camera, ExtraRendering } from './rendering'
import type { CtSeries } from './series'
import type { Slab } from './slab'
import { nearestSlice, ontoSlice } from './slices'
import type { PaneState, Window } from './viewer'

/** What stands beside the axial images: the same as a slab, or those of a prior examination. */
export type Companion = 'slab' | 'prior'

/**
 * A second axial pane that goes where the first one goes, by position in the patient.
 *
 * Two examinations never have the patient in one place: the way from one to the other is kept
 * while the panes are linked, and set anew by scrolling or moving this one alone.
 */
export class Beside {
  readonly pane = new Pane('axial', 'beside')
  linked = true
  /** From a point of the axial pane to the same point of the patient in this one. */
  #offset_mm: PatientPoint = [0, 0, 0]
  #rendering: ExtraRendering | null = null
  #series: CtSeries | null = null
  #title = ''
  shown = false

  get title(): string {
    return this.#title
  }

  get series(): CtSeries | null {
    return this.#series
  }

  /** Begin to draw `series`; nothing is on screen before `follow`. */
  start(rendering: ExtraRendering, series: CtSeries, title: string, slab: Slab | null): void {
    this.#rendering = rendering
    this.#series = series
    this.#title = title
    this.pane.slab = slab
    if (slab) rendering.setSlab(slab)
    this.pane.fitted_mm = rendering.camera().parallelScale
  }

  stop(): void {
    this.#rendering = null
  }

  /** Go where the axial pane has gone. */
  follow(axial: Pick<Camera, 'focalPoint' | 'parallelScale'>): void {
    if (!this.linked || !this.shown) return
    this.#look(add(axial.focalPoint, this.#offset_mm), axial.parallelScale)
  }

  /** Move by itself, and so set anew how this examination lies to the other. */
  moveBy(way: PatientPoint): void {
    const camera = this.#rendering?.camera()
    if (!camera) return
    this.#offset_mm = add(this.#offset_mm, way)
    this.#look(add(camera.focalPoint, way), camera.parallelScale)
  }

  /** The way of so many slices, from head to feet. */
  slices(by: number): PatientPoint {
    const slices = this.#series?.slices.axial
    return slices ? add([0, 0, 0], slices.direction, by * slices.spacing_mm) : [0, 0, 0]
  }

  /** Let the next `follow` begin from where both panes stand now. */
  link(axial: Pick<Camera, 'focalPoint'>, linked: boolean): void {
    const here = this.#rendering?.camera().focalPoint
    if (linked && here) this.#offset_mm = subtract(here, axial.focalPoint)
    this.linked = linked
  }

  /** Lie on the other examination as if both had the patient in the middle of the scanner. */
  align(axial: CtSeries): void {
    if (this.#series && this.#series !== axial) {
      this.#offset_mm = subtract(this.#series.middle, axial.middle)
    }
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
    const notice = place.loaded ? '' : 'Loading this slice…'
    const arrived = this.#series.arrived.size / this.#series.total
    this.pane.labels.draw(view, place, window, inverted, notice, arrived, this.#title)
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
      markers: [],
      measurements: [],
      saliency: null,
      rect: { x, y, width, height },
    }
  }

  #look(point: PatientPoint, parallelScale: number): void {
    const slices = this.#series?.slices.axial
    if (!slices || !this.#rendering) return
    const focalPoint = ontoSlice(slices, point, nearestSlice(slices, point))
    this.#rendering.look({ focalPoint, parallelScale })
    this.render()
  }

  #view(): View | null {
    const rendering = this.#rendering
    if (!rendering) return null
    const { focalPoint, normal, up, parallelScale } = rendering.camera()
    const { clientWidth: width, clientHeight: height } = this.pane.canvas
    return {
      point: focalPoint,
      normal,
      up,
      right: cross(up, normal),
      mm_per_pixel: (2 * parallelScale) / Math.max(1, height),
      spacing_mm: this.#series?.slices.axial.spacing_mm ?? 1,
      slab_mm: this.pane.thickness_mm,
      width,
      height,
      project: rendering.project,
    }
  }
}
