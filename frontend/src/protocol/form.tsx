import { useState } from 'preact/hooks'
import type { Draft, Path } from './draft'
import { type FieldProps, Help, idOf, nameOf, Scalar, type ShapedProps, Told } from './scalar'
import { blank, type Schema, type Shape, shapeOf, words } from './schema'

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isScalar = (shape: Shape) => !shape.properties && shape.type !== 'array'

/** One part of a protocol, whatever its schema says that it is. */
export function Field(props: FieldProps) {
  const shape = shapeOf(props.schema, props.editing.root)
  if (shape.const !== undefined) return null
  if (isScalar(shape)) return <Scalar {...props} shape={shape} />
  if (shape.nullable && (props.value ?? null) === null) return <LeftOut {...props} shape={shape} />
  if (shape.properties) return <Part {...props} shape={shape} />
  return <List {...props} shape={shape} />
}

function LeftOut({ editing, shape, path, ...props }: ShapedProps) {
  const add = () => {
    const { nullable: _, ...schema } = shape
    editing.change(draft => draft.set(path, blank(schema, editing.root)), path)
  }
  return (
    <div>
      <button type="button" class="quiet" onClick={add}>
        Add {nameOf({ editing, path, ...props }).toLowerCase()}
      </button>
      <Told {...{ editing, path }} />
    </div>
  )
}

function Part(props: ShapedProps) {
  const { editing, shape, path, value } = props
  const inside = path.join('.')
  const wrong = editing.problems.some(({ place }) => `${place}.`.startsWith(`${inside}.`))
  const [open, setOpen] = useState(wrong || editing.draft.isLatest(path))
  const item = typeof path.at(-1) === 'number'
  const folds = path.length < 2 || (item && !isRow(shape, editing.root))
  const known = isObject(value) ? value : {}
  const fields = (
    <>
      {!item && shape.description && <Help text={shape.description} />}
      <Told {...{ editing, path }} />
      {value !== undefined && !isObject(value) ? (
        <p class="told">What the text has here is nothing with names. Mend it in the text.</p>
      ) : (
        <div class="fields">
          {Object.entries(shape.properties ?? {}).map(([name, schema]) => (
            <Field
              key={name}
              {...{ editing, schema, path: [...path, name], value: known[name] }}
              required={shape.required?.includes(name) ?? false}
            />
          ))}
        </div>
      )}
      {shape.nullable && (
        <button
          type="button"
          class="quiet"
          onClick={() => editing.change(draft => draft.set(path, undefined), path)}
        >
          Leave {nameOf(props).toLowerCase()} out
        </button>
      )}
    </>
  )
  if (!folds)
    return (
      <fieldset class={item ? 'row' : 'part'}>
        <legend>{nameOf(props)}</legend>
        {fields}
      </fieldset>
    )
  return (
    <details open={open} class="part" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>
        {nameOf(props)}
        {item && (
          <span class="quiet"> {String(known.label ?? known.name ?? known.stage ?? '')}</span>
        )}
      </summary>
      {fields}
    </details>
  )
}

const isRow = (shape: Shape, root: Schema) => {
  const all = Object.values(shape.properties ?? {}).map(each => shapeOf(each, root))
  return all.length <= 3 && all.every(isScalar)
}

function List(props: ShapedProps) {
  const { editing, shape, path, value, required = false } = props
  const { root, draft } = editing
  const item = shapeOf(shape.items ?? {}, root)
  // What has a name of its own is called by it: Question, or Stage of StageOfDesign.
  const one = (item.title?.match(/^[A-Z][a-z]+/)?.[0] ?? nameOf(props)).toLowerCase()
  const given = value ?? shape.default ?? []
  const values: unknown[] = Array.isArray(given) ? given : [given]
  // What is there by default, or as one word, is written as a list before it is changed.
  const change = (what: (draft: Draft) => void, at: Path = path) =>
    editing.change(each => {
      if (!Array.isArray(value)) each.set(path, values)
      what(each)
    }, at)
  const labelOf = (at: number) =>
    shape.prefixItems || !shape.items ? `${nameOf(props)} ${at + 1}` : `${words(one)} ${at + 1}`
  const within = { ...editing, change }
  const schemaOf = (at: number) => shape.prefixItems?.[at] ?? shape.items ?? {}
  const move = (event: Event, from: number, to: number) => {
    change(each => each.move(path, from, to))
    ;(event.currentTarget as HTMLElement).focus() // it has moved along with its item
  }
  const remove = (at: number) => {
    change(each => {
      each.remove(path, at)
      if (values.length === 1 && !required) each.set(path, undefined)
    })
    document.getElementById(`${idOf(path)}-add`)?.focus()
  }
  const unused = item.enum?.find(each => !values.includes(each))
  return (
    <fieldset class="list">
      <legend>{nameOf(props)}</legend>
      {item.description && item.properties && <Help text={item.description} />}
      <Told {...{ editing, path }} />
      {values.map((each, at) => (
        <div class="item" key={draft.key([...path, at])}>
          <Field
            editing={within}
            schema={schemaOf(at)}
            path={[...path, at]}
            value={each}
            label={labelOf(at)}
            required
          />
          {!shape.prefixItems && (
            <div class="moves">
              <button
                type="button"
                aria-label={`${labelOf(at)} up`}
                aria-disabled={at === 0}
                onClick={event => move(event, at, at - 1)}
              >
                ↑
              </button>
              <button
                type="button"
                aria-label={`${labelOf(at)} down`}
                aria-disabled={at === values.length - 1}
                onClick={event => move(event, at, at + 1)}
              >
                ↓
              </button>
              <button
                type="button"
                aria-label={`Remove ${one} ${at + 1}`}
                onClick={() => remove(at)}
              >
                ✕
              </button>
            </div>
          )}
        </div>
      ))}
      {!shape.prefixItems && (
        <button
          type="button"
          class="quiet"
          id={`${idOf(path)}-add`}
          onClick={() => change(each => each.add(path, unused ?? blank(shape.items ?? {}, root)))}
        >
          Add {one}
        </button>
      )}
    </fieldset>
  )
}
