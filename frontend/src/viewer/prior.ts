import type { Measurement, PatientPoint, Series } from '../api/types'
import { add, type CanvasPoint, edgeLetters, subtract, type View } from './geometry'
import { statisticsIn } from './layers'
import { Link } from './link'
import type { Measurer } from './measurer'
import { Pane } from './pane'
import type { Camera } from './rendering'
import { type Scene, tilted } from './scene'
import { CtSeries } from './series'
import { imagesOfSlab, type Slab } from './slab'
import { imageOf, nearestSlice, ontoSlice, spacingAt } from './slices'
import { StackRendering } from './stack-rendering'
import type { HuStatistics } from './statistics'
import type { PriorState } from './viewer'

type Where = Pick<Camera, 'focalPoint' | 'parallelScale'>

/**
 * The axial images of an earlier examination, in a pane beside those of the current one.
 *
 * Drawn without the graphics card, whose memory a second volume would fill. Nodules and marks
 * lie in the current examination and are not drawn here; what is measured here is shown here alone.
 */
export class Prior {
  readonly pane = new Pane('axial', 'prior')
  readonly link = new Link()
  shown = false
  /** The keyboard is in this pane. */
  focused = false
  #series: CtSeries | null = null
  #of: Series | null = null
  #title = ''
  #stack: StackRendering
  #fresh = false

  constructor(
    readonly scene: Scene,
    readonly measurer: Measurer,
  ) {
    const { canvas } = this.pane
    const drawn = () => {
      this.draw()
      this.pane.magnifier.draw()
    }
    const canvases = { axial: canvas, sagittal: canvas, coronal: canvas }
    this.#stack = new StackRendering(canvases, { drawn, lost: () => {} })
    this.pane.element.setAttribute('aria-label', 'CT images of an earlier examination, axial')
    this.pane.hide(true)
  }

  get id(): number {
    return this.#of?.id ?? 0
  }

  get isOpen(): boolean {
    return this.#series !== null
  }

  /** Take in a series; what was there before of another one is left. */
  async open(of: Series, title: string): Promise<CtSeries> {
    this.#of = of
    this.#title = title
    this.#series = null
    const series = await CtSeries.open(of)
    if (this.#of !== of) return series
    this.#series = series
    await this.#stack.show(series)
    this.pane.fitted_mm = this.#stack.camera('axial').parallelScale
    this.#fresh = true
    this.setWindow()
    return series
  }

  /** Load its images, those round the slice on screen first. */
  async load(series: CtSeries): Promise<void> {
    await series.load({
      here: () => imageOf(series.slices.axial, this.#index),
      stopped: () => this.scene.closed || this.#series !== series,
      progress: image => {
        if (this.scene.closed || this.#series !== series) return
        const { axial } = series.slices
        const here = imageOf(axial, this.#index)
        const shown = imagesOfSlab(axial, this.#index, this.pane.thickness_mm)
        if (Math.abs(image - here) <= 1 || shown.includes(image)) this.render()
        else if (series.arrived.size % 4 === 0) this.draw()
      },
    })
    if (this.scene.closed || this.#series !== series) return
    this.render()
    const { total: slices, failed } = series
    this.scene.tell({ kind: 'prior_loaded', series: this.id, slices, failed })
  }

  /** Go along with the axial pane of the current examination. */
  follow({ focalPoint, parallelScale }: Where): void {
    const { series: current, of } = this.scene
    if (!this.#series || !current) return
    const first = this.#fresh
    if (first) {
      this.#fresh = false
      this.link.begin(
        { ...of, middle: current.middle },
        { ...(this.#of as Series), middle: this.#series.middle },
      )
      this.#tellLink(true)
    }
    if (this.link.linked) this.look(this.link.toPrior(focalPoint), parallelScale, first)
  }

  /** Show `point`, on the slice nearest to it. */
  look(point: PatientPoint, parallelScale?: number, automatic = false): void {
    const slices = this.#series?.slices.axial
    if (!slices) return
    const focalPoint = ontoSlice(slices, point, nearestSlice(slices, point))
    this.#stack.look('axial', { focalPoint, ...(parallelScale && { parallelScale }) })
    this.render()
    this.#tellSlice(automatic)
  }

  scroll(by: number): void {
    this.look(add(this.#stack.camera('axial').focalPoint, this.way(by)))
  }

  /** The way of so many slices, from head to feet. */
  way(by: number): PatientPoint {
    const slices = this.#series?.slices.axial
    if (!slices) return [0, 0, 0]
    const { focalPoint } = this.#stack.camera('axial')
    const target = Math.min(Math.max(this.#index + by, 0), slices.total - 1)
    return subtract(ontoSlice(slices, focalPoint, target), focalPoint)
  }

  move(way: PatientPoint): void {
    this.look(add(this.#stack.camera('axial').focalPoint, way))
  }

  zoom(factor: number): void {
    const { focalPoint, parallelScale } = this.#stack.camera('axial')
    const fitted = this.pane.fitted_mm || parallelScale
    this.look(focalPoint, Math.min(Math.max(parallelScale / factor, fitted / 40), fitted * 2))
  }

  setLinked(linked: boolean, current: Camera): void {
    if (!this.#series || linked === this.link.linked) return
    if (linked) this.link.join(current.focalPoint, this.#stack.camera('axial').focalPoint)
    else this.link.linked = false
    this.#tellLink(false)
    this.follow(current) // the same zoom again
    this.draw()
  }

  setWindow(): void {
    const { window, inverted } = this.scene
    this.#stack.setWindow(window, inverted)
    this.render()
  }

  setSlab(wanted: Slab | null): void {
    const slab = this.#series?.limits.slabs === false ? null : wanted
    this.pane.slab = slab
    this.#stack.setSlab('axial', slab)
    this.render()
  }

  /** What is shown in the layout: tell of it, too. */
  show(shown: boolean): void {
    this.shown = shown
    if (!shown) this.focused = false
    this.pane.hide(!shown)
    if (shown) this.#tellSlice(true)
  }

  render(): void {
    if (this.shown && this.#series) this.#stack.render('axial')
  }

  draw(): void {
    const [view, place] = [this.view(), this.state()]
    const { window, inverted, closed } = this.scene
    if (closed || !view || !place || !this.#series) return
    this.pane.canvas.style.visibility = place.loaded ? 'visible' : 'hidden'
    const { measurements } = this.measurer
    const here = this.measurer.shownIn('axial', view, this.id)
    this.pane.rulers.draw(view, here, measurements.selected, one => this.statisticsOf(one))
    const notice = this.#series.noticeAt(this.#index, this.pane.thickness_mm)
    const arrived = this.#series.arrived.size / this.#series.total
    const title = this.link.linked ? this.#title : `${this.#title} (not linked)`
    this.pane.labels.draw(
      view,
      place,
      window,
      inverted,
      notice,
      arrived,
      title,
      this.#series.limits.label,
    )
  }

  statisticsOf(measurement: Measurement): HuStatistics | null {
    return this.#series && measurement.series === this.id
      ? statisticsIn(this.#series, measurement)
      : null
  }

  unproject(at: CanvasPoint): PatientPoint {
    return this.#stack.unproject('axial', at)
  }

  view(): View | null {
    const slices = this.#series?.slices.axial
    if (!slices) return null
    const spacing_mm = spacingAt(slices, this.#index)
    return this.pane.view(this.#stack.camera('axial'), spacing_mm, point =>
      this.#stack.project('axial', point),
    )
  }

  state(): PriorState | null {
    const [view, series] = [this.view(), this.#series]
    if (!view || !series) return null
    const { focalPoint, parallelScale } = this.#stack.camera('axial')
    const { x, y, width, height } = this.pane.element.getBoundingClientRect()
    return {
      series: this.id,
      linked: this.link.linked,
      offset_mm: this.link.offset_mm,
      loaded_images: series.arrived.size,
      index: this.#index + 1,
      total: series.slices.axial.total,
      position_mm: focalPoint,
      loaded: series.hasSlice(this.#index, this.pane.thickness_mm),
      mm_per_pixel: view.mm_per_pixel,
      zoom: this.pane.fitted_mm / parallelScale,
      slab: this.pane.slab,
      letters: edgeLetters(view),
      drawn: true,
      markers: [],
      measurements: [...this.pane.rulers.drawn],
      saliency: null,
      rect: { x, y, width, height },
    }
  }

  close(): void {
    this.#stack.close()
  }

  get #index(): number {
    const slices = this.#series?.slices.axial
    return slices ? nearestSlice(slices, this.#stack.camera('axial').focalPoint) : 0
  }

  /** `automatic` is what comes about by loading: no sign of the reader. */
  #tellSlice(automatic: boolean): void {
    const [view, place] = [this.view(), this.state()]
    if (!this.shown || !view || !place) return
    const { index, total, position_mm, series } = place
    const span_mm = [view.width, view.height].map(px => Math.round(px * view.mm_per_pixel))
    const where = { plane: 'axial', index, total, position_mm, span_mm } as const
    const leans = tilted(view.normal)
    const blank = this.#series?.isBlank(index - 1, this.pane.thickness_mm) === true
    const gap = blank ? ({ blank } as const) : {}
    this.scene.tell({ kind: 'slice', series, prior: true, automatic, ...where, ...leans, ...gap })
  }

  #tellLink(automatic: boolean): void {
    const { linked, offset_mm } = this.link
    this.scene.tell({ kind: 'link', series: this.id, automatic, linked, offset_mm })
  }
}
