import type { PatientPoint, Series } from '../api/types'
import { decode, type Numbers } from './decoding'
import { gridOf } from './grid'
import { loadNearestFirst } from './loading'
import { imagesOfSlab } from './slab'
import { imageOf, measureSlices, middleOf, type Slices, type VolumeGeometry } from './slices'
import { addressOf, type Header, headersOf, imageAt } from './source'
import { ImagesUnavailable, type Plane } from './viewer'

/** A series that fills, image by image. */
export class CtSeries {
  readonly geometry: VolumeGeometry
  readonly slices: Record<Plane, Slices>
  readonly middle: PatientPoint
  readonly #images = new Map<number, Numbers>()
  readonly #listeners = new Set<(index: number) => void>()
  #arrived: ReadonlySet<number> = new Set()
  #failed = 0

  private constructor(
    readonly name: string,
    readonly headers: readonly Header[],
    readonly addresses: readonly string[],
  ) {
    this.geometry = gridOf(headers)
    this.slices = measureSlices(this.geometry)
    this.middle = middleOf(this.geometry)
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
    const addresses = headers.map(header => addressOf(series, header))
    return new CtSeries(series.series_uid, headers, addresses)
  }

  /** Hear of each image that comes from now on; returns what ends it. */
  listen(listener: (index: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get total(): number {
    return this.addresses.length
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
    await loadNearestFirst(this.total, {
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
