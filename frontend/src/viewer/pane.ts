import type { PatientPoint } from '../api/types'
import { add, type CanvasPoint, cross, type View } from './geometry'
import { Labels } from './labels'
import { Magnifier } from './magnifier'
import { MarkerLayer } from './markers'
import type { Camera } from './rendering'
import { RulerLayer } from './rulers'
import { SaliencyLayer } from './saliency'
import type { CtSeries } from './series'
import type { Slab } from './slab'
import type { Plane } from './viewer'

/** One plane on screen: the canvas of the images with our layers above it. */
export class Pane {
  readonly element = document.createElement('div')
  readonly canvas = document.createElement('div')
  readonly cover = document.createElement('div')
  readonly saliency = new SaliencyLayer()
  readonly markers = new MarkerLayer()
  readonly rulers = new RulerLayer()
  readonly labels: Labels
  /** Half the height of the pane when the whole slice fills it. */
  fitted_mm = 0
  slab: Slab | null = null

  readonly magnifier = new Magnifier(this.canvas)

  constructor(
    readonly plane: Plane,
    name: string = plane,
  ) {
    this.labels = new Labels(plane)
    this.element.className = `pane ${name}`
    this.element.tabIndex = 0
    this.element.setAttribute('role', 'group')
    this.element.setAttribute('aria-label', `${name} CT images`)
    this.canvas.className = 'ct'
    this.cover.className = 'cover'
    this.element.append(
      this.canvas,
      this.cover,
      this.saliency.element,
      this.markers.element,
      this.rulers.element,
      this.labels.element,
      this.magnifier.element,
    )
  }

  get thickness_mm(): number {
    return this.slab?.thickness_mm ?? 0
  }

  /** What a camera shows in this pane, of a series whose slices are `spacing_mm` apart. */
  view(
    { focalPoint, normal, up, parallelScale }: Camera,
    spacing_mm: number,
    project: (point: PatientPoint) => CanvasPoint,
  ): View {
    const { clientWidth: width, clientHeight: height } = this.canvas
    const mm_per_pixel = (2 * parallelScale) / Math.max(1, height)
    const axes = { point: focalPoint, normal, up, right: cross(up, normal) }
    return { ...axes, mm_per_pixel, spacing_mm, slab_mm: this.thickness_mm, width, height, project }
  }

  hide(hidden: boolean): void {
    this.element.inert = hidden
    this.element.setAttribute('aria-hidden', String(hidden))
  }

  /** Cover what has not arrived: an empty part of the volume would be drawn as water. */
  coverMissing(view: View, series: CtSeries, loaded: boolean): void {
    if (this.plane === 'axial') {
      this.canvas.style.visibility = loaded ? 'visible' : 'hidden'
      return
    }
    const missing = series.missing()
    if (missing.length === 0) {
      if (this.cover.childElementCount > 0) this.cover.replaceChildren()
      return
    }
    const { first, direction, spacing_mm } = series.slices.axial
    const y = (index: number) => view.project(add(first, direction, index * spacing_mm))[1]
    this.cover.replaceChildren(
      ...missing.map(([from, to]) => {
        const band = document.createElement('div')
        // As far as the next slice that is there: in between, its values are mixed with none.
        const [a, b] = [y(from - 1), y(to + 1)]
        band.style.top = `${Math.min(a, b)}px`
        band.style.height = `${Math.abs(a - b)}px`
        if (series.isGap(from, to)) {
          band.className = 'gap'
          band.textContent = 'missing slices'
        }
        return band
      }),
    )
  }
}
