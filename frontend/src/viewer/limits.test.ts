import { expect, test } from 'vitest'
import { type Grid, gridOf } from './grid'
import { gapsOf, limitsOf, withPlaceholders } from './limits'
import { measureSlices } from './slices'
import type { Header } from './source'

function series(places: readonly number[], shear = 0): Header[] {
  return places.map((z, i) => ({
    '00080018': { vr: 'UI', Value: [`2.25.${i}`] },
    '00200013': { vr: 'IS', Value: [i + 1] },
    '00200032': { vr: 'DS', Value: [-120, -80 + shear * z, z] },
    '00200037': { vr: 'DS', Value: [1, 0, 0, 0, 1, 0] },
    '00280010': { vr: 'US', Value: [400] },
    '00280011': { vr: 'US', Value: [512] },
    '00280030': { vr: 'DS', Value: [0.8, 0.7] },
    '00180050': { vr: 'DS', Value: [2.5] },
  }))
}

const limits = (places: readonly number[], shear = 0) => limitsOf(gridOf(series(places, shear)))

test('of a sound series there is nothing to say', () => {
  expect(limits([0, 2, 4, 6])).toEqual({ withheld: '', slabs: true, notes: [], label: '' })
})

test('what cannot be drawn of a series is withheld, and why is said', () => {
  const tilted = limits([0, 2, 4, 6], Math.tan(Math.PI / 12))
  expect(tilted.withheld).toContain('tilted by 15.0°')
  expect(tilted.slabs).toBe(false)
  expect(tilted.label).toBe('gantry tilt 15.0°')
  const uneven = limits([0, 1, 2, 3, 8.3, 13])
  expect(uneven.withheld).toContain('1.0 to 5.3 mm apart')
  expect(uneven.slabs).toBe(true)
  expect(limits([0]).notes).toEqual([
    'Axial images only, each in its true place: it has 1 slice only.',
  ])
})

test('missing slices are counted, placed, and stand in for themselves', () => {
  const headers = series([-10, -8, -2, 0, 2, 6])
  const grid: Grid = gridOf(headers)
  const { axial } = measureSlices(grid)

  expect(limitsOf(grid)).toMatchObject({ withheld: '', label: '3 slices missing' })
  expect(gapsOf(grid, axial)).toEqual([
    { slots: [2, 3], said: '2 slices are missing between z −2.0 and −8.0 mm' },
    { slots: [7], said: '1 slice is missing between z 6.0 and 2.0 mm' },
  ])
  const all = withPlaceholders(headers, grid)
  expect(all.map(header => header['00200032']?.Value?.[2])).toEqual([
    -10, -8, -6, -4, -2, 0, 2, 4, 6,
  ])
  expect(new Set(all.map(header => header['00080018']?.Value?.[0])).size).toBe(9)
  expect(all[4]).toBe(headers[2])
})
