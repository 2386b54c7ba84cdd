import type { Measurement, PatientPoint, Tool } from '../api/types'
import { uuid } from '../api/uuid'
import { add, type CanvasPoint, depth_mm, type View } from './geometry'
import { dragged, drawn, type Handle, handleAt, isShown, Measurements } from './measuring'
import type { Plane } from './viewer'

/** Measuring with the pointer: what is pressed, dragged and let go in a pane becomes measurements. */
export class Measurer {
  readonly measurements = new Measurements()
  /** What the left button draws; null while it does something else. */
  tool: Tool | null = null
  /** What new measurements belong to: the nodule or mark at hand. */
  nodule: string | null = null
  series = 0
  #held: Handle | null = null
  #drawing: { id: string; kind: Tool; start: PatientPoint } | null = null

  /** The measurements that a pane shows: those of its series. */
  shownIn(plane: Plane, view: View, series = this.series): Measurement[] {
    return this.measurements.all.filter(one => one.series === series && isShown(one, plane, view))
  }

  /** Whether the pointer is at a point of a measurement. */
  touches(plane: Plane, view: View, at: CanvasPoint, series = this.series): boolean {
    return handleAt(this.shownIn(plane, view, series), view, at) !== null
  }

  /**
   * Press at `at`, which is over `point`: take hold of an end there, or begin to draw. Nothing in
   * another series than the one that is read belongs to a nodule.
   */
  begin(
    plane: Plane,
    view: View,
    at: CanvasPoint,
    point: PatientPoint,
    { series, nodule }: Pick<Measurement, 'series' | 'nodule'> = this,
  ): void {
    this.#held = handleAt(this.shownIn(plane, view, series), view, at)
    if (this.#held) {
      this.measurements.grab(this.#held.id)
      return
    }
    if (this.tool === null) return
    const start = ontoView(point, view)
    const id = uuid()
    const { tool: kind } = this
    const points_mm = drawn(kind, start, start, view)
    this.measurements.add({ id, kind, plane, series, nodule, points_mm })
    this.#drawing = { id, kind, start }
  }

  move(view: View, point: PatientPoint): void {
    const to = ontoView(point, view)
    if (this.#drawing) {
      const { id, kind, start } = this.#drawing
      this.measurements.change(id, drawn(kind, start, to, view))
      return
    }
    const held = this.measurements.all.find(({ id }) => id === this.#held?.id)
    if (held && this.#held) {
      this.measurements.change(held.id, dragged(held, this.#held.point, to))
    }
  }

  /** Let go; returns the id of what was drawn or changed, or null when nothing was held. */
  end(view: View): { id: string; isNew: boolean } | null {
    const id = this.#drawing?.id ?? this.#held?.id
    if (id === undefined) return null
    const isNew = this.#drawing !== null
    this.measurements.drop(id, 3 * view.mm_per_pixel)
    this.#held = null
    this.#drawing = null
    return { id, isNew: isNew && this.measurements.all.some(one => one.id === id) }
  }
}

/** The point of the slice on screen that is seen where `point` is. */
export function ontoView(point: PatientPoint, view: View): PatientPoint {
  return add(point, view.normal, -depth_mm(point, view))
}
