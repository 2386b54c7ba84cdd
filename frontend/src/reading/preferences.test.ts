import { expect, test } from 'vitest'
import { firstLayout, nextLayout } from './preferences'

test('a case is shown as its reader likes it, where the protocol allows that', () => {
  expect(firstLayout({ layouts: ['axial', 'mpr'], preferences: {} })).toBe('axial')
  expect(firstLayout({ layouts: ['axial', 'mpr'], preferences: { layout: 'mpr' } })).toBe('mpr')
  expect(firstLayout({ layouts: ['axial'], preferences: { layout: 'quad' } })).toBe('axial')
})

test('one key goes round the layouts', () => {
  expect(nextLayout('mpr', ['mpr', 'axial'])).toBe('axial')
  expect(nextLayout('axial', ['mpr', 'axial'])).toBe('mpr')
})
