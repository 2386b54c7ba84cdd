import type { PatientPoint } from '../api/types'
import type { Beside } from './beside'
import { Cine, following } from './cine'
import type { Filling } from './filling'
import type { Layers } from './layers'
import type { Prior } from './prior'
import type { Scene } from './scene'
import { nearestSlice, ontoSlice } from './slices'
import { PLANES, type Plane } from './viewer'

/** Half the height of a pane, in millimetres, after a jump to a nodule. */
const CLOSE_UP_MM = 60

/** Going through the images: slice by slice, to a point, closer, and by itself. */
export class Moving {
  readonly cine = new Cine(() => this.#turn())

  constructor(
    readonly scene: Scene,
    readonly layers: Layers,
    readonly filling: Filling,
    readonly beside: Beside,
    readonly prior: Prior,
  ) {}

  /** Centre every plane on `point`, zoomed in on something `diameter_mm` wide. */
  goTo(point: PatientPoint, diameter_mm: number | null): void {
    const close = Math.max(CLOSE_UP_MM, 3 * (diameter_mm ?? 0))
    for (const plane of PLANES) {
      const parallelScale = Math.min(this.scene.rendering.camera(plane).parallelScale, close)
      this.put(plane, point, { parallelScale })
    }
  }

  /** Centre a pane on `point`, on the slice nearest to it. */
  put(plane: Plane, point: PatientPoint, change: { parallelScale?: number } = {}): void {
    const slices = this.scene.series?.slices[plane]
    if (!slices) return
    this.look(plane, ontoSlice(slices, point, nearestSlice(slices, point)), change)
  }

  /** Bring the slices through `point` on screen, without centring on it. */
  putAll(point: PatientPoint): void {
    // In the axial plane a start shows the whole body; only the slice is chosen.
    for (const plane of PLANES) {
      const slices = this.scene.series?.slices[plane]
      if (!slices) continue
      const here = this.scene.rendering.camera(plane).focalPoint
      this.look(plane, ontoSlice(slices, here, nearestSlice(slices, point)))
    }
  }

  look(plane: Plane, focal: PatientPoint, change: { parallelScale?: number } = {}): void {
    const { scene } = this
    const before = scene.place(plane).index
    scene.rendering.look(plane, { focalPoint: focal, ...change })
    if (plane === 'axial') {
      this.beside.follow(scene.rendering.camera('axial'))
      this.prior.follow(scene.rendering.camera('axial'))
    }
    this.filling.render(plane)
    scene.tellSlice(plane)
    // The lines of this plane move in the other panes.
    if (scene.place(plane).index !== before) this.layers.drawOthers(plane)
  }

  scroll(plane: Plane, by: number): void {
    const slices = this.scene.series?.slices[plane]
    if (!slices || by === 0) return
    const { focalPoint } = this.scene.rendering.camera(plane)
    const target = Math.min(Math.max(nearestSlice(slices, focalPoint) + by, 0), slices.total - 1)
    this.look(plane, ontoSlice(slices, focalPoint, target))
  }

  zoom(plane: Plane, factor: number): void {
    const { focalPoint, parallelScale } = this.scene.rendering.camera(plane)
    const fitted = this.scene.panes[plane].fitted_mm || parallelScale
    const wanted = Math.min(Math.max(parallelScale / factor, fitted / 40), fitted * 2)
    this.look(plane, focalPoint, { parallelScale: wanted })
  }

  playCine(playing: boolean): void {
    if (playing === this.cine.playing) return
    if (playing) this.cine.play()
    else this.cine.stop()
    this.#tellCine()
  }

  setCineSpeed(slices_per_s: number): void {
    this.cine.setSpeed(slices_per_s)
    this.#tellCine()
  }

  /** One slice on in cine; what has not arrived is waited for. */
  #turn(): void {
    const { series, active: plane, panes, rendering } = this.scene
    if (!series) return
    const slices = series.slices[plane]
    const { focalPoint } = rendering.camera(plane)
    const next = following(nearestSlice(slices, focalPoint), slices.total)
    if (plane === 'axial' && series.isComing(next, panes[plane].thickness_mm)) return
    this.look(plane, ontoSlice(slices, focalPoint, next))
  }

  #tellCine(): void {
    const { playing, speed: slices_per_s } = this.cine
    this.scene.tell({ kind: 'cine', plane: this.scene.active, playing, slices_per_s })
  }
}
