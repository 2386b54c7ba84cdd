import { expect, test } from 'vitest'
import { firstLayout, layoutsOf, nextLayout, usualLayout } from './preferences'
import { aReading } from './testing'

test('a case is shown as its reader likes it, where the protocol allows that', () => {
  expect(firstLayout({ layouts: ['axial', 'mpr'], preferences: {} })).toBe('axial')
  expect(firstLayout({ layouts: ['axial', 'mpr'], preferences: { layout: 'mpr' } })).toBe('mpr')
  expect(firstLayout({ layouts: ['axial'], preferences: { layout: 'quad' } })).toBe('axial')
})

test('one key goes round the layouts', () => {
  expect(nextLayout('mpr', ['mpr', 'axial'])).toBe('axial')
  expect(nextLayout('axial', ['mpr', 'axial'])).toBe('mpr')
})

test('an earlier examination is beside the current one at once, or when its reader asks for it', () => {
  const { series } = aReading()
  const [first] = series
  if (!first) throw new Error('a reading has a series')
  const compared = [first, { ...first, id: 6, series_uid: '2.25.3', prior: true }]

  expect(layoutsOf({ layouts: ['axial'], series })).toEqual(['axial'])
  expect(layoutsOf({ layouts: ['axial'], series: compared })).toEqual(['axial', 'compare'])
  expect(firstLayout({ layouts: ['axial'], series: compared })).toBe('compare')
  expect(usualLayout({ layouts: ['axial'], series: compared })).toBe('axial')
  const preferences = { prior: 'on_key' } as const
  expect(firstLayout({ layouts: ['axial'], series: compared, preferences })).toBe('axial')
})
