import '../styles/panes.css'
import './panel.css'
import type { Series } from '../api/types'
import { createViewer } from '../viewer/create'
import { ImagesUnavailable, type Marker, WINDOW_PRESETS } from '../viewer/viewer'

/* The images of one nodule for a member of the truth panel: a viewer and nothing else. */

const host = document.getElementById('panel-viewer')
const given = document.getElementById('panel-images')

async function start(container: HTMLElement, text: string): Promise<void> {
  const { series, nodule } = JSON.parse(text) as { series: Series; nodule: Marker }
  const viewer = await createViewer(container)
  const told = document.getElementById('panel-told')
  viewer.arrange('mpr')
  viewer.mark([nodule], nodule.id)
  viewer
    .show(series, nodule.centre_mm)
    .then(() => {
      viewer.goTo(nodule.centre_mm, nodule.diameter_mm)
      container.dataset.shown = 'yes'
    })
    .catch(error => {
      const why = error instanceof ImagesUnavailable ? error.message : 'The images cannot be shown.'
      if (told) told.textContent = `${why} Reload the page to try again.`
    })
  for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-window]')) {
    const preset = WINDOW_PRESETS.find(({ name }) => name === button.dataset.window)
    if (preset) button.addEventListener('click', () => viewer.setWindow(preset))
  }
  document
    .querySelector<HTMLButtonElement>('button[data-back]')
    ?.addEventListener('click', () => viewer.goTo(nodule.centre_mm, nodule.diameter_mm))
  addEventListener('pagehide', () => viewer.close())
}

if (host && given?.textContent) start(host, given.textContent).catch(reportError)

/* What hangs on another answer is asked with that answer only, as the server has it too. */

const dependent = [...document.querySelectorAll<HTMLFieldSetElement>('fieldset[data-when]')]

function ask(): void {
  for (const field of dependent) {
    const [name = '', ...values] = (field.dataset.when ?? '').split(' ')
    const chosen = [...document.getElementsByName(name)].some(
      input =>
        input instanceof HTMLInputElement &&
        input.checked &&
        values.includes(input.value) &&
        !input.closest('fieldset')?.disabled,
    )
    field.hidden = !chosen
    field.disabled = !chosen
  }
}

if (dependent.length > 0) {
  document.addEventListener('change', ask)
  ask()
}
