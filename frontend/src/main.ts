import './styles/base.css'
import './styles/room.css'
import './styles/images.css'
import './styles/panes.css'
import './styles/form.css'
import './styles/ai.css'
import { connect, Refusal } from './api/client'
import { mountRoom } from './reading/mount'
import { startDecoders } from './viewer/decoding'
import { nextCase, takePrepared } from './viewer/next'
import { askAhead } from './viewer/source'

const room = document.getElementById('room')
const readingId = Number(document.body.dataset.reading)
// Asked for at once: the reading is on its way meanwhile.
const viewerCode = import('./viewer/create')
viewerCode.catch(() => {}) // told in the place of the images, once they are wanted

// Where images may have been prepared, decoders begin when they are wanted.
if (!/\/reading\/\d+/.test(document.referrer)) startDecoders()

async function start(element: HTMLElement): Promise<void> {
  const api = connect(readingId)
  // Taken in any case, so that nothing is left; shown only once the server has let this reader in.
  const prepared = takePrepared(readingId)
  // Asked for once: the page says whether the reading is still to be opened.
  const isNew = document.body.dataset.stage === 'assigned'
  let reading = isNew ? await api.open() : await api.reading()
  if (reading.stage === 'assigned') reading = await api.open()
  await prepared
  const [series, nodule] = [reading.series[0], reading.nodules[0]]
  // told, too, once the viewer asks
  if (series) askAhead(series, nodule?.centre_mm ?? null).catch(() => {})
  const next = nextCase(reading.next, id => connect(id).reading())
  const makeViewer = async (container: HTMLElement) => (await viewerCode).createViewer(container)
  mountRoom(element, reading, api, makeViewer, next)
}

/** Say why there is nothing to see, with a way out. */
function explain(element: HTMLElement, error: unknown): void {
  const message = document.createElement('p')
  message.className = 'cannot-start'
  message.setAttribute('role', 'alert')
  const worklist = document.createElement('a')
  worklist.href = '/'
  worklist.textContent = 'Worklist'
  const why =
    error instanceof Refusal
      ? error.message
      : 'The reading could not be opened: no connection to the server. Reload the page to try again.'
  message.append(`${why} `, worklist)
  element.replaceChildren(message)
}

if (room && readingId) start(room).catch(error => explain(room, error))
