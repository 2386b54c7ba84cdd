import '../styles/base.css'
import '../styles/room.css'
import '../styles/images.css'
import '../styles/panes.css'
import '../styles/form.css'
import './place.css'
import { render } from 'preact'
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { Layout, Series } from '../api/types'
import { type Command, commandOf, focusOf } from '../viewer/keys'
import { LAYOUTS, type Viewer, WINDOW_PRESETS } from '../viewer/viewer'
import { type Case, changeNodules, type Placed, type Wish } from './nodules'

/*
 * The images of a case for a coordinator, who says where its nodules are before readers rate them.
 * Each change is sent at once; the server says what is there then.
 */

const viewerCode = import('../viewer/create')
viewerCode.catch(() => {}) // told in the place of the images

function Desk({ given, names }: { given: Case; names: DOMStringMap }) {
  const host = useRef<HTMLDivElement>(null)
  const [viewer, setViewer] = useState<Viewer | null>(null)
  const [series, setSeries] = useState<Series | undefined>(given.series[0])
  const [nodules, setNodules] = useState(given.nodules)
  const [selected, setSelected] = useState<number | null>(null)
  const [layout, setLayout] = useState<Layout>('mpr')
  const [loaded, setLoaded] = useState('Loading the images')
  const [problem, setProblem] = useState('')
  const mine = nodules.filter(one => one.series === series?.id)

  useEffect(() => {
    const open = async () => {
      if (!host.current || !given.series[0]) return setProblem('This case has no images.')
      const made = await (await viewerCode).createViewer(host.current)
      window.__reread = {
        get viewer() {
          return made.state()
        },
      }
      made.listen(event => {
        if (event.kind === 'progress') setLoaded(`${event.loaded} of ${event.total} images`)
        if (event.kind === 'layout') setLayout(event.layout)
      })
      made.arrange('mpr')
      await made.show(given.series[0], given.nodules[0]?.centre_mm ?? null)
      setViewer(made)
      made.focus()
    }
    open().catch(error => {
      console.error(error)
      setProblem('The images could not be loaded. Reload the page to try again.')
    })
  }, [given])

  useEffect(() => {
    const markers = mine.map(({ id, number, centre_mm, diameter_mm }) => ({
      ...{ id, centre_mm, diameter_mm },
      by: 'study' as const,
      label: String(number),
    }))
    viewer?.mark(markers, selected)
  }, [viewer, mine, selected])

  const change = useCallback(
    async (wish: Wish) => {
      setProblem('')
      try {
        const now = await changeNodules(given.address, wish)
        setSelected(selected =>
          wish.nodule === undefined ? (now.at(-1)?.id ?? null) : wish.remove ? null : selected,
        )
        setNodules(now)
      } catch (error) {
        setProblem(error instanceof Error ? error.message : String(error))
      }
    },
    [given],
  )
  const place = (nodule?: Placed) => {
    const point = viewer?.pointAtHand()
    if (!point || !series || !given.may_change) return
    change({
      ...(nodule ? { nodule: nodule.id } : { series: series.id }),
      point_mm: [...point],
      diameter_mm: nodule?.diameter_mm ?? null,
    })
  }
  const choose = (nodule: Placed | undefined) => {
    if (!nodule) return
    setSelected(nodule.id)
    viewer?.goTo(nodule.centre_mm, nodule.diameter_mm)
  }

  useEffect(() => {
    const obey = (command: Command) => {
      switch (command.do) {
        case 'scroll':
          return viewer?.scroll(command.slices)
        case 'end':
          return viewer?.scrollToEnd(command.end)
        case 'preset': {
          const preset = WINDOW_PRESETS[command.index]
          return preset && viewer?.setWindow(preset)
        }
        case 'zoom':
          return viewer?.zoom(command.factor)
        case 'invert':
          return viewer?.invert()
        case 'reset':
          return viewer?.reset()
        case 'layout': {
          const at = LAYOUTS.findIndex(one => one.layout === layout)
          return viewer?.arrange(LAYOUTS[(at + 1) % LAYOUTS.length]?.layout ?? 'mpr')
        }
        case 'nodule': {
          const at = mine.findIndex(({ id }) => id === selected)
          return choose(mine[(at + command.step + mine.length) % mine.length])
        }
        case 'mark':
          return place()
        case 'images':
          return viewer?.focus()
      }
    }
    const onKey = (event: KeyboardEvent) => {
      const command = commandOf(event, focusOf(document.activeElement))
      if (!command) return
      event.preventDefault()
      obey(command)
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  })

  return (
    <div class="room desk">
      <header class="topbar">
        <a class="back" href={names.back ?? '/'}>
          ← Cases
        </a>
        <h1>Nodules of {names.case}</h1>
        <span class="study">{names.study}</span>
        <span class="saved" role="status">
          {loaded}
        </span>
      </header>
      <section class="images" aria-label="CT images">
        <div class="toolbar">
          <div class="group">
            {WINDOW_PRESETS.map(preset => (
              <button
                key={preset.name}
                type="button"
                class="tool"
                onClick={() => viewer?.setWindow(preset)}
              >
                {preset.name}
              </button>
            ))}
          </div>
          <div class="group">
            {LAYOUTS.map(one => (
              <button
                key={one.layout}
                type="button"
                class="tool"
                aria-pressed={one.layout === layout}
                onClick={() => viewer?.arrange(one.layout)}
              >
                {one.name}
              </button>
            ))}
          </div>
        </div>
        <div class="stage">
          <div class="viewer-host" ref={host} />
        </div>
      </section>
      <aside class="panel" aria-label="Nodules" data-keys="form">
        {given.series.length > 1 && (
          <label>
            Series{' '}
            <select
              value={series?.id}
              onChange={event => {
                const chosen = given.series.find(({ id }) => id === +event.currentTarget.value)
                setSeries(chosen)
                if (chosen) viewer?.show(chosen, null)
              }}
            >
              {given.series.map(({ id, slices }, index) => (
                <option key={id} value={id}>
                  {index + 1}: {slices} slices
                </option>
              ))}
            </select>
          </label>
        )}
        {given.may_change ? (
          <p class="quiet">
            Point at the centre of a nodule and press <kbd>X</kbd>. Shift and click brings the other
            planes to a point.
          </p>
        ) : (
          <p class="quiet">The cases are dealt out: the nodules stay as they are.</p>
        )}
        {problem && (
          <p class="told" role="alert">
            {problem}
          </p>
        )}
        <ol class="placed">
          {mine.map(nodule => (
            <Nodule
              key={nodule.id}
              nodule={nodule}
              selected={nodule.id === selected}
              may_change={given.may_change}
              onChoose={() => choose(nodule)}
              onHere={() => place(nodule)}
              onChange={change}
            />
          ))}
        </ol>
        {mine.length === 0 && <p>No nodule is placed yet.</p>}
        {given.may_change && (
          <button type="button" disabled={!viewer} onClick={() => place()}>
            Place a nodule where the planes meet
          </button>
        )}
      </aside>
    </div>
  )
}

function Nodule({
  nodule,
  selected,
  may_change,
  onChoose,
  onHere,
  onChange,
}: {
  nodule: Placed
  selected: boolean
  may_change: boolean
  onChoose(): void
  onHere(): void
  onChange(wish: Wish): void
}) {
  const { id, number, centre_mm, diameter_mm } = nodule
  return (
    <li aria-current={selected}>
      <button type="button" onClick={onChoose} aria-label={`Go to nodule ${number}`}>
        Nodule {number}
      </button>{' '}
      <span>{centre_mm.map(value => value.toFixed(1)).join(', ')} mm</span>
      {may_change && (
        <div>
          <label>
            Diameter, mm{' '}
            <input
              inputMode="decimal"
              size={5}
              value={diameter_mm ?? ''}
              aria-label={`Diameter of nodule ${number}, mm`}
              onChange={event => {
                const text = event.currentTarget.value.trim().replace(',', '.')
                // What is no number is sent as it is: the server says so.
                const diameter_mm = text === '' ? null : Number(text) || text
                onChange({ nodule: id, point_mm: [...centre_mm], diameter_mm })
              }}
            />
          </label>
          <button type="button" onClick={onHere} aria-label={`Move nodule ${number} here`}>
            Move here
          </button>
          <button
            type="button"
            onClick={() => onChange({ nodule: id, remove: true })}
            aria-label={`Remove nodule ${number}`}
          >
            Remove
          </button>
        </div>
      )}
    </li>
  )
}

const room = document.getElementById('room')
const given = JSON.parse(document.getElementById('case')?.textContent ?? 'null') as Case | null
if (room && given) {
  room.replaceChildren()
  render(<Desk given={given} names={document.body.dataset} />, room)
}
