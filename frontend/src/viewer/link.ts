import type { PatientPoint, Series } from '../api/types'
import { add, subtract } from './geometry'

type Linked = Pick<Series, 'series_uid' | 'frame_of_reference_uid'> & { middle: PatientPoint }

/**
 * How an earlier examination goes along with the current one: a point of the current one and the
 * point of the earlier one that is shown beside it are `offset_mm` apart.
 *
 * Two examinations have no coordinates in common, and nothing is registered here: the offset is
 * that of the two places at which they were linked.
 */
export class Link {
  linked = true
  offset_mm: PatientPoint = [0, 0, 0]
  #key = ''

  /**
   * Begin as the reader has joined them in this tab before; or at the same place where coordinates
   * are shared, or else by the middles of both.
   */
  begin(current: Linked, prior: Linked): void {
    // Both UIDs are pseudonyms of this reading alone.
    this.#key = `link ${current.series_uid} ${prior.series_uid}`
    this.linked = true
    const kept = sessionStorage.getItem(this.#key)
    if (kept) {
      this.offset_mm = JSON.parse(kept)
      return
    }
    const shared = current.frame_of_reference_uid === prior.frame_of_reference_uid
    this.offset_mm = shared ? [0, 0, 0] : subtract(prior.middle, current.middle)
  }

  /** Let them go together from where both are now. */
  join(current: PatientPoint, prior: PatientPoint): void {
    this.offset_mm = subtract(prior, current)
    this.linked = true
    if (this.#key) sessionStorage.setItem(this.#key, JSON.stringify(this.offset_mm))
  }

  toPrior(point: PatientPoint): PatientPoint {
    return add(point, this.offset_mm)
  }

  toCurrent(point: PatientPoint): PatientPoint {
    return subtract(point, this.offset_mm)
  }
}

/** How long before the current examination an earlier one was, in words. */
export function earlier(days: number | null | undefined): string {
  if (days === null || days === undefined) return 'earlier'
  if (days === 0) return 'same day'
  const [count, unit] =
    days < 14
      ? [days, 'day']
      : days < 60
        ? [Math.round(days / 7), 'week']
        : days < 730
          ? [Math.round(days / 30.44), 'month']
          : [Math.round(days / 36.525) / 10, 'year']
  return `${count} ${unit}${count === 1 ? '' : 's'} earlier`
}

/** What a series is called beside others of its examination. */
export function nameOf({ kernel, slice_mm }: Series, number: number): string {
  const parts = [kernel, slice_mm ? `${Math.round(slice_mm * 100) / 100} mm` : ''].filter(Boolean)
  return parts.length > 0 ? parts.join(' ') : `Series ${number}`
}
