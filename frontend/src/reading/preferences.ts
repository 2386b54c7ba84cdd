import { useEffect, useRef } from 'preact/hooks'
import type { Api } from '../api/client'
import type { Layout, Preferences, Reading, UsualLayout } from '../api/types'

/** Settings often change several times in a row. */
const QUIET_MS = 1_000

type Hanging = Partial<Pick<Reading, 'layouts' | 'preferences' | 'series'>>
const USUAL: readonly UsualLayout[] = ['mpr', 'axial', 'quad']

/**
 * The layouts that the protocol allows, the usual one first; with an earlier examination, which
 * the server sends where it may be seen, also that beside the current one.
 */
export function layoutsOf({ layouts, series }: Hanging): Layout[] {
  const allowed: Layout[] = [...(layouts ?? USUAL)]
  return series?.some(one => one.prior) ? [...allowed, 'compare'] : allowed
}

/** The layout that a case opens with, or goes back to from comparing. */
export function usualLayout({ layouts, preferences }: Hanging): UsualLayout {
  const allowed = layouts ?? USUAL
  const liked = preferences?.layout
  return liked && allowed.includes(liked) ? liked : (allowed[0] ?? 'axial')
}

/** The same, or an earlier examination beside the current one, unless the reader likes it not. */
export function firstLayout(reading: Hanging): Layout {
  const compares = layoutsOf(reading).includes('compare')
  return compares && reading.preferences?.prior !== 'on_key' ? 'compare' : usualLayout(reading)
}

/** The layout after `layout`, round and round. */
export function nextLayout(layout: Layout, allowed: readonly Layout[]): Layout {
  return allowed[(allowed.indexOf(layout) + 1) % allowed.length] ?? layout
}

/** Keep what the reader sets, for the next case and the next computer. */
export function useKeptPreferences(api: Api, preferences: Preferences): void {
  const said = JSON.stringify(preferences)
  const kept = useRef(said)
  useEffect(() => {
    if (said === kept.current) return
    const timer = setTimeout(() => {
      kept.current = said
      // Nothing is lost but a setting: the next change tries again.
      api.savePreferences(JSON.parse(said)).catch(() => {})
    }, QUIET_MS)
    return () => clearTimeout(timer)
  }, [api, said])
}

/** The layout to go back to from comparing: the last one that was chosen, or the usual one. */
export function useUsualLayout(reading: Reading, now: Layout): UsualLayout {
  const last = useRef(usualLayout(reading))
  if (now !== 'compare') last.current = now
  return last.current
}
