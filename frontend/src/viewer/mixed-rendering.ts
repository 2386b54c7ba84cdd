import type { PatientPoint } from '../api/types'
import type { CanvasPoint } from './geometry'
import type {
  Camera,
  ExtraRendering,
  Rendering,
  RenderingEvents,
  VolumeRendering,
} from './rendering'
import type { CtSeries } from './series'
import type { Slab } from './slab'
import { StackRendering } from './stack-rendering'
import { PLANES, type Plane, type Window } from './viewer'

type DrawVolumes = (
  canvases: Record<Plane, HTMLDivElement>,
  events: RenderingEvents,
  planes: readonly Plane[],
) => VolumeRendering

/**
 * Draws where WebGL2 is only imitated by the processor, as on many virtual desktops: the axial
 * images without it, which is several times as fast, and the other planes with it, once the axial
 * ones are there.
 */
export class MixedRendering implements Rendering {
  #planes = PLANES
  readonly #stack: StackRendering
  /** It draws the other planes, once they are looked at as they are to be. */
  #volume: VolumeRendering | null = null
  #made: VolumeRendering | null = null
  #begun = false
  #closed = false
  #series: CtSeries | null = null
  #window: [Window, boolean] | null = null
  readonly #slabs = new Map<Plane, Slab | null>()

  constructor(
    readonly canvases: Record<Plane, HTMLDivElement>,
    readonly events: RenderingEvents,
    /** Comes with what draws them; with null where WebGL2 is not even imitated. */
    readonly volumesWanted: () => Promise<DrawVolumes | null>,
  ) {
    this.#stack = new StackRendering(canvases, events)
  }

  get planes(): readonly Plane[] {
    return this.#planes
  }

  async show(series: CtSeries): Promise<void> {
    this.#series = series
    await Promise.all([this.#stack.show(series), this.#volume?.show(series)])
  }

  /** Begin to draw the other planes, where they are looked at by now. */
  async prepare(): Promise<void> {
    if (this.#begun) return
    this.#begun = true
    const drawVolumes = await this.volumesWanted()
    if (this.#closed || !this.#series) return
    if (!drawVolumes) {
      this.#planes = this.#stack.planes
      return
    }
    const volume = drawVolumes(this.canvases, this.events, ['sagittal', 'coronal'])
    this.#made = volume
    let shown: CtSeries | null = null
    while (shown !== this.#series && !this.#closed) {
      shown = this.#series // the reader may go on to another one meanwhile
      await volume.show(shown)
    }
    if (this.#closed) return
    for (const plane of volume.planes) {
      const { focalPoint, parallelScale } = this.#stack.camera(plane)
      volume.look(plane, { focalPoint, parallelScale })
      const slab = this.#slabs.get(plane)
      if (slab) volume.setSlab(plane, slab)
    }
    if (this.#window) volume.setWindow(...this.#window)
    this.#volume = volume
  }

  camera(plane: Plane): Camera {
    return this.#of(plane).camera(plane)
  }

  look(plane: Plane, change: { focalPoint: PatientPoint; parallelScale?: number }): void {
    this.#of(plane).look(plane, change)
  }

  fit(plane: Plane): void {
    this.#of(plane).fit(plane)
  }

  project(plane: Plane, point: PatientPoint): CanvasPoint {
    return this.#of(plane).project(plane, point)
  }

  unproject(plane: Plane, at: CanvasPoint): PatientPoint {
    return this.#of(plane).unproject(plane, at)
  }

  setWindow(window: Window, inverted: boolean): void {
    this.#window = [window, inverted]
    this.#stack.setWindow(window, inverted)
    this.#volume?.setWindow(window, inverted)
  }

  setSlab(plane: Plane, slab: Slab | null): void {
    this.#slabs.set(plane, slab)
    this.#of(plane).setSlab(plane, slab)
  }

  render(plane: Plane): void {
    this.#of(plane).render(plane)
  }

  resize(draw: boolean): void {
    this.#stack.resize(draw)
    this.#volume?.resize(draw)
  }

  addAxial(
    canvas: HTMLDivElement,
    series: CtSeries,
    drawn: () => void,
  ): Promise<ExtraRendering | null> {
    return this.#volume?.addAxial(canvas, series, drawn) ?? Promise.resolve(null)
  }

  close(): void {
    this.#closed = true
    this.#stack.close()
    this.#made?.close()
  }

  #of(plane: Plane): Rendering {
    return plane === 'axial' ? this.#stack : (this.#volume ?? this.#stack)
  }
}
