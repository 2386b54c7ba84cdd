import {
  Enums,
  getRenderingCapabilities,
  getWebWorkerManager,
  imageLoader,
  init as initCore,
  type Types,
} from '@cornerstonejs/core'
import { createImage, init as initLoader } from '@cornerstonejs/dicom-image-loader'
import { CtViewer } from './ct-viewer'
import { MixedRendering } from './mixed-rendering'
import { inTime, TooLate } from './patience'
import { type MakeRendering, VolumeRendering } from './rendering'
import { WADO_RS } from './series'
import { frameAt } from './source'
import { StackRendering } from './stack-rendering'
import type { Viewer } from './viewer'

/** Graphics that fail so often are not tried again. */
const MOST_RENDERINGS = 4

/** A slow computer needs a fraction of it. */
const DECODED_WITHIN_MS = 10_000
/** How the image loader names its workers. */
const DECODERS = 'dicomImageLoader'

let initialised = false
let restarted = -DECODED_WITHIN_MS

/** Build a viewer inside `container`: of every plane, or without WebGL2 of the axial one. */
export function createViewer(container: HTMLElement): Viewer {
  if (!initialised) initialise()
  initialised = true
  const { softwareRasterizer } = getRenderingCapabilities()
  let renderings = 0
  const makeRendering: MakeRendering = (canvases, events) => {
    renderings += 1
    const useful = renderings <= MOST_RENDERINGS && hasWebGl2()
    if (!useful) return new StackRendering(canvases, events)
    const Volume = softwareRasterizer ? MixedRendering : VolumeRendering
    return new Volume(canvases, events)
  }
  return new CtViewer(container, makeRendering, softwareRasterizer)
}

/** Asked each time: a graphics card may be there no longer. */
function hasWebGl2(): boolean {
  const context = document.createElement('canvas').getContext('webgl2')
  context?.getExtension('WEBGL_lose_context')?.loseContext() // browsers keep only so many
  return context !== null
}

function initialise(): void {
  // One context is enough: every pane draws the same volume, and its texture is then kept once.
  initCore({ rendering: { webGlContextCount: 1 }, debug: {} })
  initLoader({ maxWebWorkers: decoders() })
  // We ask for no more than we want at a time; here, a task that never ends would count for ever.
  const { workerPoolManager } = getWebWorkerManager()
  workerPoolManager.setMaxSimultaneousRequests(Enums.RequestType.Prefetch, 1000)
  // Images come from us, who may have asked for them before this code was there.
  imageLoader.registerImageLoader(WADO_RS, (imageId, options) => ({
    promise: frameAt(imageId.slice(WADO_RS.length + 1)).then(({ bytes, transfer_syntax }) =>
      inTime(createImage(imageId, bytes, transfer_syntax, options), DECODED_WITHIN_MS).catch(
        error => {
          if (error instanceof TooLate) restartDecoders()
          throw error // it is tried again
        },
      ),
    ) as Promise<Types.IImage>,
  }))
}

/**
 * A worker whose code could not be read never answers, and nothing says so; in its place, another
 * one begins.
 */
function restartDecoders(): void {
  const now = performance.now()
  if (now - restarted < DECODED_WITHIN_MS) return
  restarted = now
  const manager = getWebWorkerManager()
  manager.terminate(DECODERS)
  const { workerFn } = manager.workerRegistry[DECODERS] as unknown as { workerFn: () => Worker }
  manager.registerWorker(DECODERS, workerFn, { maxWorkerInstances: decoders(), overwrite: true })
}

function decoders(): number {
  return Math.min(4, Math.max(2, (navigator.hardwareConcurrency || 4) / 2))
}
