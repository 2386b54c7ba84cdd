import {
  getRenderingCapabilities,
  imageLoader,
  init as initCore,
  type Types,
} from '@cornerstonejs/core'
import { createImage, init as initLoader } from '@cornerstonejs/dicom-image-loader'
import { CtViewer } from './ct-viewer'
import { VolumeRendering } from './rendering'
import { WADO_RS } from './series'
import { frameAt } from './source'
import { type Viewer, ViewerUnavailable } from './viewer'

let initialised = false

/**
 * Build a viewer inside `container`.
 *
 * @throws ViewerUnavailable when the browser has no WebGL2.
 */
export function createViewer(container: HTMLElement): Viewer {
  const { webgl2, softwareRasterizer } = getRenderingCapabilities()
  if (!webgl2) {
    throw new ViewerUnavailable(
      'This browser cannot show the images: WebGL2 is missing. Use a current Chrome, Edge or Firefox with graphics acceleration switched on.',
    )
  }
  if (!initialised) {
    initialise()
    initialised = true
  }
  return new CtViewer(
    container,
    (canvases, events) => new VolumeRendering(canvases, events),
    softwareRasterizer,
  )
}

function initialise(): void {
  // One context is enough: every pane draws the same volume, and its texture is then kept once.
  initCore({ rendering: { webGlContextCount: 1 }, debug: {} })
  initLoader({
    maxWebWorkers: Math.min(4, Math.max(2, (navigator.hardwareConcurrency || 4) / 2)),
  })
  // Images come from us, who may have asked for them before this code was there.
  imageLoader.registerImageLoader(WADO_RS, (imageId, options) => ({
    promise: frameAt(imageId.slice(WADO_RS.length + 1)).then(({ bytes, transfer_syntax }) =>
      createImage(imageId, bytes, transfer_syntax, options),
    ) as Promise<Types.IImage>,
  }))
}
