import type { ComponentChildren } from 'preact'
import type { Draft, Path, Problem } from './draft'
import { type Schema, type Shape, words } from './schema'

/** What all fields of a form share. */
export interface Editing {
  root: Schema
  draft: Draft
  problems: Problem[]
  /** Do something to the draft, and show and write what came of it. */
  change(what: (draft: Draft) => void, at: Path): void
}

export interface FieldProps {
  editing: Editing
  schema: Schema
  path: Path
  value: unknown
  /** What it is called, where that is not its own name. */
  label?: string
  required?: boolean
}

export interface ShapedProps extends FieldProps {
  shape: Shape
}

export const nameOf = ({ label, path }: FieldProps) => label ?? words(String(path.at(-1)))

export const idOf = (path: Path) => `form-${path.join('-')}`

/** One value: a tick, a choice, a number or a text. */
export function Scalar(props: ShapedProps) {
  const { editing, shape, path, value, required = false } = props
  const id = idOf(path)
  const told = problemsAt(editing, path)
  const write = (to: unknown) => editing.change(draft => draft.set(path, to), path)
  const about = [shape.description && `${id}-help`, told.length > 0 && `${id}-told`].filter(Boolean)
  const common = {
    id,
    'aria-invalid': told.length > 0,
    ...(about.length > 0 && { 'aria-describedby': about.join(' ') }),
  }
  const usual = shape.default ?? null
  const shown = value === undefined || value === null ? '' : String(value)
  const numeric = shape.type === 'number' || shape.type === 'integer'
  const typed = (text: string) => {
    if (text === '' && (!required || numeric)) return write(undefined)
    const isNumber = text.trim() !== '' && Number.isFinite(Number(text))
    // A name that is a number, such as "4", stays a name where it was one.
    const asNumber = shape.mixed ? isNumber && typeof value !== 'string' : numeric && isNumber
    write(asNumber ? Number(text) : text)
  }
  const onChange = (event: { currentTarget: { value: string } }) => typed(event.currentTarget.value)
  let control: ComponentChildren
  if (shape.type === 'boolean')
    control = (
      <input
        {...common}
        type="checkbox"
        checked={(value ?? usual) === true}
        onChange={event => {
          const to = event.currentTarget.checked
          write(to === usual ? undefined : to)
        }}
      />
    )
  else if (shape.enum)
    control = (
      <select {...common} value={shown} onChange={onChange}>
        {!required && <option value="">{usual === null ? 'left out' : `${usual} (usual)`}</option>}
        {shown !== '' && !shape.enum.includes(shown) && <option value={shown}>{shown}</option>}
        {required && shown === '' && <option value="">choose</option>}
        {shape.enum.map(each => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    )
  else {
    const placeholder = usual === null || usual === '' ? '' : String(usual)
    const long = !numeric && ((shape.maxLength ?? 0) > 300 || shown.length > 80)
    control = long ? (
      <textarea {...common} rows={3} value={shown} {...{ placeholder, onChange }} />
    ) : numeric && !shape.mixed ? (
      <input
        {...common}
        type="number"
        step={shape.type === 'integer' ? 1 : 'any'}
        {...{ value: shown, placeholder, onChange }}
      />
    ) : (
      <input {...common} {...{ value: shown, placeholder, onChange }} autocomplete="off" />
    )
  }
  return (
    <div class={`field${shape.type === 'boolean' ? ' tick' : ''}`}>
      <label for={id}>{nameOf(props)}</label>
      {control}
      {shape.description && <Help text={shape.description} id={`${id}-help`} />}
      <Told {...{ editing, path }} id={`${id}-told`} />
    </div>
  )
}

const problemsAt = ({ problems }: Editing, path: Path) =>
  problems.filter(({ place }) => place === path.join('.'))

export function Told({ editing, path, id }: { editing: Editing; path: Path; id?: string }) {
  const told = problemsAt(editing, path)
  if (told.length === 0 || path.length === 0) return null
  return (
    <p class="told" {...(id && { id })}>
      {told.map(({ detail }) => detail).join('; ')}
    </p>
  )
}

/** A description of the schema; what stands between backticks is code. */
export function Help({ text, id }: { text: string; id?: string }) {
  const parts = text.replaceAll('\n\n', ' ').split('`')
  return (
    <p class="quiet note" {...(id && { id })}>
      {parts.map((part, at) => (at % 2 ? <code key={part}>{part}</code> : part))}
    </p>
  )
}
