import type { PatientPoint } from '../api/types'
import { add, type CanvasPoint, depth_mm, type View } from './geometry'
import { type Handle, handleAt, isShown, type Length, Measurements } from './measuring'
import type { Plane } from './viewer'

/** Measuring with the pointer: what is pressed, dragged and let go in a pane becomes lengths. */
export class Measurer {
  readonly measurements = new Measurements()
  #dragged: Handle | null = null

  /** The lengths that a pane shows. */
  shownIn(plane: Plane, view: View): Length[] {
    return this.measurements.all.filter(length => isShown(length, plane, view))
  }

  /** Whether the pointer is at the end of a length. */
  touches(plane: Plane, view: View, at: CanvasPoint): boolean {
    return handleAt(this.shownIn(plane, view), view, at) !== null
  }

  /** Press at `at`, which is over `point`: take hold of an end there, or begin a length. */
  begin(plane: Plane, view: View, at: CanvasPoint, point: PatientPoint): void {
    this.#dragged = handleAt(this.shownIn(plane, view), view, at)
    if (this.#dragged) {
      this.measurements.grab(this.#dragged)
      return
    }
    const start = ontoView(point, view)
    const id = `${plane}-${Date.now().toString(36)}`
    this.measurements.add({ id, plane, ends_mm: [start, start] })
    this.#dragged = { id, end: 1 }
  }

  move(view: View, point: PatientPoint): void {
    if (this.#dragged) this.measurements.move(this.#dragged, ontoView(point, view))
  }

  /** Let go; false when nothing was held. */
  end(view: View): boolean {
    if (!this.#dragged) return false
    this.measurements.drop(this.#dragged, 3 * view.mm_per_pixel)
    this.#dragged = null
    return true
  }
}

/** The point of the slice on screen that is seen where `point` is. */
function ontoView(point: PatientPoint, view: View): PatientPoint {
  return add(point, view.normal, -depth_mm(point, view))
}
