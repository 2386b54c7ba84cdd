import type { CanvasPoint } from './geometry'

export type Drag = 'window' | 'pan' | 'zoom' | 'scroll' | 'crosshair' | 'measure'

/** What the buttons of the mouse do, as on the PACS that a reader is used to. */
export type MousePreset = 'window' | 'scroll' | 'pan'
export const MOUSE_PRESETS: Record<MousePreset, { name: string; buttons: readonly Drag[] }> = {
  window: { name: 'left window, middle move, right zoom', buttons: ['window', 'pan', 'zoom'] },
  scroll: { name: 'left scroll, middle move, right window', buttons: ['scroll', 'pan', 'window'] },
  pan: { name: 'left move, middle zoom, right window', buttons: ['pan', 'zoom', 'window'] },
}

export interface GestureTarget {
  preset(): MousePreset
  /** The tool that has the left button at a point of the pane now, if one has. */
  tool(at: CanvasPoint): 'crosshair' | 'measure' | null
  /** A drag begins or ends. */
  begin(kind: Drag, at: CanvasPoint): void
  end(kind: Drag): void
  activate(): void
  /** A drag moved from one point of the pane to another, in CSS pixels. */
  drag(kind: Drag, from: CanvasPoint, to: CanvasPoint): void
  scroll(slices: number): void
  zoom(factor: number): void
  /** The pointer is over a point of the pane, or has left it. */
  hover(at: CanvasPoint | null): void
}

/** Wheel movement that makes one slice; a trackpad sends many small steps. */
const PIXELS_PER_SLICE = 60

/** Read a pane's mouse as a PACS does, and fingers: one scrolls, two zoom and move. */
export function readGestures(element: HTMLElement, target: GestureTarget): void {
  let kind: Drag | null = null
  let last: CanvasPoint = [0, 0]
  let wheel = 0
  const fingers = new Map<number, CanvasPoint>()

  const at = (event: MouseEvent): CanvasPoint => {
    const { left, top } = element.getBoundingClientRect()
    return [event.clientX - left, event.clientY - top]
  }
  const stop = () => {
    if (kind !== null) target.end(kind)
    kind = null
  }
  const pinch = (before: readonly CanvasPoint[], now: readonly CanvasPoint[]) => {
    const [from, to] = [middleAndReach(before), middleAndReach(now)]
    if (from.reach > 0 && to.reach > 0) target.zoom(to.reach / from.reach)
    target.drag('pan', from.middle, to.middle)
  }

  element.addEventListener('pointerdown', event => {
    last = at(event)
    target.activate()
    if (event.pointerType === 'touch') {
      fingers.set(event.pointerId, last)
      if (fingers.size === 2)
        stop() // what one finger began, two do not go on with
      else kind = target.tool(last) ?? 'scroll'
    } else {
      kind = dragKind(event, target.tool(last), target.preset())
    }
    if (kind === null && fingers.size < 2) return
    event.preventDefault() // no text selection, no autoscroll
    element.setPointerCapture(event.pointerId)
    if (kind !== null) target.begin(kind, last)
  })
  element.addEventListener('pointermove', event => {
    const here = at(event)
    if (event.pointerType !== 'touch') target.hover(here)
    if (fingers.size === 2 && fingers.has(event.pointerId)) {
      const before = [...fingers.values()]
      fingers.set(event.pointerId, here)
      return pinch(before, [...fingers.values()])
    }
    if (kind === null) return
    target.drag(kind, last, here)
    last = here
  })
  const lift = (event: PointerEvent) => {
    fingers.delete(event.pointerId)
    stop()
  }
  element.addEventListener('pointerup', lift)
  element.addEventListener('pointercancel', lift)
  element.addEventListener('pointerleave', () => target.hover(null))
  element.addEventListener('contextmenu', event => event.preventDefault())
  element.addEventListener(
    'wheel',
    event => {
      event.preventDefault()
      target.activate()
      if (event.ctrlKey) return target.zoom(event.deltaY < 0 ? 1.1 : 1 / 1.1)
      const slices = wheelSlices(wheel, event)
      wheel = slices.rest
      if (slices.whole !== 0) target.scroll(slices.whole)
    },
    { passive: false },
  )
}

export function dragKind(
  event: Pick<MouseEvent, 'button' | 'shiftKey' | 'ctrlKey'>,
  tool: 'crosshair' | 'measure' | null,
  preset: MousePreset,
): Drag | null {
  const { buttons } = MOUSE_PRESETS[preset]
  if (event.button !== 0) return buttons[event.button] ?? null
  if (event.shiftKey) return 'crosshair'
  if (event.ctrlKey) return 'pan'
  return tool ?? buttons[0] ?? null
}

/** Whole slices in so many pixels of a drag, and what is left over for the next one. */
export function dragSlices(rest: number, pixels: number): { whole: number; rest: number } {
  const sum = rest + pixels / PIXELS_DRAGGED_PER_SLICE
  const whole = Math.trunc(sum)
  return { whole, rest: sum - whole }
}

const PIXELS_DRAGGED_PER_SLICE = 8

function middleAndReach([a, b]: readonly CanvasPoint[]): { middle: CanvasPoint; reach: number } {
  if (!a || !b) return { middle: a ?? [0, 0], reach: 0 }
  return {
    middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2],
    reach: Math.hypot(a[0] - b[0], a[1] - b[1]),
  }
}

/** Whole slices in a wheel event, and what is left over for the next one. */
export function wheelSlices(
  rest: number,
  event: Pick<WheelEvent, 'deltaY' | 'deltaMode'>,
): { whole: number; rest: number } {
  // A notch of a wheel is one slice, whatever number the browser gives it.
  if (event.deltaMode !== 0 || Math.abs(event.deltaY) >= PIXELS_PER_SLICE) {
    return { whole: Math.sign(event.deltaY), rest: 0 }
  }
  const turned = Math.sign(rest) === -Math.sign(event.deltaY) ? 0 : rest
  const sum = turned + event.deltaY
  const whole = Math.trunc(sum / PIXELS_PER_SLICE)
  return { whole, rest: sum - whole * PIXELS_PER_SLICE }
}
