import type { PatientPoint, Series } from '../api/types'
import { decode, type Numbers } from './decoding'
import { type Grid, gridOf } from './grid'
import { gapsOf, limitsOf, withPlaceholders } from './limits'
import { loadNearestFirst } from './loading'
import { imagesOfSlab } from './slab'
import { imageOf, measureSlices, middleOf, nearestSlice, ontoSlice, type Slices } from './slices'
import { addressOf, type Header, headersOf, imageAt } from './source'
import { ImagesUnavailable, PLANES, type Plane } from './viewer'

/** A series that fills, image by image. */
export class CtSeries {
  readonly geometry: Grid
  readonly slices: Record<Plane, Slices>
  readonly middle: PatientPoint
  /** What can be drawn of it, and why no more. */
  readonly limits: ReturnType<typeof limitsOf>
  readonly planes: readonly Plane[]
  /** Places in the volume of which there is no image. */
  readonly absent: ReadonlySet<number>
  readonly #images = new Map<number, Numbers>()
  readonly #listeners = new Set<(index: number) => void>()
  #arrived: ReadonlySet<number> = new Set()
  #failed = 0

  private constructor(
    readonly name: string,
    /** One for each place in the volume. */
    readonly headers: readonly Header[],
    readonly addresses: readonly string[],
    geometry: Grid,
  ) {
    this.geometry = geometry
    this.slices = measureSlices(geometry)
    this.middle = middleOf(geometry)
    this.limits = limitsOf(geometry)
    this.planes = this.limits.withheld ? ['axial'] : PLANES
    const here = new Set(geometry.images)
    this.absent = new Set(headers.map((_, i) => i).filter(i => !here.has(i)))
  }

  /**
   * Read the headers of a series and make room for its images.
   *
   * @throws ImagesUnavailable when the headers cannot be read.
   */
  static async open(series: Series): Promise<CtSeries> {
    const headers = await headersOf(series).catch(() => {
      throw new ImagesUnavailable('The images could not be reached. Check the connection.')
    })
    const grid = gridOf(headers)
    const all = withPlaceholders(headers, grid)
    const addresses = all.map(header => addressOf(series, header))
    return new CtSeries(series.series_uid, all, addresses, grid)
  }

  /** Hear of each image that comes from now on; returns what ends it. */
  listen(listener: (index: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** How many images there are. */
  get total(): number {
    return this.geometry.images.length
  }

  /** Images that are there, in the order of the volume. */
  get arrived(): ReadonlySet<number> {
    return this.#arrived
  }

  get failed(): number {
    return this.#failed
  }

  get complete(): boolean {
    return this.#arrived.size === this.total
  }

  /**
   * Load every image, the nearest to `here` first; resolves when there is nothing left to try.
   *
   * @throws ImagesUnavailable when not one came.
   */
  async load(how: {
    here(): number
    stopped(): boolean
    progress(image: number): void
    /** Every image but the first one that is wanted waits for it before it is decoded. */
    turnOfOthers?(): Promise<void>
  }): Promise<void> {
    let first: number | null = null
    await loadNearestFirst(this.addresses.length, {
      absent: this.absent,
      here: how.here,
      stopped: how.stopped,
      load: async index => {
        first ??= index
        const image = await imageAt(this.addresses[index] ?? '')
        if (index !== first) await how.turnOfOthers?.()
        const decoded = 'bytes' in image ? await decode(image, this.headers[index] ?? {}) : image
        this.#images.set(index, decoded)
        if (!how.stopped()) for (const listener of this.#listeners) listener(index)
      },
      progress: (index, loaded, failed) => {
        this.#arrived = loaded
        this.#failed = failed.size
        how.progress(index)
      },
    })
    if (this.#arrived.size === 0 && !how.stopped()) {
      throw new ImagesUnavailable('None of the images could be loaded.')
    }
  }

  /** The values of one image in Hounsfield units, row by row; null until it is there. */
  hounsfield(index: number): Numbers | null {
    return this.#arrived.has(index) ? (this.#images.get(index) ?? null) : null
  }

  /** The Hounsfield units of a voxel whose image is there. */
  valueAt(column: number, row: number, image: number): number {
    const [columns] = this.geometry.dimensions
    return this.hounsfield(image)?.[row * columns + column] ?? Number.NaN
  }

  /** Free the memory that the images take. */
  forget(): void {
    this.#images.clear()
  }

  /** Whether all images of an axial slice, or of a slab around it, are there. */
  hasSlice(index: number, thickness_mm: number): boolean {
    const images = imagesOfSlab(this.slices.axial, index, thickness_mm)
    return images.every(image => this.#arrived.has(image))
  }

  /** Whether an image is still to come of an axial slice, or of a slab around it. */
  isComing(index: number, thickness_mm: number): boolean {
    const images = imagesOfSlab(this.slices.axial, index, thickness_mm)
    return images.some(image => !this.#arrived.has(image) && !this.absent.has(image))
  }

  /** Why an axial slice is not shown, in words; nothing where it is. */
  noticeAt(index: number, thickness_mm: number): string {
    if (this.hasSlice(index, thickness_mm)) return ''
    if (this.isComing(index, thickness_mm)) return 'Loading this slice…'
    const missing = gapsOf(this.geometry, this.slices.axial)
    const images = imagesOfSlab(this.slices.axial, index, thickness_mm)
    const gap = missing.find(({ slots }) => images.some(image => slots.includes(image)))
    if (!gap) return 'Loading this slice…'
    return thickness_mm > 0 ? `No slab here: ${gap.said}` : `No image here: ${gap.said}`
  }

  /** Whether there is no image of any slice from `first` to `last`. */
  isGap(first: number, last: number): boolean {
    const { axial } = this.slices
    for (let index = first; index <= last; index++) {
      if (!this.absent.has(imageOf(axial, index))) return false
    }
    return true
  }

  /** Whether slices are missing where `point` is. */
  isAbsent(point: PatientPoint): boolean {
    const { axial } = this.slices
    return this.absent.has(imageOf(axial, nearestSlice(axial, point)))
  }

  /** Whether an axial slice, or slab, is not shown for missing slices. */
  isBlank(index: number, thickness_mm: number): boolean {
    return imagesOfSlab(this.slices.axial, index, thickness_mm).some(at => this.absent.has(at))
  }

  /** A place near to `point` of which there is an image. */
  withImage(point: PatientPoint): PatientPoint {
    const { axial } = this.slices
    const here = imageOf(axial, nearestSlice(axial, point))
    if (!this.absent.has(here)) return point
    const nearest = this.geometry.images.reduce((a, b) =>
      Math.abs(b - here) < Math.abs(a - here) ? b : a,
    )
    return ontoSlice(axial, point, imageOf(axial, nearest))
  }

  /** Runs of axial slices that have not arrived, as first and last index from the head. */
  missing(): [number, number][] {
    const { axial } = this.slices
    const runs: [number, number][] = []
    for (let index = 0; index < axial.total; index++) {
      if (this.#arrived.has(imageOf(axial, index))) continue
      const last = runs.at(-1)
      if (last?.[1] === index - 1) last[1] = index
      else runs.push([index, index])
    }
    return runs
  }
}
