import type { Problem, Question, Section, Value } from '../api/types'
import { askedQuestions, compareWithAi, inWords, predictedFor, sameValue } from './answers'
import { Control, type ControlProps, percent } from './controls'
import { computedCategory, isReasonNeeded } from './lung_rads'

interface FormProps {
  /** Tells the sections of the room apart, in ids and for tests. */
  section: string
  questions: Question[]
  answers: Section
  /** The locked unaided answers, to be shown beside the revised ones. */
  unaided: Section | null
  /** Semantic predictions by question name. */
  predicted: Record<string, Record<string, number>> | null
  problems: Problem[]
  disabled: boolean
  onAnswer(question: string, value: Value | null): void
  onDone(question: string): void
}

/** The questions of one nodule, or of the case, as the protocol asks them. */
export function Form({ section, questions, answers, onAnswer, onDone, ...rest }: FormProps) {
  return (
    <div class="questions" data-section={section}>
      {askedQuestions(questions, answers)
        .filter(({ name }) => isReasonNeeded(name, questions, answers))
        .map(question => (
          <QuestionField
            key={`${section}-${question.name}`}
            id={`${section}-${question.name}`}
            question={question}
            value={answers[question.name]}
            before={rest.unaided && { value: rest.unaided[question.name] }}
            predicted={rest.predicted && predictedFor(question, rest.predicted)}
            computed={question.computed ? computedCategory(question.computed, answers) : null}
            problem={rest.problems.find(problem => problem.question === question.name)}
            disabled={rest.disabled}
            onAnswer={value => onAnswer(question.name, value)}
            onDone={() => onDone(question.name)}
          />
        ))}
    </div>
  )
}

function QuestionField({
  id,
  question,
  value,
  before,
  predicted,
  computed,
  problem,
  disabled,
  onAnswer,
  onDone,
}: Omit<ControlProps, 'describedBy'> & {
  before: { value: Value | undefined } | null
  problem: Problem | undefined
}) {
  const describedBy =
    [question.help && `${id}-help`, problem && `${id}-problem`].filter(Boolean).join(' ') ||
    undefined
  const control = {
    id,
    question,
    value,
    disabled,
    describedBy,
    predicted,
    computed,
    onAnswer,
    onDone,
  }
  return (
    <fieldset
      class={`question ${question.kind} ${isShort(question) ? 'short' : ''} ${problem ? 'has-problem' : ''}`}
      data-question={question.name}
      disabled={disabled}
      onKeyDown={event => {
        if (event.key !== 'Delete' || isText(event.target)) return
        event.preventDefault()
        onAnswer(null)
      }}
    >
      <legend>
        {question.label}
        {question.required && (
          <span class="required" title="required">
            {'\u00a0*'}
            <span class="visually-hidden"> required</span>
          </span>
        )}
      </legend>
      {question.help && (
        <p class="help" id={`${id}-help`}>
          {question.help}
        </p>
      )}
      <Control {...control} />
      {question.computed && (
        <p class="computed" data-computed={computed ?? ''}>
          {computed === null ? (
            'Follows from type, size and change, once they are given.'
          ) : (
            <>
              By type, size and change: <strong>{inWords(question, { value: computed })}</strong>
              {value === undefined && (
                <>
                  {' '}
                  <button
                    type="button"
                    class="tool"
                    data-action="take-computed"
                    onClick={() => onAnswer({ value: computed })}
                  >
                    Take it <kbd>Enter</kbd>
                  </button>
                </>
              )}
              {value !== undefined &&
                !sameValue(value, { value: computed }) &&
                ' (you chose another)'}
            </>
          )}
        </p>
      )}
      {(before || predicted) && (
        <div class="beside">
          {predicted && <Predicted question={question} predicted={predicted} value={value} />}
          {before && <Before question={question} before={before.value} now={value} />}
        </div>
      )}
      {problem && (
        <p class="problem" id={`${id}-problem`}>
          {problem.detail}
        </p>
      )}
    </fieldset>
  )
}

/** Few and short choices find room beside their question. */
function isShort({ kind, options }: Question): boolean {
  return kind === 'single_choice' && options.map(({ label }) => label).join('').length <= 16
}

function Before({
  question,
  before,
  now,
}: {
  question: Question
  before: Value | undefined
  now: Value | undefined
}) {
  const changed = !sameValue(before, now)
  if (before === undefined && !changed) return null
  return (
    <p class={`before${changed ? ' changed' : ''}`}>
      before: {inWords(question, before)}
      {changed && <span class="tag">changed</span>}
    </p>
  )
}

function Predicted({
  question,
  predicted,
  value,
}: {
  question: Question
  predicted: Record<string, number>
  value: Value | undefined
}) {
  const compared = compareWithAi(question, predicted, value)
  if (compared === null) return null
  const { categories, agrees } = compared
  const words = categories.map(
    category => `${inWords(question, { value: category })} ${percent(predicted[category] ?? 0)}`,
  )
  return (
    <p class="predicted" data-agrees={agrees ?? undefined}>
      <span class="ai-tag">AI</span>{' '}
      <strong>{words.length > 0 ? words.join(', ') : 'none above 50%'}</strong>{' '}
      {agrees !== null && (
        <span class={agrees ? 'agrees' : 'differs'}>{agrees ? '✓ agrees' : '≠ differs'}</span>
      )}
    </p>
  )
}

function isText(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('textarea, input[type=text]')
}
