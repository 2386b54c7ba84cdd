import type { PatientPoint } from '../api/types'
import type { Beside } from './beside'
import { add, type CanvasPoint, subtract } from './geometry'
import { type Drag, dragSlices, type MousePreset, readGestures } from './gestures'
import type { Layers } from './layers'
import { type Measurer, ontoView } from './measurer'
import type { Moving } from './moving'
import type { Prior } from './prior'
import type { Scene } from './scene'
import { PLANES, type Plane, type Window } from './viewer'

/** What the hands ask of the viewer beyond moving through the images. */
interface Asked {
  activate(plane: Plane): void
  focus(): void
  scroll(slices: number): void
  setWindow(window: Window): void
  /** Something was measured or changed; `made` is new. */
  measured(made: string | null): void
}

/** Mouse and fingers on the panes. */
export class Hands {
  mouse: MousePreset = 'window'
  magnifier = false
  crosshair = false
  /** Where the pointer is, while it is over a pane. */
  pointer: { plane: Plane; at: CanvasPoint } | null = null
  #dragged = 0

  constructor(
    readonly scene: Scene,
    readonly moving: Moving,
    readonly layers: Layers,
    readonly measurer: Measurer,
    readonly asked: Asked,
  ) {
    for (const plane of PLANES) this.#listen(plane)
  }

  #listen(plane: Plane): void {
    const pane = this.scene.panes[plane]
    pane.element.addEventListener('focus', () => this.asked.activate(plane))
    pane.element.addEventListener('pointermove', event => {
      const { left, top } = pane.element.getBoundingClientRect()
      this.pointer = { plane, at: [event.clientX - left, event.clientY - top] }
    })
    pane.element.addEventListener('pointerleave', () => {
      this.pointer = null
    })
    readGestures(pane.element, {
      preset: () => this.mouse,
      tool: at => {
        if (this.measurer.tool || this.#touchesMeasurement(plane, at)) return 'measure'
        return this.crosshair ? 'crosshair' : null
      },
      hover: at => {
        if (this.magnifier) pane.magnifier.hold(at)
      },
      begin: (kind, at) => {
        this.#dragged = 0
        if (kind === 'measure') this.#beginMeasuring(plane, at)
        if (kind === 'crosshair') this.#drag(plane, kind, at, at)
      },
      end: kind => {
        if (kind !== 'measure') return
        const changed = this.measurer.end(this.scene.view(plane))
        if (changed) this.asked.measured(changed.isNew ? changed.id : null)
      },
      activate: () => {
        this.asked.activate(plane)
        this.asked.focus()
      },
      drag: (kind, from, to) => this.#drag(plane, kind, from, to),
      scroll: slices => this.asked.scroll(slices),
      zoom: factor => this.moving.zoom(plane, factor),
    })
  }

  /** What is done to the pane beside the axial one is done to both. */
  listenBeside(beside: Beside): void {
    const { pane } = beside
    const move = (way: PatientPoint) =>
      this.moving.put('axial', add(this.scene.rendering.camera('axial').focalPoint, way))
    const scroll = (slices: number) => move(beside.slices(slices))
    readGestures(pane.element, {
      preset: () => this.mouse,
      tool: () => null,
      hover: at => {
        if (this.magnifier) pane.magnifier.hold(at)
      },
      begin: () => {
        this.#dragged = 0
      },
      end: () => {},
      activate: () => pane.element.focus({ preventScroll: true }),
      drag: (kind, from, to) => {
        if (kind === 'pan') {
          return move(subtract(beside.unproject(from), beside.unproject(to)))
        }
        if (kind !== 'scroll') return this.#drag('axial', kind, from, to)
        const slices = dragSlices(this.#dragged, to[1] - from[1])
        this.#dragged = slices.rest
        if (slices.whole !== 0) scroll(slices.whole)
      },
      scroll,
      zoom: factor => this.moving.zoom('axial', factor),
    })
  }

  /** The earlier examination goes along, and takes the current one along, while they are linked. */
  listenPrior(prior: Prior): void {
    const { pane, link } = prior
    const { measurer, asked } = this
    const inPrior = () => ({ series: prior.id, nodule: null })
    const move = (way: PatientPoint) =>
      link.linked
        ? this.moving.put('axial', add(this.scene.rendering.camera('axial').focalPoint, way))
        : prior.move(way)
    const zoom = (factor: number) =>
      link.linked ? this.moving.zoom('axial', factor) : prior.zoom(factor)
    const scroll = (slices: number) => move(prior.way(slices))
    pane.element.addEventListener('focus', () => {
      asked.activate('axial')
      prior.focused = true
    })
    pane.element.addEventListener('blur', () => {
      prior.focused = false
    })
    readGestures(pane.element, {
      preset: () => this.mouse,
      tool: at => {
        const view = prior.view()
        const touched = view && measurer.touches('axial', view, at, prior.id)
        return view && (measurer.tool || touched) ? 'measure' : null
      },
      hover: at => {
        if (this.magnifier) pane.magnifier.hold(at)
      },
      begin: (kind, at) => {
        this.#dragged = 0
        const view = prior.view()
        if (kind !== 'measure' || !view) return
        measurer.begin('axial', view, at, prior.unproject(at), inPrior())
      },
      end: kind => {
        const view = prior.view()
        const changed = kind === 'measure' && view && measurer.end(view)
        if (changed) asked.measured(changed.isNew ? changed.id : null)
      },
      activate: () => pane.element.focus({ preventScroll: true }),
      drag: (kind, from, to) => {
        const view = prior.view()
        switch (kind) {
          case 'measure':
            if (view) measurer.move(view, prior.unproject(to))
            return prior.draw()
          case 'pan':
            return move(subtract(prior.unproject(from), prior.unproject(to)))
          case 'zoom':
            return zoom(Math.exp(-(to[1] - from[1]) / 150))
          case 'scroll': {
            const slices = dragSlices(this.#dragged, to[1] - from[1])
            this.#dragged = slices.rest
            return slices.whole === 0 ? undefined : scroll(slices.whole)
          }
          case 'window':
            return this.#drag('axial', kind, from, to)
        }
      },
      scroll,
      zoom,
    })
  }

  #drag(plane: Plane, kind: Drag, from: CanvasPoint, to: CanvasPoint) {
    const { scene, moving } = this
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]]
    const world = (at: CanvasPoint) => scene.rendering.unproject(plane, at)
    if (!scene.series) return
    switch (kind) {
      case 'window': {
        if (dx === 0 && dy === 0) return
        const { centre, width } = scene.window
        const step = Math.max(0.5, width / 400) // fine in a narrow window, fast in a wide one
        return this.asked.setWindow({ centre: centre + dy * step, width: width + dx * step })
      }
      case 'measure':
        this.measurer.move(scene.view(plane), world(to))
        return this.layers.draw(plane)
      case 'zoom':
        return moving.zoom(plane, Math.exp(-dy / 150))
      case 'scroll': {
        const slices = dragSlices(this.#dragged, dy)
        this.#dragged = slices.rest
        return slices.whole === 0 ? undefined : moving.scroll(plane, slices.whole)
      }
      case 'pan':
        return moving.look(
          plane,
          add(scene.rendering.camera(plane).focalPoint, subtract(world(from), world(to))),
        )
      case 'crosshair':
        for (const other of PLANES) if (other !== plane) moving.put(other, world(to))
    }
  }

  #touchesMeasurement(plane: Plane, at: CanvasPoint): boolean {
    return this.scene.series !== null && this.measurer.touches(plane, this.scene.view(plane), at)
  }

  #beginMeasuring(plane: Plane, at: CanvasPoint): void {
    if (!this.scene.series) return
    this.moving.playCine(false)
    const point = this.scene.rendering.unproject(plane, at)
    const isThere = !this.scene.series.isAbsent(ontoView(point, this.scene.view(plane)))
    if (isThere) this.measurer.begin(plane, this.scene.view(plane), at, point)
  }
}
