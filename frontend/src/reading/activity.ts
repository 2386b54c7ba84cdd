import { useEffect } from 'preact/hooks'
import type { EventQueue } from './events'

const SIGNS = ['pointerdown', 'pointermove', 'keydown', 'wheel'] as const
const EVERY_MS = 10_000

/**
 * Write down what reading time is derived from: which section is open (`nodule`; null: a mark,
 * or the case), whether the page began hidden, and that somebody is there.
 */
export function useActivity(events: EventQueue, nodule: number | null, mark: string | null): void {
  useEffect(() => {
    if (document.hidden) events.add('hidden')
    const input = () => events.addThrottled('input', 'input', {}, EVERY_MS)
    for (const sign of SIGNS) addEventListener(sign, input, { capture: true, passive: true })
    return () => {
      for (const sign of SIGNS) removeEventListener(sign, input, { capture: true })
    }
  }, [events])
  useEffect(
    () => events.add('section', mark === null ? { nodule } : { nodule, mark }),
    [events, nodule, mark],
  )
}
