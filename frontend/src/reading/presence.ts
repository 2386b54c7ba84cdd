import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { NoduleAi } from '../api/types'
import type { EventQueue } from './events'
import { artefactsOnScreen, exposureChanges, type Shown } from './exposure'

/** Write down which AI artefacts come on screen and which leave it, with the page or without. */
export function useExposure(
  events: EventQueue,
  nodule: number | null,
  ai: NoduleAi | undefined,
  overlayDrawn: boolean,
): void {
  const [pageVisible, setPageVisible] = useState(!document.hidden)
  const before = useRef<Shown[]>([])
  const record = useCallback(
    (now: Shown[]) => {
      const { shown, hidden } = exposureChanges(before.current, now)
      before.current = now
      for (const item of hidden) events.add('ai_hidden', { ...item })
      for (const item of shown) events.add('ai_shown', { ...item })
    },
    [events],
  )
  useEffect(
    () => record(artefactsOnScreen(nodule, ai, { overlayDrawn, pageVisible })),
    [record, nodule, ai, overlayDrawn, pageVisible],
  )
  useEffect(() => {
    let visible = !document.hidden
    const turn = (now: boolean) => {
      if (now === visible) return
      visible = now
      events.add(now ? 'visible' : 'hidden')
      if (!now) record([]) // at once: a page that goes away renders no more
      setPageVisible(now)
    }
    const onChange = () => turn(!document.hidden)
    const onHide = () => turn(false)
    document.addEventListener('visibilitychange', onChange)
    addEventListener('pagehide', onHide)
    addEventListener('pageshow', onChange)
    return () => {
      document.removeEventListener('visibilitychange', onChange)
      removeEventListener('pagehide', onHide)
      removeEventListener('pageshow', onChange)
    }
  }, [events, record])
}

/** Calls `leave` when the page is hidden or goes away. */
export function useLeaving(leave: () => void): void {
  useEffect(() => {
    const whenHidden = () => document.visibilityState === 'hidden' && leave()
    addEventListener('pagehide', leave)
    document.addEventListener('visibilitychange', whenHidden)
    return () => {
      removeEventListener('pagehide', leave)
      document.removeEventListener('visibilitychange', whenHidden)
    }
  }, [leave])
}
