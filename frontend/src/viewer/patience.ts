/** Nothing came in time. */
export class TooLate extends Error {}

/** The outcome of `work`, or `TooLate` when there is none within `limit_ms`. */
export function inTime<T>(work: Promise<T>, limit_ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const given_up = setTimeout(() => reject(new TooLate('nothing came in time')), limit_ms)
    work.then(resolve, reject).finally(() => clearTimeout(given_up))
  })
}
