import { render } from 'preact'
import { act } from 'preact/test-utils'
import { expect, it } from 'vitest'
import { Draft } from './draft'
import { Field } from './form'
import type { Schema } from './schema'

const NOTHING: Schema = { type: 'null' }
const TEXT = `study:
  questions:
    # in their order
    - {name: a}
    - {name: b}
`
const ROOT: Schema = {
  $defs: {
    Question: {
      title: 'Question',
      type: 'object',
      required: ['name'],
      properties: {
        name: { type: 'string' },
        kind: { type: 'string', enum: ['scale', 'text'], default: 'text' },
        asked: { type: 'boolean', default: true },
        most: { anyOf: [{ type: 'integer', minimum: 1 }, NOTHING], default: null },
      },
    },
  },
  type: 'object',
  properties: {
    questions: { type: 'array', items: { $ref: '#/$defs/Question' }, default: [] },
    limits: {
      anyOf: [
        {
          type: 'object',
          required: ['hours'],
          properties: { hours: { type: 'number', minimum: 1, description: 'How long.' } },
        },
        NOTHING,
      ],
      default: null,
    },
  },
}

/** Show a form; fields are found by the ends of their ids. */
function show(text = TEXT, problems: { place: string; detail: string }[] = []) {
  const at = document.body.appendChild(document.createElement('div'))
  const draft = new Draft(text)
  const draw = () => {
    const change = (what: (draft: Draft) => void) => {
      what(draft)
      draw()
    }
    const value = (draft.value as { study: unknown }).study
    const editing = { root: ROOT, draft, problems, change }
    act(() => render(<Field {...{ editing, schema: ROOT, path: ['study'], value }} />, at))
  }
  draw()
  const field = (id: string) => {
    const found = at.querySelector<HTMLInputElement>(`#form-study-${id}`)
    if (!found) throw new Error(`no field ${id}`)
    return found
  }
  const type = (id: string, to: string) => {
    field(id).value = to
    field(id).dispatchEvent(new Event('change', { bubbles: true }))
  }
  const press = (name: string) => {
    const all = [...at.querySelectorAll('button')]
    const named = (each: Element) => (each.getAttribute('aria-label') ?? each.textContent) === name
    act(() => all.find(named)?.click())
  }
  return { at, draft, field, type, press }
}

it('labels every field of the schema, and shows help and what is usual', () => {
  const { at, field, press } = show()
  const unlabelled = [...at.querySelectorAll('input, select')].filter(
    each => !(each as HTMLInputElement).labels?.length,
  )
  expect(unlabelled).toEqual([])
  expect(field('questions-0-kind').textContent).toContain('text (usual)')
  expect(field('questions-0-asked').checked).toBe(true)
  press('Add limits')
  const help = field('limits-hours').getAttribute('aria-describedby')
  expect(document.getElementById(help ?? '')?.textContent).toBe('How long.')
})

it('writes what is chosen, and takes out what is as usual', () => {
  const { draft, field, type, press } = show()
  type('questions-0-kind', 'scale')
  type('questions-0-most', '5')
  field('questions-1-asked').click()
  expect(draft.text).toContain('- {name: a, kind: scale, most: 5}')
  expect(draft.text).toContain('- {name: b, asked: false}')
  type('questions-0-kind', '')
  type('questions-0-most', '')
  field('questions-1-asked').click()
  expect(draft.text).toBe(TEXT)
  press('Add limits')
  expect(draft.value).toMatchObject({ study: { limits: { hours: 1 } } })
  press('Leave limits out')
  expect(draft.text).toBe(TEXT)
})

it('adds, moves and removes items; a new one is open', () => {
  const { at, draft, press } = show()
  press('Question 2 up')
  press('Add question')
  expect([...at.querySelectorAll('.item details')].map(each => each.hasAttribute('open'))).toEqual([
    false,
    false,
    true,
  ])
  press('Remove question 2')
  expect(draft.value).toEqual({ study: { questions: [{ name: 'b' }, { name: '' }] } })
})

it('tells a mistake at its field, with all around it open', () => {
  const { field } = show(TEXT, [{ place: 'study.questions.1.name', detail: 'is taken' }])
  const name = field('questions-1-name')
  expect(name.getAttribute('aria-invalid')).toBe('true')
  expect(document.getElementById(name.getAttribute('aria-describedby') ?? '')?.textContent).toBe(
    'is taken',
  )
  expect(name.closest('details')?.open).toBe(true)
})
