import { type Part, send } from './sending'

/* On the page of an import: sends the files that were chosen, and hands them to the worker. */

const place = document.getElementById('upload')
const line = place?.querySelector<HTMLElement>('.progress-line')
const bar = line?.querySelector('progress')
const said = line?.querySelector('span')
const choices = [...(place?.querySelectorAll<HTMLInputElement>('[data-choose]') ?? [])]
const work = document.getElementById('work') as HTMLFormElement | null

function tell(words: string, sent: number, of: number): void {
  if (!line || !bar || !said) return
  line.hidden = false
  bar.max = of || 1
  bar.value = sent
  said.textContent = words
}

const inMegabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

async function begin(chosen: Part[], address: string): Promise<void> {
  const of = chosen.reduce((sum, { file }) => sum + file.size, 0)
  for (const input of choices) input.disabled = true
  try {
    await send(chosen, address, (sent, waiting) =>
      tell(
        waiting
          ? `No connection; ${inMegabytes(sent)} of ${inMegabytes(of)} are sent. Trying again.`
          : `${inMegabytes(sent)} of ${inMegabytes(of)} are sent`,
        sent,
        of,
      ),
    )
    work?.submit()
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error), 0, of)
    for (const input of choices) input.disabled = false
  }
}

for (const input of choices) {
  input.addEventListener('change', () => {
    const chosen = [...(input.files ?? [])].map(file => ({
      path: file.webkitRelativePath || file.name,
      file,
    }))
    if (chosen.length > 0) begin(chosen, place?.dataset.files ?? '')
  })
}
