import type { RefObject } from 'preact'
import { useRef, useState } from 'preact/hooks'
import type { Question, Value } from '../api/types'
import { sameValue } from './answers'

export interface ControlProps {
  id: string
  question: Question
  value: Value | undefined
  disabled: boolean
  describedBy: string | undefined
  /** Probabilities of the choices according to the AI. */
  predicted: Record<string, number> | null
  /** The choice that follows from other answers; the keyboard arrives at it. */
  computed: string | null
  onAnswer(value: Value | null): void
  /** The question is done with; the next one may have the keyboard. */
  onDone(): void
}

/** How a question is answered, by its kind. */
export function Control(props: ControlProps) {
  switch (props.question.kind) {
    case 'single_choice':
      return <SingleChoice {...props} />
    case 'multiple_choice':
      return <MultipleChoice {...props} />
    case 'scale':
      return <ScaleInput {...props} />
    case 'number':
    case 'measurement':
      return <NumberInput {...props} />
    case 'text':
      return <TextInput {...props} />
  }
}

interface Choice {
  id: string
  label: string
  /** The digit that chooses it while the focus is on the question; '' for none. */
  key: string
  on: boolean
  /** How probable the AI holds it. */
  probability: number | undefined
}

function SingleChoice({
  question,
  value,
  predicted,
  computed,
  onAnswer,
  onDone,
  ...rest
}: ControlProps) {
  const choices = choicesOf(question, value, option => ({
    on: sameValue({ value: option }, value),
    probability: predicted?.[option],
  }))
  const choose = (id: string) =>
    onAnswer(id === CANNOT_ASSESS ? { cannot_assess: true } : { value: id })
  return (
    <Choices
      {...{ question, choices, ...rest }}
      role="radio"
      suggested={computed}
      onChoose={choose}
      onKey={id => {
        choose(id)
        onDone()
      }}
    />
  )
}

/** Several of the options; an exclusive one stands alone. */
function MultipleChoice({
  question,
  value,
  predicted,
  computed: _,
  onAnswer,
  onDone,
  ...rest
}: ControlProps) {
  const chosen = value && 'value' in value && Array.isArray(value.value) ? value.value : []
  const choices = choicesOf(question, value, option => ({
    on: chosen.includes(option),
    probability: predicted?.[option],
  }))
  const standsAlone = (id: string) =>
    question.options.some(({ value, exclusive }) => value === id && exclusive)
  const toggle = (id: string) => {
    if (id === CANNOT_ASSESS) {
      const on = value !== undefined && 'cannot_assess' in value
      return onAnswer(on ? null : { cannot_assess: true })
    }
    const others = chosen.filter(other => other !== id && !standsAlone(other) && !standsAlone(id))
    const now = chosen.includes(id) ? others : [...others, id]
    // in the order of the questionnaire, so that equal answers are stored alike
    const values = question.options.map(option => option.value).filter(v => now.includes(v))
    onAnswer(values.length > 0 ? { value: values } : null)
  }
  return (
    <Choices
      {...{ question, choices, ...rest }}
      role="checkbox"
      onChoose={toggle}
      onKey={id => {
        toggle(id)
        if (standsAlone(id) || id === CANNOT_ASSESS) onDone()
      }}
    />
  )
}

const CANNOT_ASSESS = 'cannot_assess'

function choicesOf(
  question: Question,
  value: Value | undefined,
  state: (option: string) => Pick<Choice, 'on' | 'probability'>,
): Choice[] {
  const choices = question.options.map((option, i) => ({
    id: option.value,
    label: option.label,
    key: i < 9 ? String(i + 1) : '',
    ...state(option.value),
  }))
  if (!question.cannot_assess) return choices
  const key = choices.some(choice => choice.key === '0') ? '' : '0'
  const on = value !== undefined && 'cannot_assess' in value
  return [
    ...choices,
    { id: CANNOT_ASSESS, label: 'Cannot assess', key, on, probability: undefined },
  ]
}

/**
 * Buttons to choose from. Arrows move the focus without choosing, so that a reader who reaches
 * for the arrows to scroll cannot change an answer unawares; digits choose, and so does Enter.
 */
function Choices({
  question,
  choices,
  role,
  suggested = null,
  describedBy,
  disabled,
  onChoose,
  onKey,
}: Pick<ControlProps, 'question' | 'describedBy' | 'disabled'> & {
  choices: Choice[]
  suggested?: string | null
  role: 'radio' | 'checkbox'
  onChoose(id: string): void
  onKey(id: string): void
}) {
  const chosen = role === 'radio' ? choices.findIndex(({ on }) => on) : 0
  const entry = Math.max(chosen < 0 ? choices.findIndex(({ id }) => id === suggested) : chosen, 0)
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
    const byKey = choices.find(({ key }) => key === event.key)
    if (step !== undefined) {
      focusSibling(event, (indexIn(event) + step + choices.length) % choices.length)
    } else if (byKey && !event.ctrlKey && !event.altKey && !event.metaKey) {
      onKey(byKey.id)
    } else if (role === 'radio' && event.key === 'Enter' && !event.ctrlKey && !event.metaKey) {
      const focused = choices[indexIn(event)]
      if (!focused) return
      onKey(focused.id)
    } else return
    event.preventDefault()
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it has a role, one of two
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: and both have a label
    <div
      class="choices"
      role={role === 'radio' ? 'radiogroup' : 'group'}
      aria-label={question.label}
      aria-required={(role === 'radio' && question.required) || undefined}
      aria-describedby={describedBy}
      onKeyDown={onKeyDown}
    >
      {choices.map(({ id, label, key, on, probability }, i) => (
        // biome-ignore lint/a11y/useAriaPropsSupportedByRole: radios and checkboxes are checked
        <button
          key={id}
          type="button"
          role={role}
          aria-checked={on}
          class={`choice${id === CANNOT_ASSESS ? ' cannot-assess' : ''}`}
          data-value={id}
          data-key={key}
          data-entry={i === entry || undefined}
          tabIndex={i === entry ? 0 : -1}
          disabled={disabled}
          onClick={() => onChoose(id)}
          {...aiBar(probability)}
        >
          {label}
        </button>
      ))}
    </div>
  )
}

function aiBar(probability: number | undefined) {
  if (probability === undefined) return {}
  return {
    'data-ai': percent(probability),
    title: `AI: ${percent(probability)}`,
    style: { '--probability': String(probability) },
  }
}

export function percent(probability: number): string {
  return `${Math.round(100 * probability)}%`
}

/** A slider without a place until the reader gives it one, and the number beside it. */
function ScaleInput({
  id,
  question,
  value,
  describedBy,
  disabled,
  onAnswer,
  onDone,
}: ControlProps) {
  const { min, max, step, low, high } = question.scale ?? SCALE
  const rated = value && 'value' in value && typeof value.value === 'number' ? value.value : null
  const box = useRef<HTMLInputElement>(null)
  const middle = min + Math.round((max - min) / 2 / step) * step
  const rate = (text: string) => {
    const wanted = Number(text)
    const nearest = min + Math.round((wanted - min) / step) * step
    onAnswer({ value: Math.min(Math.max(nearest, min), max) })
  }
  return (
    <div class={`scale${rated === null ? ' unrated' : ''}`}>
      <div class="scale-line">
        <input
          type="range"
          aria-label={question.label}
          aria-describedby={describedBy}
          aria-valuetext={rated === null ? 'not rated yet' : String(rated)}
          {...{ min, max, step, disabled }}
          value={rated ?? middle}
          onInput={event => rate(event.currentTarget.value)}
          // A click on the very middle, where an unrated slider rests, changes nothing natively.
          onPointerUp={event => rate(event.currentTarget.value)}
          onKeyDown={event => {
            if (/^\d$/.test(event.key)) box.current?.focus() // and the digit is typed there
            if (rated !== null || !event.key.startsWith('Arrow')) return
            event.preventDefault()
            onAnswer({ value: middle })
          }}
        />
        <NumberBox
          id={id}
          label={`${question.label}, ${min} to ${max}`}
          {...{ value: rated, min, max, disabled, describedBy, onDone, box }}
          onNumber={number => (number === null ? onAnswer(null) : rate(String(number)))}
        />
      </div>
      <div class="scale-line">
        <div class="scale-ends">
          <span>{`${min} ${low}`}</span>
          <span>{`${high} ${max}`}</span>
        </div>
        <CannotAssess {...{ question, value, disabled, onAnswer }} />
      </div>
    </div>
  )
}

const SCALE = { min: 0, max: 100, step: 1, low: '', high: '' }

function NumberInput({ id, question, value, computed: _, onAnswer, ...rest }: ControlProps) {
  const number = value && 'value' in value && typeof value.value === 'number' ? value.value : null
  return (
    <div class="number">
      <NumberBox
        id={id}
        label={question.unit ? `${question.label}, ${question.unit}` : question.label}
        value={number}
        {...rest}
        onNumber={n => onAnswer(n === null ? null : { value: n })}
      />
      {question.unit && <span class="unit">{question.unit}</span>}
      {question.kind === 'measurement' && (
        <span class="quiet">
          {value && 'measurement' in value ? 'measured' : 'measure with B, or type'}
        </span>
      )}
      <CannotAssess {...{ question, value, disabled: rest.disabled, onAnswer }} />
    </div>
  )
}

interface NumberBoxProps {
  id: string
  label: string
  value: number | null
  min?: number
  max?: number
  disabled: boolean
  describedBy: string | undefined
  box?: RefObject<HTMLInputElement | null>
  onNumber(number: number | null): void
  onDone(): void
}

/** Text while it is typed, a number once it is one. */
function NumberBox({ value, min, max, onNumber, onDone, ...rest }: NumberBoxProps) {
  const [typed, setTyped] = useState<string | null>(null)
  const text = typed ?? (value === null ? '' : String(value))
  const number = parseNumber(text, min, max)
  const wrong = typed !== null && text.trim() !== '' && number === null
  const range = min !== undefined && max !== undefined ? ` from ${min} to ${max}` : ''
  return (
    <span class="number-box">
      <input
        id={rest.id}
        ref={rest.box ?? null}
        data-entry
        type="text"
        inputMode="decimal"
        autoComplete="off"
        size={5}
        placeholder="–"
        aria-label={rest.label}
        aria-describedby={rest.describedBy}
        aria-invalid={wrong}
        disabled={rest.disabled}
        value={text}
        onInput={event => {
          const input = event.currentTarget.value
          setTyped(input)
          const parsed = parseNumber(input, min, max)
          if (parsed !== null || input.trim() === '') onNumber(parsed)
        }}
        onBlur={() => setTyped(null)}
        onKeyDown={event => {
          if (event.key !== 'Enter' || event.ctrlKey || event.metaKey) return
          event.preventDefault()
          onDone()
        }}
      />
      {wrong && <span class="problem" role="alert">{`a number${range}, please`}</span>}
    </span>
  )
}

export function parseNumber(text: string, min?: number, max?: number): number | null {
  if (!/^\s*-?\d+([.,]\d*)?\s*$/.test(text)) return null
  const number = Number(text.replace(',', '.'))
  if (min !== undefined && number < min) return null
  return max !== undefined && number > max ? null : number
}

function TextInput({ id, question, value, describedBy, disabled, onAnswer }: ControlProps) {
  const text = value && 'value' in value && typeof value.value === 'string' ? value.value : ''
  return (
    <div class="text">
      <textarea
        id={id}
        data-entry
        rows={2}
        maxLength={2000}
        aria-label={question.label}
        aria-describedby={describedBy}
        disabled={disabled}
        value={text}
        onInput={event => {
          const written = event.currentTarget.value
          onAnswer(written.trim() === '' ? null : { value: written })
        }}
      />
      <CannotAssess {...{ question, value, disabled, onAnswer }} />
    </div>
  )
}

function CannotAssess({
  question,
  value,
  disabled,
  onAnswer,
}: Pick<ControlProps, 'question' | 'value' | 'disabled' | 'onAnswer'>) {
  if (!question.cannot_assess) return null
  const on = value !== undefined && 'cannot_assess' in value
  return (
    <button
      type="button"
      class="choice cannot-assess"
      aria-pressed={on}
      data-value="cannot_assess"
      disabled={disabled}
      onClick={() => onAnswer(on ? null : { cannot_assess: true })}
    >
      Cannot assess
    </button>
  )
}

function buttonsOf(event: KeyboardEvent): HTMLButtonElement[] {
  const group = event.currentTarget as HTMLElement
  return [...group.querySelectorAll<HTMLButtonElement>('button')]
}

function indexIn(event: KeyboardEvent): number {
  return buttonsOf(event).indexOf(event.target as HTMLButtonElement)
}

function focusSibling(event: KeyboardEvent, index: number): void {
  buttonsOf(event)[index]?.focus()
}
