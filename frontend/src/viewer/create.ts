import { CtViewer } from './ct-viewer'
import { detectGraphics, softwareAsKnown } from './graphics'
import { MixedRendering } from './mixed-rendering'
import type { MakeRendering } from './rendering'
import { StackRendering } from './stack-rendering'
import type { Viewer } from './viewer'

/** Graphics that fail so often are not tried again. */
const MOST_LOSSES = 4

/** Build a viewer inside `container`: of every plane, or without WebGL2 of the axial one. */
export async function createViewer(container: HTMLElement): Promise<Viewer> {
  // To ask the graphics takes longer than to draw an image without them.
  const graphics = softwareAsKnown() ? 'software' : detectGraphics()
  const software = graphics === 'software'
  // Where the processor draws, the axial images come without Cornerstone, and before it.
  const drawVolumes = graphics === 'card' ? await cornerstone() : null
  let losses = 0
  const makeRendering: MakeRendering = (canvases, told, stack) => {
    const events = {
      ...told,
      lost: () => {
        losses += 1
        told.lost()
      },
    }
    const useful = losses < MOST_LOSSES && !stack
    if (useful && software) {
      const unavailable = (error: unknown) => {
        reportError(error)
        return null
      }
      const wanted = async () => (detectGraphics() ? cornerstone().catch(unavailable) : null)
      return new MixedRendering(canvases, events, wanted)
    }
    // Asked each time: a graphics card may be there no longer.
    if (useful && drawVolumes && detectGraphics()) return drawVolumes(canvases, events)
    return new StackRendering(canvases, events)
  }
  return new CtViewer(container, makeRendering, software)
}

async function cornerstone() {
  return (await import('./cornerstone')).drawVolumes
}
