import { useEffect, useRef } from 'preact/hooks'
import type { Api } from '../api/client'
import type { Layout, Preferences, Reading } from '../api/types'

/** Settings often change several times in a row. */
const QUIET_MS = 1_000

/** The layouts that this case can be shown in, as the protocol allows, the usual one first. */
export function layoutsOf(reading: Pick<Reading, 'layouts' | 'series'>): Layout[] {
  const hasPrior = reading.series.some(series => series.prior)
  const allowed = (reading.layouts ?? ['mpr', 'axial', 'quad', 'prior']).filter(
    layout => layout !== 'prior' || hasPrior,
  )
  return allowed.length > 0 ? allowed : ['axial']
}

/** The layout that a case opens with. */
export function firstLayout(reading: Pick<Reading, 'layouts' | 'series' | 'preferences'>): Layout {
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
