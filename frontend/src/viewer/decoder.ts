import charlsWasm from '@cornerstonejs/codec-charls/decodewasm?url'
import charls, { type JpegLsDecoder } from '@cornerstonejs/codec-charls/decodewasmjs'
import type { Numbers, Task, ToPage } from './decoding'
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

const KINDS = { Int16Array, Uint16Array, Float32Array }

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
  const plain = LITTLE_ENDIAN.includes(frame.transfer_syntax)
  if (!plain && !JPEG_LS.includes(frame.transfer_syntax)) return byCornerstone(task)
  const bytes = plain ? frame.bytes : fromJpegLs(await jpegLs, frame)
  const wide = bits.allocated > 8
  if (bytes.byteLength !== rows * columns * (wide ? 2 : 1)) throw new Error('not of its size')
  if (!wide) return bytes
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice()
  return new Uint16Array(aligned.buffer, aligned.byteOffset, rows * columns)
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

/** Values in Hounsfield units, in memory of their own; what the numbers cannot hold is cut off. */
function inHounsfield(stored: ArrayLike<number>, { rows, columns, bits, scaling }: Task): Numbers {
  const { slope, intercept, numbers } = scaling
  const values = new KINDS[numbers](rows * columns)
  const unused = bits.signed ? 32 - bits.stored : 0
  const [least, most] =
    numbers === 'Int16Array'
      ? [-32768, 32767]
      : numbers === 'Uint16Array'
        ? [0, 65535]
        : [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let i = 0; i < values.length; i++) {
    const raw = stored[i] ?? 0
    const value = (unused > 0 ? (raw << unused) >> unused : raw) * slope + intercept
    values[i] = Math.max(least, Math.min(value, most))
  }
  return values
}
