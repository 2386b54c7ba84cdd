import { Enums, getWebWorkerManager, type Types, utilities } from '@cornerstonejs/core'
import { init as initLoader } from '@cornerstonejs/dicom-image-loader'
import { numberOf, scalingOf } from './grid'
import type { Frame } from './parts'
import { inTime, TooLate } from './patience'
import type { Header } from './source'

/*
 * Images are decoded by the workers of Cornerstone's image loader, and made here. Its own
 * `createImage` asks the graphics card before the first one, which takes longer than to decode and
 * draw it where the card is imitated, and copies every image once more.
 */

/** A slow computer needs a fraction of it. */
const DECODED_WITHIN_MS = 10_000
/** How the image loader names its workers. */
const DECODERS = 'dicomImageLoader'
const JPEG_LS = '1.2.840.10008.1.2.4.80'
/** A black square of 64 by 64 pixels in JPEG-LS, as most images are stored. */
const BLACK_IN_JPEG_LS = '/9j/9wALAgBAAEABAREA/9oACAEBAAAAAP9//3//f/9//3//AP/Z'

type Numbers = Int16Array | Uint16Array | Float32Array

/** What the workers take in and give back. */
interface Pixels {
  rows: number
  columns: number
  bitsAllocated: number
  bitsStored: number
  pixelRepresentation: number
  samplesPerPixel: 1
  photometricInterpretation: string
  pixelData?: Numbers
  smallestPixelValue?: number
  largestPixelValue?: number
}

let restarted = -DECODED_WITHIN_MS

/** Start the workers, and have them read their code and that of the usual codec. */
export function startDecoders(): void {
  initLoader({ maxWebWorkers: count() })
  // We ask for no more than we want at a time; here, a task that never ends would count for ever.
  const { workerPoolManager } = getWebWorkerManager()
  workerPoolManager.setMaxSimultaneousRequests(Enums.RequestType.Prefetch, 1000)
  for (let i = 0; i < count(); i++) {
    const bytes = Uint8Array.from(atob(BLACK_IN_JPEG_LS), byte => byte.charCodeAt(0))
    const black = { rows: 64, columns: 64, bitsAllocated: 16, bitsStored: 16 }
    const pixels = { ...black, ...GREY, pixelRepresentation: 0 }
    execute(pixels, { bytes, transfer_syntax: JPEG_LS }, {}).catch(() => {}) // the images will tell
  }
}

const GREY = { samplesPerPixel: 1, photometricInterpretation: 'MONOCHROME2' } as const

/**
 * Decode an image into Hounsfield units.
 *
 * @throws TooLate when no worker answers; another one is then started.
 */
export async function decode(imageId: string, frame: Frame, header: Header): Promise<Types.IImage> {
  const { slope: rescaleSlope, intercept: rescaleIntercept, numbers } = scalingOf(header)
  const preScale = {
    enabled: true,
    scalingParameters: { rescaleSlope, rescaleIntercept, modality: 'CT' },
  }
  const [rows, columns] = [numberOf(header, '00280010', 0), numberOf(header, '00280011', 0)]
  const asked: Pixels = {
    ...GREY,
    rows,
    columns,
    bitsAllocated: numberOf(header, '00280100', 16),
    bitsStored: numberOf(header, '00280101', 16),
    pixelRepresentation: numberOf(header, '00280103', 0),
  }
  const targetBuffer = { type: numbers, rows, columns }
  const task = execute(asked, frame, { targetBuffer, preScale, allowFloatRendering: true })
  const pixels = await inTime(task, DECODED_WITHIN_MS).catch(error => {
    if (error instanceof TooLate) restart()
    throw error // it is tried again
  })
  const scalarData = asNumbers(pixels.pixelData, numbers)
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
    slope: rescaleSlope,
    intercept: rescaleIntercept,
    preScale: { ...preScale, scaled: true },
    minPixelValue: pixels.smallestPixelValue ?? 0,
    maxPixelValue: pixels.largestPixelValue ?? 0,
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

function execute(imageFrame: Pixels, frame: Frame, options: object): Promise<Pixels> {
  const [transferSyntax, pixelData] = [frame.transfer_syntax, frame.bytes]
  const preScale = { enabled: false }
  const task = { imageFrame, transferSyntax, pixelData, options: { preScale, ...options } }
  const how = { priority: 0, requestType: Enums.RequestType.Prefetch }
  return getWebWorkerManager().executeTask(
    DECODERS,
    'decodeTask',
    { ...task, decodeConfig: {} },
    how,
  )
}

const KINDS = { Int16Array, Uint16Array, Float32Array }

function asNumbers(values: Numbers | undefined, kind: keyof typeof KINDS): Numbers {
  if (!values) throw new Error('the image could not be decoded')
  return values instanceof KINDS[kind] ? values : new KINDS[kind](values)
}

/**
 * A worker whose code could not be read never answers, and nothing says so; in its place, another
 * one begins.
 */
function restart(): void {
  const now = performance.now()
  if (now - restarted < DECODED_WITHIN_MS) return
  restarted = now
  const manager = getWebWorkerManager()
  manager.terminate(DECODERS)
  const { workerFn } = manager.workerRegistry[DECODERS] as unknown as { workerFn: () => Worker }
  manager.registerWorker(DECODERS, workerFn, { maxWorkerInstances: count(), overwrite: true })
}

function count(): number {
  return Math.min(4, Math.max(2, (navigator.hardwareConcurrency || 4) / 2))
}
