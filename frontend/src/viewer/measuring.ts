import type { Measurement, PatientPoint, Tool } from '../api/types'
import { add, type CanvasPoint, cross, depth_mm, dot, subtract, type View } from './geometry'
import type { Plane } from './viewer'

export const TOOLS: readonly { tool: Tool; name: string; key: string }[] = [
  { tool: 'length', name: 'Distance', key: 'D' },
  { tool: 'bidirectional', name: 'Two axes', key: 'B' },
  { tool: 'ellipse', name: 'Ellipse', key: 'E' },
  { tool: 'arrow', name: 'Arrow', key: 'A' },
]

/** A point of a measurement that is being dragged; 'all' is the middle of an ellipse. */
export interface Handle {
  id: string
  point: number | 'all'
}

/** What points come to: millimetres, and square millimetres, to one decimal. */
export interface Quantities {
  length?: number
  long_axis?: number
  short_axis?: number
  mean_diameter?: number
  area?: number
}

/** So near to a point, the pointer takes hold of it. */
const REACH_PX = 9
const MOST_STEPS_KEPT = 100
/** Of a new second axis and the first one. */
const SECOND_AXIS = 0.5
/** An axis does not vanish while it is dragged, so that it keeps its direction. */
const SHORTEST_MM = 0.1

/** Round to one decimal, a half upwards: as the server does, to the last bit. */
export function tenth(value: number): number {
  return Math.floor(value * 10 + 0.5) / 10
}

/** Computed as on the server, where Math.hypot may differ in the last bit. */
export function distance_mm(a: PatientPoint, b: PatientPoint): number {
  const along = subtract(b, a)
  return Math.sqrt(dot(along, along))
}

/** What a measurement comes to; the server computes it again from the points. */
export function quantities({
  kind,
  points_mm,
}: Pick<Measurement, 'kind' | 'points_mm'>): Quantities {
  const [a, b, c, d] = points_mm
  if (kind === 'arrow' || !a || !b) return {}
  const one = distance_mm(a, b)
  if (kind === 'length' || !c || !d) return { length: tenth(one) }
  const other = distance_mm(c, d)
  const axes = [tenth(one), tenth(other)] as const
  const found = { long_axis: Math.max(...axes), short_axis: Math.min(...axes) }
  return kind === 'bidirectional'
    ? { ...found, mean_diameter: tenth((axes[0] + axes[1]) / 2) }
    : { ...found, area: tenth((Math.PI * one * other) / 4) }
}

/** The points of a measurement that is drawn from `start` to `end` in a view. */
export function drawn(
  kind: Tool,
  start: PatientPoint,
  end: PatientPoint,
  view: View,
): PatientPoint[] {
  const across = subtract(end, start)
  if (kind === 'length' || kind === 'arrow') return [start, end]
  const middle = add(start, across, 0.5)
  if (kind === 'ellipse') {
    const half = (direction: PatientPoint) =>
      Math.max(SHORTEST_MM, Math.abs(dot(across, direction)) / 2)
    return axisEnds(middle, view.right, half(view.right)).concat(
      axisEnds(middle, view.up, half(view.up)),
    )
  }
  const length = Math.max(SHORTEST_MM, Math.sqrt(dot(across, across)))
  const along = scaled(across, 1 / length)
  return [start, end, ...axisEnds(middle, cross(view.normal, along), (SECOND_AXIS * length) / 2)]
}

/** The points of a measurement after one of them was dragged to a point of its plane. */
export function dragged(
  { kind, points_mm }: Pick<Measurement, 'kind' | 'points_mm'>,
  point: number | 'all',
  to: PatientPoint,
): PatientPoint[] {
  const [a, b, c, d] = points_mm
  if (!a || !b || !c || !d) return points_mm.map((old, i) => (i === point ? to : old))
  if (kind === 'ellipse') {
    const middle = add(a, subtract(b, a), 0.5)
    if (point === 'all') return points_mm.map(old => add(old, subtract(to, middle)))
    const half = (end: PatientPoint, turned: boolean) => {
      const along = unit(subtract(end, middle))
      const reach = turned ? Math.abs(dot(subtract(to, middle), along)) : distance_mm(end, middle)
      return axisEnds(middle, along, Math.max(SHORTEST_MM, reach))
    }
    return [...half(b, point === 0 || point === 1), ...half(d, point === 2 || point === 3)]
  }
  // Two axes at right angles: where the second one meets the first, and how far it reaches.
  const along = unit(subtract(b, a))
  const second = unit(subtract(d, c))
  const length = distance_mm(a, b)
  const share = dot(subtract(c, a), along) / length
  const reaches = [c, d].map(end => dot(subtract(end, a), second)) as [number, number]
  if (point === 0 || point === 1) {
    const [from, until] = point === 0 ? [to, b] : [a, to]
    if (distance_mm(from, until) < SHORTEST_MM) return [...points_mm]
    const turned = unit(subtract(until, from))
    const across = unit(cross(cross(along, second), turned))
    const foot = add(from, subtract(until, from), share)
    return [from, until, add(foot, across, reaches[0]), add(foot, across, reaches[1])]
  }
  const moved = point === 2 ? 0 : 1
  const foot = add(a, along, Math.min(length, Math.max(0, dot(subtract(to, a), along))))
  reaches[moved] = dot(subtract(to, a), second)
  if (Math.abs(reaches[1] - reaches[0]) < SHORTEST_MM) return [...points_mm]
  return [a, b, add(foot, second, reaches[0]), add(foot, second, reaches[1])]
}

/** Whether a pane shows the slice in which a measurement lies. */
export function isShown(
  { plane: own, points_mm }: Pick<Measurement, 'plane' | 'points_mm'>,
  plane: Plane,
  view: View,
): boolean {
  const within = view.spacing_mm / 2 + 1e-6
  return own === plane && points_mm.every(point => Math.abs(depth_mm(point, view)) <= within)
}

/** Where a measurement can be taken hold of. */
export function handlesOf({ id, kind, points_mm }: Measurement): (Handle & { at: PatientPoint })[] {
  const ends = points_mm.map((at, point) => ({ id, point, at }))
  const [a, b] = points_mm
  if (kind !== 'ellipse' || !a || !b) return ends
  return [...ends, { id, point: 'all' as const, at: add(a, subtract(b, a), 0.5) }]
}

/** The point that the pointer is at, the nearest of several. */
export function handleAt(
  measurements: readonly Measurement[],
  view: View,
  at: CanvasPoint,
): Handle | null {
  const near = measurements
    .flatMap(handlesOf)
    .map(({ id, point, at: place }) => {
      const [x, y] = view.project(place)
      return { id, point, distance: Math.hypot(x - at[0], y - at[1]) }
    })
    .filter(({ distance }) => distance <= REACH_PX)
    .sort((one, other) => one.distance - other.distance)[0]
  return near ? { id: near.id, point: near.point } : null
}

/** The measurements of one reading, with the way back and forth. */
export class Measurements {
  #all: readonly Measurement[] = []
  #before: (readonly Measurement[])[] = []
  #after: (readonly Measurement[])[] = []
  #selected: string | null = null

  get all(): readonly Measurement[] {
    return this.#all
  }

  /** The one that was last touched. */
  get selected(): string | null {
    return this.#selected
  }

  select(id: string | null): void {
    this.#selected = this.#all.some(one => one.id === id) ? id : null
  }

  /** Begin as somebody left them; there is no way back behind that. */
  restore(measurements: readonly Measurement[]): void {
    this.#all = measurements
    this.#before = []
    this.#after = []
    this.select(this.#selected)
  }

  add(measurement: Measurement): void {
    this.#remember()
    this.#all = [...this.#all, measurement]
    this.#selected = measurement.id
  }

  /** Take hold of a point; what follows until it is let go is one step. */
  grab(id: string): void {
    this.#remember()
    this.#selected = id
  }

  /** Change what is held. */
  change(id: string, points_mm: PatientPoint[]): void {
    this.#all = this.#all.map(one => (one.id === id ? { ...one, points_mm } : one))
  }

  /** Let go; a measurement with an axis of less than `shortest_mm` was only a click, and is none. */
  drop(id: string, shortest_mm: number): void {
    const held = this.#all.find(one => one.id === id)
    if (!held) return
    const [a, b, c, d] = held.points_mm
    const shortest = (p?: PatientPoint, q?: PatientPoint) =>
      p && q ? distance_mm(p, q) : Number.POSITIVE_INFINITY
    const limit =
      held.kind === 'ellipse' ? Math.min(shortest(a, b), shortest(c, d)) : shortest(a, b)
    if (limit >= shortest_mm) return
    this.undo()
    this.#after = []
  }

  /** What is said at an arrow. */
  write(id: string, text: string): void {
    this.#all = this.#all.map(one => (one.id === id ? { ...one, text } : one))
  }

  removeSelected(): void {
    if (!this.#all.some(({ id }) => id === this.#selected)) return
    this.#remember()
    this.#all = this.#all.filter(({ id }) => id !== this.#selected)
    this.#selected = null
  }

  /** What belonged to `subject` belongs to nothing, now and in every step. */
  release(subject: string): void {
    const freed = (all: readonly Measurement[]) =>
      all.map(one => (one.nodule === subject ? { ...one, nodule: null } : one))
    this.#all = freed(this.#all)
    this.#before = this.#before.map(freed)
    this.#after = this.#after.map(freed)
  }

  undo(): void {
    const before = this.#before.pop()
    if (before) this.#go(before, this.#after)
  }

  redo(): void {
    const after = this.#after.pop()
    if (after) this.#go(after, this.#before)
  }

  #go(to: readonly Measurement[], leaving: (readonly Measurement[])[]): void {
    leaving.push(this.#all)
    this.#all = to
    this.select(this.#selected)
  }

  #remember(): void {
    this.#before = [...this.#before, this.#all].slice(-MOST_STEPS_KEPT)
    this.#after = []
  }
}

function scaled(a: PatientPoint, times: number): PatientPoint {
  return [a[0] * times, a[1] * times, a[2] * times]
}

function unit(a: PatientPoint): PatientPoint {
  return scaled(a, 1 / Math.sqrt(dot(a, a)))
}

function axisEnds(middle: PatientPoint, along: PatientPoint, half: number): PatientPoint[] {
  return [add(middle, along, -half), add(middle, along, half)]
}
