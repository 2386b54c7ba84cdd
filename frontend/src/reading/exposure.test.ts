import { expect, test } from 'vitest'
import type { NoduleAi } from '../api/types'
import { artefactsOnScreen, exposureChanges } from './exposure'

const AI: NoduleAi = {
  status: 'done',
  detail: '',
  score: { probability: 0.5, probability_raw: 0.5, wording: 'chance', unlike_training: null },
  semantic: {},
  saliency: {
    planes: [],
    scale: 1,
    token_mm: 7,
    faithfulness: { deletion_drop: 0, random_drop: 0 },
  },
}
const looking = { overlayDrawn: true, pageVisible: true }

test('an overlay counts as shown only while it is drawn on a slice', () => {
  const artefacts = (overlayDrawn: boolean) =>
    artefactsOnScreen(1, AI, { overlayDrawn, pageVisible: true }).map(({ artefact }) => artefact)
  expect(artefacts(true)).toEqual(['score', 'semantic', 'saliency'])
  expect(artefacts(false)).toEqual(['score', 'semantic'])
})

test('nothing is on screen in a hidden tab, in the case section, or where the AI failed', () => {
  expect(artefactsOnScreen(1, AI, { ...looking, pageVisible: false })).toEqual([])
  expect(artefactsOnScreen(null, AI, looking)).toEqual([])
  expect(artefactsOnScreen(1, { ...AI, status: 'failed' }, looking)).toEqual([])
  expect(artefactsOnScreen(1, undefined, looking)).toEqual([])
})

test('similar nodules are on screen when there are some', () => {
  const one = { distance: 0.1, malignant: true, truth: 'panel', diameter_mm: 9, image: 'data:,' }
  const artefacts = (similar: (typeof one)[]) =>
    artefactsOnScreen(1, { ...AI, similar }, looking).map(({ artefact }) => artefact)
  expect(artefacts([one])).toContain('similar')
  expect(artefacts([])).not.toContain('similar')
})

test('going to another nodule hides one set of artefacts and shows another', () => {
  const { shown, hidden } = exposureChanges(
    artefactsOnScreen(1, AI, looking),
    artefactsOnScreen(2, { ...AI, semantic: undefined } as unknown as NoduleAi, looking),
  )
  expect(hidden.length).toBe(3)
  expect(shown).toEqual([
    { nodule: 2, artefact: 'score' },
    { nodule: 2, artefact: 'saliency' },
  ])
})
