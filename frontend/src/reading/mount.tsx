import { render } from 'preact'
import { type Api, connect } from '../api/client'
import type { Reading } from '../api/types'
import { Outbox } from '../outbox/box'
import type { NextCase } from '../viewer/next'
import type { Viewer, ViewerState } from '../viewer/viewer'
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
  const box = new Outbox(document.body.dataset.reader ?? '')
  const onViewer = (made: Viewer) => {
    viewer = made
  }
  element.replaceChildren()
  render(<Room {...{ reading, api, box, connect, makeViewer, nextCase, onViewer }} />, element)
}
