import {
  cache,
  Enums,
  eventTarget,
  getRenderingCapabilities,
  imageLoader,
  init as initCore,
  RenderingEngine,
  type StreamingImageVolume,
  setVolumesForViewports,
  type Types,
  volumeLoader,
} from '@cornerstonejs/core'
import { createImage, init as initLoader } from '@cornerstonejs/dicom-image-loader'
import { utilities as metadataUtilities } from '@cornerstonejs/metadata'
import type { Nodule, PatientPoint, Saliency, Series } from '../api/types'
import { Cine, following } from './cine'
import { add, cross, depth_mm, edgeLetters, meetingLine, subtract, type View } from './geometry'
import { type Drag, readGestures } from './gestures'
import { Labels } from './labels'
import { loadNearestFirst } from './loading'
import { MarkerLayer, type ReferenceLine } from './markers'
import { type Handle, handleAt, isShown, type Length, Measurements } from './measuring'
import { RulerLayer } from './rulers'
import { SaliencyLayer } from './saliency'
import { imagesOfSlab, type Projection, type Slab } from './slab'
import {
  imageOf,
  measureSlices,
  middleOf,
  nearestSlice,
  ontoSlice,
  type Slices,
  type VolumeGeometry,
} from './slices'
import { addressOf, frameAt, headersOf } from './source'
import {
  ImagesUnavailable,
  type Layout,
  type PaneState,
  PLANES,
  type Plane,
  type Viewer,
  type ViewerEvent,
  type ViewerState,
  ViewerUnavailable,
  WINDOW_PRESETS,
  type Window,
} from './viewer'

/** How Cornerstone names an image that is read by its WADO-RS address. */
const WADO_RS = 'wadors'
/** The sagittal and coronal images are redrawn so often while they fill. */
const REDRAWS_WHILE_LOADING = 10
/** Half the height of a pane, in millimetres, after a jump to a nodule. */
const CLOSE_UP_MM = 60
/** Lines of other planes stop short of the point where they meet. */
const LINE_GAP_PX = 36
const STARTING_WINDOW: Window = { centre: -600, width: 1500 }

const ORIENTATION: Record<Plane, Enums.OrientationAxis> = {
  axial: Enums.OrientationAxis.AXIAL,
  sagittal: Enums.OrientationAxis.SAGITTAL,
  coronal: Enums.OrientationAxis.CORONAL,
}

const BLEND: Record<Projection, Enums.BlendModes> = {
  mip: Enums.BlendModes.MAXIMUM_INTENSITY_BLEND,
  minip: Enums.BlendModes.MINIMUM_INTENSITY_BLEND,
  mean: Enums.BlendModes.AVERAGE_INTENSITY_BLEND,
}

let initialised = false

/**
 * Build a viewer inside `container`.
 *
 * @throws ViewerUnavailable when the browser has no WebGL2.
 */
export function createViewer(container: HTMLElement): Viewer {
  if (!getRenderingCapabilities().webgl2) {
    throw new ViewerUnavailable(
      'This browser cannot show the images: WebGL2 is missing. Use a current Chrome, Edge or Firefox with graphics acceleration switched on.',
    )
  }
  if (!initialised) {
    // One context is enough: every pane draws the same volume, and its texture is then kept once.
    initCore({ rendering: { webGlContextCount: 1 }, debug: {} })
    initLoader({
      maxWebWorkers: Math.min(4, Math.max(2, (navigator.hardwareConcurrency || 4) / 2)),
    })
    // Images come from us, who may have asked for them before this code was there.
    imageLoader.registerImageLoader(WADO_RS, (imageId, options) => ({
      promise: frameAt(imageId.slice(WADO_RS.length + 1)).then(({ bytes, transfer_syntax }) =>
        createImage(imageId, bytes, transfer_syntax, options),
      ) as Promise<Types.IImage>,
    }))
    initialised = true
  }
  return new CornerstoneViewer(container)
}

/** One plane on screen: Cornerstone's canvas with our layers above it. */
interface Pane {
  plane: Plane
  element: HTMLDivElement
  canvas: HTMLDivElement
  markers: MarkerLayer
  rulers: RulerLayer
  cover: HTMLDivElement
  saliency: SaliencyLayer
  labels: Labels
  fitted_mm: number
  slab: Slab | null
}

class CornerstoneViewer implements Viewer {
  readonly #engine = new RenderingEngine('reading')
  readonly #panes: Record<Plane, Pane>
  readonly #listeners = new Set<(event: ViewerEvent) => void>()
  readonly #resizing: ResizeObserver
  #volume: StreamingImageVolume | null = null
  #slices: Record<Plane, Slices> | null = null
  #middle: PatientPoint = [0, 0, 0]
  #arrived: ReadonlySet<number> = new Set()
  #failed = 0
  #layout: Layout = 'mpr'
  #active: Plane = 'axial'
  #window: Window = STARTING_WINDOW
  #inverted = false
  #nodules: Nodule[] = []
  #selected: number | null = null
  #markersShown = true
  #crosshair = false
  #ruler = false
  readonly #measurements = new Measurements()
  #dragged: Handle | null = null
  #saliency: Saliency | null = null
  #saliencyOpacity = 0.45
  #redraws = 0
  /** Drawing costs time that the first image needs: nothing is drawn before it, nor beside it. */
  #drawn: readonly Plane[] = []
  readonly #cine = new Cine(() => this.#turn())
  #closed = false

  constructor(readonly container: HTMLElement) {
    const build = (plane: Plane) => this.#buildPane(plane)
    this.#panes = { axial: build('axial'), sagittal: build('sagittal'), coronal: build('coronal') }
    container.classList.add('viewer')
    container.replaceChildren(...PLANES.map(plane => this.#panes[plane].element))
    this.arrange(this.#layout)
    this.#activate('axial')
    this.#engine.setViewports(
      PLANES.map(plane => ({
        viewportId: plane,
        type: Enums.ViewportType.ORTHOGRAPHIC,
        element: this.#panes[plane].canvas,
        defaultOptions: { orientation: ORIENTATION[plane], background: [0, 0, 0] },
      })),
    )
    for (const plane of PLANES) {
      const { canvas } = this.#panes[plane]
      canvas.removeAttribute('tabindex') // the pane around it takes the focus
      canvas.addEventListener(Enums.Events.IMAGE_RENDERED, () => this.#drawLayers(plane))
    }
    eventTarget.addEventListener(Enums.Events.WEBGL_CONTEXT_LOST, this.#contextLost)
    this.#resizing = new ResizeObserver(() => {
      if (!this.#closed) this.#engine.resize(this.#drawn.length > 0, true)
    })
    this.#resizing.observe(container)
  }

  async show(series: Series, start: PatientPoint | null): Promise<void> {
    const imageIds = await this.#readMetadata(series)
    const volume = (await volumeLoader.createAndCacheVolume(
      `cornerstoneStreamingImageVolume:${series.series_uid}`,
      { imageIds },
    )) as StreamingImageVolume
    this.#volume = volume
    // Loading is ours: nearest to the reader first, failed images again, redrawn when it matters.
    const loading = volume as unknown as { autoRenderOnLoad: boolean; totalNumFrames: number }
    loading.autoRenderOnLoad = false
    loading.totalNumFrames = volume.imageIds.length
    const geometry = geometryOf(volume)
    this.#slices = measureSlices(geometry)
    this.#middle = middleOf(geometry)
    await setVolumesForViewports(this.#engine, [{ volumeId: volume.volumeId }], [...PLANES])
    for (const plane of PLANES) this.#panes[plane].fitted_mm = this.#camera(plane).parallelScale
    this.#applyWindow()
    this.#putAll(start ?? this.#middle)
    this.#drawAllLayers()

    this.#tell({ kind: 'progress', loaded: 0, total: volume.imageIds.length, failed: 0 })
    await new Promise<void>((resolve, reject) => {
      this.#load(volume, resolve).catch(reject)
    })
  }

  arrange(layout: Layout): void {
    this.playCine(false)
    this.#layout = layout
    this.container.dataset.layout = layout
    // Hidden panes keep their size beneath the axial one, so that switching costs nothing.
    for (const plane of PLANES) {
      const hidden = layout === 'axial' && plane !== 'axial'
      this.#panes[plane].element.inert = hidden
      this.#panes[plane].element.setAttribute('aria-hidden', String(hidden))
    }
    if (layout === 'axial') this.#activate('axial')
    this.#drawAllLayers()
    this.#tell({ kind: 'layout', layout })
  }

  goTo(point: PatientPoint, diameter_mm: number | null = null): void {
    this.playCine(false)
    const close = Math.max(CLOSE_UP_MM, 3 * (diameter_mm ?? 0))
    for (const plane of PLANES) {
      const parallelScale = Math.min(this.#camera(plane).parallelScale, close)
      this.#put(plane, point, { parallelScale })
    }
  }

  scroll(slices: number): void {
    this.playCine(false)
    this.#scroll(this.#active, slices)
  }

  scrollToEnd(end: 'first' | 'last'): void {
    const { total } = this.#slices?.[this.#active] ?? { total: 0 }
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
    const volume = this.#volume
    if (!volume) return
    for (const plane of where === 'all' ? PLANES : [this.#active]) {
      this.#panes[plane].slab = slab
      const viewport = this.#viewport(plane)
      viewport.setBlendMode(slab ? BLEND[slab.projection] : Enums.BlendModes.COMPOSITE)
      if (slab) {
        // Cornerstone clips at its "thickness" on either side of the slice, which makes two of it.
        viewport.setSlabThickness(slab.thickness_mm / 2)
      } else viewport.resetSlabThickness()
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
      this.#viewport(plane).resetCamera()
      this.#put(plane, this.#middle)
    }
    this.#applyWindow()
  }

  mark(nodules: Nodule[], selected: number | null): void {
    this.#nodules = nodules
    this.#selected = selected
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
    if (on && this.#ruler) this.useRuler(false)
    this.#crosshair = on
    this.#showTool()
    this.#tell({ kind: 'crosshair', on })
  }

  useRuler(on: boolean): void {
    if (on && this.#crosshair) this.useCrosshair(false)
    this.#ruler = on
    this.#showTool()
    this.#tell({ kind: 'ruler', on })
  }

  restoreMeasurements(lengths: readonly Length[]): void {
    this.#measurements.restore(lengths)
    this.#drawAllLayers()
  }

  deleteMeasurement(): void {
    this.#measurements.removeSelected()
    this.#measured()
  }

  undoMeasurement(): void {
    this.#measurements.undo()
    this.#measured()
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
        lengths: [...rulers.drawn],
        saliency: saliency.drawn,
        rect: { x, y, width, height },
      }
    }
    return {
      loaded: this.#arrived.size,
      total: this.#volume?.imageIds.length ?? 0,
      failed: this.#failed,
      layout: this.#layout,
      active: this.#active,
      window: { ...this.#window },
      inverted: this.#inverted,
      markers_shown: this.#markersShown,
      crosshair: this.#crosshair,
      ruler: this.#ruler,
      measurements: this.#measurements.all,
      cine: { playing: this.#cine.playing, slices_per_s: this.#cine.speed },
      saliency_opacity: this.#saliencyOpacity,
      software_rendering: getRenderingCapabilities().softwareRasterizer,
      panes: { axial: pane('axial'), sagittal: pane('sagittal'), coronal: pane('coronal') },
    }
  }

  close(): void {
    this.#closed = true
    this.#cine.stop()
    this.#resizing.disconnect()
    eventTarget.removeEventListener(Enums.Events.WEBGL_CONTEXT_LOST, this.#contextLost)
    this.#listeners.clear()
    this.#engine.destroy()
    cache.purgeCache()
  }

  // Loading

  async #readMetadata(series: Series): Promise<string[]> {
    const headers = await headersOf(series).catch(() => {
      throw new ImagesUnavailable('The images could not be reached. Check the connection.')
    })
    return Promise.all(
      headers.map(async header => {
        const imageId = `${WADO_RS}:${addressOf(series, header)}`
        await metadataUtilities.addDicomWebInstance(imageId, header)
        return imageId
      }),
    )
  }

  /** Load every image; calls back as soon as the axial slice on screen is there. */
  async #load(volume: StreamingImageVolume, firstImageShown: () => void): Promise<void> {
    const { imageIds } = volume
    let shown = false
    await loadNearestFirst(imageIds.length, {
      here: () => this.#imageOnScreen(),
      stopped: () => this.#closed,
      load: async index => {
        const imageId = imageIds[index] ?? ''
        const options = { ...volume.getLoaderImageOptions(imageId), priority: 0 }
        const image = await imageLoader.loadAndCacheImage(imageId, options)
        if (!this.#closed) volume.successCallback(imageId, image)
      },
      progress: (index, loaded, failed) => {
        this.#arrived = loaded
        this.#failed = failed.size
        this.#redraw(this.#axialShows(index))
        if (loaded.size % 4 === 0) this.#drawAllLayers() // the bars grow, the gaps close
        this.#tell({
          kind: 'progress',
          loaded: loaded.size,
          total: imageIds.length,
          failed: failed.size,
        })
        if (shown || !loaded.has(this.#imageOnScreen())) return
        shown = true
        this.#drawFirst(firstImageShown)
      },
    })
    if (this.#closed) return
    if (this.#arrived.size === 0) {
      throw new ImagesUnavailable('None of the images could be loaded.')
    }
    this.#drawn = PLANES
    for (const plane of PLANES) this.#render(plane)
    this.#tell({ kind: 'series_loaded', slices: imageIds.length, failed: this.#failed })
    firstImageShown()
  }

  /** Draw the axial image alone, so that it is there as soon as can be, and then the others. */
  #drawFirst(firstImageShown: () => void): void {
    this.#panes.axial.canvas.addEventListener(
      Enums.Events.IMAGE_RENDERED,
      () => {
        this.#tell({ kind: 'first_image', plane: 'axial', index: this.#place('axial').index })
        firstImageShown()
        this.#drawn = PLANES
        for (const plane of PLANES) this.#render(plane)
      },
      { once: true },
    )
    this.#drawn = ['axial']
    this.#render('axial')
  }

  #render(plane: Plane): void {
    if (this.#drawn.includes(plane)) this.#viewport(plane).render()
    else this.#drawLayers(plane)
  }

  /** Redraw what an arriving image changed: the axial slice at once, the other planes in steps. */
  #redraw(axial: boolean): void {
    if (axial) this.#render('axial')
    const total = this.#volume?.imageIds.length ?? 0
    if (this.#arrived.size < (this.#redraws / REDRAWS_WHILE_LOADING) * total) return
    this.#redraws += 1
    for (const plane of ['sagittal', 'coronal'] as const) this.#render(plane)
  }

  /** The image that the axial pane shows, in the order of the volume. */
  #imageOnScreen(): number {
    const slices = this.#slices?.axial
    return slices ? imageOf(slices, this.#place('axial').index - 1) : 0
  }

  // Cameras

  #viewport(plane: Plane): Types.IVolumeViewport {
    return this.#engine.getViewport(plane) as Types.IVolumeViewport
  }

  #camera(plane: Plane) {
    const camera = this.#viewport(plane).getCamera()
    return {
      focalPoint: (camera.focalPoint ?? [0, 0, 0]) as PatientPoint,
      position: (camera.position ?? [0, 0, 1]) as PatientPoint,
      normal: (camera.viewPlaneNormal ?? [0, 0, 1]) as PatientPoint,
      up: (camera.viewUp ?? [0, 1, 0]) as PatientPoint,
      parallelScale: camera.parallelScale ?? 1,
    }
  }

  #view(plane: Plane): View {
    const viewport = this.#viewport(plane)
    const { focalPoint, normal, up, parallelScale } = this.#camera(plane)
    const { clientWidth: width, clientHeight: height } = this.#panes[plane].canvas
    return {
      point: focalPoint,
      normal,
      up,
      right: cross(up, normal),
      mm_per_pixel: (2 * parallelScale) / Math.max(1, height),
      spacing_mm: this.#slices?.[plane].spacing_mm ?? 1,
      slab_mm: this.#panes[plane].slab?.thickness_mm ?? 0,
      width,
      height,
      project: point => viewport.worldToCanvas([...point]),
    }
  }

  #place(
    plane: Plane,
  ): Pick<PaneState, 'index' | 'total' | 'position_mm' | 'loaded' | 'zoom' | 'slab'> {
    const { focalPoint, parallelScale } = this.#camera(plane)
    const slices = this.#slices?.[plane]
    const { fitted_mm, slab } = this.#panes[plane]
    const view = {
      position_mm: focalPoint,
      zoom: (fitted_mm || parallelScale) / parallelScale,
      slab,
    }
    if (!slices) return { index: 0, total: 0, loaded: false, ...view }
    const index = nearestSlice(slices, focalPoint)
    const loaded =
      plane === 'axial'
        ? this.#axialArrived(slices, index)
        : this.#arrived.size === this.#volume?.imageIds.length
    return { index: index + 1, total: slices.total, loaded, ...view }
  }

  /** Whether all that the axial pane shows at slice `index` is there. */
  #axialArrived(slices: Slices, index: number): boolean {
    const thickness = this.#panes.axial.slab?.thickness_mm ?? 0
    return imagesOfSlab(slices, index, thickness).every(image => this.#arrived.has(image))
  }

  /** Whether an image is part of what the axial pane shows, or next to it. */
  #axialShows(image: number): boolean {
    const slab_mm = this.#panes.axial.slab?.thickness_mm ?? 0
    const reach = slab_mm / 2 / (this.#slices?.axial.spacing_mm ?? 1) + 1
    return Math.abs(image - this.#imageOnScreen()) <= reach
  }

  /** Centre a pane on `point`, on the slice nearest to it. */
  #put(plane: Plane, point: PatientPoint, change: { parallelScale?: number } = {}): void {
    const slices = this.#slices?.[plane]
    if (!slices) return
    this.#look(plane, ontoSlice(slices, point, nearestSlice(slices, point)), change)
  }

  #putAll(point: PatientPoint): void {
    // In the axial plane a start shows the whole body; only the slice is chosen.
    for (const plane of PLANES) {
      const slices = this.#slices?.[plane]
      if (!slices) continue
      const here = this.#camera(plane).focalPoint
      this.#look(plane, ontoSlice(slices, here, nearestSlice(slices, point)))
    }
  }

  #look(plane: Plane, focal: PatientPoint, change: { parallelScale?: number } = {}): void {
    const { focalPoint, position } = this.#camera(plane)
    const before = this.#place(plane).index
    const viewport = this.#viewport(plane)
    viewport.setCamera({
      focalPoint: [...focal],
      position: [...add(focal, subtract(position, focalPoint))],
      ...change,
    })
    this.#render(plane)
    const { index, total } = this.#place(plane)
    if (index !== before) {
      this.#tell({ kind: 'slice', plane, index, total, position_mm: focal })
      // The lines of this plane move in the other panes.
      for (const other of PLANES) if (other !== plane) this.#drawLayers(other)
    }
  }

  #scroll(plane: Plane, by: number): void {
    const slices = this.#slices?.[plane]
    if (!slices || by === 0) return
    const { focalPoint } = this.#camera(plane)
    const target = Math.min(Math.max(nearestSlice(slices, focalPoint) + by, 0), slices.total - 1)
    this.#look(plane, ontoSlice(slices, focalPoint, target))
  }

  /** One slice on in cine; what has not arrived is waited for. */
  #turn(): void {
    const plane = this.#active
    const slices = this.#slices?.[plane]
    if (!slices) return
    const { focalPoint } = this.#camera(plane)
    const next = following(nearestSlice(slices, focalPoint), slices.total)
    if (plane === 'axial' && !this.#axialArrived(slices, next)) return
    this.#look(plane, ontoSlice(slices, focalPoint, next))
  }

  #zoom(plane: Plane, factor: number): void {
    const { focalPoint, parallelScale } = this.#camera(plane)
    const fitted = this.#panes[plane].fitted_mm || parallelScale
    const wanted = Math.min(Math.max(parallelScale / factor, fitted / 40), fitted * 2)
    this.#look(plane, focalPoint, { parallelScale: wanted })
  }

  #applyWindow(): void {
    const volume = this.#volume
    const { centre, width } = this.#window
    if (volume) {
      const voiRange = { lower: centre - width / 2, upper: centre + width / 2 }
      for (const plane of PLANES) {
        const viewport = this.#viewport(plane)
        viewport.setProperties({ voiRange, invert: this.#inverted }, volume.volumeId)
        this.#render(plane)
      }
    }
    this.#tell({ kind: 'window', centre, width, inverted: this.#inverted })
  }

  // Panes

  #buildPane(plane: Plane): Pane {
    const pane: Pane = {
      plane,
      element: document.createElement('div'),
      canvas: document.createElement('div'),
      markers: new MarkerLayer(),
      rulers: new RulerLayer(),
      cover: document.createElement('div'),
      saliency: new SaliencyLayer(),
      labels: new Labels(plane),
      fitted_mm: 0,
      slab: null,
    }
    pane.element.className = `pane ${plane}`
    pane.element.tabIndex = 0
    pane.element.setAttribute('role', 'group')
    pane.element.setAttribute('aria-label', `${plane} CT images`)
    pane.canvas.className = 'ct'
    pane.cover.className = 'cover'
    pane.element.append(
      pane.canvas,
      pane.cover,
      pane.saliency.element,
      pane.markers.element,
      pane.rulers.element,
      pane.labels.element,
    )
    pane.element.addEventListener('focus', () => this.#activate(plane))
    readGestures(pane.element, {
      leftButton: at => {
        if (this.#ruler || this.#handleAt(plane, at)) return 'measure'
        return this.#crosshair ? 'crosshair' : 'window'
      },
      begin: (kind, at) => {
        if (kind === 'measure') this.#beginMeasuring(plane, at)
        if (kind === 'crosshair') this.#drag(plane, kind, at, at)
      },
      end: kind => {
        if (kind === 'measure') this.#endMeasuring(plane)
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

  #activate(plane: Plane): void {
    if (plane === this.#active && this.#panes[plane].element.classList.contains('active')) return
    this.playCine(false)
    this.#active = plane
    this.#tell({ kind: 'active', plane })
    for (const other of PLANES) {
      this.#panes[other].element.classList.toggle('active', other === plane)
    }
  }

  #drag(plane: Plane, kind: Drag, from: readonly [number, number], to: readonly [number, number]) {
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]]
    const viewport = this.#viewport(plane)
    const world = (point: readonly [number, number]) =>
      viewport.canvasToWorld([point[0], point[1]]) as PatientPoint
    if (!this.#volume) return
    switch (kind) {
      case 'window': {
        if (dx === 0 && dy === 0) return
        const { centre, width } = this.#window
        const step = Math.max(0.5, width / 400) // fine in a narrow window, fast in a wide one
        return this.setWindow({ centre: centre + dy * step, width: width + dx * step })
      }
      case 'measure':
        if (!this.#dragged) return
        this.#measurements.move(this.#dragged, this.#pointAt(plane, to))
        return this.#drawLayers(plane)
      case 'zoom':
        return this.#zoom(plane, Math.exp(-dy / 150))
      case 'pan':
        return this.#look(
          plane,
          add(this.#camera(plane).focalPoint, subtract(world(from), world(to))),
        )
      case 'crosshair':
        for (const other of PLANES) if (other !== plane) this.#put(other, world(to))
    }
  }

  // Measuring

  /** The point of the slice on screen under a pixel. */
  #pointAt(plane: Plane, at: readonly [number, number]): PatientPoint {
    const point = this.#viewport(plane).canvasToWorld([at[0], at[1]]) as PatientPoint
    const view = this.#view(plane)
    return add(point, view.normal, -depth_mm(point, view))
  }

  #lengthsIn(plane: Plane): Length[] {
    const view = this.#view(plane)
    return this.#measurements.all.filter(length => isShown(length, plane, view))
  }

  #handleAt(plane: Plane, at: readonly [number, number]): Handle | null {
    return this.#volume ? handleAt(this.#lengthsIn(plane), this.#view(plane), at) : null
  }

  #beginMeasuring(plane: Plane, at: readonly [number, number]): void {
    if (!this.#volume) return
    this.playCine(false)
    this.#dragged = this.#handleAt(plane, at)
    if (this.#dragged) {
      this.#measurements.grab(this.#dragged)
      return
    }
    const point = this.#pointAt(plane, at)
    const id = `${plane}-${Date.now().toString(36)}`
    this.#measurements.add({ id, plane, ends_mm: [point, point] })
    this.#dragged = { id, end: 1 }
  }

  #endMeasuring(plane: Plane): void {
    if (!this.#dragged) return
    this.#measurements.drop(this.#dragged, 3 * this.#view(plane).mm_per_pixel)
    this.#dragged = null
    this.#measured()
  }

  #measured(): void {
    this.#drawAllLayers()
    this.#tell({ kind: 'measurements', lengths: this.#measurements.all })
  }

  #showTool(): void {
    this.container.dataset.tool = this.#ruler || this.#crosshair ? 'crosshair' : 'window'
  }

  #drawAllLayers(): void {
    if (this.#volume) for (const plane of PLANES) this.#drawLayers(plane)
  }

  #drawLayers(plane: Plane): void {
    if (this.#closed || !this.#volume) return
    const pane = this.#panes[plane]
    const view = this.#view(plane)
    const place = this.#place(plane)
    const lines = this.#layout === 'mpr' ? this.#linesOfOtherPlanes(plane, view) : []
    pane.markers.draw(view, this.#markersShown ? this.#nodules : [], this.#selected, lines)
    pane.rulers.draw(view, this.#lengthsIn(plane), this.#measurements.selected)
    this.#coverMissing(plane, view)
    const before = pane.saliency.drawn
    const hidden = !place.loaded || (this.#layout === 'axial' && plane !== 'axial')
    pane.saliency.draw(view, hidden ? null : this.#saliency, this.#saliencyOpacity)
    if (pane.saliency.drawn !== before) {
      const planes = PLANES.filter(other => this.#panes[other].saliency.drawn !== null)
      this.#tell({ kind: 'saliency', planes })
    }
    const notice = place.loaded ? '' : plane === 'axial' ? 'Loading this slice…' : 'Loading…'
    const arrived = this.#arrived.size / this.#volume.imageIds.length
    pane.labels.draw(view, place, this.#window, this.#inverted, notice, arrived)
  }

  #linesOfOtherPlanes(plane: Plane, view: View): ReferenceLine[] {
    const others = PLANES.filter(other => other !== plane).map(other => {
      const { focalPoint: point, normal } = this.#camera(other)
      return { plane: other, point, normal }
    })
    const centre = others.reduce(
      (point, other) => add(point, other.normal, -depth_mm(point, other)),
      view.point,
    )
    return others.flatMap(other =>
      meetingLine(view, other, centre, LINE_GAP_PX).map(ends => ({ plane: other.plane, ends })),
    )
  }

  /** Cover what has not arrived: an empty part of the volume would be drawn as water. */
  #coverMissing(plane: Plane, view: View): void {
    const slices = this.#slices?.axial
    const { cover, canvas } = this.#panes[plane]
    if (!slices) return
    if (plane === 'axial') {
      canvas.style.visibility = this.#place(plane).loaded ? 'visible' : 'hidden'
      return
    }
    const missing = this.#missing(slices)
    if (missing.length === 0) {
      if (cover.childElementCount > 0) cover.replaceChildren()
      return
    }
    const y = (index: number) =>
      view.project(add(slices.first, slices.direction, index * slices.spacing_mm))[1]
    cover.replaceChildren(
      ...missing.map(([from, to]) => {
        const band = document.createElement('div')
        // As far as the next slice that is there: in between, its values are mixed with none.
        const [a, b] = [y(from - 1), y(to + 1)]
        band.style.top = `${Math.min(a, b)}px`
        band.style.height = `${Math.abs(a - b)}px`
        return band
      }),
    )
  }

  /** Runs of axial slices that have not arrived, as first and last index from the head. */
  #missing(slices: Slices): [number, number][] {
    const runs: [number, number][] = []
    for (let index = 0; index < slices.total; index++) {
      if (this.#arrived.has(imageOf(slices, index))) continue
      const last = runs.at(-1)
      if (last?.[1] === index - 1) last[1] = index
      else runs.push([index, index])
    }
    return runs
  }

  #tellCine(): void {
    const { playing, speed: slices_per_s } = this.#cine
    this.#tell({ kind: 'cine', plane: this.#active, playing, slices_per_s })
  }

  #tell(event: ViewerEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  #contextLost = (): void => this.#tell({ kind: 'context_lost' })
}

function geometryOf({
  origin,
  direction,
  spacing,
  dimensions,
}: Types.IImageVolume): VolumeGeometry {
  const axis = (i: number): PatientPoint => [
    direction[3 * i] ?? 0,
    direction[3 * i + 1] ?? 0,
    direction[3 * i + 2] ?? 0,
  ]
  return {
    origin: origin as PatientPoint,
    axes: [axis(0), axis(1), axis(2)],
    spacing_mm: spacing as PatientPoint,
    dimensions: dimensions as [number, number, number],
  }
}
