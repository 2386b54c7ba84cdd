import { bufferOf, KeptImages, type ToKeeper } from './kept'

/*
 * Keeps the images of the next case from one page to the next.
 *
 * Every case is a page of its own, so what one page has fetched is gone for the next, unless it is
 * kept somewhere. The browser's caches, IndexedDB and the cache of a service worker are all files on
 * the disk of a workstation that many people use: patients' images must not lie there, which is why
 * the server says `no-store`. This worker is memory and nothing else. It is emptied when the reader
 * goes anywhere but to the next case (the worklist, where one logs out, or another site), when no
 * page takes the images in time, and with the browser. It never fetches anything, so it holds what
 * the page of a signed-in reader was given, and gives it away only once.
 */

/** Far more than a chest CT; slices beyond it are read when the case is. */
const LIMIT_BYTES = 256 * 1024 * 1024
/** So long a page may take to come; after that the images are forgotten. */
const TIME_TO_COME_MS = 15_000

const kept = new KeptImages(LIMIT_BYTES)
let forgetting: ReturnType<typeof setTimeout> | undefined

addEventListener('connect', event => {
  const [port] = (event as MessageEvent).ports
  if (!port) return
  port.onmessage = ({ data }: MessageEvent<ToKeeper>) => {
    clearTimeout(forgetting)
    switch (data.do) {
      case 'keep_headers':
        return kept.keepHeaders(data.reading, data.address, data.headers)
      case 'keep_image':
        return port.postMessage(kept.keepImage(data.reading, data.address, data.image))
      case 'take': {
        const given = kept.take(data.reading)
        return port.postMessage(
          given,
          given.images.map(([, image]) => bufferOf(image)),
        )
      }
      case 'leave':
        forgetting = setTimeout(() => kept.empty(), TIME_TO_COME_MS)
        return
      case 'empty':
        return kept.empty()
    }
  }
})
