import { edgeLetters, scaleBar, type View } from './geometry'
import { slabLabel } from './slab'
import type { PaneState, Plane, Window } from './viewer'

const AXIS: Record<Plane, { letter: string; index: 0 | 1 | 2 }> = {
  axial: { letter: 'z', index: 2 },
  sagittal: { letter: 'x', index: 0 },
  coronal: { letter: 'y', index: 1 },
}

/** The words at the edges of one pane: where it is, how it lies, how it is shown. */
export class Labels {
  readonly element = document.createElement('div')
  readonly #parts = {
    slice: this.#part('corner top-left'),
    slab: this.#part('corner top-right'),
    window: this.#part('corner bottom-left'),
    notice: this.#part('notice'),
    left: this.#part('letter left'),
    right: this.#part('letter right'),
    top: this.#part('letter top'),
    bottom: this.#part('letter bottom'),
    scale: this.#part('scale-bar'),
    arrived: this.#part('arrived'),
  }

  constructor(readonly plane: Plane) {
    this.element.className = 'labels'
  }

  draw(
    view: View,
    pane: Pick<PaneState, 'index' | 'total' | 'position_mm' | 'zoom' | 'slab'>,
    window: Window,
    inverted: boolean,
    notice: string,
    /** How much of the series has arrived, from 0 to 1. */
    arrived: number,
    title = `${this.plane[0]?.toUpperCase()}${this.plane.slice(1)}`,
    /** What to know of the series. */
    said = '',
  ): void {
    const { letter, index } = AXIS[this.plane]
    const parts = this.#parts
    const position = pane.position_mm[index].toFixed(1).replace('-', '−')
    write(
      parts.slice,
      `${title}\n${pane.index} / ${pane.total}\n${letter} ${position} mm${said && `\n${said}`}`,
    )
    write(
      parts.window,
      `Zoom ${pane.zoom.toFixed(1)}×\nW ${Math.round(window.width)}  L ${String(Math.round(window.centre)).replace('-', '−')}${inverted ? '  inverted' : ''}`,
    )
    write(parts.slab, pane.slab ? slabLabel(pane.slab) : '')
    write(parts.notice, notice)
    parts.arrived.hidden = arrived === 1
    parts.arrived.style.width = `${100 * arrived}%`
    const letters = edgeLetters(view)
    for (const edge of ['left', 'right', 'top', 'bottom'] as const)
      write(parts[edge], letters[edge])
    const bar = scaleBar(view.mm_per_pixel, Math.min(160, view.width / 4))
    parts.scale.style.width = `${bar.px}px`
    write(parts.scale, bar.mm >= 10 ? `${bar.mm / 10} cm` : `${bar.mm} mm`)
  }

  #part(className: string): HTMLElement {
    const part = document.createElement('div')
    part.className = className
    this.element.append(part)
    return part
  }
}

/** Leaves the DOM alone while nothing changes: panes redraw at every frame. */
function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}
