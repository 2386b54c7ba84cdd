import type { Artefact, NoduleAi } from '../api/types'

/** One AI artefact of one nodule, as it can be seen on the screen. */
export interface Shown {
  nodule: number
  artefact: Artefact
}

/** What of the AI is on screen while the section of `nodule` is open. */
export function artefactsOnScreen(
  nodule: number | null,
  ai: NoduleAi | undefined,
  { overlayDrawn, pageVisible }: { overlayDrawn: boolean; pageVisible: boolean },
): Shown[] {
  if (nodule === null || ai?.status !== 'done' || !pageVisible) return []
  const artefacts: Artefact[] = []
  if (ai.score) artefacts.push('score')
  if (ai.semantic) artefacts.push('semantic')
  if (ai.saliency && overlayDrawn) artefacts.push('saliency')
  if (ai.similar?.length) artefacts.push('similar')
  return artefacts.map(artefact => ({ nodule, artefact }))
}

/** What appeared and what went between two moments. */
export function exposureChanges(before: readonly Shown[], after: readonly Shown[]) {
  const within = (list: readonly Shown[]) => (shown: Shown) =>
    list.some(({ nodule, artefact }) => nodule === shown.nodule && artefact === shown.artefact)
  return {
    shown: after.filter(item => !within(before)(item)),
    hidden: before.filter(item => !within(after)(item)),
  }
}
