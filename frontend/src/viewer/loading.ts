/** Some come from the server while others are decoded. */
const AT_A_TIME = 12
const ATTEMPTS_PER_IMAGE = 4
const FIRST_RETRY_MS = 1_000

interface Loading {
  /** Load image `index`; rejects when that failed. */
  load(index: number): Promise<void>
  /** The image that the reader looks at now. */
  here(): number
  /** Something came or failed; how much of either there is. */
  progress(index: number, loaded: ReadonlySet<number>, failed: ReadonlySet<number>): void
  /** Those that there are not. */
  absent?: ReadonlySet<number>
  /** The viewer was closed. */
  stopped(): boolean
}

/**
 * Load images 0 to `total` - 1, always the one nearest to the reader first; a failed one is tried
 * again, and given up after four attempts. Resolves when there is nothing left to try.
 */
export async function loadNearestFirst(total: number, loading: Loading): Promise<void> {
  const waiting = new Set(Array.from({ length: total }, (_, index) => index))
  for (const index of loading.absent ?? []) waiting.delete(index)
  const loaded = new Set<number>()
  const failed = new Set<number>()
  const attempts = new Map<number, number>()

  const nearest = (): number | undefined => {
    const here = loading.here()
    let found: number | undefined
    for (const index of waiting) {
      const nearer = found === undefined || Math.abs(index - here) < Math.abs(found - here)
      if (nearer) found = index
    }
    return found
  }
  const tryOne = async (index: number): Promise<void> => {
    try {
      await loading.load(index)
      loaded.add(index)
      failed.delete(index)
    } catch {
      failed.add(index)
    }
    if (loading.stopped()) return
    try {
      loading.progress(index, loaded, failed)
    } catch (error) {
      reportError(error) // what cannot be drawn holds no image up
    }
    const attempt = (attempts.get(index) ?? 0) + 1
    attempts.set(index, attempt)
    if (!failed.has(index) || attempt === ATTEMPTS_PER_IMAGE) return
    await new Promise(resolve => setTimeout(resolve, FIRST_RETRY_MS * 2 ** (attempt - 1)))
    waiting.add(index)
  }
  const work = async (): Promise<void> => {
    for (let next = nearest(); next !== undefined && !loading.stopped(); next = nearest()) {
      waiting.delete(next)
      await tryOne(next)
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work))
}
