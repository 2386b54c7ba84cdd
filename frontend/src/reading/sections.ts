import type { Problem } from '../api/types'
import type { Marker } from '../viewer/viewer'
import { NO_FINDING } from './answers'
import type { Tab } from './tabs'

/** Section "case", or the id of a nodule or of a mark. */
export type SectionId = 'case' | number | string

/** A tab for each nodule and mark, and one for the case where something is asked about it. */
export function tabsOf(
  places: readonly Marker[],
  asksOfCase: boolean,
  missing: readonly Problem[],
): (Tab & { section: SectionId })[] {
  const named = ({ by, label }: Marker) =>
    by === 'ai' ? label : by === 'study' ? `Nodule ${label}` : `Mark ${label.slice(1)}`
  const ofCase = missing.filter(
    ({ nodule, question }) => nodule === null && question !== NO_FINDING,
  )
  const tabs: (Tab & { section: SectionId })[] = places.map(place => ({
    id: String(place.id),
    label: named(place),
    section: place.id,
    missing: place.by === 'ai' ? null : missing.filter(({ nodule }) => nodule === place.id).length,
  }))
  if (asksOfCase) tabs.push({ id: 'case', label: 'Case', section: 'case', missing: ofCase.length })
  return tabs
}

/** What is told of where the reader goes: nodules have numbers, marks are named by UUIDs. */
export function placeOf(id: SectionId) {
  return typeof id === 'number' ? { nodule: id } : { nodule: null, mark: id }
}
