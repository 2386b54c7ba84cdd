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
  | {
      do:
        | 'invert'
        | 'reset'
        | 'layout'
        | 'crosshair'
        | 'markers'
        | 'cine'
        | 'ruler'
        | 'delete'
        | 'undo'
        | 'overlay'
        | 'legend'
        | 'form'
        | 'images'
        | 'finish'
    }

/** Where the focus is: writing text, on another control of the form, or anywhere else. */
export type Focus = 'text' | 'form' | 'elsewhere'

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
  { keys: ['c', 'C'], command: { do: 'crosshair' }, inForm: true },
  { keys: ['m', 'M'], command: { do: 'markers' }, inForm: true },
  { keys: ['s'], command: { do: 'slab', where: 'active' }, inForm: true },
  { keys: ['S'], command: { do: 'slab', where: 'all' }, inForm: true },
  { keys: [','], command: { do: 'thickness', step: -1 }, inForm: true },
  { keys: ['.'], command: { do: 'thickness', step: 1 }, inForm: true },
  { keys: ['p', 'P'], command: { do: 'cine' }, inForm: true },
  { keys: ['<'], command: { do: 'speed', step: -1 }, inForm: true },
  { keys: ['>'], command: { do: 'speed', step: 1 }, inForm: true },
  { keys: ['d', 'D'], command: { do: 'ruler' }, inForm: true },
  { keys: ['u', 'U'], command: { do: 'undo' }, inForm: true },
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
  event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'altKey' | 'metaKey'>,
  focus: Focus,
): Command | null {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) return { do: 'finish' }
  if (event.ctrlKey || event.altKey || event.metaKey) return null
  const binding = BINDINGS.find(({ keys }) => keys.includes(event.key))
  if (!binding) return null
  if (focus === 'text' && !binding.inText) return null
  if (focus === 'form' && !binding.inForm) return null
  return binding.command
}

/** Which kind of place an element is for the keyboard. */
export function focusOf(element: Element | null): Focus {
  if (element === null) return 'elsewhere'
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
      ['L', 'axial alone, or three planes'],
      ['S', 'slab: MIP, MinIP, mean, single slices'],
      ['Shift S', 'the same slab in all planes'],
      [', and .', 'thinner, thicker slab'],
      ['P', 'cine: play, stop'],
      ['<, >', 'cine slower, faster'],
      ['C', 'crosshair on the left button'],
      ['D', 'measure a distance with the left button'],
      ['Delete', 'take the last touched distance away'],
      ['U', 'undo what was measured'],
      ['M', 'nodule markers'],
      ['O', 'AI overlay (once it is shown)'],
      ['[, ]', 'AI overlay fainter, stronger'],
      ['R', 'reset the images'],
    ],
  ],
  [
    'Mouse',
    [
      ['left drag', 'window: across width, up and down level'],
      ['Shift and click', 'other planes to this point'],
      ['middle drag', 'move'],
      ['right drag', 'zoom'],
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
