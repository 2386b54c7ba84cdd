import type { Layout, Measurement, PatientPoint, Saliency, Series, Tool } from '../api/types'
import { Beside } from './beside'
import { Filling } from './filling'
import { add, subtract } from './geometry'
import type { MousePreset } from './gestures'
import { Hands } from './hands'
import { Layers } from './layers'
import { Measurer, ontoView } from './measurer'
import { Moving } from './moving'
import { Prior } from './prior'
import type { MakeRendering, Rendering } from './rendering'
import { Scene } from './scene'
import { CtSeries } from './series'
import { type Slab, USUAL_THICKNESS_MM } from './slab'
import type { HuStatistics } from './statistics'
import {
  type Marker,
  PLANES,
  type Plane,
  type Viewer,
  type ViewerEvent,
  type ViewerState,
  WINDOW_PRESETS,
  type Window,
} from './viewer'

/** A graphics card that has just been reset is left in peace for a moment. */
const RECOVER_AFTER_MS = 200
/** Beside the single slices, vessels as lines and nodules as dots. */
const OVERVIEW: Slab = { projection: 'mip', thickness_mm: USUAL_THICKNESS_MM }

/** Two examinations at once need memory that a small device does not have (gigabytes, as it says). */
const ROOMY_GB = 4

function mayReadAhead(): boolean {
  const { deviceMemory } = navigator as { deviceMemory?: number }
  return deviceMemory === undefined || deviceMemory >= ROOMY_GB
}

/** The viewer of one reading: it joins the parts that show, move, draw over and measure. */
export class CtViewer implements Viewer {
  readonly #scene: Scene
  readonly #measurer = new Measurer()
  readonly #layers: Layers
  readonly #filling: Filling
  readonly #beside = new Beside()
  readonly #prior: Prior
  readonly #moving: Moving
  readonly #hands: Hands
  readonly #resizing: ResizeObserver
  /** Series of the examination that were opened, by their id. */
  readonly #opened = new Map<number, CtSeries>()
  /** What draws can draw no other planes, as is enough for the series on screen. */
  #stackAlone = false
  #offered: { series: Series; title: string } | null = null
  /** Settles when the images of the current examination that were asked for first are there. */
  #current: Promise<void> = Promise.resolve()

  constructor(
    readonly container: HTMLElement,
    readonly makeRendering: MakeRendering,
    softwareRendering: boolean,
  ) {
    this.#scene = new Scene(softwareRendering)
    this.#layers = new Layers(this.#scene, this.#measurer)
    this.#filling = new Filling(this.#scene, this.#layers, () => {
      if (this.#scene.rendering.planes.length < PLANES.length) this.#tellRendering()
      this.#arrangeBeside(this.#scene.layout).catch(reportError)
    })
    this.#prior = new Prior(this.#scene, this.#measurer)
    this.#moving = new Moving(this.#scene, this.#layers, this.#filling, this.#beside, this.#prior)
    this.#hands = new Hands(this.#scene, this.#moving, this.#layers, this.#measurer, {
      activate: plane => this.#activate(plane),
      focus: () => this.focus(),
      scroll: slices => this.scroll(slices),
      setWindow: window => this.setWindow(window),
      measured: made => this.#measured(made),
    })
    container.classList.add('viewer')
    container.replaceChildren(
      ...PLANES.map(plane => this.#scene.panes[plane].element),
      this.#beside.pane.element,
      this.#prior.pane.element,
    )
    this.#hands.listenBeside(this.#beside)
    this.#hands.listenPrior(this.#prior)
    this.#scene.rendering = this.#startRendering()
    this.arrange(this.#scene.layout)
    this.#activate('axial')
    this.#resizing = new ResizeObserver(() => {
      if (this.#scene.closed) return
      this.#scene.rendering.resize(this.#scene.drawn.length > 0)
      this.#prior.render()
    })
    this.#resizing.observe(container)
  }

  #startRendering(): Rendering {
    const { axial, sagittal, coronal } = this.#scene.panes
    this.#stackAlone = (this.#scene.series?.limits.withheld ?? '') !== ''
    return this.makeRendering(
      { axial: axial.canvas, sagittal: sagittal.canvas, coronal: coronal.canvas },
      {
        drawn: plane => this.#filling.wasDrawn(plane),
        lost: () => {
          this.#scene.tell({ kind: 'context_lost' })
          setTimeout(() => this.#recover().catch(reportError), RECOVER_AFTER_MS)
        },
      },
      this.#stackAlone,
    )
  }

  /** Draw with new graphics what was on screen; where there are none, the axial images alone. */
  async #recover(): Promise<void> {
    const scene = this.#scene
    if (scene.closed || !scene.series) return
    const cameras = PLANES.map(plane => scene.rendering.camera(plane))
    this.#beside.stop()
    scene.rendering.close()
    scene.rendering = this.#startRendering()
    await scene.rendering.show(scene.series)
    await scene.rendering.prepare?.()
    PLANES.forEach((plane, i) => {
      const { slab } = scene.panes[plane]
      const { focalPoint, parallelScale } = cameras[i] ?? scene.rendering.camera(plane)
      if (slab) scene.rendering.setSlab(plane, slab)
      scene.rendering.look(plane, { focalPoint, parallelScale })
    })
    scene.rendering.setWindow(scene.window, scene.inverted)
    this.#tellRendering()
    this.arrange(scene.layout)
    for (const plane of PLANES) this.#filling.render(plane)
    scene.tell({ kind: 'context_restored' })
  }

  async show(series: Series, start: PatientPoint | null): Promise<void> {
    const scene = this.#scene
    let currentIsThere = () => {}
    this.#current = new Promise(resolve => {
      currentIsThere = resolve
    })
    this.#current.then(() => this.#goOnLoading()).catch(reportError)
    const opened = await CtSeries.open(series)
    await this.#take(series, opened)
    this.#tellRendering()
    this.#applyWindow()
    this.#moving.putAll(opened.withImage(start ?? opened.middle))
    this.#layers.drawAll()

    scene.tell({ kind: 'progress', loaded: 0, total: opened.total, failed: 0 })
    await new Promise<void>((resolve, reject) => {
      this.#filling.load(opened, resolve).then(currentIsThere).catch(reject)
    })
  }

  /** Let every pane show `opened`, which is `series`, as the rendering begins with it. */
  async #take(series: Series, opened: CtSeries): Promise<void> {
    const scene = this.#scene
    this.#opened.set(series.id, opened)
    this.#measurer.series = series.id
    scene.of = series
    scene.series = opened
    const other = this.#stackAlone !== (opened.limits.withheld !== '')
    if (other) {
      this.#beside.stop()
      scene.rendering.close()
      scene.rendering = this.#startRendering()
    }
    await scene.rendering.show(opened)
    if (other && scene.drawn.length > 0) await scene.rendering.prepare?.()
    if (!opened.limits.slabs) for (const plane of PLANES) this.#withoutSlab(plane)
    for (const plane of PLANES) {
      scene.panes[plane].fitted_mm = scene.rendering.camera(plane).parallelScale
    }
  }

  async switchTo(series: Series): Promise<void> {
    const scene = this.#scene
    if (scene.closed || !scene.series || series.id === scene.of.id) return
    this.playCine(false)
    const shared = scene.of.frame_of_reference_uid === series.frame_of_reference_uid
    const cameras = PLANES.map(plane => scene.rendering.camera(plane))
    const before = this.#opened.get(series.id)
    const opened = before ?? (await CtSeries.open(series))
    await this.#take(series, opened)
    PLANES.forEach((plane, i) => {
      const { slab } = scene.panes[plane]
      if (slab) scene.rendering.setSlab(plane, slab)
      const camera = cameras[i]
      const point = shared && camera ? camera.focalPoint : opened.middle
      this.#moving.put(plane, point, camera && { parallelScale: camera.parallelScale })
    })
    this.#beside.stop() // it shows the series before
    scene.tell({ kind: 'series', series: series.id })
    this.#tellRendering()
    this.#applyWindow()
    this.arrange(scene.layout)
    if (!before) await this.#filling.loadAnother(opened)
  }

  usePrior(series: Series, title: string): void {
    const again = this.#prior.id === series.id
    this.#offered = { series, title }
    if (again || !(this.#prior.shown || this.#prior.isOpen)) return
    this.#openPrior().catch(reportError)
  }

  linkPrior(linked: boolean): void {
    this.#prior.setLinked(linked, this.#scene.rendering.camera('axial'))
  }

  /** With the current images there, those of the earlier examination, where there is room for both. */
  async #goOnLoading(): Promise<void> {
    if (this.#offered && (this.#prior.shown || mayReadAhead())) await this.#openPrior()
    if (!this.#scene.closed) this.#scene.tell({ kind: 'all_loaded' })
  }

  /** Read the earlier examination, once those images are there that are to be read first. */
  async #openPrior(): Promise<void> {
    const offered = this.#offered
    if (!offered || this.#prior.id === offered.series.id) return
    const opened = await this.#prior.open(offered.series, offered.title)
    this.#prior.follow(this.#scene.rendering.camera('axial'))
    this.#prior.show(this.#prior.shown)
    this.#prior.draw()
    await this.#current
    await this.#prior.load(opened)
  }

  // What is shown, and how

  arrange(wanted: Layout): void {
    const scene = this.#scene
    this.playCine(false)
    const every = scene.rendering.planes.length === PLANES.length
    const layout = every || wanted === 'compare' ? wanted : 'axial'
    scene.layout = layout
    this.container.dataset.layout = layout
    // Hidden panes keep their size beneath the axial one, so that switching costs nothing.
    const alone = layout === 'axial' || layout === 'compare'
    for (const plane of PLANES) scene.panes[plane].hide(alone && plane !== 'axial')
    if (alone) this.#activate('axial')
    this.#arrangeBeside(layout).catch(reportError)
    this.#layers.drawAll()
    scene.tell({ kind: 'layout', layout, ...(layout === 'compare' && { plane: 'axial' }) })
    this.#prior.show(layout === 'compare')
    if (layout !== 'compare' || !scene.series) return
    this.#openPrior().catch(reportError)
    this.#prior.follow(scene.rendering.camera('axial'))
    this.#prior.render()
  }

  /** Show a slab beside the axial images, or not. */
  async #arrangeBeside(layout: Layout): Promise<void> {
    const [beside, scene] = [this.#beside, this.#scene]
    beside.shown = layout === 'quad'
    beside.pane.hide(!beside.shown)
    if (!beside.shown || !scene.series) return
    if (!beside.started) {
      const drawn = () => {
        beside.draw(scene.window, scene.inverted)
        beside.pane.magnifier.draw()
      }
      await beside.start(scene.rendering, scene.series, OVERVIEW, drawn)
    }
    beside.setWindow(scene.window, scene.inverted)
    beside.follow(scene.rendering.camera('axial'))
  }

  setWindow({ centre, width }: Window): void {
    this.#scene.window = { centre, width: Math.max(1, width) }
    this.#applyWindow()
  }

  invert(): void {
    this.#scene.inverted = !this.#scene.inverted
    this.#applyWindow()
  }

  #applyWindow(): void {
    const { window, inverted, series, rendering } = this.#scene
    if (series) {
      rendering.setWindow(window, inverted)
      for (const plane of PLANES) this.#filling.render(plane)
      this.#beside.setWindow(window, inverted)
      this.#prior.setWindow()
    }
    this.#scene.tell({ kind: 'window', ...window, inverted })
  }

  setSlab(slab: Slab | null, where: 'active' | 'all'): void {
    const scene = this.#scene
    if (!scene.series?.limits.slabs) return
    for (const plane of where === 'all' ? PLANES : [scene.active]) {
      scene.panes[plane].slab = slab
      scene.rendering.setSlab(plane, slab)
      this.#filling.render(plane)
      scene.tell({ kind: 'slab', plane, slab })
      if (scene.series.absent.size > 0) scene.tellSlice(plane) // a slab may reach over a gap
      if (plane === 'axial') this.#prior.setSlab(slab)
    }
  }

  #withoutSlab(plane: Plane): void {
    if (!this.#scene.panes[plane].slab) return
    this.#scene.panes[plane].slab = null
    this.#scene.tell({ kind: 'slab', plane, slab: null })
    if (plane === 'axial') this.#prior.setSlab(null)
  }

  reset(): void {
    const scene = this.#scene
    this.playCine(false)
    this.setSlab(null, 'all')
    scene.window = WINDOW_PRESETS[0] ?? scene.window
    scene.inverted = false
    for (const plane of PLANES) {
      scene.rendering.fit(plane)
      if (scene.series) this.#moving.put(plane, scene.series.middle)
    }
    this.#applyWindow()
  }

  #activate(plane: Plane): void {
    const { active, panes } = this.#scene
    if (plane === active && panes[plane].element.classList.contains('active')) return
    this.playCine(false)
    this.#scene.activate(plane)
  }

  focus(): void {
    this.#scene.panes[this.#scene.active].element.focus({ preventScroll: true })
  }

  // Going through the images

  goTo(point: PatientPoint, diameter_mm: number | null = null): void {
    this.playCine(false)
    this.#moving.goTo(point, diameter_mm)
  }

  scroll(slices: number): void {
    this.playCine(false)
    if (this.#priorIsAtHand) this.#prior.scroll(slices)
    else this.#moving.scroll(this.#scene.active, slices)
  }

  scrollToEnd(end: 'first' | 'last'): void {
    const { total } = this.#scene.series?.slices[this.#scene.active] ?? { total: 0 }
    this.scroll(end === 'first' ? -total : total)
  }

  zoom(factor: number): void {
    if (this.#priorIsAtHand) this.#prior.zoom(factor)
    else this.#moving.zoom(this.#scene.active, factor)
  }

  /** Keys are meant for the earlier examination alone. */
  get #priorIsAtHand(): boolean {
    return this.#prior.focused && !this.#prior.link.linked
  }

  playCine(playing: boolean): void {
    this.#moving.playCine(playing)
  }

  setCineSpeed(slices_per_s: number): void {
    this.#moving.setCineSpeed(slices_per_s)
  }

  pointAtHand(): PatientPoint | null {
    const scene = this.#scene
    if (!scene.series || this.#prior.focused) return null
    const point = this.#pointMeant()
    return point && !scene.series.isAbsent(point) ? point : null
  }

  #pointMeant(): PatientPoint | null {
    const scene = this.#scene
    if (this.#hands.pointer) {
      const { plane, at } = this.#hands.pointer
      return ontoView(scene.rendering.unproject(plane, at), scene.view(plane))
    }
    const [axial, ...others] = PLANES.map(plane => scene.view(plane))
    if (!axial) return null
    // Alone, the axial plane is meant in its middle.
    return scene.layout === 'axial'
      ? axial.point
      : others.reduce((point, view) => ontoView(point, view), axial.point)
  }

  // What is drawn over them

  mark(markers: readonly Marker[], selected: Marker['id'] | null): void {
    const own = markers.some(({ id, by }) => id === selected && by !== 'ai')
    this.#measurer.nodule = own ? String(selected) : null
    this.#layers.mark(markers, selected)
  }

  showMarkers(shown: boolean): void {
    this.#layers.markersShown = shown
    this.#layers.drawAll()
  }

  showSaliency(saliency: Saliency | null, series: number): void {
    this.#layers.saliency = saliency && { ...saliency, series }
    this.#layers.drawAll()
  }

  setSaliencyOpacity(opacity: number): void {
    this.#layers.saliencyOpacity = opacity
    this.#layers.drawAll()
  }

  // Hands and tools

  useCrosshair(on: boolean): void {
    if (on && this.#measurer.tool) this.useTool(null)
    this.#hands.crosshair = on
    this.#showTool()
    this.#scene.tell({ kind: 'crosshair', on })
  }

  useMouse(preset: MousePreset): void {
    this.#hands.mouse = preset
  }

  useMagnifier(on: boolean): void {
    this.#hands.magnifier = on
    if (!on) for (const plane of PLANES) this.#scene.panes[plane].magnifier.hold(null)
    this.#scene.tell({ kind: 'magnifier', on })
  }

  useTool(tool: Tool | null): void {
    if (tool && this.#hands.crosshair) this.useCrosshair(false)
    this.#measurer.tool = tool
    this.#showTool()
    this.#scene.tell({ kind: 'tool', tool })
  }

  #showTool(): void {
    const crosshair = this.#measurer.tool || this.#hands.crosshair
    this.container.dataset.tool = crosshair ? 'crosshair' : 'window'
  }

  // Measuring

  restoreMeasurements(measurements: readonly Measurement[]): void {
    this.#measurer.measurements.restore(measurements)
    this.#layers.drawAll()
    this.#prior.draw()
  }

  goToMeasurement(id: string): void {
    const { measurements } = this.#measurer
    const wanted = measurements.all.find(one => one.id === id)
    const [first, second] = wanted?.points_mm ?? []
    measurements.select(id)
    if (wanted && first && second) this.#goTo(wanted, add(first, subtract(second, first), 0.5))
    this.#measured()
  }

  /** To a point of the series in which something was measured. */
  #goTo({ series }: Measurement, point: PatientPoint): void {
    const prior = this.#prior
    if (series !== prior.id) {
      this.goTo(point)
      return
    }
    if (this.#scene.layout !== 'compare') this.arrange('compare')
    if (prior.link.linked) this.#moving.put('axial', prior.link.toCurrent(point))
    else prior.look(point)
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
    return this.#layers.statisticsOf(measurement) ?? this.#prior.statisticsOf(measurement)
  }

  #measured(made: string | null = null): void {
    this.#layers.drawAll()
    this.#prior.draw()
    const { all: measurements, selected } = this.#measurer.measurements
    this.#scene.tell({ kind: 'measurements', measurements, made, selected })
  }

  // For others

  listen(listener: (event: ViewerEvent) => void): () => void {
    return this.#scene.listen(listener)
  }

  state(): ViewerState {
    const scene = this.#scene
    return {
      series: scene.of.id,
      loaded: scene.series?.arrived.size ?? 0,
      total: scene.series?.total ?? 0,
      failed: scene.series?.failed ?? 0,
      layout: scene.layout,
      active: scene.active,
      window: { ...scene.window },
      inverted: scene.inverted,
      markers_shown: this.#layers.markersShown,
      crosshair: this.#hands.crosshair,
      tool: this.#measurer.tool,
      measurements: this.#measurer.measurements.all,
      cine: { playing: this.#moving.cine.playing, slices_per_s: this.#moving.cine.speed },
      saliency_opacity: this.#layers.saliencyOpacity,
      software_rendering: scene.softwareRendering,
      planes: scene.rendering.planes,
      magnifier: this.#hands.magnifier,
      beside: this.#beside.shown ? this.#beside.state() : null,
      prior: this.#prior.shown ? this.#prior.state() : null,
      panes: {
        axial: scene.pane('axial'),
        sagittal: scene.pane('sagittal'),
        coronal: scene.pane('coronal'),
      },
    }
  }

  close(): void {
    this.#moving.cine.stop()
    this.#resizing.disconnect()
    this.#prior.close()
    this.#scene.close()
  }

  #tellRendering(): void {
    const { rendering, softwareRendering: software, series } = this.#scene
    const { notes = [], slabs = true } = series?.limits ?? {}
    const told = { planes: rendering.planes, software, notes, slabs, withheld: this.#stackAlone }
    this.#scene.tell({ kind: 'rendering', ...told })
    if (rendering.planes.length < PLANES.length) this.arrange(this.#scene.layout)
  }
}
