import type { Ai, Answers, Mark, Nodule, Series } from '../api/types'
import type { Marker } from '../viewer/viewer'

/** The answers with one more mark; whoever marks has a finding. */
export function withMark(answers: Answers, mark: Mark, at?: number): Answers {
  const { no_finding: _, marks = [], ...others } = answers
  const now = [...marks]
  now.splice(at ?? now.length, 0, mark)
  return { ...others, marks: now }
}

export function withoutMark(answers: Answers, id: string): Answers {
  const marks = answers.marks?.filter(mark => mark.id !== id) ?? []
  const { marks: _, ...others } = answers
  return marks.length > 0 ? { ...others, marks } : others
}

/** The answers of a reader who finds nothing; with a mark it cannot be said. */
export function withNoFinding(answers: Answers, said: boolean): Answers {
  const { no_finding: _, ...others } = answers
  return said && !answers.marks?.length ? { ...others, no_finding: true } : others
}

/** Nodules that only the AI tells of, in the order of their numbers. */
export function marksOfAi(ai: Ai | null): Nodule[] {
  return Object.values(ai?.nodules ?? {})
    .flatMap(({ place }) => place ?? [])
    .sort((a, b) => a.number - b.number)
}

/** What is drawn in the images: given nodules, the reader's marks and those of the AI. */
export function markersOf(
  nodules: readonly Nodule[],
  marks: readonly Mark[],
  ofAi: readonly Nodule[],
  series: readonly Series[] = [],
): Marker[] {
  const frameOf = (id: number | undefined) =>
    series.find(one => one.id === id)?.frame_of_reference_uid
  return [
    ...nodules.map(({ number, series: of, ...nodule }) => ({
      ...nodule,
      by: 'study' as const,
      label: String(number),
      frame: frameOf(of),
    })),
    ...ofAi.map(({ number, series: of, ...nodule }) => ({
      ...nodule,
      by: 'ai' as const,
      label: `AI ${number}`,
      frame: frameOf(of),
    })),
    ...marks.map(({ id, series: of, point_mm }, i) => ({
      frame: frameOf(of),
      id,
      by: 'reader' as const,
      label: `M${i + 1}`,
      centre_mm: point_mm,
      diameter_mm: null,
    })),
  ]
}
