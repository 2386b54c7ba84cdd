import type { PatientPoint } from '../api/types'
import { cross, dot, subtract } from './geometry'
import type { VolumeGeometry } from './slices'
import type { Header } from './source'

/** Numbers of an attribute, which stand as numbers or, as decimal strings may, as text. */
function numbersOf(header: Header, tag: string): number[] {
  return (header[tag]?.Value ?? []).map(Number)
}

/** One number of an attribute, or `otherwise` where it has none. */
export function numberOf(header: Header, tag: string, otherwise: number, at = 0): number {
  return numbersOf(header, tag)[at] ?? otherwise
}

/**
 * Where the voxels of a series lie, by the headers of its images in the order of their normal.
 *
 * @throws Error when the headers do not say it.
 */
export function gridOf(headers: readonly Header[]): VolumeGeometry {
  const [first = {}, last = {}] = [headers[0], headers.at(-1)]
  const place = (header: Header): PatientPoint => {
    const [x = Number.NaN, y = Number.NaN, z = Number.NaN] = numbersOf(header, '00200032')
    return [x, y, z]
  }
  const [rx = 1, ry = 0, rz = 0, cx = 0, cy = 1, cz = 0] = numbersOf(first, '00200037')
  const [row, column]: [PatientPoint, PatientPoint] = [
    [rx, ry, rz],
    [cx, cy, cz],
  ]
  const normal = cross(row, column)
  const along = dot(subtract(place(last), place(first)), normal)
  const [thickness = 1] = numbersOf(first, '00180050')
  const slice_mm = headers.length > 1 ? Math.abs(along) / (headers.length - 1) : thickness
  const [rows = 0] = numbersOf(first, '00280010')
  const [columns = 0] = numbersOf(first, '00280011')
  const [row_mm = Number.NaN, column_mm = Number.NaN] = numbersOf(first, '00280030')
  const grid: VolumeGeometry = {
    origin: place(first),
    axes: [row, column, along < 0 ? [-normal[0], -normal[1], -normal[2]] : normal],
    spacing_mm: [column_mm, row_mm, slice_mm],
    dimensions: [columns, rows, headers.length],
  }
  const said = [...grid.origin, ...grid.spacing_mm, columns * rows]
  if (!said.every(Number.isFinite) || columns * rows === 0 || slice_mm === 0) {
    throw new Error('the headers do not say where the images lie')
  }
  return grid
}

/** What makes Hounsfield units of stored values, and which numbers can hold them all. */
export function scalingOf(header: Header) {
  const [slope = 1] = numbersOf(header, '00281053')
  const [intercept = 0] = numbersOf(header, '00281052')
  const [signed = 0] = numbersOf(header, '00280103')
  const whole = Number.isInteger(slope) && Number.isInteger(intercept)
  const negative = signed === 1 || intercept < 0 || slope < 0
  const numbers = !whole ? 'Float32Array' : negative ? 'Int16Array' : 'Uint16Array'
  return { slope, intercept, numbers } as const
}
