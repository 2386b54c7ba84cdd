import { expect, test } from 'vitest'
import { commandOf, focusOf } from './keys'

const key = (name: string, ctrlKey = false) => ({
  key: name,
  ctrlKey,
  altKey: false,
  metaKey: false,
})

test('digits choose a window on the images and belong to the questions in the form', () => {
  expect(commandOf(key('2'), 'elsewhere')).toEqual({ do: 'preset', index: 1 })
  expect(commandOf(key('2'), 'form')).toBeNull()
})

test('while text is written only Escape is a command', () => {
  for (const name of ['n', 'o', '+', '1', 'ArrowDown', 'PageDown', 'Home', '?']) {
    expect(commandOf(key(name), 'text')).toBeNull()
  }
  expect(commandOf(key('Escape'), 'text')).toEqual({ do: 'images' })
})

test('Ctrl Z is taken back and done again, except while something is written', () => {
  expect(commandOf(key('z', true), 'form')).toEqual({ do: 'undo' })
  expect(commandOf(key('y', true), 'elsewhere')).toEqual({ do: 'redo' })
  expect(commandOf({ ...key('Z', true), shiftKey: true }, 'elsewhere')).toEqual({ do: 'redo' })
  expect(commandOf(key('z', true), 'text')).toBeNull()
})

test('where a number is written, letters are commands and digits are not', () => {
  expect(commandOf(key('t'), 'number')).toEqual({ do: 'take' })
  for (const name of ['1', '.', '-', 'Delete', 'ArrowDown', 'Home']) {
    expect(commandOf(key(name), 'number')).toBeNull()
  }
  expect(commandOf(key('Escape'), 'number')).toEqual({ do: 'images' })
})

test('the keys of the browser stay the browser’s', () => {
  expect(commandOf(key('r', true), 'elsewhere')).toBeNull()
  expect(commandOf(key('1', true), 'elsewhere')).toBeNull()
})

test('the place of the focus is told from the page', () => {
  document.body.innerHTML = `
    <div id="pane"></div>
    <aside data-keys="form"><button></button><input type="range"><textarea></textarea>
    <input type="text"><input inputmode="decimal"></aside>`
  const at = (selector: string) => focusOf(document.querySelector(selector))
  expect(at('#pane')).toBe('elsewhere')
  expect(at('button')).toBe('form')
  expect(at('[type=range]')).toBe('form')
  expect(at('textarea')).toBe('text')
  expect(at('[type=text]')).toBe('text')
  expect(at('[inputmode]')).toBe('number')
})
