import { cache, type StreamingImageVolume, volumeLoader } from '@cornerstonejs/core'
import { utilities as metadataUtilities } from '@cornerstonejs/metadata'
import type { PatientPoint, Series } from '../api/types'
import { decode } from './decoding'
import { gridOf } from './grid'
import { loadNearestFirst } from './loading'
import { imagesOfSlab } from './slab'
import { imageOf, measureSlices, middleOf, type Slices, type VolumeGeometry } from './slices'
import { addressOf, frameAt, type Header, headersOf } from './source'
import { ImagesUnavailable, type Plane } from './viewer'

/** How Cornerstone names an image that is read by its WADO-RS address. */
const WADO_RS = 'wadors:'

const VOLUME = 'cornerstoneStreamingImageVolume:'

/** A series that fills, image by image; a volume of Cornerstone's, once one is wanted. */
export class CtSeries {
  readonly geometry: VolumeGeometry
  readonly slices: Record<Plane, Slices>
  readonly middle: PatientPoint
  #volume: StreamingImageVolume | null = null
  #arrived: ReadonlySet<number> = new Set()
  #failed = 0

  private constructor(
    readonly name: string,
    readonly headers: readonly Header[],
    readonly imageIds: readonly string[],
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
    const imageIds = headers.map(header => `${WADO_RS}${addressOf(series, header)}`)
    return new CtSeries(series.series_uid, headers, imageIds)
  }

  /** What the graphics card draws; made when first asked for, from the images that are there. */
  async volume(): Promise<StreamingImageVolume> {
    if (!this.#volume) {
      const told = this.headers.map((header, i) =>
        metadataUtilities.addDicomWebInstance(this.#imageId(i), header),
      )
      await Promise.all(told)
      this.#volume = await makeVolume(this.name, [...this.imageIds])
      for (const index of this.#arrived) this.#fill(index)
    }
    return this.#volume
  }

  /** Forget the volume: what the graphics card held is lost, and it is made anew. */
  renew(): void {
    if (this.#volume) cache.removeVolumeLoadObject(this.#volume.volumeId)
    this.#volume = null
  }

  get total(): number {
    return this.imageIds.length
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
  }): Promise<void> {
    await loadNearestFirst(this.total, {
      here: how.here,
      stopped: how.stopped,
      load: async index => {
        const imageId = this.#imageId(index)
        const frame = await frameAt(this.#address(index))
        const image = await decode(imageId, frame, this.headers[index] ?? {})
        cache.putImageSync(imageId, image)
        if (!how.stopped()) this.#fill(index)
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
  hounsfield(index: number): ArrayLike<number> | null {
    if (!this.#arrived.has(index)) return null
    return cache.getImage(this.#imageId(index))?.getPixelData() ?? null
  }

  #imageId(index: number): string {
    return this.imageIds[index] ?? ''
  }

  #address(index: number): string {
    return this.#imageId(index).slice(WADO_RS.length)
  }

  /** Put an image that is in the cache into the volume. */
  #fill(index: number): void {
    const imageId = this.#imageId(index)
    this.#volume?.successCallback(imageId, cache.getImage(imageId))
  }

  /** The Hounsfield units of a voxel whose image is there. */
  valueAt(column: number, row: number, image: number): number {
    const [columns] = this.geometry.dimensions
    return this.hounsfield(image)?.[row * columns + column] ?? Number.NaN
  }

  /** Free the memory that the images take. */
  forget(): void {
    cache.purgeCache()
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

async function makeVolume(name: string, imageIds: string[]): Promise<StreamingImageVolume> {
  const made = await volumeLoader.createAndCacheVolume(`${VOLUME}${name}`, { imageIds })
  const volume = made as StreamingImageVolume
  // Loading is ours: nearest to the reader first, failed images again, redrawn when it matters.
  const loading = volume as unknown as { autoRenderOnLoad: boolean; totalNumFrames: number }
  loading.autoRenderOnLoad = false
  loading.totalNumFrames = volume.imageIds.length
  return volume
}
