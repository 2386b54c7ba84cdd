/** What this tab's last page found out, so that the next one need not ask before its first image. */
const KNOWN = 'reread-graphics'

const IMITATIONS = /swiftshader|llvmpipe|softpipe|software|microsoft basic render/i

/** Whether the processor imitates the graphics card, as far as this tab knows already. */
export function softwareAsKnown(): boolean {
  return sessionStorage.getItem(KNOWN) === 'software'
}

/** Who draws with WebGL2: a graphics card, or the processor in its place; null where there is none. */
export function detectGraphics(): 'card' | 'software' | null {
  const context = document.createElement('canvas').getContext('webgl2')
  if (!context) {
    sessionStorage.removeItem(KNOWN)
    return null
  }
  const named = context.getExtension('WEBGL_debug_renderer_info')
  const renderer = context.getParameter(named?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER)
  context.getExtension('WEBGL_lose_context')?.loseContext() // browsers keep only so many
  const graphics = IMITATIONS.test(String(renderer)) ? 'software' : 'card'
  if (graphics === 'software') sessionStorage.setItem(KNOWN, graphics)
  else sessionStorage.removeItem(KNOWN)
  return graphics
}
