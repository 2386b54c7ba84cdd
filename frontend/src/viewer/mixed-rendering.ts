import type { PatientPoint } from '../api/types'
import type { CanvasPoint } from './geometry'
import {
  type Camera,
  type ExtraRendering,
  type Rendering,
  type RenderingEvents,
  VolumeRendering,
} from './rendering'
import type { CtSeries } from './series'
import type { Slab } from './slab'
import { StackRendering } from './stack-rendering'
import { PLANES, type Plane, type Window } from './viewer'

/**
 * Draws where WebGL2 is only imitated by the processor, as on many virtual desktops: the axial
 * images without it, which is several times as fast, and the other planes with it.
 */
export class MixedRendering implements Rendering {
  readonly planes = PLANES
  readonly #stack: StackRendering
  readonly #volume: VolumeRendering

  constructor(canvases: Record<Plane, HTMLDivElement>, events: RenderingEvents) {
    this.#stack = new StackRendering(canvases, events)
    this.#volume = new VolumeRendering(canvases, events, ['sagittal', 'coronal'])
  }

  async show(series: CtSeries): Promise<void> {
    await Promise.all([this.#stack.show(series), this.#volume.show(series)])
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
    this.#stack.setWindow(window, inverted)
    this.#volume.setWindow(window, inverted)
  }

  setSlab(plane: Plane, slab: Slab | null): void {
    this.#of(plane).setSlab(plane, slab)
  }

  render(plane: Plane): void {
    this.#of(plane).render(plane)
  }

  resize(draw: boolean): void {
    this.#stack.resize(draw)
    this.#volume.resize(draw)
  }

  addAxial(
    canvas: HTMLDivElement,
    series: CtSeries,
    drawn: () => void,
  ): Promise<ExtraRendering | null> {
    return this.#volume.addAxial(canvas, series, drawn)
  }

  close(): void {
    this.#stack.close()
    this.#volume.close()
  }

  #of(plane: Plane): Rendering {
    return plane === 'axial' ? this.#stack : this.#volume
  }
}
