import type { CanvasPoint } from './geometry'

const DIAMETER_PX = 220
const TIMES = 2.5

/** A glass over the pointer that shows what lies beneath it larger. */
export class Magnifier {
  readonly element = document.createElement('canvas')
  #at: CanvasPoint | null = null

  constructor(readonly canvas: HTMLElement) {
    this.element.className = 'magnifier'
    this.element.setAttribute('aria-hidden', 'true')
    this.element.hidden = true
  }

  /** Hold the glass over a point of the pane, in CSS pixels; null takes it away. */
  hold(at: CanvasPoint | null): void {
    this.#at = at
    this.element.hidden = at === null
    this.draw()
  }

  /** Look again, after what lies beneath has changed. */
  draw(): void {
    const source = this.canvas.querySelector('canvas')
    const context = this.element.getContext('2d')
    if (this.#at === null || !source || !context) return
    const pixels = source.width / Math.max(1, source.clientWidth)
    const size = Math.round(DIAMETER_PX * pixels)
    if (this.element.width !== size) this.element.width = this.element.height = size
    const [x, y] = this.#at
    const part = size / TIMES
    context.fillRect(0, 0, size, size)
    context.imageSmoothingQuality = 'high'
    const [left, top] = [x * pixels - part / 2, y * pixels - part / 2]
    context.drawImage(source, left, top, part, part, 0, 0, size, size)
    this.element.style.width = this.element.style.height = `${DIAMETER_PX}px`
    this.element.style.translate = `${x - DIAMETER_PX / 2}px ${y - DIAMETER_PX / 2}px`
  }
}
