import type { Computed, Question, Section } from '../api/types'

/**
 * The category that follows from the answers about a nodule; null if none does.
 *
 * Looked up as on the server, in the table that it sends with the form.
 */
export function computedCategory(rule: Computed, answers: Section): string | null {
  const value = (name: string) => {
    const answer = answers[name]
    return answer && 'value' in answer ? answer.value : undefined
  }
  const [kind, change] = [value(rule.type), value(rule.change)]
  const size = sizeOf(value(rule.diameter_mm))
  if (typeof kind !== 'string' || typeof change !== 'string' || size === null) return null
  const isPartSolid = rule.table.some(band => band.solid_mm > 0 && band.kinds.includes(kind))
  const solid = isPartSolid ? sizeOf(value(rule.solid_mm)) : 0
  if (solid === null || solid > size) return null
  const reached = rule.table.filter(
    band =>
      band.kinds.includes(kind) &&
      band.changes.includes(change) &&
      size >= band.size_mm &&
      solid >= band.solid_mm,
  )
  return reached.at(-1)?.category ?? null
}

/** The question that has to say why a chosen category is not the computed one, if it does not. */
export function unexplained({ name, computed }: Question, answers: Section): string | null {
  if (!computed) return null
  const chosen = answers[name]
  const category = computedCategory(computed, answers)
  if (category === null || chosen === undefined) return null
  if ('value' in chosen && chosen.value === category) return null
  return answers[computed.reason] === undefined ? computed.reason : null
}

/** Whether the question that explains has anything to explain, or does already. */
export function isReasonNeeded(
  reason: string,
  questions: readonly Question[],
  answers: Section,
): boolean {
  const explained = questions.filter(({ computed }) => computed?.reason === reason)
  if (explained.length === 0) return true
  return answers[reason] !== undefined || explained.some(each => unexplained(each, answers))
}

/** A size to one decimal, a half upwards: as the server has it, to the last bit. */
function sizeOf(value: unknown): number | null {
  if (typeof value !== 'number') return null
  const size = Math.floor(value * 10 + 0.5) / 10
  return size > 0 ? size : null
}
