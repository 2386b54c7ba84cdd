import type { PatientPoint } from '../api/types'
import { type CanvasPoint, depth_mm, subtract, type View } from './geometry'
import type { Plane } from './viewer'

/** A distance measured in one plane, between two points of the patient. */
export interface Length {
  id: string
  /** Where it was made, and where alone it is shown. */
  plane: Plane
  ends_mm: readonly [PatientPoint, PatientPoint]
}

/** The end of a length that is being dragged. */
export interface Handle {
  id: string
  end: 0 | 1
}

/** So near to an end, the pointer takes hold of it. */
const REACH_PX = 9
const MOST_STEPS_KEPT = 100

export function length_mm({ ends_mm: [a, b] }: Pick<Length, 'ends_mm'>): number {
  return Math.hypot(...subtract(a, b))
}

/** Whether a pane shows the slice in which a length lies. */
export function isShown(length: Length, plane: Plane, view: View): boolean {
  const within = view.spacing_mm / 2 + 1e-6
  return (
    length.plane === plane && length.ends_mm.every(end => Math.abs(depth_mm(end, view)) <= within)
  )
}

/** The end that the pointer is at, the nearest of several. */
export function handleAt(lengths: readonly Length[], view: View, at: CanvasPoint): Handle | null {
  const near = lengths
    .flatMap(({ id, ends_mm }) =>
      ([0, 1] as const).map(end => {
        const [x, y] = view.project(ends_mm[end])
        return { id, end, distance: Math.hypot(x - at[0], y - at[1]) }
      }),
    )
    .filter(({ distance }) => distance <= REACH_PX)
    .sort((a, b) => a.distance - b.distance)[0]
  return near ? { id: near.id, end: near.end } : null
}

/** The lengths of one reading, with the way back. */
export class Measurements {
  #all: readonly Length[] = []
  #before: (readonly Length[])[] = []
  #selected: string | null = null

  get all(): readonly Length[] {
    return this.#all
  }

  /** The one that was last touched. */
  get selected(): string | null {
    return this.#selected
  }

  /** Begin as somebody left them; there is no way back behind that. */
  restore(lengths: readonly Length[]): void {
    this.#all = lengths
    this.#before = []
    this.#selected = null
  }

  add(length: Length): void {
    this.#remember()
    this.#all = [...this.#all, length]
    this.#selected = length.id
  }

  /** Take hold of an end; what follows until it is let go is one step. */
  grab({ id }: Handle): void {
    this.#remember()
    this.#selected = id
  }

  move({ id, end }: Handle, to: PatientPoint): void {
    this.#all = this.#all.map(length => {
      if (length.id !== id) return length
      const [a, b] = length.ends_mm
      return { ...length, ends_mm: end === 0 ? [to, b] : [a, to] }
    })
  }

  /** Let go; a length of less than `shortest_mm` was only a click, and is none. */
  drop({ id }: Handle, shortest_mm: number): void {
    const length = this.#all.find(one => one.id === id)
    if (length && length_mm(length) < shortest_mm) this.undo()
  }

  removeSelected(): void {
    if (!this.#all.some(({ id }) => id === this.#selected)) return
    this.#remember()
    this.#all = this.#all.filter(({ id }) => id !== this.#selected)
    this.#selected = null
  }

  undo(): void {
    this.#all = this.#before.pop() ?? this.#all
    if (!this.#all.some(({ id }) => id === this.#selected)) this.#selected = null
  }

  #remember(): void {
    this.#before = [...this.#before, this.#all].slice(-MOST_STEPS_KEPT)
  }
}
