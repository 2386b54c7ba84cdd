import { useEffect, useState } from 'preact/hooks'
import type { Api } from '../api/client'
import type { Truth } from '../api/types'

/** What is known of a training case, once its reader has submitted it. */
export function Feedback({ api, places }: { api: Pick<Api, 'truth'>; places: boolean }) {
  const [truth, setTruth] = useState<Truth[] | 'loading' | 'missing'>('loading')
  useEffect(() => {
    api.truth().then(
      ({ nodules }) => setTruth(nodules),
      () => setTruth('missing'),
    )
  }, [api])
  return (
    <section class="feedback" aria-label="The truth of this training case">
      <h2>This training case</h2>
      {truth === 'loading' && <p>Looking up what is known…</p>}
      {truth === 'missing' && (
        <p>What is known could not be loaded. Reload the page to try again.</p>
      )}
      {Array.isArray(truth) && truth.length === 0 && <p>Nothing is known of its nodules.</p>}
      {Array.isArray(truth) && (
        <ul>
          {truth.map(({ nodule, number, centre_mm, malignant, source }) => (
            <li key={nodule} data-malignant={malignant}>
              Nodule {number}
              {places && ` at ${centre_mm.map(mm => mm.toFixed(0)).join(', ')} mm`}:{' '}
              <strong>{wordsOf(malignant)}</strong> ({source})
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function wordsOf(malignant: boolean | null): string {
  if (malignant === null) return 'not known'
  return malignant ? 'malignant' : 'benign'
}
