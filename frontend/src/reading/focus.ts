import type { RefObject } from 'preact'
import { useRef } from 'preact/hooks'
import type { Problem } from '../api/types'
import { NO_FINDING } from './answers'
import type { SectionId } from './sections'

/** Moving about in the form by keyboard: to what is missing, and from question to question. */
export function useFormFocus({
  panel,
  section,
  missing,
  choose,
}: {
  panel: RefObject<HTMLElement | null>
  section: SectionId
  missing: readonly Problem[]
  choose(id: SectionId): void
}) {
  const goToProblem = (problems: readonly Problem[]) => {
    const first = problems[0]
    if (!first) return
    const there = first.nodule ?? 'case'
    if (there !== section && first.question !== NO_FINDING) choose(there) // the images follow: they never show another nodule
    afterRender(() => entryOf(panel.current, first.question)?.focus())
  }
  const goToForm = () => {
    const here = missing.filter(problem => (problem.nodule ?? 'case') === section)
    if (missing.length > 0) return goToProblem(here.length > 0 ? here : missing)
    panel.current?.querySelector<HTMLElement>('[data-action=ask], [data-entry]')?.focus()
  }
  // As of the render that follows: what is missing then is another question.
  const latest = useRef(goToForm)
  latest.current = goToForm
  const goToFormNext = () => afterRender(() => latest.current())
  const goToNext = (question: string) => {
    const entries = [...(panel.current?.querySelectorAll<HTMLElement>('[data-question]') ?? [])]
    const index = entries.findIndex(({ dataset }) => dataset.question === question)
    const following = entries[index + 1]?.dataset.question
    if (following !== undefined) return entryOf(panel.current, following)?.focus()
    goToFormNext()
  }
  return { goToProblem, goToForm, goToFormNext, goToNext }
}

function entryOf(panel: HTMLElement | null, question: string): HTMLElement | null {
  const field = panel?.querySelector(`[data-question="${CSS.escape(question)}"]`)
  return field?.querySelector<HTMLElement>('[data-entry]') ?? null
}

export function afterRender(what: () => void): void {
  setTimeout(what)
}
