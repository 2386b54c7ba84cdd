import type { Layout, Measurement, PatientPoint, Saliency, Series, Tool } from '../api/types'
import { Beside } from './beside'
import { Cine, following } from './cine'
import { add, type CanvasPoint, cross, edgeLetters, subtract, type View } from './geometry'
import { type Drag, dragSlices, type MousePreset, readGestures } from './gestures'
import { linesOfOthers, type ReferenceLine } from './markers'
import { Measurer, ontoView } from './measurer'
import { Pane } from './pane'
import type { MakeRendering, Rendering } from './rendering'
import { CtSeries } from './series'
import { type Slab, USUAL_THICKNESS_MM } from './slab'
import { imageOf, nearestSlice, ontoSlice } from './slices'
import { type HuStatistics, statisticsOf } from './statistics'
import {
  type Marker,
  type PaneState,
  PLANES,
  type Plane,
  type Viewer,
  type ViewerEvent,
  type ViewerState,
  WINDOW_PRESETS,
  type Window,
} from './viewer'

/** The sagittal and coronal images are redrawn so often while they fill. */
const REDRAWS_WHILE_LOADING = 10
/** Half the height of a pane, in millimetres, after a jump to a nodule. */
const CLOSE_UP_MM = 60
/** Lines of other planes stop short of the point where they meet. */
const LINE_GAP_PX = 36
/** A graphics card that has just been reset is left in peace for a moment. */
const RECOVER_AFTER_MS = 200
/** Beside the single slices, vessels as lines and nodules as dots. */
const OVERVIEW: Slab = { projection: 'mip', thickness_mm: USUAL_THICKNESS_MM }
const STARTING_WINDOW: Window = { centre: -600, width: 1500 }

/** The viewer of one reading: three panes, and what the reader does with them. */
export class CtViewer implements Viewer {
  readonly #panes: Record<Plane, Pane>
  #rendering: Rendering
  readonly #listeners = new Set<(event: ViewerEvent) => void>()
  readonly #resizing: ResizeObserver
  #series: CtSeries | null = null
  #layout: Layout = 'mpr'
  #active: Plane = 'axial'
  #window: Window = STARTING_WINDOW
  #inverted = false
  #markers: readonly Marker[] = []
  #selected: Marker['id'] | null = null
  /** Where the pointer is, while it is over a pane. */
  #pointer: { plane: Plane; at: CanvasPoint } | null = null
  #markersShown = true
  #crosshair = false
  readonly #measurer = new Measurer()
  #saliency: Saliency | null = null
  #saliencyOpacity = 0.45
  #redraws = 0
  /** Drawing costs time that the first image needs: nothing is drawn before it, nor beside it. */
  #drawn: readonly Plane[] = []
  #firstDrawn: (() => void) | null = null
  readonly #beside = new Beside()
  #mouse: MousePreset = 'window'
  #dragged = 0
  #magnifier = false
  readonly #cine = new Cine(() => this.#turn())
  #closed = false

  constructor(
    readonly container: HTMLElement,
    readonly makeRendering: MakeRendering,
    readonly softwareRendering: boolean,
  ) {
    const build = (plane: Plane) => this.#buildPane(plane)
    this.#panes = { axial: build('axial'), sagittal: build('sagittal'), coronal: build('coronal') }
    container.classList.add('viewer')
    container.replaceChildren(
      ...PLANES.map(plane => this.#panes[plane].element),
      this.#beside.pane.element,
    )
    this.#listenBeside()
    this.#rendering = this.#startRendering()
    this.arrange(this.#layout)
    this.#activate('axial')
    this.#resizing = new ResizeObserver(() => {
      if (!this.#closed) this.#rendering.resize(this.#drawn.length > 0)
    })
    this.#resizing.observe(container)
  }

  #startRendering(): Rendering {
    const { axial, sagittal, coronal } = this.#panes
    return this.makeRendering(
      { axial: axial.canvas, sagittal: sagittal.canvas, coronal: coronal.canvas },
      {
        drawn: plane => this.#wasDrawn(plane),
        lost: () => {
          this.#tell({ kind: 'context_lost' })
          setTimeout(() => this.#recover().catch(reportError), RECOVER_AFTER_MS)
        },
      },
    )
  }

  /** Draw with new graphics what was on screen; where there are none, the axial images alone. */
  async #recover(): Promise<void> {
    if (this.#closed || !this.#series) return
    const cameras = PLANES.map(plane => this.#rendering.camera(plane))
    this.#beside.stop()
    this.#rendering.close()
    await this.#series.renew()
    this.#rendering = this.#startRendering()
    await this.#rendering.show(this.#series)
    PLANES.forEach((plane, i) => {
      const { slab } = this.#panes[plane]
      const { focalPoint, parallelScale } = cameras[i] ?? this.#rendering.camera(plane)
      if (slab) this.#rendering.setSlab(plane, slab)
      this.#rendering.look(plane, { focalPoint, parallelScale })
    })
    this.#rendering.setWindow(this.#window, this.#inverted)
    this.#tellRendering()
    this.arrange(this.#layout)
    for (const plane of PLANES) this.#render(plane)
    this.#tell({ kind: 'context_restored' })
  }

  async show(series: Series, start: PatientPoint | null): Promise<void> {
    this.#measurer.series = series.id
    const opened = await CtSeries.open(series)
    this.#series = opened
    await this.#rendering.show(opened)
    for (const plane of PLANES) {
      this.#panes[plane].fitted_mm = this.#rendering.camera(plane).parallelScale
    }
    this.#tellRendering()
    this.#applyWindow()
    this.#putAll(start ?? opened.middle)
    this.#drawAllLayers()

    this.#tell({ kind: 'progress', loaded: 0, total: opened.total, failed: 0 })
    await new Promise<void>((resolve, reject) => {
      this.#load(opened, resolve).catch(reject)
    })
  }

  arrange(wanted: Layout): void {
    this.playCine(false)
    const layout = this.#rendering.planes.length < PLANES.length ? 'axial' : wanted
    this.#layout = layout
    this.container.dataset.layout = layout
    // Hidden panes keep their size beneath the axial one, so that switching costs nothing.
    const alone = layout === 'axial'
    for (const plane of PLANES) this.#panes[plane].hide(alone && plane !== 'axial')
    if (alone) this.#activate('axial')
    this.#arrangeBeside(layout).catch(reportError)
    this.#drawAllLayers()
    this.#tell({ kind: 'layout', layout })
  }

  goTo(point: PatientPoint, diameter_mm: number | null = null): void {
    this.playCine(false)
    const close = Math.max(CLOSE_UP_MM, 3 * (diameter_mm ?? 0))
    for (const plane of PLANES) {
      const parallelScale = Math.min(this.#rendering.camera(plane).parallelScale, close)
      this.#put(plane, point, { parallelScale })
    }
  }

  scroll(slices: number): void {
    this.playCine(false)
    this.#scroll(this.#active, slices)
  }

  scrollToEnd(end: 'first' | 'last'): void {
    const { total } = this.#series?.slices[this.#active] ?? { total: 0 }
    this.scroll(end === 'first' ? -total : total)
  }

  setWindow({ centre, width }: Window): void {
    this.#window = { centre, width: Math.max(1, width) }
    this.#applyWindow()
  }

  invert(): void {
    this.#inverted = !this.#inverted
    this.#applyWindow()
  }

  zoom(factor: number): void {
    this.#zoom(this.#active, factor)
  }

  setSlab(slab: Slab | null, where: 'active' | 'all'): void {
    if (!this.#series) return
    for (const plane of where === 'all' ? PLANES : [this.#active]) {
      this.#panes[plane].slab = slab
      this.#rendering.setSlab(plane, slab)
      this.#render(plane)
      this.#tell({ kind: 'slab', plane, slab })
    }
  }

  playCine(playing: boolean): void {
    if (playing === this.#cine.playing) return
    if (playing) this.#cine.play()
    else this.#cine.stop()
    this.#tellCine()
  }

  setCineSpeed(slices_per_s: number): void {
    this.#cine.setSpeed(slices_per_s)
    this.#tellCine()
  }

  reset(): void {
    this.playCine(false)
    this.setSlab(null, 'all')
    this.#window = WINDOW_PRESETS[0] ?? STARTING_WINDOW
    this.#inverted = false
    for (const plane of PLANES) {
      this.#rendering.fit(plane)
      if (this.#series) this.#put(plane, this.#series.middle)
    }
    this.#applyWindow()
  }

  mark(markers: readonly Marker[], selected: Marker['id'] | null): void {
    this.#markers = markers
    this.#selected = selected
    const own = markers.some(({ id, by }) => id === selected && by !== 'ai')
    this.#measurer.nodule = own ? String(selected) : null
    this.#drawAllLayers()
  }

  showMarkers(shown: boolean): void {
    this.#markersShown = shown
    this.#drawAllLayers()
  }

  showSaliency(saliency: Saliency | null): void {
    this.#saliency = saliency
    this.#drawAllLayers()
  }

  setSaliencyOpacity(opacity: number): void {
    this.#saliencyOpacity = opacity
    this.#drawAllLayers()
  }

  useCrosshair(on: boolean): void {
    if (on && this.#measurer.tool) this.useTool(null)
    this.#crosshair = on
    this.#showTool()
    this.#tell({ kind: 'crosshair', on })
  }

  useMouse(preset: MousePreset): void {
    this.#mouse = preset
  }

  useMagnifier(on: boolean): void {
    this.#magnifier = on
    if (!on) for (const plane of PLANES) this.#panes[plane].magnifier.hold(null)
    this.#tell({ kind: 'magnifier', on })
  }

  useTool(tool: Tool | null): void {
    if (tool && this.#crosshair) this.useCrosshair(false)
    this.#measurer.tool = tool
    this.#showTool()
    this.#tell({ kind: 'tool', tool })
  }

  restoreMeasurements(measurements: readonly Measurement[]): void {
    this.#measurer.measurements.restore(measurements)
    this.#drawAllLayers()
  }

  goToMeasurement(id: string): void {
    const { measurements } = this.#measurer
    const [first, second] = measurements.all.find(one => one.id === id)?.points_mm ?? []
    measurements.select(id)
    if (first && second) this.goTo(add(first, subtract(second, first), 0.5))
    this.#measured()
  }

  deleteMeasurement(): void {
    this.#measurer.measurements.removeSelected()
    this.#measured()
  }

  undoMeasurement(): void {
    this.#measurer.measurements.undo()
    this.#measured()
  }

  redoMeasurement(): void {
    this.#measurer.measurements.redo()
    this.#measured()
  }

  writeAt(id: string, text: string): void {
    this.#measurer.measurements.write(id, text)
    this.#measured()
  }

  releaseMeasurements(nodule: string): void {
    this.#measurer.measurements.release(nodule)
    this.#measured()
  }

  statisticsOf(measurement: Measurement): HuStatistics | null {
    const series = this.#series
    if (!series) return null
    let missing = false
    const found = statisticsOf(measurement.points_mm, series.geometry, (column, row, image) => {
      if (!series.arrived.has(image)) missing = true
      return missing ? 0 : series.valueAt(column, row, image)
    })
    return missing ? null : found
  }

  pointAtHand(): PatientPoint | null {
    if (!this.#series) return null
    if (this.#pointer) {
      const { plane, at } = this.#pointer
      return ontoView(this.#rendering.unproject(plane, at), this.#view(plane))
    }
    const views = PLANES.map(plane => this.#view(plane))
    const [axial, ...others] = views
    if (!axial) return null
    // Alone, the axial plane is meant in its middle.
    return this.#layout === 'axial'
      ? axial.point
      : others.reduce((point, view) => ontoView(point, view), axial.point)
  }

  focus(): void {
    this.#panes[this.#active].element.focus({ preventScroll: true })
  }

  listen(listener: (event: ViewerEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  state(): ViewerState {
    const pane = (plane: Plane): PaneState => {
      const { element, markers, rulers, saliency } = this.#panes[plane]
      const { x, y, width, height } = element.getBoundingClientRect()
      const view = this.#view(plane)
      return {
        ...this.#place(plane),
        mm_per_pixel: view.mm_per_pixel,
        letters: edgeLetters(view),
        markers: [...markers.drawn],
        measurements: [...rulers.drawn],
        saliency: saliency.drawn,
        rect: { x, y, width, height },
      }
    }
    return {
      loaded: this.#series?.arrived.size ?? 0,
      total: this.#series?.total ?? 0,
      failed: this.#series?.failed ?? 0,
      layout: this.#layout,
      active: this.#active,
      window: { ...this.#window },
      inverted: this.#inverted,
      markers_shown: this.#markersShown,
      crosshair: this.#crosshair,
      tool: this.#measurer.tool,
      measurements: this.#measurer.measurements.all,
      cine: { playing: this.#cine.playing, slices_per_s: this.#cine.speed },
      saliency_opacity: this.#saliencyOpacity,
      software_rendering: this.softwareRendering,
      planes: this.#rendering.planes,
      magnifier: this.#magnifier,
      beside: this.#beside.shown ? this.#beside.state() : null,
      panes: { axial: pane('axial'), sagittal: pane('sagittal'), coronal: pane('coronal') },
    }
  }

  close(): void {
    this.#closed = true
    this.#cine.stop()
    this.#resizing.disconnect()
    this.#listeners.clear()
    this.#rendering.close()
    this.#series?.forget()
  }

  // Loading

  /** Load every image; calls back as soon as the axial slice on screen is there. */
  async #load(series: CtSeries, firstImageShown: () => void): Promise<void> {
    let shown = false
    await series.load({
      here: () => this.#imageOnScreen(),
      stopped: () => this.#closed,
      progress: image => {
        if (this.#closed) return
        const { arrived, failed, total } = series
        this.#redraw(this.#axialShows(image))
        if (arrived.size % 4 === 0) this.#drawAllLayers() // the bars grow, the gaps close
        this.#tell({ kind: 'progress', loaded: arrived.size, total, failed })
        if (shown || !arrived.has(this.#imageOnScreen())) return
        shown = true
        this.#drawFirst(firstImageShown)
      },
    })
    if (this.#closed) return
    this.#drawn = PLANES
    for (const plane of PLANES) this.#render(plane)
    this.#tell({ kind: 'series_loaded', slices: series.total, failed: series.failed })
    firstImageShown()
  }

  /** Draw the axial image alone, so that it is there as soon as can be, and then the others. */
  #drawFirst(firstImageShown: () => void): void {
    this.#firstDrawn = () => {
      this.#tell({ kind: 'first_image', plane: 'axial', index: this.#place('axial').index })
      firstImageShown()
      for (const plane of this.#rendering.planes) this.#tellSlice(plane)
      if (this.softwareRendering) return // the other planes would hold the rest of the images up
      this.#drawn = PLANES
      for (const plane of PLANES) this.#render(plane)
    }
    this.#drawn = ['axial']
    this.#render('axial')
  }

  #wasDrawn(plane: Plane): void {
    this.#drawLayers(plane)
    this.#panes[plane].magnifier.draw()
    const first = this.#firstDrawn
    if (plane !== 'axial' || first === null || this.#closed) return
    this.#firstDrawn = null
    first()
  }

  #render(plane: Plane): void {
    if (this.#drawn.includes(plane)) this.#rendering.render(plane)
    else this.#drawLayers(plane)
  }

  /** Redraw what an arriving image changed: the axial slice at once, the other planes in steps. */
  #redraw(axial: boolean): void {
    if (axial) this.#render('axial')
    const { total, arrived } = this.#series ?? { total: 0, arrived: new Set() }
    const redraws = this.softwareRendering ? 1 : REDRAWS_WHILE_LOADING
    if (arrived.size < (this.#redraws / redraws) * total) return
    this.#redraws += 1
    for (const plane of ['sagittal', 'coronal'] as const) this.#render(plane)
  }

  /** The image that the axial pane shows, in the order of the volume. */
  #imageOnScreen(): number {
    const slices = this.#series?.slices.axial
    return slices ? imageOf(slices, this.#place('axial').index - 1) : 0
  }

  // Cameras

  #view(plane: Plane): View {
    const { focalPoint, normal, up, parallelScale } = this.#rendering.camera(plane)
    const { clientWidth: width, clientHeight: height } = this.#panes[plane].canvas
    return {
      point: focalPoint,
      normal,
      up,
      right: cross(up, normal),
      mm_per_pixel: (2 * parallelScale) / Math.max(1, height),
      spacing_mm: this.#series?.slices[plane].spacing_mm ?? 1,
      slab_mm: this.#panes[plane].thickness_mm,
      width,
      height,
      project: point => this.#rendering.project(plane, point),
    }
  }

  #place(
    plane: Plane,
  ): Pick<PaneState, 'index' | 'total' | 'position_mm' | 'loaded' | 'zoom' | 'slab'> {
    const { focalPoint, parallelScale } = this.#rendering.camera(plane)
    const { fitted_mm, slab, thickness_mm } = this.#panes[plane]
    const series = this.#series
    const view = {
      position_mm: focalPoint,
      zoom: (fitted_mm || parallelScale) / parallelScale,
      slab,
    }
    if (!series) return { index: 0, total: 0, loaded: false, ...view }
    const index = nearestSlice(series.slices[plane], focalPoint)
    const loaded = plane === 'axial' ? series.hasSlice(index, thickness_mm) : series.complete
    return { index: index + 1, total: series.slices[plane].total, loaded, ...view }
  }

  /** Whether an image is part of what the axial pane shows, or next to it. */
  #axialShows(image: number): boolean {
    const spacing_mm = this.#series?.slices.axial.spacing_mm ?? 1
    const reach = this.#panes.axial.thickness_mm / 2 / spacing_mm + 1
    return Math.abs(image - this.#imageOnScreen()) <= reach
  }

  /** Centre a pane on `point`, on the slice nearest to it. */
  #put(plane: Plane, point: PatientPoint, change: { parallelScale?: number } = {}): void {
    const slices = this.#series?.slices[plane]
    if (!slices) return
    this.#look(plane, ontoSlice(slices, point, nearestSlice(slices, point)), change)
  }

  #putAll(point: PatientPoint): void {
    // In the axial plane a start shows the whole body; only the slice is chosen.
    for (const plane of PLANES) {
      const slices = this.#series?.slices[plane]
      if (!slices) continue
      const here = this.#rendering.camera(plane).focalPoint
      this.#look(plane, ontoSlice(slices, here, nearestSlice(slices, point)))
    }
  }

  #look(plane: Plane, focal: PatientPoint, change: { parallelScale?: number } = {}): void {
    const before = this.#place(plane).index
    this.#rendering.look(plane, { focalPoint: focal, ...change })
    if (plane === 'axial') this.#beside.follow(this.#rendering.camera('axial'))
    this.#render(plane)
    this.#tellSlice(plane)
    if (this.#place(plane).index !== before) {
      // The lines of this plane move in the other panes.
      for (const other of PLANES) if (other !== plane) this.#drawLayers(other)
    }
  }

  #scroll(plane: Plane, by: number): void {
    const slices = this.#series?.slices[plane]
    if (!slices || by === 0) return
    const { focalPoint } = this.#rendering.camera(plane)
    const target = Math.min(Math.max(nearestSlice(slices, focalPoint) + by, 0), slices.total - 1)
    this.#look(plane, ontoSlice(slices, focalPoint, target))
  }

  /** One slice on in cine; what has not arrived is waited for. */
  #turn(): void {
    const plane = this.#active
    const slices = this.#series?.slices[plane]
    if (!slices) return
    const { focalPoint } = this.#rendering.camera(plane)
    const next = following(nearestSlice(slices, focalPoint), slices.total)
    const { thickness_mm } = this.#panes[plane]
    if (plane === 'axial' && !this.#series?.hasSlice(next, thickness_mm)) return
    this.#look(plane, ontoSlice(slices, focalPoint, next))
  }

  #zoom(plane: Plane, factor: number): void {
    const { focalPoint, parallelScale } = this.#rendering.camera(plane)
    const fitted = this.#panes[plane].fitted_mm || parallelScale
    const wanted = Math.min(Math.max(parallelScale / factor, fitted / 40), fitted * 2)
    this.#look(plane, focalPoint, { parallelScale: wanted })
  }

  #applyWindow(): void {
    const { centre, width } = this.#window
    if (this.#series) {
      this.#rendering.setWindow(this.#window, this.#inverted)
      for (const plane of PLANES) this.#render(plane)
      this.#beside.setWindow(this.#window, this.#inverted)
    }
    this.#tell({ kind: 'window', centre, width, inverted: this.#inverted })
  }

  // Panes

  #buildPane(plane: Plane): Pane {
    const pane = new Pane(plane)
    pane.element.addEventListener('focus', () => this.#activate(plane))
    pane.element.addEventListener('pointermove', event => {
      const { left, top } = pane.element.getBoundingClientRect()
      this.#pointer = { plane, at: [event.clientX - left, event.clientY - top] }
    })
    pane.element.addEventListener('pointerleave', () => {
      this.#pointer = null
    })
    readGestures(pane.element, {
      preset: () => this.#mouse,
      tool: at => {
        if (this.#measurer.tool || this.#touchesMeasurement(plane, at)) return 'measure'
        return this.#crosshair ? 'crosshair' : null
      },
      hover: at => {
        if (this.#magnifier) pane.magnifier.hold(at)
      },
      begin: (kind, at) => {
        this.#dragged = 0
        if (kind === 'measure') this.#beginMeasuring(plane, at)
        if (kind === 'crosshair') this.#drag(plane, kind, at, at)
      },
      end: kind => {
        if (kind !== 'measure') return
        const changed = this.#measurer.end(this.#view(plane))
        if (changed) this.#measured(changed.isNew ? changed.id : null)
      },
      activate: () => {
        this.#activate(plane)
        this.focus()
      },
      drag: (kind, from, to) => this.#drag(plane, kind, from, to),
      scroll: slices => this.scroll(slices),
      zoom: factor => this.#zoom(plane, factor),
    })
    return pane
  }

  /** What is done to the pane beside the axial one is done to both. */
  #listenBeside(): void {
    const { pane } = this.#beside
    const move = (way: PatientPoint) =>
      this.#put('axial', add(this.#rendering.camera('axial').focalPoint, way))
    const scroll = (slices: number) => move(this.#beside.slices(slices))
    readGestures(pane.element, {
      preset: () => this.#mouse,
      tool: () => null,
      hover: at => {
        if (this.#magnifier) pane.magnifier.hold(at)
      },
      begin: () => {
        this.#dragged = 0
      },
      end: () => {},
      activate: () => pane.element.focus({ preventScroll: true }),
      drag: (kind, from, to) => {
        if (kind === 'pan') {
          return move(subtract(this.#beside.unproject(from), this.#beside.unproject(to)))
        }
        if (kind !== 'scroll') return this.#drag('axial', kind, from, to)
        const slices = dragSlices(this.#dragged, to[1] - from[1])
        this.#dragged = slices.rest
        if (slices.whole !== 0) scroll(slices.whole)
      },
      scroll,
      zoom: factor => this.#zoom('axial', factor),
    })
  }

  /** Show a slab beside the axial images, or not. */
  async #arrangeBeside(layout: Layout): Promise<void> {
    const beside = this.#beside
    beside.shown = layout === 'quad'
    beside.pane.hide(!beside.shown)
    if (!beside.shown || !this.#series) return
    if (!beside.started) {
      const drawn = () => {
        beside.draw(this.#window, this.#inverted)
        beside.pane.magnifier.draw()
      }
      await beside.start(this.#rendering, this.#series, OVERVIEW, drawn)
    }
    beside.setWindow(this.#window, this.#inverted)
    beside.follow(this.#rendering.camera('axial'))
  }

  #activate(plane: Plane): void {
    if (plane === this.#active && this.#panes[plane].element.classList.contains('active')) return
    this.playCine(false)
    this.#active = plane
    this.#tell({ kind: 'active', plane })
    for (const other of PLANES) {
      this.#panes[other].element.classList.toggle('active', other === plane)
    }
  }

  #drag(plane: Plane, kind: Drag, from: CanvasPoint, to: CanvasPoint) {
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]]
    const world = (at: CanvasPoint) => this.#rendering.unproject(plane, at)
    if (!this.#series) return
    switch (kind) {
      case 'window': {
        if (dx === 0 && dy === 0) return
        const { centre, width } = this.#window
        const step = Math.max(0.5, width / 400) // fine in a narrow window, fast in a wide one
        return this.setWindow({ centre: centre + dy * step, width: width + dx * step })
      }
      case 'measure':
        this.#measurer.move(this.#view(plane), world(to))
        return this.#drawLayers(plane)
      case 'zoom':
        return this.#zoom(plane, Math.exp(-dy / 150))
      case 'scroll': {
        const slices = dragSlices(this.#dragged, dy)
        this.#dragged = slices.rest
        return slices.whole === 0 ? undefined : this.#scroll(plane, slices.whole)
      }
      case 'pan':
        return this.#look(
          plane,
          add(this.#rendering.camera(plane).focalPoint, subtract(world(from), world(to))),
        )
      case 'crosshair':
        for (const other of PLANES) if (other !== plane) this.#put(other, world(to))
    }
  }

  // Measuring

  #touchesMeasurement(plane: Plane, at: CanvasPoint): boolean {
    return this.#series !== null && this.#measurer.touches(plane, this.#view(plane), at)
  }

  #beginMeasuring(plane: Plane, at: CanvasPoint): void {
    if (!this.#series) return
    this.playCine(false)
    this.#measurer.begin(plane, this.#view(plane), at, this.#rendering.unproject(plane, at))
  }

  #measured(made: string | null = null): void {
    this.#drawAllLayers()
    const { all: measurements, selected } = this.#measurer.measurements
    this.#tell({ kind: 'measurements', measurements, made, selected })
  }

  #showTool(): void {
    this.container.dataset.tool = this.#measurer.tool || this.#crosshair ? 'crosshair' : 'window'
  }

  #drawAllLayers(): void {
    for (const plane of PLANES) this.#drawLayers(plane)
  }

  #drawLayers(plane: Plane): void {
    const series = this.#series
    if (this.#closed || !series) return
    const pane = this.#panes[plane]
    const view = this.#view(plane)
    const place = this.#place(plane)
    const crossed = this.#layout === 'mpr' || this.#layout === 'quad'
    const lines = crossed ? this.#linesOfOtherPlanes(plane, view) : []
    pane.markers.draw(view, this.#markersShown ? this.#markers : [], this.#selected, lines)
    const { selected } = this.#measurer.measurements
    pane.rulers.draw(view, this.#measurer.shownIn(plane, view), selected, one =>
      this.statisticsOf(one),
    )
    pane.coverMissing(view, series, place.loaded)
    const before = pane.saliency.drawn
    const hidden = !place.loaded || pane.element.inert
    pane.saliency.draw(view, hidden ? null : this.#saliency, this.#saliencyOpacity)
    if (pane.saliency.drawn !== before) {
      const planes = PLANES.filter(other => this.#panes[other].saliency.drawn !== null)
      this.#tell({ kind: 'saliency', planes })
    }
    const notice = place.loaded ? '' : plane === 'axial' ? 'Loading this slice…' : 'Loading…'
    const arrived = series.arrived.size / series.total
    pane.labels.draw(view, place, this.#window, this.#inverted, notice, arrived)
  }

  #linesOfOtherPlanes(plane: Plane, view: View): ReferenceLine[] {
    const others = PLANES.filter(other => other !== plane).map(other => {
      const { focalPoint: point, normal } = this.#rendering.camera(other)
      return { plane: other, point, normal }
    })
    return linesOfOthers(view, others, LINE_GAP_PX)
  }

  #tellRendering(): void {
    const { planes } = this.#rendering
    this.#tell({ kind: 'rendering', planes, software: this.softwareRendering })
    if (planes.length < PLANES.length) this.arrange('axial')
  }

  /** What a plane shows now, for the screen and for the record of what was on it. */
  #tellSlice(plane: Plane): void {
    const { index, total, position_mm } = this.#place(plane)
    const { width, height, mm_per_pixel } = this.#view(plane)
    const span_mm = [width, height].map(pixels => Math.round(pixels * mm_per_pixel))
    this.#tell({ kind: 'slice', plane, index, total, position_mm, span_mm })
  }

  #tellCine(): void {
    const { playing, speed: slices_per_s } = this.#cine
    this.#tell({ kind: 'cine', plane: this.#active, playing, slices_per_s })
  }

  #tell(event: ViewerEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
