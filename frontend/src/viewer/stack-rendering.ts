import type { PatientPoint } from '../api/types'
import { add, type CanvasPoint, cross, dot, subtract } from './geometry'
import type { Camera, Rendering, RenderingEvents } from './rendering'
import type { CtSeries } from './series'
import { imagesOfSlab, type Slab } from './slab'
import { cornerOf, imageOf, nearestSlice } from './slices'
import { PLANES, type Plane, type Window } from './viewer'

const NORMAL: Record<Plane, PatientPoint> = {
  axial: [0, 0, -1],
  sagittal: [1, 0, 0],
  coronal: [0, -1, 0],
}
const UP: Record<Plane, PatientPoint> = {
  axial: [0, -1, 0],
  sagittal: [0, 0, 1],
  coronal: [0, 0, 1],
}

/** Where there is no graphics card, one that is imitated takes longer to draw than the processor. */
const BY_PROCESSOR: CanvasRenderingContext2DSettings = { willReadFrequently: true }

/**
 * Draws the axial images without a graphics card, one image after the other as they were taken.
 *
 * Window, zoom, pan and slabs work as they do elsewhere; there are no other planes.
 */
export class StackRendering implements Rendering {
  readonly planes: readonly Plane[] = ['axial']
  readonly #screen = document.createElement('canvas')
  /** One image, a grey level per pixel, as large as it was taken. */
  readonly #picture = document.createElement('canvas')
  #painted = ''
  #series: CtSeries | null = null
  #cameras: Record<Plane, Camera>
  #window: Window = { centre: 0, width: 1 }
  #inverted = false
  #slab: Slab | null = null
  #asked = 0

  constructor(
    readonly canvases: Record<Plane, HTMLDivElement>,
    readonly events: RenderingEvents,
  ) {
    const camera = (plane: Plane): Camera => ({
      focalPoint: [0, 0, 0],
      normal: NORMAL[plane],
      up: UP[plane],
      parallelScale: 1,
    })
    this.#cameras = {
      axial: camera('axial'),
      sagittal: camera('sagittal'),
      coronal: camera('coronal'),
    }
    this.#screen.className = 'stack'
    canvases.axial.replaceChildren(this.#screen)
  }

  async show(series: CtSeries): Promise<void> {
    this.#series = series
    const { dimensions } = series.geometry
    this.#picture.width = dimensions[0]
    this.#picture.height = dimensions[1]
    this.#cameras.axial = { ...this.#cameras.axial, ...acrossSlices(series) }
    for (const plane of PLANES) this.fit(plane)
  }

  camera(plane: Plane): Camera {
    return this.#cameras[plane]
  }

  look(plane: Plane, change: { focalPoint: PatientPoint; parallelScale?: number }): void {
    this.#cameras[plane] = { ...this.#cameras[plane], ...change }
  }

  fit(plane: Plane): void {
    if (!this.#series) return
    const { geometry, middle } = this.#series
    const { normal, up } = this.#cameras[plane]
    const extent = (direction: PatientPoint) =>
      [0, 1, 2].reduce((sum, i) => {
        const axis = geometry.axes[i as 0 | 1 | 2]
        const length = (geometry.spacing_mm[i] ?? 0) * (geometry.dimensions[i] ?? 0)
        return sum + Math.abs(dot(axis, direction)) * length
      }, 0)
    const { clientWidth: width, clientHeight: height } = this.canvases[plane]
    const across = (extent(cross(up, normal)) * height) / Math.max(1, width)
    const parallelScale = Math.max(extent(up), across) / 2
    this.#cameras[plane] = { focalPoint: middle, normal, up, parallelScale }
  }

  project(plane: Plane, point: PatientPoint): CanvasPoint {
    const { focalPoint, normal, up } = this.#cameras[plane]
    const { clientWidth: width, clientHeight: height } = this.canvases[plane]
    const from = subtract(point, focalPoint)
    const mm = this.#mmPerPixel(plane)
    return [width / 2 + dot(from, cross(up, normal)) / mm, height / 2 - dot(from, up) / mm]
  }

  unproject(plane: Plane, [x, y]: CanvasPoint): PatientPoint {
    const { focalPoint, normal, up } = this.#cameras[plane]
    const { clientWidth: width, clientHeight: height } = this.canvases[plane]
    const mm = this.#mmPerPixel(plane)
    return add(add(focalPoint, cross(up, normal), (x - width / 2) * mm), up, (height / 2 - y) * mm)
  }

  async addAxial(): Promise<null> {
    return null
  }

  setWindow(window: Window, inverted: boolean): void {
    this.#window = window
    this.#inverted = inverted
    this.#painted = ''
  }

  setSlab(plane: Plane, slab: Slab | null): void {
    if (plane !== 'axial') return
    this.#slab = slab
    this.#painted = ''
  }

  /** Draw with the next frame of the browser, once, however often it is asked for. */
  render(plane: Plane): void {
    if (plane !== 'axial' || this.#asked !== 0) return
    this.#asked = requestAnimationFrame(() => {
      this.#asked = 0
      this.#draw()
      this.events.drawn('axial')
    })
  }

  resize(draw: boolean): void {
    if (draw) this.render('axial')
  }

  close(): void {
    cancelAnimationFrame(this.#asked)
    this.#screen.remove()
  }

  #mmPerPixel(plane: Plane): number {
    const { parallelScale } = this.#cameras[plane]
    return (2 * parallelScale) / Math.max(1, this.canvases[plane].clientHeight)
  }

  #draw(): void {
    const series = this.#series
    const context = this.#screen.getContext('2d', { alpha: false, ...BY_PROCESSOR })
    if (!series || !context) return
    const { clientWidth, clientHeight } = this.canvases.axial
    const pixels = window.devicePixelRatio || 1
    this.#screen.width = Math.round(clientWidth * pixels) // empties it, too
    this.#screen.height = Math.round(clientHeight * pixels)
    const { geometry, slices } = series
    const index = nearestSlice(slices.axial, this.#cameras.axial.focalPoint)
    if (!this.#paint(series, index)) return
    // Where the corner of the first pixel and the edges of the image lie on the canvas.
    const [row, column] = geometry.axes
    const [dx, dy] = geometry.spacing_mm
    const first = cornerOf(geometry, imageOf(slices.axial, index))
    const corner = add(add(first, row, -dx / 2), column, -dy / 2)
    const [x, y] = this.project('axial', corner)
    const [rx, ry] = this.project('axial', add(corner, row, dx))
    const [cx, cy] = this.project('axial', add(corner, column, dy))
    context.imageSmoothingQuality = 'high'
    context.setTransform(
      pixels * (rx - x),
      pixels * (ry - y),
      pixels * (cx - x),
      pixels * (cy - y),
      pixels * x,
      pixels * y,
    )
    context.drawImage(this.#picture, 0, 0)
  }

  /** Make the picture of a slice; false when its images are not all there. */
  #paint(series: CtSeries, index: number): boolean {
    const key = `${index} ${series.arrived.size === series.total}`
    if (key === this.#painted) return true
    const images = imagesOfSlab(series.slices.axial, index, this.#slab?.thickness_mm ?? 0)
    const values = images.map(image => series.hounsfield(image)).filter(values => values !== null)
    const context = this.#picture.getContext('2d', BY_PROCESSOR)
    if (values.length < images.length || !context) return false
    const { width, height } = this.#picture
    const picture = context.createImageData(width, height)
    paint(picture.data, merge(values, this.#slab), this.#window, this.#inverted)
    context.putImageData(picture, 0, 0)
    this.#painted = key
    return true
  }
}

/** How to look straight at the slices of a series, which may be tilted. */
function acrossSlices({ slices, geometry }: CtSeries): Pick<Camera, 'normal' | 'up'> {
  const normal = slices.axial.direction
  const across = Math.abs(dot(normal, geometry.axes[2])) > 0.99 // images need not be axial
  if (!across) return { normal: NORMAL.axial, up: UP.axial }
  const flat = add(UP.axial, normal, -dot(UP.axial, normal))
  return { normal, up: add([0, 0, 0], flat, 1 / Math.sqrt(dot(flat, flat))) }
}

/** The values of several images as one, by the projection of the slab. */
export function merge(images: ArrayLike<number>[], slab: Slab | null): ArrayLike<number> {
  const [first] = images
  if (images.length === 1 && first) return first
  const merged = Float32Array.from(first ?? [])
  for (const image of images.slice(1)) {
    for (let i = 0; i < merged.length; i++) {
      const [here, there] = [merged[i] ?? 0, image[i] ?? 0]
      if (slab?.projection === 'mean') merged[i] = here + there
      else merged[i] = slab?.projection === 'minip' ? Math.min(here, there) : Math.max(here, there)
    }
  }
  if (slab?.projection === 'mean') {
    for (let i = 0; i < merged.length; i++) merged[i] = (merged[i] ?? 0) / images.length
  }
  return merged
}

/** Grey levels, four bytes a pixel, of Hounsfield units within a window. */
export function paint(
  rgba: Uint8ClampedArray,
  hounsfield: ArrayLike<number>,
  { centre, width }: Window,
  inverted: boolean,
): void {
  const lower = centre - width / 2
  const gain = 255 / width
  const grey32 = new Uint32Array(rgba.buffer)
  for (let i = 0; i < grey32.length; i++) {
    const level = ((hounsfield[i] ?? 0) - lower) * gain
    const clamped = level < 0 ? 0 : level > 255 ? 255 : level + 0.5
    const grey = inverted ? 255 - (clamped | 0) : clamped | 0
    grey32[i] = 0xff000000 | (grey * 0x010101)
  }
}
