import { useCallback, useEffect, useState } from 'preact/hooks'
import { type Api, Refusal, Unreachable } from '../api/client'
import type { Ai, NoduleAi, Stage } from '../api/types'
import type { Viewer } from '../viewer/viewer'
import type { Overlay } from './ai'
import type { ReadingEvent, ReadingState } from './state'

/** What the AI says, once the stage shows it and it has come. */
export function aiOf(state: ReadingState): Ai | null {
  if (state.stage !== 'aided') return null
  return typeof state.result === 'object' && 'ai' in state.result ? state.result.ai : null
}

/** Ask for what the AI says as soon as the stage shows it; returns how to ask again. */
export function useAi(
  api: Api,
  stage: Stage,
  dispatch: (event: ReadingEvent) => void,
): () => Promise<void> {
  const fetchAi = useCallback(async () => {
    try {
      dispatch({ type: 'ai_arrived', ai: await api.ai() })
    } catch (error) {
      dispatch({ type: 'ai_missing', detail: whyNot(error) })
    }
  }, [api])
  useEffect(() => {
    if (stage === 'aided') fetchAi()
  }, [stage, fetchAi])
  return fetchAi
}

/** What is drawn over the images for the AI, and whether it is there. */
export function useOverlay() {
  const [overlay, setOverlay] = useState<Overlay>({ on: true, opacity: 0.45 })
  const [drawn, setDrawn] = useState(false)
  return { overlay, setOverlay, drawn, setDrawn }
}

/** Draw the saliency of the nodule at hand. */
export function useSaliency(
  viewer: Viewer | null,
  overlay: Overlay,
  ai: NoduleAi | null | undefined,
  /** In which the nodule lies. */
  series: number,
): void {
  useEffect(() => {
    viewer?.showSaliency((overlay.on && ai?.saliency) || null, series)
    viewer?.setSaliencyOpacity(overlay.opacity)
  }, [viewer, overlay, ai, series])
}

function whyNot(error: unknown): string {
  if (error instanceof Refusal && error.code === 'not_authenticated') {
    return 'You are signed out. Sign in again in another tab, then try once more.'
  }
  if (error instanceof Unreachable) return 'No connection to the server. Try again in a moment.'
  return error instanceof Error ? error.message : String(error)
}
