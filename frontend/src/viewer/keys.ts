import type { Tool } from '../api/types'

/** What a key asks for; `nodule` and `form` are for the room, the rest for the viewer. */
export type Command =
  | { do: 'scroll'; slices: number }
  | { do: 'end'; end: 'first' | 'last' }
  | { do: 'preset'; index: number }
  | { do: 'zoom'; factor: number }
  | { do: 'nodule'; step: 1 | -1 }
  | { do: 'opacity'; step: number }
  | { do: 'slab'; where: 'active' | 'all' }
  | { do: 'thickness'; step: 1 | -1 }
  | { do: 'speed'; step: 1 | -1 }
  | { do: 'tool'; tool: Tool }
  | {
      do:
        | 'invert'
        | 'reset'
        | 'layout'
        | 'compare'
        | 'link'
        | 'next_prior'
        | 'series'
        | 'crosshair'
        | 'magnifier'
        | 'markers'
        | 'cine'
        | 'delete'
        | 'undo'
        | 'redo'
        | 'take'
        | 'mark'
        | 'no_finding'
        | 'overlay'
        | 'legend'
        | 'form'
        | 'images'
        | 'finish'
    }

/** Where the focus is: writing text, or a number, on another control of the form, or elsewhere. */
export type Focus = 'text' | 'number' | 'form' | 'elsewhere'

interface Binding {
  keys: string[]
  command: Command
  /** Works while the focus is in the form, too. */
  inForm?: boolean
  inText?: boolean
}

const BINDINGS: readonly Binding[] = [
  { keys: ['ArrowUp', 'ArrowLeft'], command: { do: 'scroll', slices: -1 } },
  { keys: ['ArrowDown', 'ArrowRight'], command: { do: 'scroll', slices: 1 } },
  { keys: ['PageUp'], command: { do: 'scroll', slices: -10 }, inForm: true },
  { keys: ['PageDown'], command: { do: 'scroll', slices: 10 }, inForm: true },
  { keys: ['Home'], command: { do: 'end', end: 'first' } },
  { keys: ['End'], command: { do: 'end', end: 'last' } },
  { keys: ['1'], command: { do: 'preset', index: 0 } },
  { keys: ['2'], command: { do: 'preset', index: 1 } },
  { keys: ['3'], command: { do: 'preset', index: 2 } },
  { keys: ['+', '='], command: { do: 'zoom', factor: 1.25 }, inForm: true },
  { keys: ['-', '_'], command: { do: 'zoom', factor: 0.8 }, inForm: true },
  { keys: ['n'], command: { do: 'nodule', step: 1 }, inForm: true },
  { keys: ['N'], command: { do: 'nodule', step: -1 }, inForm: true },
  { keys: ['i', 'I'], command: { do: 'invert' }, inForm: true },
  { keys: ['r', 'R'], command: { do: 'reset' }, inForm: true },
  { keys: ['l', 'L'], command: { do: 'layout' }, inForm: true },
  { keys: ['v'], command: { do: 'compare' }, inForm: true },
  { keys: ['V'], command: { do: 'next_prior' }, inForm: true },
  { keys: ['j', 'J'], command: { do: 'link' }, inForm: true },
  { keys: ['w', 'W'], command: { do: 'series' }, inForm: true },
  { keys: ['c', 'C'], command: { do: 'crosshair' }, inForm: true },
  { keys: ['g', 'G'], command: { do: 'magnifier' }, inForm: true },
  { keys: ['m', 'M'], command: { do: 'markers' }, inForm: true },
  { keys: ['s'], command: { do: 'slab', where: 'active' }, inForm: true },
  { keys: ['S'], command: { do: 'slab', where: 'all' }, inForm: true },
  { keys: [','], command: { do: 'thickness', step: -1 }, inForm: true },
  { keys: ['.'], command: { do: 'thickness', step: 1 }, inForm: true },
  { keys: ['p', 'P'], command: { do: 'cine' }, inForm: true },
  { keys: ['<'], command: { do: 'speed', step: -1 }, inForm: true },
  { keys: ['>'], command: { do: 'speed', step: 1 }, inForm: true },
  { keys: ['d', 'D'], command: { do: 'tool', tool: 'length' }, inForm: true },
  { keys: ['b', 'B'], command: { do: 'tool', tool: 'bidirectional' }, inForm: true },
  { keys: ['e', 'E'], command: { do: 'tool', tool: 'ellipse' }, inForm: true },
  { keys: ['a', 'A'], command: { do: 'tool', tool: 'arrow' }, inForm: true },
  { keys: ['u'], command: { do: 'undo' }, inForm: true },
  { keys: ['U'], command: { do: 'redo' }, inForm: true },
  { keys: ['t', 'T'], command: { do: 'take' }, inForm: true },
  { keys: ['x'], command: { do: 'mark' }, inForm: true },
  { keys: ['X'], command: { do: 'no_finding' }, inForm: true },
  { keys: ['Delete', 'Backspace'], command: { do: 'delete' } },
  { keys: ['o', 'O'], command: { do: 'overlay' }, inForm: true },
  { keys: ['['], command: { do: 'opacity', step: -0.1 }, inForm: true },
  { keys: [']'], command: { do: 'opacity', step: 0.1 }, inForm: true },
  { keys: ['?'], command: { do: 'legend' }, inForm: true },
  { keys: ['f', 'F'], command: { do: 'form' }, inForm: true },
  { keys: ['Escape'], command: { do: 'images' }, inForm: true, inText: true },
]

/** The command of a key, or null when the key belongs to the form or the browser. */
export function commandOf(
  event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'altKey' | 'metaKey'> &
    Partial<Pick<KeyboardEvent, 'shiftKey'>>,
  focus: Focus,
): Command | null {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) return { do: 'finish' }
  if (event.ctrlKey || event.metaKey) {
    const key = event.key.toLowerCase()
    if (focus === 'text' || focus === 'number' || event.altKey) return null
    if (key === 'y' || (key === 'z' && event.shiftKey)) return { do: 'redo' }
    return key === 'z' ? { do: 'undo' } : null
  }
  if (event.altKey) return null
  const binding = BINDINGS.find(({ keys }) => keys.includes(event.key))
  if (!binding) return null
  if (focus === 'text' && !binding.inText) return null
  if (focus === 'form' && !binding.inForm) return null
  // A letter is no part of a number, so that it can be a command there.
  if (focus === 'number' && !binding.inText && !/^[a-z?]$/i.test(event.key)) return null
  return binding.command
}

/** Which kind of place an element is for the keyboard. */
export function focusOf(element: Element | null): Focus {
  if (element === null) return 'elsewhere'
  if (element.matches('input[inputmode=decimal]')) return 'number'
  if (element.matches('textarea, input:not([type=range]):not([type=checkbox])')) return 'text'
  return element.closest('[data-keys=form]') ? 'form' : 'elsewhere'
}

export const LEGEND: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    'Images',
    [
      ['↑ ↓ or wheel', 'previous, next slice'],
      ['Page Up, Page Down', 'ten slices'],
      ['Home, End', 'first, last slice'],
      ['N, Shift N', 'next, previous nodule, in all planes'],
      ['1, 2, 3', 'lung, soft tissue, bone window'],
      ['I', 'invert'],
      ['+, −', 'zoom'],
      ['L', 'next layout: three planes, axial, 2 × 2'],
      ['V', 'earlier examination beside the current one, or not'],
      ['Shift V', 'the next earlier examination, where there are several'],
      ['J', 'let them scroll apart; join them where they are'],
      ['W', 'next series of the examination'],
      ['G', 'magnifier under the pointer'],
      ['S', 'slab: MIP, MinIP, mean, single slices'],
      ['Shift S', 'the same slab in all planes'],
      [', and .', 'thinner, thicker slab'],
      ['P', 'cine: play, stop'],
      ['<, >', 'cine slower, faster'],
      ['C', 'crosshair on the left button'],
      ['M', 'nodule markers'],
      ['O', 'AI overlay (once it is shown)'],
      ['[, ]', 'AI overlay fainter, stronger'],
      ['R', 'reset the images'],
    ],
  ],
  [
    'Measuring and marking',
    [
      ['D', 'distance, drawn with the left button'],
      ['B', 'two axes at right angles: fills the size'],
      ['E', 'ellipse with Hounsfield units'],
      ['A', 'arrow with a text'],
      ['T', 'take what was measured into the form'],
      ['Delete', 'take the last touched measurement away, or else the mark at hand'],
      ['Ctrl Z or U', 'undo what was measured'],
      ['Ctrl Y or Shift U', 'do it again'],
      ['X', 'mark what lies under the pointer (in studies with marks)'],
      ['Shift X', 'no finding'],
    ],
  ],
  [
    'Mouse',
    [
      ['left drag', 'window: across width, up and down level (or as chosen below)'],
      ['Shift and click', 'other planes to this point'],
      ['middle drag', 'move'],
      ['right drag', 'zoom'],
      ['Ctrl and wheel', 'zoom'],
    ],
  ],
  [
    'Touch',
    [
      ['one finger', 'scroll, or the tool that is on'],
      ['two fingers', 'zoom and move'],
    ],
  ],
  [
    'Form',
    [
      ['F', 'first question without an answer'],
      ['1, 2, 3 … in a question', 'choose, and go to the next question'],
      ['0 in a question', 'cannot be assessed'],
      ['Delete in a question', 'take the answer back'],
      ['Tab, Shift Tab', 'next, previous question'],
      ['Ctrl Enter', 'lock or submit'],
      ['Esc', 'back to the images'],
      ['?', 'these keys'],
    ],
  ],
]
