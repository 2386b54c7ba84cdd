import type { Saliency, SaliencyPlane } from '../api/types'
import { isShownBy, placeGrid, relevanceAt, type View } from './geometry'

/** Pixels per cell of the picture that is laid over the image. */
const FINENESS = 16

/** Relevance of a network, drawn over one pane where the pane shows its plane. */
export class SaliencyLayer {
  readonly element = document.createElement('canvas')
  #pictures = new Map<SaliencyPlane, HTMLCanvasElement>()
  #drawn: string | null = null

  constructor() {
    this.element.className = 'saliency-layer'
    this.element.setAttribute('aria-hidden', 'true')
  }

  /** Name of the plane on screen, if any. */
  get drawn(): string | null {
    return this.#drawn
  }

  draw(view: View, saliency: Saliency | null, opacity: number): void {
    const plane = opacity > 0 ? planeToDraw(view, saliency) : null
    this.#drawn = plane?.name ?? null
    this.element.hidden = plane === null // an empty canvas over the image would cost every frame
    if (plane === null || saliency === null) return

    const pixels = window.devicePixelRatio || 1
    const [width, height] = [Math.round(view.width * pixels), Math.round(view.height * pixels)]
    if (this.element.width !== width) this.element.width = width
    if (this.element.height !== height) this.element.height = height
    const context = this.element.getContext('2d')
    if (context === null) return
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.clearRect(0, 0, width, height)
    const picture = this.#picture(plane, saliency.scale)
    const { corner, alongRow, alongColumn } = placeGrid(view, plane)
    context.globalAlpha = opacity
    context.setTransform(
      (pixels * alongRow[0]) / picture.width,
      (pixels * alongRow[1]) / picture.width,
      (pixels * alongColumn[0]) / picture.height,
      (pixels * alongColumn[1]) / picture.height,
      pixels * corner[0],
      pixels * corner[1],
    )
    context.drawImage(picture, 0, 0)
  }

  #picture(plane: SaliencyPlane, scale: number): HTMLCanvasElement {
    const known = this.#pictures.get(plane)
    if (known) return known
    const picture = document.createElement('canvas')
    picture.width = (plane.relevance[0]?.length ?? 0) * FINENESS
    picture.height = plane.relevance.length * FINENESS
    picture.getContext('2d')?.putImageData(paint(plane.relevance, scale), 0, 0)
    this.#pictures.set(plane, picture)
    return picture
  }
}

/** The nearest plane that the pane may show, or null. */
export function planeToDraw(view: View, saliency: Saliency | null): SaliencyPlane | null {
  return saliency?.planes.find(plane => isShownBy(view, plane)) ?? null
}

function paint(grid: number[][], scale: number): ImageData {
  const rows = grid.length * FINENESS
  const columns = (grid[0]?.length ?? 0) * FINENESS
  const image = new ImageData(columns, rows)
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const relevance = relevanceAt(grid, (column + 0.5) / FINENESS, (row + 0.5) / FINENESS)
      image.data.set(colour(scale > 0 ? relevance / scale : 0), 4 * (row * columns + column))
    }
  }
  return image
}

const STOPS: readonly (readonly [number, number, number])[] = [
  [58, 20, 120],
  [158, 40, 120],
  [225, 80, 70],
  [250, 160, 40],
  [252, 240, 130],
]

/** Colour and opacity, 0 to 255, of a relevance from 0 to 1: little of it leaves the image bare. */
export function colour(relevance: number): [number, number, number, number] {
  const value = Math.min(Math.max(relevance, 0), 1)
  const step = Math.min(Math.floor(value * (STOPS.length - 1)), STOPS.length - 2)
  const [from, to] = [STOPS[step], STOPS[step + 1]]
  if (!from || !to) throw new Error('a colour scale has two ends')
  const part = value * (STOPS.length - 1) - step
  const mix = (channel: 0 | 1 | 2) =>
    Math.round(from[channel] + (to[channel] - from[channel]) * part)
  return [mix(0), mix(1), mix(2), Math.round(255 * Math.min(1, value * 2))]
}
