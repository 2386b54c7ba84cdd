import type { Layers } from './layers'
import type { Scene } from './scene'
import type { CtSeries } from './series'
import { PLANES, type Plane } from './viewer'

/** The sagittal and coronal images are redrawn so often while they fill. */
const REDRAWS_WHILE_LOADING = 10
/** What is said of the loading changes so often; each change draws the page anew. */
const SAY_EVERY_MS = 200
/** So long the others wait for the first image to be drawn; a hidden page draws none. */
const FIRST_DRAWN_WITHIN_MS = 500

/** What is drawn when, from the first image that arrives to the last. */
export class Filling {
  #redraws = 0
  #said = { at: Number.NEGATIVE_INFINITY, failed: 0 }
  #firstDrawn: (() => void) | null = null

  constructor(
    readonly scene: Scene,
    readonly layers: Layers,
    /** Everything can be drawn from now on. */
    readonly prepared: () => void,
  ) {}

  /** Load every image; calls back as soon as the axial slice on screen is there. */
  async load(series: CtSeries, firstImageShown: () => void): Promise<void> {
    const { scene } = this
    let shown = false
    let othersGoOn = () => {}
    const turnOfOthers = new Promise<void>(resolve => {
      othersGoOn = resolve
    })
    let waiting = false
    await series.load({
      turnOfOthers: () => {
        if (!waiting) setTimeout(othersGoOn, FIRST_DRAWN_WITHIN_MS)
        waiting = true
        return turnOfOthers
      },
      here: () => scene.imageOnScreen(),
      stopped: () => scene.closed,
      progress: image => {
        if (scene.closed) return
        const { arrived } = series
        const onScreen = scene.series === series // the reader may have gone on to another one
        if (onScreen) this.#redraw(series, scene.axialShows(image))
        this.#say(series)
        if (!onScreen) return
        if (shown || !arrived.has(scene.imageOnScreen())) return
        shown = true
        this.#drawFirst(() => {
          firstImageShown()
          othersGoOn()
        })
      },
    })
    if (scene.closed) return
    scene.tell({ kind: 'series_loaded', slices: series.total, failed: series.failed })
    firstImageShown()
    await scene.rendering.prepare?.()
    if (scene.closed) return
    scene.drawn = PLANES
    for (const plane of PLANES) this.render(plane)
    this.prepared()
  }

  /** The bars grow, the gaps close. */
  #say({ arrived, failed, total }: CtSeries): void {
    const now = performance.now()
    const news = failed !== this.#said.failed || arrived.size === total
    if (!news && now - this.#said.at < SAY_EVERY_MS) return
    this.#said = { at: now, failed }
    this.layers.drawAll()
    this.scene.tell({ kind: 'progress', loaded: arrived.size, total, failed })
  }

  /** Load another series of the case, once it has been asked for. */
  async loadAnother(series: CtSeries): Promise<void> {
    const { scene, layers } = this
    const shown = () => !scene.closed && scene.series === series
    await series.load({
      here: () => (shown() ? scene.imageOnScreen() : 0),
      stopped: () => scene.closed,
      progress: image => {
        if (!shown()) return
        if (scene.axialShows(image)) this.render('axial')
        if (series.arrived.size % 4 === 0) layers.drawAll()
      },
    })
    if (shown()) for (const plane of PLANES) this.render(plane)
  }

  /** Draw a plane, or, before it is its turn, what lies over its images. */
  render(plane: Plane): void {
    if (this.scene.drawn.includes(plane)) this.scene.rendering.render(plane)
    else this.layers.draw(plane)
  }

  /** The rendering has drawn a plane. */
  wasDrawn(plane: Plane): void {
    this.layers.draw(plane)
    this.scene.panes[plane].magnifier.draw()
    const first = this.#firstDrawn
    if (plane !== 'axial' || first === null || this.scene.closed) return
    this.#firstDrawn = null
    first()
  }

  /** Draw the axial image alone, so that it is there as soon as can be, and then the others. */
  #drawFirst(firstImageShown: () => void): void {
    const { scene } = this
    this.#firstDrawn = () => {
      scene.tell({ kind: 'first_image', plane: 'axial', index: scene.place('axial').index })
      firstImageShown()
      for (const plane of scene.rendering.planes) scene.tellSlice(plane)
      if (scene.softwareRendering) return // the other planes would hold the rest of the images up
      scene.drawn = PLANES
      for (const plane of PLANES) this.render(plane)
    }
    scene.drawn = ['axial']
    this.render('axial')
  }

  /** Redraw what an arriving image changed: the axial slice at once, the other planes in steps. */
  #redraw({ total, arrived }: CtSeries, axial: boolean): void {
    if (axial) this.render('axial')
    const redraws = this.scene.softwareRendering ? 1 : REDRAWS_WHILE_LOADING
    if (arrived.size < (this.#redraws / redraws) * total) return
    this.#redraws += 1
    for (const plane of ['sagittal', 'coronal'] as const) this.render(plane)
  }
}
