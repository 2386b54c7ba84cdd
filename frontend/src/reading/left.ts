import type { AnsweringStage, Reading } from '../api/types'
import type { Outbox, Parcel } from '../outbox/box'
import { onlyAsked, sameAnswers } from './answers'

/** Answers that this browser kept and no one has saved; `name` is where it keeps them. */
export interface Aside {
  name: string
  parcel: Parcel
}

/** What earlier pages of a reading have left in the outbox. */
export interface Left {
  /** To be gone on with, as a draft or as the step that was taken. */
  goOn: Aside | null
  /** To be shown to the reader, who decides. */
  aside: Aside[]
}

/** Sort what is left for `reading`, as the server now has it; what has arrived is let go. */
export function takeLeft(box: Outbox, reading: Reading): Left {
  let goOn: Aside | null = null
  const aside: Aside[] = []
  const seen: Parcel[] = []
  const parcels = box.parcels(reading.id)
  // A step that was taken goes before drafts: it is what the reader did last.
  parcels.sort(([, a], [, b]) => Number(a.step === 'draft') - Number(b.step === 'draft'))
  for (const [name, parcel] of parcels) {
    const known = seen.some(each => sameAnswers(each.answers, parcel.answers))
    if (hasArrived(parcel, reading) || known) {
      box.drop('answers', name)
      continue
    }
    seen.push(parcel)
    if (goOn === null && parcel.stage === reading.stage) goOn = { name, parcel }
    else aside.push({ name, parcel })
  }
  return { goOn, aside }
}

function hasArrived({ stage, step, answers, key }: Parcel, reading: Reading): boolean {
  if (stage !== reading.stage) {
    const locked = reading.answers[stage as AnsweringStage]
    return locked !== null && sameAnswers(locked, onlyAsked(reading.questionnaire, answers))
  }
  const { draft } = reading
  return step === 'draft' && (draft.key === key || sameAnswers(draft.answers, answers))
}
