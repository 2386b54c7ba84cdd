import type { Layout, PatientPoint, Series } from '../api/types'
import { edgeLetters, type View } from './geometry'
import { Pane } from './pane'
import type { Rendering } from './rendering'
import type { CtSeries } from './series'
import { imageOf, nearestSlice, spacingAt } from './slices'
import { type PaneState, PLANES, type Plane, type ViewerEvent, type Window } from './viewer'

/** Of the cosine to an axis: within half a degree of it. */
const LEVEL_WITHIN = 4e-5
const STARTING_WINDOW: Window = { centre: -600, width: 1500 }

/** The direction across a slice, where it is none of the patient's axes. */
export function tilted(normal: PatientPoint): { normal?: PatientPoint } {
  return normal.some(part => Math.abs(part) > 1 - LEVEL_WITHIN) ? {} : { normal }
}

/** What is on screen: a series, how each pane looks at it, and in which grey levels. */
export class Scene {
  readonly panes: Record<Plane, Pane> = {
    axial: new Pane('axial'),
    sagittal: new Pane('sagittal'),
    coronal: new Pane('coronal'),
  }
  series: CtSeries | null = null
  /** Which series that is. */
  of: Pick<Series, 'id' | 'series_uid' | 'frame_of_reference_uid'> = {
    id: 0,
    series_uid: '',
    frame_of_reference_uid: '',
  }
  layout: Layout = 'mpr'
  active: Plane = 'axial'
  window: Window = STARTING_WINDOW
  inverted = false
  closed = false
  /** Drawing costs time that the first image needs: nothing is drawn before it, nor beside it. */
  drawn: readonly Plane[] = []
  readonly #listeners = new Set<(event: ViewerEvent) => void>()
  #rendering: Rendering | null = null

  constructor(readonly softwareRendering: boolean) {}

  /** What draws the panes; another one, once the graphics card had to be left. */
  get rendering(): Rendering {
    if (!this.#rendering) throw new Error('nothing draws yet')
    return this.#rendering
  }

  set rendering(rendering: Rendering) {
    this.#rendering = rendering
  }

  listen(listener: (event: ViewerEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  tell(event: ViewerEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  close(): void {
    this.closed = true
    this.#listeners.clear()
    this.rendering.close()
    this.series?.forget()
  }

  view(plane: Plane): View {
    const camera = this.rendering.camera(plane)
    const slices = this.series?.slices[plane]
    const spacing_mm = slices ? spacingAt(slices, nearestSlice(slices, camera.focalPoint)) : 1
    return this.panes[plane].view(camera, spacing_mm, point => this.rendering.project(plane, point))
  }

  place(
    plane: Plane,
  ): Pick<PaneState, 'index' | 'total' | 'position_mm' | 'loaded' | 'zoom' | 'slab'> {
    const { focalPoint, parallelScale } = this.rendering.camera(plane)
    const { fitted_mm, slab, thickness_mm } = this.panes[plane]
    const { series } = this
    const view = {
      position_mm: focalPoint,
      zoom: (fitted_mm || parallelScale) / parallelScale,
      slab,
    }
    if (!series) return { index: 0, total: 0, loaded: false, ...view }
    const index = nearestSlice(series.slices[plane], focalPoint)
    const loaded = plane === 'axial' ? series.hasSlice(index, thickness_mm) : series.complete
    return { index: index + 1, total: series.slices[plane].total, loaded, ...view }
  }

  pane(plane: Plane): PaneState {
    const { element, markers, rulers, saliency } = this.panes[plane]
    const { x, y, width, height } = element.getBoundingClientRect()
    const view = this.view(plane)
    return {
      ...this.place(plane),
      mm_per_pixel: view.mm_per_pixel,
      letters: edgeLetters(view),
      drawn: this.drawn.includes(plane),
      markers: [...markers.drawn],
      measurements: [...rulers.drawn],
      saliency: saliency.drawn,
      rect: { x, y, width, height },
    }
  }

  /** The image that the axial pane shows, in the order of the volume. */
  imageOnScreen(): number {
    const slices = this.series?.slices.axial
    return slices ? imageOf(slices, this.place('axial').index - 1) : 0
  }

  /** Whether an image is part of what the axial pane shows, or next to it. */
  axialShows(image: number): boolean {
    const spacing_mm = this.series?.slices.axial.spacing_mm ?? 1
    const reach = this.panes.axial.thickness_mm / 2 / spacing_mm + 1
    return Math.abs(image - this.imageOnScreen()) <= reach
  }

  /** What a plane shows now, for the screen and for the record of what was on it. */
  tellSlice(plane: Plane): void {
    const { index, total, position_mm } = this.place(plane)
    const { width, height, mm_per_pixel, normal } = this.view(plane)
    const span_mm = [width, height].map(pixels => Math.round(pixels * mm_per_pixel))
    const { thickness_mm } = this.panes[plane]
    const blank = plane === 'axial' && this.series?.isBlank(index - 1, thickness_mm) === true
    const gap = blank ? ({ blank } as const) : {}
    const where = { plane, index, total, position_mm, span_mm, ...tilted(normal), ...gap }
    this.tell({ kind: 'slice', series: this.of.id, prior: false, ...where })
  }

  /** Set the pane that keys are meant for. */
  activate(plane: Plane): void {
    this.active = plane
    this.tell({ kind: 'active', plane })
    for (const other of PLANES) {
      this.panes[other].element.classList.toggle('active', other === plane)
    }
  }
}
