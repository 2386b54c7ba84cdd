import {
  cache,
  type StreamingImageVolume,
  type Types,
  utilities,
  volumeLoader,
} from '@cornerstonejs/core'
import { utilities as metadataUtilities } from '@cornerstonejs/metadata'
import { numberOf, scalingOf } from './grid'
import type { CtSeries } from './series'

/** How Cornerstone names an image that is read by its WADO-RS address. */
const WADO_RS = 'wadors:'
const STREAMING = 'cornerstoneStreamingImageVolume:'

let made = 0

/** What Cornerstone draws of a series; the images are shared with it, and not copied. */
export class Volume {
  readonly #deaf: () => void

  private constructor(
    readonly series: CtSeries,
    readonly volume: StreamingImageVolume,
    readonly imageIds: readonly string[],
  ) {
    this.#deaf = series.listen(index => this.#fill(index))
    for (const index of series.arrived) this.#fill(index)
  }

  static async of(series: CtSeries): Promise<Volume> {
    const imageIds = series.addresses.map(address => `${WADO_RS}${address}`)
    await Promise.all(
      series.headers.map((header, i) =>
        metadataUtilities.addDicomWebInstance(imageIds[i] ?? '', header),
      ),
    )
    made += 1 // one that is lost with its graphics is not that which is made in its place
    const volumeId = `${STREAMING}${series.name}.${made}`
    const volume = (await volumeLoader.createAndCacheVolume(volumeId, {
      imageIds: [...imageIds],
    })) as StreamingImageVolume
    // Loading is ours: nearest to the reader first, failed images again, redrawn when it matters.
    const loading = volume as unknown as { autoRenderOnLoad: boolean; totalNumFrames: number }
    loading.autoRenderOnLoad = false
    loading.totalNumFrames = imageIds.length
    return new Volume(series, volume, imageIds)
  }

  get volumeId(): string {
    return this.volume.volumeId
  }

  remove(): void {
    this.#deaf()
    cache.removeVolumeLoadObject(this.volumeId)
  }

  #fill(index: number): void {
    const image = this.#image(index)
    if (!image) return
    if (!cache.getImage(image.imageId)) cache.putImageSync(image.imageId, image)
    this.volume.successCallback(image.imageId, image)
  }

  /** An image as Cornerstone's own loader would make it. */
  #image(index: number): Types.IImage | null {
    const [imageId, header] = [this.imageIds[index], this.series.headers[index]]
    const scalarData = this.series.hounsfield(index)
    if (!imageId || !header || !scalarData) return null
    const [columns, rows] = this.series.geometry.dimensions
    const { slope, intercept, numbers } = scalingOf(header)
    const scalingParameters = { rescaleSlope: slope, rescaleIntercept: intercept, modality: 'CT' }
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (const value of scalarData) {
      if (value < least) least = value
      if (value > most) most = value
    }
    return {
      imageId,
      dataType: numbers,
      rows,
      columns,
      height: rows,
      width: columns,
      rowPixelSpacing: numberOf(header, '00280030', 1),
      columnPixelSpacing: numberOf(header, '00280030', 1, 1),
      color: false,
      rgba: false,
      invert: false,
      numberOfComponents: 1,
      slope,
      intercept,
      preScale: { enabled: true, scaled: true, scalingParameters },
      minPixelValue: least,
      maxPixelValue: most,
      windowCenter: [],
      windowWidth: [],
      sizeInBytes: scalarData.byteLength,
      getPixelData: () => scalarData,
      voxelManager: utilities.VoxelManager.createImageVoxelManager({
        scalarData,
        width: columns,
        height: rows,
        numberOfComponents: 1,
      }),
    } as unknown as Types.IImage
  }
}
