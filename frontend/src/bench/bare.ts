/*
 * Cornerstone3D alone with one series, for `make bench-viewer`: nothing of the product is in it.
 */
import {
  Enums,
  eventTarget,
  init as initCore,
  RenderingEngine,
  type StreamingImageVolume,
  setVolumesForViewports,
  type Types,
  volumeLoader,
} from '@cornerstonejs/core'
import { init as initLoader } from '@cornerstonejs/dicom-image-loader'
import { utilities } from '@cornerstonejs/metadata'

declare global {
  interface Window {
    scrollBare?: (slices: number) => void
  }
}

const { root, width, height } = JSON.parse(decodeURIComponent(location.hash.slice(1)))
const element = document.createElement('div')
element.className = 'bare'
element.style.cssText = `width: ${width}px; height: ${height}px`
document.body.append(element)

initCore({ rendering: { webGlContextCount: 1 }, debug: {} })
initLoader({ maxWebWorkers: 2 })
const headers = await (await fetch(`${root}/metadata`)).json()
const imageIds: string[] = await Promise.all(
  headers.map(async (header: Record<string, { Value: string[] }>) => {
    const instance = `${root}/instances/${header['00080018']?.Value[0]}/frames/1`
    const imageId = `wadors:${new URL(instance, location.href).href}`
    await utilities.addDicomWebInstance(imageId, header)
    return imageId
  }),
)
const engine = new RenderingEngine('bare')
engine.setViewports([
  {
    viewportId: 'axial',
    type: Enums.ViewportType.ORTHOGRAPHIC,
    element,
    defaultOptions: { orientation: Enums.OrientationAxis.AXIAL, background: [0, 0, 0] },
  },
])
const volume = (await volumeLoader.createAndCacheVolume('cornerstoneStreamingImageVolume:bare', {
  imageIds,
})) as StreamingImageVolume
;(volume as unknown as { autoRenderOnLoad: boolean }).autoRenderOnLoad = false
await setVolumesForViewports(engine, [{ volumeId: volume.volumeId }], ['axial'])
const viewport = engine.getViewport('axial') as Types.IVolumeViewport
eventTarget.addEventListener(Enums.Events.IMAGE_VOLUME_LOADING_COMPLETED, () => {
  viewport.setProperties({ voiRange: { lower: -1350, upper: 150 } }, volume.volumeId)
  viewport.render()
  window.scrollBare = slices => viewport.scroll(slices)
})
volume.load(() => {})
