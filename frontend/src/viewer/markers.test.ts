import { expect, test } from 'vitest'
import { MarkerLayer, place } from './markers'
import { aView } from './testing'
import type { Marker, Plane } from './viewer'

const NODULE: Marker = {
  id: 7,
  by: 'study',
  label: '2',
  centre_mm: [10, 20, 30],
  diameter_mm: 12,
}

test.each<Plane>(['axial', 'sagittal', 'coronal'])(
  'a nodule is marked at its centre in the %s plane, 4 mm clear of its margin',
  plane => {
    const view = aView(plane, { point: NODULE.centre_mm, mm_per_pixel: 0.5 })
    const marker = { nodule: 7, x: 200, y: 150, radius_px: 20, off_centre: false }
    expect(place(NODULE, view)).toEqual(marker)
  },
)

test('the mark stays at the nodule while the image is moved and magnified', () => {
  const view = aView('axial', { point: [0, 0, 30], mm_per_pixel: 0.25 })
  // 10 mm to the left and 20 mm behind the middle of the canvas.
  expect(place(NODULE, view)).toMatchObject({ x: 240, y: 230, radius_px: 40 })
})

test('a slice beyond the marked sphere has no mark', () => {
  expect(place(NODULE, aView('axial', { point: [0, 0, 41] }))).toBeNull()
})

test('a nodule of unknown size is marked as one of 10 mm', () => {
  const view = aView('axial', { point: NODULE.centre_mm })
  expect(place({ ...NODULE, diameter_mm: null }, view)?.radius_px).toBe(9)
})

test('off its centre the circle is dashed, and the nodule at hand is told apart', () => {
  const layer = new MarkerLayer()
  layer.draw(aView('axial', { point: [0, 0, 34] }), [NODULE], 7, [])

  const circle = layer.element.querySelector('circle')
  expect(circle?.getAttribute('class')).toBe('marker study off-centre selected')
  expect(layer.element.querySelector('text')?.textContent).toBe('2')
})

test('drawing again replaces what was drawn', () => {
  const layer = new MarkerLayer()
  const line = { plane: 'coronal', ends: [[0, 0] as const, [9, 9] as const] } as const
  layer.draw(aView('axial', { point: NODULE.centre_mm }), [NODULE], null, [
    { plane: line.plane, ends: [...line.ends] },
  ])
  expect(layer.element.childElementCount).toBe(3)
  layer.draw(aView('axial', { point: [0, 0, 99] }), [NODULE], null, [])
  expect(layer.element.childElementCount).toBe(0)
  expect(layer.drawn).toEqual([])
})

test('marks of the reader and of the AI look different from given nodules', () => {
  const layer = new MarkerLayer()
  const view = aView('axial', { point: NODULE.centre_mm })
  const shapes = (by: Marker['by']) => {
    layer.draw(view, [{ ...NODULE, by }], null, [])
    return [...layer.element.children].map(({ tagName }) => tagName)
  }
  expect(shapes('study')).toEqual(['circle', 'text'])
  expect(shapes('reader')).toEqual(['circle', 'line', 'line', 'text']) // a cross at the very point
  expect(shapes('ai')).toEqual(['rect', 'text'])
})
