import { render } from 'preact'
import { Draft, type Path, type Problem } from './draft'
import './form.css'
import { Field } from './form'
import type { Schema } from './schema'

/*
 * On the page of a protocol: a form beside its text, made from the schema. What is changed in the
 * form is written into the text at once; the text is what the page sends, and the server judges.
 */

const VIEW = 'protocol-view'
const read = (id: string) => JSON.parse(document.getElementById(id)?.textContent ?? 'null')

function begin(text: HTMLTextAreaElement, switcher: HTMLElement, form: HTMLElement): void {
  const root: Schema = read('protocol-schema')
  let problems: Problem[] = read('protocol-problems') ?? []
  let draft = new Draft(text.value)
  let written = text.value

  const change = (what: (draft: Draft) => void, at: Path) => {
    what(draft)
    written = text.value = draft.text
    // What was told of this part may no longer hold; the list above keeps it until the next check.
    problems = problems.filter(({ place }) => !`${place}.`.startsWith(`${at.join('.')}.`))
    draw()
  }
  const draw = () => {
    const why = draft.unreadable
    const value = why === null ? (draft.value as Record<string, unknown>) : {}
    render(
      why !== null ? (
        <p class="told">The text cannot be shown as a form. Mend it in the text: {why}</p>
      ) : (
        Object.entries(root.properties ?? {}).map(([name, schema]) => (
          <Field
            key={name}
            editing={{ root, draft, problems, change }}
            schema={schema}
            path={[name]}
            value={value[name]}
            required={root.required?.includes(name) ?? false}
          />
        ))
      ),
      form,
    )
  }
  const buttons = [...switcher.querySelectorAll('button')]
  const show = (view: string) => {
    sessionStorage.setItem(VIEW, view)
    for (const each of buttons) each.setAttribute('aria-pressed', String(each.value === view))
    if (view === 'form') {
      if (text.value !== written) {
        draft = new Draft(text.value)
        written = text.value
        problems = [] // their places may have moved; the list above keeps them
      }
      draw()
    }
    form.hidden = view !== 'form'
    for (const each of [text, ...(text.labels ?? [])]) each.hidden = view === 'form'
  }
  for (const each of buttons) each.addEventListener('click', () => show(each.value))
  switcher.hidden = false
  show(sessionStorage.getItem(VIEW) ?? 'form')
}

const text = document.querySelector<HTMLTextAreaElement>('textarea.protocol')
const switcher = document.getElementById('protocol-views')
const form = document.getElementById('protocol-form')
if (text && !text.readOnly && switcher && form) begin(text, switcher, form)
