import { expect, test } from 'vitest'
import { asStored, inHounsfield } from './hounsfield'

const task = (
  signed: boolean,
  stored: number,
  numbers: 'Int16Array' | 'Float32Array',
  slope = 1,
) => ({
  rows: 1,
  columns: 4,
  bits: { allocated: 16, stored, signed },
  scaling: { slope, intercept: -1024, numbers },
})

test('pixels are read of one byte and of two, wherever they begin', () => {
  const bytes = new Uint8Array([9, 1, 0, 2, 1, 0, 0, 255, 255])
  expect(asStored(bytes.subarray(1), 4, 2)).toEqual(Uint16Array.of(1, 258, 0, 65535))
  expect(asStored(bytes.subarray(0, 4), 4, 1)).toEqual(Uint8Array.of(9, 1, 0, 2))
})

test('an image that was cut off, or is of another size, is no image', () => {
  expect(() => asStored(new Uint8Array(7), 4, 2)).toThrow('size')
  expect(() => asStored(new Uint8Array(12), 4, 3)).toThrow('size')
})

test('Hounsfield units are scaled values, signed by their stored bits', () => {
  expect([...inHounsfield([0, 1024, 2047, 4095], task(false, 12, 'Int16Array'))]).toEqual([
    -1024, 0, 1023, 3071,
  ])
  expect([...inHounsfield([0, 2047, 4095, 2048], task(true, 12, 'Int16Array'))]).toEqual([
    -1024, 1023, -1025, -3072,
  ])
  expect([...inHounsfield([0, 1, 2, 3], task(false, 12, 'Float32Array', 0.5))]).toEqual([
    -1024, -1023.5, -1023, -1022.5,
  ])
})

test('what is too bright for the numbers is as bright as they can be, and not dark', () => {
  expect([...inHounsfield([65535, 33791, 33792, 0], task(false, 16, 'Int16Array'))]).toEqual([
    32767, 32767, 32767, -1024,
  ])
})
