import { expect, test } from 'vitest'
import { dragKind, dragSlices, wheelSlices } from './gestures'

test('a notch of the wheel is one slice, whatever its size', () => {
  expect(wheelSlices(0, { deltaY: 120, deltaMode: 0 }).whole).toBe(1)
  expect(wheelSlices(0, { deltaY: -300, deltaMode: 0 }).whole).toBe(-1)
  expect(wheelSlices(0, { deltaY: 3, deltaMode: 1 }).whole).toBe(1)
})

test('small steps of a trackpad add up to a slice', () => {
  let rest = 0
  let slices = 0
  for (let i = 0; i < 12; i++) {
    const step = wheelSlices(rest, { deltaY: 10, deltaMode: 0 })
    rest = step.rest
    slices += step.whole
  }
  expect(slices).toBe(2)
})

test('buttons mean what they mean on a PACS', () => {
  const press = (button: number, shiftKey = false, ctrlKey = false) =>
    dragKind({ button, shiftKey, ctrlKey }, null, 'window')
  expect([press(0), press(1), press(2)]).toEqual(['window', 'pan', 'zoom'])
  expect(press(0, true)).toBe('crosshair')
  expect(press(0, false, true)).toBe('pan')
  const plain = { shiftKey: false, ctrlKey: false }
  expect(dragKind({ button: 0, ...plain }, 'crosshair', 'window')).toBe('crosshair')
  expect([0, 1, 2].map(button => dragKind({ button, ...plain }, null, 'scroll'))).toEqual([
    'scroll',
    'pan',
    'window',
  ])
  expect(dragKind({ button: 0, ...plain }, 'measure', 'scroll')).toBe('measure')
})

test('a drag scrolls whole slices and keeps the rest', () => {
  expect(dragSlices(0, 20)).toEqual({ whole: 2, rest: 0.5 })
  expect(dragSlices(0.5, 4)).toEqual({ whole: 1, rest: 0 })
  expect(dragSlices(0, -20)).toEqual({ whole: -2, rest: -0.5 })
})
