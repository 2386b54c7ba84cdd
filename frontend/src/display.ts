/** Measures the display for the form of its check; what is seen on it the reader says. */

const ZOOMS = [25, 33, 50, 67, 75, 80, 90, 100, 110, 125, 150, 175, 200, 250, 300, 400, 500]

interface Measured {
  width_px: number
  height_px: number
  pixel_ratio: number
  zoom_percent: number
  colour_depth: number
  webgl2: 'yes' | 'no'
  software_rendering: 'yes' | 'no'
  renderer: string
}

function measure(): Measured {
  const context = document.createElement('canvas').getContext('webgl2')
  const info = context?.getExtension('WEBGL_debug_renderer_info')
  const renderer = String(
    (context && info && context.getParameter(info.UNMASKED_RENDERER_WEBGL)) ?? '',
  )
  // The window with its frame is as many pixels of the screen at any zoom.
  const estimate = (100 * outerWidth) / Math.max(1, innerWidth)
  const zoom_percent = ZOOMS.reduce((best, zoom) =>
    Math.abs(zoom - estimate) < Math.abs(best - estimate) ? zoom : best,
  )
  const pixel_ratio = Number(((100 * devicePixelRatio) / zoom_percent).toFixed(3))
  return {
    width_px: Math.round(screen.width * pixel_ratio),
    height_px: Math.round(screen.height * pixel_ratio),
    pixel_ratio,
    zoom_percent,
    colour_depth: screen.colorDepth,
    webgl2: context ? 'yes' : 'no',
    software_rendering: /swiftshader|llvmpipe|software|basic render/i.test(renderer) ? 'yes' : 'no',
    renderer: renderer.slice(0, 200),
  }
}

function show(form: HTMLFormElement): void {
  const found = measure()
  for (const [name, value] of Object.entries(found)) {
    const known = form.querySelector<HTMLInputElement>(`input[type=hidden][name="${name}"]`)
    const input = known ?? document.createElement('input')
    input.type = 'hidden'
    input.name = name
    input.value = String(value)
    form.append(input)
  }
  const graphics =
    found.webgl2 === 'no'
      ? 'no WebGL2: axial images only'
      : found.software_rendering === 'yes'
        ? 'without a graphics card'
        : found.renderer || 'WebGL2'
  const shown: Record<string, string> = {
    size: `${found.width_px} × ${found.height_px} pixels, ${found.colour_depth} bit`,
    pixel_ratio: String(found.pixel_ratio),
    zoom: `${found.zoom_percent} %`,
    graphics,
  }
  for (const [name, text] of Object.entries(shown)) {
    const place = form.querySelector(`[data-shows="${name}"]`)
    if (place) place.textContent = text
  }
}

const form = document.querySelector<HTMLFormElement>('#display-check')
if (form) {
  show(form)
  addEventListener('resize', () => show(form))
}
