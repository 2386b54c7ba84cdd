import { render } from 'preact'
import type { Api } from '../api/client'
import type { Reading } from '../api/types'
import type { NextCase } from '../viewer/next'
import type { Viewer, ViewerState } from '../viewer/viewer'
import { browserCopy } from './draft'
import { Room } from './room'

declare global {
  interface Window {
    /** What the viewer shows, for browser tests; null until there is a viewer. */
    __reread: { readonly viewer: ViewerState | null }
  }
}

/** Show an opened reading in `element`. */
export function mountRoom(
  element: HTMLElement,
  reading: Reading,
  api: Api,
  makeViewer: (container: HTMLElement) => Promise<Viewer>,
  nextCase: NextCase,
): void {
  let viewer: Viewer | null = null
  window.__reread = {
    get viewer() {
      return viewer?.state() ?? null
    },
  }
  const copy = browserCopy(reading.id)
  const onViewer = (made: Viewer) => {
    viewer = made
  }
  element.replaceChildren()
  render(<Room {...{ reading, api, copy, makeViewer, nextCase, onViewer }} />, element)
}
