import { expect, test } from 'vitest'
import { firstLayout, layoutsOf, nextLayout } from './preferences'

const series = [{ id: 1, study_uid: '1', series_uid: '2', dicomweb: '/', slices: 9 }]

test('a case is shown as its reader likes it, where the protocol allows that', () => {
  expect(firstLayout({ series, layouts: ['axial', 'mpr'] })).toBe('axial')
  expect(firstLayout({ series, layouts: ['axial', 'mpr'], preferences: { layout: 'mpr' } })).toBe(
    'mpr',
  )
  expect(firstLayout({ series, layouts: ['axial'], preferences: { layout: 'quad' } })).toBe('axial')
})

test('the layout with a prior examination is there where the case has one', () => {
  expect(layoutsOf({ series, layouts: ['prior', 'axial'] })).toEqual(['axial'])
  const both = [...series, { ...series[0], prior: true } as (typeof series)[0]]
  expect(layoutsOf({ series: both, layouts: ['prior', 'axial'] })).toEqual(['prior', 'axial'])
  expect(nextLayout('prior', ['prior', 'axial'])).toBe('axial')
  expect(nextLayout('axial', ['prior', 'axial'])).toBe('prior')
})
