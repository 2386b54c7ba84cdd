import { getRenderingCapabilities, init as initCore } from '@cornerstonejs/core'
import { CtViewer } from './ct-viewer'
import { startDecoders } from './decoding'
import { MixedRendering } from './mixed-rendering'
import { type MakeRendering, VolumeRendering } from './rendering'
import { StackRendering } from './stack-rendering'
import type { Viewer } from './viewer'

/** Graphics that fail so often are not tried again. */
const MOST_RENDERINGS = 4

/** What this tab's last page found out, so that the next one need not ask before its first image. */
const GRAPHICS = 'reread-graphics'

startDecoders() // with the code: the reading is still being asked for

/** Build a viewer inside `container`: of every plane, or without WebGL2 of the axial one. */
export function createViewer(container: HTMLElement): Viewer {
  // To ask the graphics takes longer than to draw an image without them.
  const knownSoftware = sessionStorage.getItem(GRAPHICS) === 'software'
  const softwareRasterizer = knownSoftware || detectGraphics()
  let renderings = 0
  const makeRendering: MakeRendering = (canvases, events) => {
    renderings += 1
    const useful = renderings <= MOST_RENDERINGS
    if (useful && softwareRasterizer) {
      return new MixedRendering(canvases, events, (...those) => {
        detectGraphics()
        return hasWebGl2() ? new VolumeRendering(...those) : null
      })
    }
    if (useful && hasWebGl2()) return new VolumeRendering(canvases, events)
    return new StackRendering(canvases, events)
  }
  return new CtViewer(container, makeRendering, softwareRasterizer)
}

/** Start Cornerstone's drawing; returns whether the processor imitates the graphics card. */
function detectGraphics(): boolean {
  // One context is enough: every pane draws the same volume, and its texture is then kept once.
  initCore({ rendering: { webGlContextCount: 1 }, debug: {} })
  const { softwareRasterizer } = getRenderingCapabilities()
  if (softwareRasterizer) sessionStorage.setItem(GRAPHICS, 'software')
  else sessionStorage.removeItem(GRAPHICS)
  return softwareRasterizer
}

/** Asked each time: a graphics card may be there no longer. */
function hasWebGl2(): boolean {
  const context = document.createElement('canvas').getContext('webgl2')
  context?.getExtension('WEBGL_lose_context')?.loseContext() // browsers keep only so many
  return context !== null
}
