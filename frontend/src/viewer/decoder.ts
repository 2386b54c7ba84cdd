import charlsWasm from '@cornerstonejs/codec-charls/decodewasm?url'
import charls, { type JpegLsDecoder } from '@cornerstonejs/codec-charls/decodewasmjs'
import type { Task, ToPage } from './decoding'
import { asStored, inHounsfield } from './hounsfield'
import type { Frame } from './parts'

/*
 * Decodes images away from the page. JPEG-LS, as nearly all are stored, and plain numbers are read
 * here; whatever else an archive may have is left to Cornerstone's decoders, whose code comes then.
 */

const JPEG_LS: readonly string[] = ['1.2.840.10008.1.2.4.80', '1.2.840.10008.1.2.4.81']
const LITTLE_ENDIAN: readonly string[] = ['1.2.840.10008.1.2', '1.2.840.10008.1.2.1']

// Begun with this code: the first image is still on its way.
const jpegLs: Promise<JpegLsDecoder> = charls({ locateFile: () => charlsWasm }).then(
  made => new made.JpegLSDecoder(),
)
jpegLs.catch(() => {}) // the images will tell

addEventListener('message', async ({ data: task }: MessageEvent<Task>) => {
  const tell = (answer: ToPage, transfer: Transferable[] = []) => postMessage(answer, { transfer })
  try {
    const values = inHounsfield(await storedValues(task), task)
    tell({ id: task.id, values }, [values.buffer])
  } catch (error) {
    tell({ id: task.id, problem: String(error) })
  }
})

/** Values as they are stored; they may lie in memory that the next image is written to. */
async function storedValues(task: Task): Promise<ArrayLike<number>> {
  const { frame, rows, columns, bits } = task
  const plain = LITTLE_ENDIAN.includes(frame.transfer_syntax) && bits.allocated <= 16
  if (!plain && !JPEG_LS.includes(frame.transfer_syntax)) return byCornerstone(task)
  const bytes = plain ? frame.bytes : fromJpegLs(await jpegLs, frame)
  // Images of few grey levels come out of JPEG-LS a byte a pixel, whatever they were before.
  const each = plain ? bits.allocated / 8 : bytes.byteLength / (rows * columns)
  return asStored(bytes, rows * columns, each)
}

function fromJpegLs(decoder: JpegLsDecoder, { bytes }: Frame): Uint8Array {
  decoder.getEncodedBuffer(bytes.length).set(bytes)
  decoder.decode()
  return decoder.getDecodedBuffer()
}

async function byCornerstone({ frame, rows, columns, bits }: Task): Promise<ArrayLike<number>> {
  const { decodeImageFrame } = await import(
    '../../node_modules/@cornerstonejs/dicom-image-loader/dist/esm/decodeImageFrameWorker.js'
  )
  const image = {
    rows,
    columns,
    bitsAllocated: bits.allocated,
    bitsStored: bits.stored,
    pixelRepresentation: bits.signed ? 1 : 0,
    samplesPerPixel: 1,
    photometricInterpretation: 'MONOCHROME2',
  }
  const asStored = { preScale: { enabled: false } }
  const decoded = await decodeImageFrame(
    image,
    frame.transfer_syntax,
    frame.bytes,
    {},
    asStored,
    undefined,
  )
  return decoded.pixelData
}
