import {
  Enums,
  eventTarget,
  RenderingEngine,
  setVolumesForViewports,
  type Types,
} from '@cornerstonejs/core'
import type { PatientPoint } from '../api/types'
import { add, type CanvasPoint, type Direction, subtract } from './geometry'
import type { CtSeries } from './series'
import type { Projection, Slab } from './slab'
import { PLANES, type Plane, type Window } from './viewer'
import { Volume } from './volume'

const ORIENTATION: Record<Plane, Enums.OrientationAxis> = {
  axial: Enums.OrientationAxis.AXIAL,
  sagittal: Enums.OrientationAxis.SAGITTAL,
  coronal: Enums.OrientationAxis.CORONAL,
}

const BLEND: Record<Projection, Enums.BlendModes> = {
  mip: Enums.BlendModes.MAXIMUM_INTENSITY_BLEND,
  minip: Enums.BlendModes.MINIMUM_INTENSITY_BLEND,
  mean: Enums.BlendModes.AVERAGE_INTENSITY_BLEND,
}

/** The one more pane that `addAxial` draws into. */
const EXTRA = 'beside'
type ViewportId = Plane | typeof EXTRA

/** How a pane looks at the volume. */
export interface Camera {
  /** In the middle of the pane, on the slice. */
  focalPoint: PatientPoint
  normal: Direction
  up: Direction
  /** Half the height of the pane, in millimetres. */
  parallelScale: number
}

/** Draws the slices of a volume into panes. */
export interface Rendering {
  /** What it can draw; the other panes stay empty. */
  readonly planes: readonly Plane[]
  /** Take in a series: cameras on its middle, nothing drawn yet. */
  show(series: CtSeries): Promise<void>
  camera(plane: Plane): Camera
  look(plane: Plane, change: { focalPoint: PatientPoint; parallelScale?: number }): void
  /** Let the whole slice fill the pane. */
  fit(plane: Plane): void
  /** Patient space to pixels of the pane, along the normal; and back, onto the focal plane. */
  project(plane: Plane, point: PatientPoint): CanvasPoint
  unproject(plane: Plane, at: CanvasPoint): PatientPoint
  setWindow(window: Window, inverted: boolean): void
  setSlab(plane: Plane, slab: Slab | null): void
  render(plane: Plane): void
  resize(draw: boolean): void
  /** Draw the axial images of a series into one more pane; null where that cannot be done. */
  addAxial(
    canvas: HTMLDivElement,
    series: CtSeries,
    drawn: () => void,
  ): Promise<ExtraRendering | null>
  /** Make what the first image could do without; what draws at once has nothing to do. */
  prepare?(): Promise<void>
  close(): void
}

/** Draws one more pane, as `Rendering` draws its own. */
export interface ExtraRendering {
  camera(): Camera
  look(change: { focalPoint: PatientPoint; parallelScale?: number }): void
  project(point: PatientPoint): CanvasPoint
  unproject(at: CanvasPoint): PatientPoint
  setWindow(window: Window, inverted: boolean): void
  setSlab(slab: Slab | null): void
  render(): void
}

/** What a rendering tells whoever it draws for. */
export interface RenderingEvents {
  drawn(plane: Plane): void
  lost(): void
}

/** With `stack`, one that draws the axial images alone. */
export type MakeRendering = (
  canvases: Record<Plane, HTMLDivElement>,
  events: RenderingEvents,
  stack: boolean,
) => Rendering

/** Draws with Cornerstone3D on the graphics card: any plane, slabs too. */
export class VolumeRendering implements Rendering {
  readonly #engine = new RenderingEngine('reading')
  readonly #listening = new AbortController()
  readonly #volumes = new Map<CtSeries, Promise<Volume>>()
  #volumeId = ''

  constructor(
    canvases: Record<Plane, HTMLDivElement>,
    events: RenderingEvents,
    readonly planes: readonly Plane[] = PLANES,
  ) {
    this.#engine.setViewports(
      planes.map(plane => ({
        viewportId: plane,
        type: Enums.ViewportType.ORTHOGRAPHIC,
        element: canvases[plane],
        defaultOptions: { orientation: ORIENTATION[plane], background: [0, 0, 0] },
      })),
    )
    const { signal } = this.#listening
    for (const plane of planes) {
      const drawn = () => events.drawn(plane)
      canvases[plane].removeAttribute('tabindex') // the pane around it takes the focus
      canvases[plane].addEventListener(Enums.Events.IMAGE_RENDERED, drawn, { signal })
    }
    const lost = () => {
      this.#listening.abort() // once, and nothing is drawn from here on
      eventTarget.removeEventListener(Enums.Events.WEBGL_CONTEXT_LOST, lost)
      events.lost()
    }
    eventTarget.addEventListener(Enums.Events.WEBGL_CONTEXT_LOST, lost)
    signal.addEventListener('abort', () =>
      eventTarget.removeEventListener(Enums.Events.WEBGL_CONTEXT_LOST, lost),
    )
  }

  async show(series: CtSeries): Promise<void> {
    const { volumeId } = await this.#volumeOf(series)
    this.#volumeId = volumeId
    const mine = [{ volumeId }]
    await setVolumesForViewports(this.#engine, mine, [...this.planes])
  }

  async addAxial(
    canvas: HTMLDivElement,
    series: CtSeries,
    drawn: () => void,
  ): Promise<ExtraRendering | null> {
    const { volumeId } = await this.#volumeOf(series)
    this.#engine.enableElement({
      viewportId: EXTRA,
      type: Enums.ViewportType.ORTHOGRAPHIC,
      element: canvas,
      defaultOptions: { orientation: ORIENTATION.axial, background: [0, 0, 0] },
    })
    canvas.removeAttribute('tabindex')
    const { signal } = this.#listening
    canvas.addEventListener(Enums.Events.IMAGE_RENDERED, drawn, { signal })
    await setVolumesForViewports(this.#engine, [{ volumeId }], [EXTRA])
    return {
      camera: () => this.camera(EXTRA),
      look: change => this.look(EXTRA, change),
      project: point => this.project(EXTRA, point),
      unproject: at => this.unproject(EXTRA, at),
      setWindow: (window, inverted) => this.#setWindow(EXTRA, volumeId, window, inverted),
      setSlab: slab => this.setSlab(EXTRA, slab),
      render: () => this.render(EXTRA),
    }
  }

  camera(plane: ViewportId): Camera {
    const camera = this.#viewport(plane).getCamera()
    return {
      focalPoint: (camera.focalPoint ?? [0, 0, 0]) as PatientPoint,
      normal: (camera.viewPlaneNormal ?? [0, 0, 1]) as PatientPoint,
      up: (camera.viewUp ?? [0, 1, 0]) as PatientPoint,
      parallelScale: camera.parallelScale ?? 1,
    }
  }

  look(
    plane: ViewportId,
    { focalPoint, ...change }: { focalPoint: PatientPoint; parallelScale?: number },
  ): void {
    const viewport = this.#viewport(plane)
    const { focalPoint: before = [0, 0, 0], position = [0, 0, 1] } = viewport.getCamera()
    const eye = subtract(position as PatientPoint, before as PatientPoint)
    viewport.setCamera({
      focalPoint: [...focalPoint],
      position: [...add(focalPoint, eye)],
      ...change,
    })
  }

  fit(plane: ViewportId): void {
    this.#viewport(plane).resetCamera()
  }

  project(plane: ViewportId, point: PatientPoint): CanvasPoint {
    return this.#viewport(plane).worldToCanvas([...point])
  }

  unproject(plane: ViewportId, [x, y]: CanvasPoint): PatientPoint {
    return this.#viewport(plane).canvasToWorld([x, y]) as PatientPoint
  }

  setWindow(window: Window, inverted: boolean): void {
    for (const plane of this.planes) this.#setWindow(plane, this.#volumeId, window, inverted)
  }

  #setWindow(
    plane: ViewportId,
    volumeId: string,
    { centre, width }: Window,
    inverted: boolean,
  ): void {
    const voiRange = { lower: centre - width / 2, upper: centre + width / 2 }
    this.#viewport(plane).setProperties({ voiRange, invert: inverted }, volumeId)
  }

  setSlab(plane: ViewportId, slab: Slab | null): void {
    const viewport = this.#viewport(plane)
    viewport.setBlendMode(slab ? BLEND[slab.projection] : Enums.BlendModes.COMPOSITE)
    // Cornerstone clips at its "thickness" on either side of the slice, which makes two of it.
    if (slab) viewport.setSlabThickness(slab.thickness_mm / 2)
    else viewport.resetSlabThickness()
  }

  render(plane: ViewportId): void {
    if (!this.#listening.signal.aborted) this.#viewport(plane).render()
  }

  resize(draw: boolean): void {
    if (!this.#listening.signal.aborted) this.#engine.resize(draw, true)
  }

  close(): void {
    this.#listening.abort()
    this.#engine.destroy()
    for (const made of this.#volumes.values()) made.then(volume => volume.remove(), reportError)
    this.#volumes.clear()
  }

  /** Made when first asked for, from the images that are there; the others follow as they come. */
  #volumeOf(series: CtSeries): Promise<Volume> {
    const volume = this.#volumes.get(series) ?? Volume.of(series)
    this.#volumes.set(series, volume)
    return volume
  }

  #viewport(plane: ViewportId): Types.IVolumeViewport {
    return this.#engine.getViewport(plane) as Types.IVolumeViewport
  }
}
