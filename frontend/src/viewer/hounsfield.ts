import type { Numbers, Task } from './decoding'

const KINDS = { Int16Array, Uint16Array, Float32Array }

/**
 * The pixels that lie in `bytes`, of one byte or two.
 *
 * @throws Error when there are too few, or they are of another size.
 */
export function asStored(bytes: Uint8Array, pixels: number, each: number): ArrayLike<number> {
  if (bytes.byteLength < pixels * each || (each !== 1 && each !== 2)) {
    throw new Error('the image has not the size that its header says')
  }
  if (each === 1) return bytes
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice()
  return new Uint16Array(aligned.buffer, aligned.byteOffset, pixels)
}

/** Values in Hounsfield units, in memory of their own; what the numbers cannot hold is cut off. */
export function inHounsfield(
  stored: ArrayLike<number>,
  { rows, columns, bits, scaling }: Pick<Task, 'rows' | 'columns' | 'bits' | 'scaling'>,
): Numbers {
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
