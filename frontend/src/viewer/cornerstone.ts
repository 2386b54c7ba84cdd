import { init } from '@cornerstonejs/core'
import { registerDefaultProviders } from '@cornerstonejs/metadata'
import { type RenderingEvents, VolumeRendering } from './rendering'
import type { Plane } from './viewer'

/*
 * Everything that needs Cornerstone, whose code takes longer to read than an image to be drawn
 * without it: nothing else of the viewer imports it, and it is asked for when it is needed.
 */

let begun = false

/** Draw with Cornerstone on WebGL2. */
export function drawVolumes(
  canvases: Record<Plane, HTMLDivElement>,
  events: RenderingEvents,
  planes?: readonly Plane[],
): VolumeRendering {
  if (!begun) {
    // One context is enough: every pane draws the same volume, and its texture is then kept once.
    init({ rendering: { webGlContextCount: 1 }, debug: {} })
    registerDefaultProviders()
    begun = true
  }
  return new VolumeRendering(canvases, events, planes)
}
