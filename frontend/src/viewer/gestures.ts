import type { CanvasPoint } from './geometry'

export type Drag = 'window' | 'pan' | 'zoom' | 'crosshair' | 'measure'
export type LeftButton = 'window' | 'crosshair' | 'measure'

export interface GestureTarget {
  /** What pressing the left button at a point of the pane means now. */
  leftButton(at: CanvasPoint): LeftButton
  /** A drag begins or ends. */
  begin(kind: Drag, at: CanvasPoint): void
  end(kind: Drag): void
  activate(): void
  /** A drag moved from one point of the pane to another, in CSS pixels. */
  drag(kind: Drag, from: CanvasPoint, to: CanvasPoint): void
  scroll(slices: number): void
  zoom(factor: number): void
}

/** Wheel movement that makes one slice; a trackpad sends many small steps. */
const PIXELS_PER_SLICE = 60

/** Read a pane's mouse as a PACS does: left window, middle pan, right zoom, wheel slices. */
export function readGestures(element: HTMLElement, target: GestureTarget): void {
  let kind: Drag | null = null
  let last: CanvasPoint = [0, 0]
  let wheel = 0

  const at = (event: MouseEvent): CanvasPoint => {
    const { left, top } = element.getBoundingClientRect()
    return [event.clientX - left, event.clientY - top]
  }

  element.addEventListener('pointerdown', event => {
    last = at(event)
    kind = dragKind(event, target.leftButton(last))
    target.activate()
    if (kind === null) return
    event.preventDefault() // no text selection, no autoscroll
    element.setPointerCapture(event.pointerId)
    target.begin(kind, last)
  })
  element.addEventListener('pointermove', event => {
    if (kind === null) return
    const here = at(event)
    target.drag(kind, last, here)
    last = here
  })
  const stop = () => {
    if (kind !== null) target.end(kind)
    kind = null
  }
  element.addEventListener('pointerup', stop)
  element.addEventListener('pointercancel', stop)
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
  leftButton: LeftButton,
): Drag | null {
  if (event.button === 1) return 'pan'
  if (event.button === 2) return 'zoom'
  if (event.button !== 0) return null
  if (event.shiftKey) return 'crosshair'
  return event.ctrlKey ? 'pan' : leftButton
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
