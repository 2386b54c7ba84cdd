import { useState } from 'preact/hooks'
import {
  nextSlab,
  nextThickness,
  type Projection,
  type Slab,
  USUAL_THICKNESS_MM,
} from '../viewer/slab'
import type { Viewer } from '../viewer/viewer'

/** Slabs of the active plane, as thick as the reader likes them. */
export function useSlabs(viewer: Viewer | null, slab: Slab | null, liked_mm: number | undefined) {
  const [kept_mm, keep] = useState(liked_mm ?? USUAL_THICKNESS_MM)
  const thickness_mm = slab?.thickness_mm ?? kept_mm
  return {
    /** Kept for the next case. */
    kept_mm,
    /** Of the slab on screen, or of the next one. */
    thickness_mm,
    choose: (projection: Projection) => {
      const again = slab?.projection === projection
      viewer?.setSlab(again ? null : { projection, thickness_mm: kept_mm }, 'active')
    },
    /** The next projection here, or this one in every plane. */
    turn: (where: 'active' | 'all') =>
      where === 'all'
        ? viewer?.setSlab(slab, 'all')
        : viewer?.setSlab(nextSlab(slab, kept_mm), 'active'),
    step: (step: 1 | -1) => {
      const changed = nextThickness(thickness_mm, step)
      keep(changed)
      if (slab) viewer?.setSlab({ ...slab, thickness_mm: changed }, 'active')
    },
  }
}
