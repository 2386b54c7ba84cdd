import { describe, expect, test } from 'vitest'
import type { PatientPoint, SaliencyPlane } from '../api/types'
import {
  crossSection,
  edgeLetters,
  isShownBy,
  meetingLine,
  orientationLetters,
  placeGrid,
  relevanceAt,
  scaleBar,
} from './geometry'
import { aView } from './testing'

const LETTERS: [PatientPoint, string][] = [
  [[1, 0, 0], 'L'],
  [[-1, 0, 0], 'R'],
  [[0, 1, 0], 'P'],
  [[0, -1, 0], 'A'],
  [[0, 0, 1], 'H'],
  [[0, 0, -1], 'F'],
  [[0.8, -0.6, 0], 'LA'],
  [[0.1, 0, 0.99], 'H'],
]

describe('orientation letters', () => {
  test.each(LETTERS)('a direction %j is called %s', (direction, letters) => {
    expect(orientationLetters(direction)).toBe(letters)
  })

  test('an axial view has the patient’s left on the right of the screen, front on top', () => {
    const letters = edgeLetters(aView('axial'))
    expect(letters).toEqual({ left: 'R', right: 'L', top: 'A', bottom: 'P' })
  })

  test('a sagittal view has the front on the left, the head on top', () => {
    const letters = edgeLetters(aView('sagittal'))
    expect(letters).toEqual({ left: 'A', right: 'P', top: 'H', bottom: 'F' })
  })

  test('a coronal view has the patient’s left on the right of the screen, the head on top', () => {
    const letters = edgeLetters(aView('coronal'))
    expect(letters).toEqual({ left: 'R', right: 'L', top: 'H', bottom: 'F' })
  })
})

describe('a sphere cut by a slice', () => {
  test('through its centre is as wide as the sphere', () => {
    const circle = crossSection([5, 6, 0], 5, aView('axial'))
    expect(circle).toEqual({ centre: [5, 6, 0], radius_mm: 5, off_centre: false })
  })

  test('3 mm off the centre of a sphere of 5 mm is a circle of 4 mm', () => {
    const circle = crossSection([5, 6, 3], 5, aView('axial', { spacing_mm: 1 }))
    expect(circle?.radius_mm).toBeCloseTo(4)
    expect(circle?.off_centre).toBe(true)
    expect(circle?.centre[2]).toBeCloseTo(0)
  })

  test('is not called off-centre on the slice nearest to the centre', () => {
    const circle = crossSection([0, 0, 1.25], 5, aView('axial', { spacing_mm: 2.5 }))
    expect(circle?.off_centre).toBe(false)
  })

  test('misses a sphere that lies farther away than its radius', () => {
    expect(crossSection([0, 0, 5], 5, aView('axial'))).toBeNull()
  })

  test('is whole while its centre lies in the slab, and smaller where the slab ends before it', () => {
    const slab = aView('axial', { slab_mm: 20 })
    expect(crossSection([5, 6, 9], 5, slab)).toEqual({
      centre: [5, 6, 0],
      radius_mm: 5,
      off_centre: false,
    })
    expect(crossSection([5, 6, 13], 5, slab)).toMatchObject({ radius_mm: 4, off_centre: true })
    expect(crossSection([5, 6, 15], 5, slab)).toBeNull()
  })
})

test('the line of a sagittal plane runs down the axial view and leaves out its middle', () => {
  const view = aView('axial', { width: 400, height: 300, mm_per_pixel: 0.5 })
  const sagittal = { ...aView('sagittal'), point: [20, 7, 9] as PatientPoint }

  const halves = meetingLine(view, sagittal, [20, 0, 0], 30)

  // 20 mm to the left of the patient is 40 pixels to the right of the middle, 200.
  for (const [x] of halves.flat()) expect(x).toBeCloseTo(240)
  const middle = halves.flat().map(([, y]) => Math.abs(y - 150))
  expect(Math.min(...middle)).toBeCloseTo(30)
})

test('the scale bar is a round length that fits', () => {
  expect(scaleBar(0.5, 160)).toEqual({ mm: 50, px: 100 })
  expect(scaleBar(0.1, 160)).toEqual({ mm: 10, px: 100 })
})

const PLANE: SaliencyPlane = {
  name: 'axial',
  weight: 0.1,
  centre_mm: [10, 20, 30],
  row: [1, 0, 0],
  column: [0, 1, 0],
  cell_mm: 7,
  relevance: [
    [0, 1],
    [2, 3],
  ],
}

describe('a grid of relevance', () => {
  const near = (offset: number) => aView('axial', { point: [0, 0, 30 + offset] })

  test('is shown on slices within half a cell of its plane, and on no others', () => {
    expect([-3.4, 0, 3.4].every(offset => isShownBy(near(offset), PLANE))).toBe(true)
    expect([-3.6, 3.6].some(offset => isShownBy(near(offset), PLANE))).toBe(false)
  })

  test('is shown in the plane that it lies in, and in no other', () => {
    const at = { point: PLANE.centre_mm }
    expect(isShownBy(aView('sagittal', at), PLANE)).toBe(false)
    expect(isShownBy(aView('coronal', at), PLANE)).toBe(false)
    const coronal = { ...PLANE, name: 'coronal', column: [0, 0, -1] as PatientPoint }
    expect(isShownBy(aView('coronal', at), coronal)).toBe(true)
  })

  test('lies on the canvas with its middle at the centre and 7 mm to a cell', () => {
    const view = aView('axial', {
      point: [10, 20, 30],
      width: 400,
      height: 300,
      mm_per_pixel: 0.5,
    })
    const { corner, alongRow, alongColumn } = placeGrid(view, PLANE)
    // Two cells of 7 mm are 28 pixels, so the corner is 14 pixels left of and above the middle.
    expect(corner).toEqual([186, 136])
    expect(alongRow).toEqual([28, 0])
    expect(alongColumn).toEqual([0, 28])
  })

  test('of a coronal plane has its rows run down the body', () => {
    const view = aView('coronal', { point: PLANE.centre_mm, mm_per_pixel: 1 })
    const { alongColumn } = placeGrid(view, { ...PLANE, column: [0, 0, -1] })
    expect(alongColumn[1]).toBeCloseTo(14)
  })

  test('has its values at the centres of cells and lines in between', () => {
    const { relevance } = PLANE
    expect(relevanceAt(relevance, 0.5, 0.5)).toBe(0)
    expect(relevanceAt(relevance, 1.5, 1.5)).toBe(3)
    expect(relevanceAt(relevance, 1, 1)).toBe(1.5)
    expect(relevanceAt(relevance, 2, 0)).toBe(1) // the edge is as the nearest cell
  })
})
