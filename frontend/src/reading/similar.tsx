import type { Similar } from '../api/types'

/** The nodules of known truth that the model finds most alike, nearest first. */
export function SimilarNodules({ similar }: { similar: Similar[] }) {
  return (
    <section class="similar" aria-label="Similar nodules of known truth">
      <h2 class="title">Similar nodules</h2>
      <ol>
        {similar.map(({ image, malignant, truth, diameter_mm, distance }) => (
          <li key={image}>
            <img src={image} alt="" width={64} height={64} />
            <span class={malignant ? 'malignant' : 'benign'}>
              {malignant ? 'malignant' : 'benign'}
            </span>
            <span class="quiet">
              {diameter_mm.toFixed(0)} mm, {truth}
            </span>
            <span class="quiet">distance {distance.toFixed(2)}</span>
          </li>
        ))}
      </ol>
      <p class="quiet">
        Axial, 50 mm wide, nearest first: alike to the model, not necessarily to the eye.
      </p>
    </section>
  )
}
