import { useEffect, useRef } from 'preact/hooks'
import type { Api } from '../api/client'
import type { Layout, Preferences, Reading } from '../api/types'

/** Settings often change several times in a row. */
const QUIET_MS = 1_000

/** The layouts that the protocol allows, the usual one first. */
export function layoutsOf({ layouts }: Pick<Reading, 'layouts'>): Layout[] {
  return layouts ?? ['mpr', 'axial', 'quad']
}

/** The layout that a case opens with. */
export function firstLayout(reading: Pick<Reading, 'layouts' | 'preferences'>): Layout {
  const allowed = layoutsOf(reading)
  const liked = reading.preferences?.layout
  return liked && allowed.includes(liked) ? liked : (allowed[0] ?? 'axial')
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
