import type { PatientPoint, Series } from '../api/types'

/** A nodule as it is stored: LPS millimetres. */
export interface Placed {
  id: number
  series: number
  number: number
  label: string
  centre_mm: PatientPoint
  diameter_mm: number | null
}

/** What the page of a case is given. */
export interface Case {
  may_change: boolean
  address: string
  series: Series[]
  nodules: Placed[]
}

/** One change: a new nodule in a series, or another place, diameter or end of one. */
export interface Wish {
  series?: number
  nodule?: number
  remove?: boolean
  point_mm?: number[]
  diameter_mm?: number | string | null
}

/**
 * Ask for a change; returns the nodules that are there then.
 *
 * @throws Error with what the server has against it, or that it cannot be reached.
 */
export async function changeNodules(address: string, wish: Wish): Promise<Placed[]> {
  const token = /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? ''
  const answer = await fetch(address, {
    method: 'POST',
    credentials: 'same-origin',
    headers: { 'Content-Type': 'application/json', 'X-CSRFToken': token },
    body: JSON.stringify(wish),
  }).catch(() => null)
  const said = await answer?.json().catch(() => null)
  if (answer?.ok && Array.isArray(said?.nodules)) return said.nodules
  throw new Error(said?.detail ?? 'The change did not reach the server. Try again.')
}
