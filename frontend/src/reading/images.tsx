import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Layout, Preferences, Reading, Series, Tool } from '../api/types'
import { USUAL_SPEED } from '../viewer/cine'
import { MOUSE_PRESETS, type MousePreset } from '../viewer/gestures'
import { LEGEND } from '../viewer/keys'
import { earlier, nameOf } from '../viewer/link'
import type { Slab } from '../viewer/slab'
import {
  type Marker,
  PLANES,
  type Plane,
  type Viewer,
  type ViewerEvent,
  type Window,
} from '../viewer/viewer'
import type { EventQueue } from './events'
import { firstLayout } from './preferences'

interface Images {
  state: 'loading' | 'shown' | 'complete' | 'unavailable' | 'lost'
  problem: string
  loaded: number
  total: number
  failed: number
}

/** Build the viewer, load the images, and keep what the toolbar needs to know of them. */
export function useImages({
  reading,
  makeViewer,
  onViewer,
  events,
  onOverlayDrawn,
  onComplete,
  onMeasured,
}: {
  reading: Reading
  makeViewer(container: HTMLElement): Promise<Viewer>
  onViewer(viewer: Viewer): void
  events: EventQueue
  onOverlayDrawn(drawn: boolean): void
  /** All images of this case are there. */
  onComplete(): void
  onMeasured(event: Extract<ViewerEvent, { kind: 'measurements' }>): void
}) {
  const host = useRef<HTMLDivElement>(null)
  const [viewer, setViewer] = useState<Viewer | null>(null)
  const [layout, setLayout] = useState<Layout>(firstLayout(reading))
  const [series, setSeries] = useState(reading.series[0]?.id ?? 0)
  const [linked, setLinked] = useState(true)
  const priors = useMemo(() => reading.series.filter(one => one.prior), [reading])
  const [prior, setPrior] = useState(priors[0]?.id ?? 0)
  const [magnifier, setMagnifier] = useState(false)
  const [window, setWindow] = useState<Window>({ centre: -600, width: 1500 })
  const [inverted, setInverted] = useState(false)
  const [crosshair, setCrosshair] = useState(false)
  const [tool, setTool] = useState<Tool | null>(null)
  const [active, setActive] = useState<Plane>('axial')
  const [slabs, setSlabs] = useState<Partial<Record<Plane, Slab | null>>>({})
  const [cine, setCine] = useState({
    playing: false,
    slices_per_s: reading.preferences?.slices_per_s ?? USUAL_SPEED,
  })
  const [planes, setPlanes] = useState<readonly Plane[]>(PLANES)
  const [limits, setLimits] = useState({
    notes: [] as readonly string[],
    slabs: true,
    withheld: false,
  })
  const [images, setImages] = useState<Images>({
    state: 'loading',
    problem: '',
    loaded: 0,
    total: reading.series[0]?.slices ?? 0,
    failed: 0,
  })

  // Until there is something to see, what the viewer does is none of the reader's doing.
  const visible = useRef(false)
  const measured = useRef(onMeasured)
  measured.current = onMeasured
  const onEvent = useCallback(
    (event: ViewerEvent) => {
      const { kind, ...data } = event
      switch (event.kind) {
        case 'progress': {
          const { loaded, total, failed } = event
          return setImages(images => ({ ...images, loaded, total, failed }))
        }
        case 'first_image':
          performance.mark(kind) // for whoever measures how long opening takes
          visible.current = true
          // A small series may be there before the browser draws its first image.
          setImages(images =>
            images.state === 'complete' ? images : { ...images, state: 'shown' },
          )
          return events.add(kind, data)
        case 'series_loaded':
          performance.mark(kind)
          setImages(images => ({ ...images, state: 'complete', failed: event.failed }))
          return events.add(kind, data)
        case 'all_loaded':
          return onComplete()
        case 'prior_loaded':
          return events.add(kind, data)
        case 'series':
          setSeries(event.series)
          return events.add(kind, data)
        case 'link':
          setLinked(event.linked)
          return events.add(kind, data)
        case 'slice': {
          const pane = `slice ${event.plane}${event.prior ? ' prior' : ''}`
          if (visible.current) events.addThrottled(pane, kind, data)
          return
        }
        case 'window':
          setWindow({ centre: event.centre, width: event.width })
          setInverted(event.inverted)
          if (visible.current) events.addThrottled('window', kind, data)
          return
        case 'layout':
          setLayout(event.layout)
          return events.add(kind, data)
        case 'crosshair':
          return setCrosshair(event.on)
        case 'active':
          return setActive(event.plane)
        case 'slab':
          setSlabs(slabs => ({ ...slabs, [event.plane]: event.slab }))
          if (visible.current) events.addThrottled(`slab ${event.plane}`, kind, data)
          return
        case 'cine':
          setCine({ playing: event.playing, slices_per_s: event.slices_per_s })
          if (visible.current) events.add(kind, data)
          return
        case 'magnifier':
          return setMagnifier(event.on)
        case 'tool':
          return setTool(event.tool)
        case 'measurements':
          measured.current(event)
          // What was measured is in the answers; here, that it was done then.
          return events.add(kind, { count: event.measurements.length, made: event.made })
        case 'saliency':
          return onOverlayDrawn(event.planes.length > 0)
        case 'rendering':
          setPlanes(event.planes)
          setLimits({ notes: event.notes, slabs: event.slabs, withheld: event.withheld })
          return events.add(kind, { planes: event.planes, software: event.software })
        case 'context_lost':
          setImages(images => ({ ...images, state: 'lost' }))
          return events.add(kind, data)
        case 'context_restored':
          setImages(images => ({
            ...images,
            state: images.loaded + images.failed < images.total ? 'shown' : 'complete',
          }))
          return events.add(kind, data)
      }
    },
    [events, onOverlayDrawn, onComplete],
  )

  // a viewer lives as long as its page
  useEffect(() => {
    const open = async () => {
      const series = reading.series[0]
      if (!host.current || !series) throw new Error('This case has no images.')
      const viewer = await makeViewer(host.current).catch(as('The viewer could not be loaded.'))
      viewer.listen(onEvent)
      onViewer(viewer)
      setViewer(viewer)
      viewer.arrange(firstLayout(reading))
      const { mouse, slices_per_s } = reading.preferences ?? {}
      if (mouse) viewer.useMouse(mouse)
      if (slices_per_s) viewer.setCineSpeed(slices_per_s)
      if (priors[0]) viewer.usePrior(priors[0], titleOf(priors[0], priors))
      await viewer
        .show(series, reading.nodules[0]?.centre_mm ?? null)
        .catch(as('The images could not be loaded.'))
      viewer.focus()
    }
    open().catch(({ message, cause }) => {
      console.error(message, cause)
      setImages(images => ({ ...images, state: 'unavailable', problem: message }))
      events.add('images_unavailable', { detail: cause instanceof Error ? cause.message : message })
    })
  }, [])

  const current = reading.series.filter(one => !one.prior).map(({ id }) => id)
  const slab = slabs[active] ?? null
  const every = planes.length === PLANES.length
  return {
    viewer,
    host,
    images,
    every,
    /** What the reader has to know of the series that is shown, and whether it makes slabs. */
    notes: every || limits.withheld ? limits.notes : [NO_PLANES, ...limits.notes],
    slabs: limits.slabs,
    /** Of the current examination, the one that is shown. */
    series,
    /** The one after it, round and round. */
    nextSeries: current[(current.indexOf(series) + 1) % current.length] ?? series,
    switchTo: async (id: number) => {
      const wanted = reading.series.find(one => one.id === id && !one.prior)
      if (wanted) await viewer?.switchTo(wanted).catch(reportError)
    },
    /** Earlier examinations: the one that is shown, or would be, and how it goes along. */
    priors,
    prior,
    linked,
    /** To a place, in a series that has its coordinates. */
    goTo: ({ frame, centre_mm, diameter_mm }: Marker) => {
      const here = reading.series.find(one => one.id === series)
      const with_it = reading.series.find(one => !one.prior && one.frame_of_reference_uid === frame)
      const elsewhere = frame !== undefined && here?.frame_of_reference_uid !== frame
      const go = () => viewer?.goTo(centre_mm, diameter_mm)
      if (elsewhere && with_it) viewer?.switchTo(with_it).then(go).catch(reportError)
      else go()
    },
    choosePrior: (id: number) => {
      const wanted = priors.find(one => one.id === id)
      if (!wanted) return
      setPrior(id)
      viewer?.usePrior(wanted, titleOf(wanted, priors))
      viewer?.arrange('compare')
    },
    magnifier,
    layout,
    window,
    inverted,
    crosshair,
    tool,
    slab,
    cine,
  }
}

/** What stands in the pane of an earlier examination. */
function titleOf(prior: Series, priors: readonly Series[]): string {
  const ofIts = priors.filter(({ study_uid }) => study_uid === prior.study_uid)
  const name = ofIts.length > 1 ? `, ${nameOf(prior, ofIts.indexOf(prior) + 1)}` : ''
  return `Prior, ${earlier(prior.days_before)}${name}`
}

/** What the toolbar offers of further series and earlier examinations. */
export function comparingOf(
  reading: Reading,
  { series, priors, prior, linked, layout }: ReturnType<typeof useImages>,
) {
  const current = reading.series.filter(one => !one.prior)
  return {
    series: current.map((one, i) => ({ id: one.id, name: nameOf(one, i + 1) })),
    shown: series,
    priors: priors.map(one => ({ id: one.id, name: titleOf(one, priors) })),
    prior: layout === 'compare' ? prior : 0,
    linked,
  }
}

/** Tell the reader `words` of what failed, whose own are for engineers. */
function as(words: string): (cause: unknown) => never {
  return cause => {
    throw new Error(words, { cause })
  }
}

/** How the loading goes, and what is wrong with the images. */
export function ImagesNotice({ images }: { images: Images }) {
  const { state, loaded, total, failed } = images
  if (state === 'unavailable' || state === 'lost') {
    return (
      <div class="banner" role="alert">
        <p>
          {state === 'lost'
            ? 'The graphics card stopped showing the images; they are being drawn again. Your answers are safe.'
            : `${images.problem} The form can still be used.`}
        </p>
        <button type="button" data-action="reload" onClick={() => location.reload()}>
          Reload the images
        </button>
      </div>
    )
  }
  if (state === 'complete') {
    return failed === 0 ? null : (
      <div class="banner" role="alert">
        <p>
          {failed} of {total} images could not be loaded and are shown black.
        </p>
        <button type="button" data-action="reload" onClick={() => location.reload()}>
          Reload the images
        </button>
      </div>
    )
  }
  return (
    <div class="loading">
      <progress value={loaded} max={Math.max(1, total)} aria-label="Loading images" />
      <span>
        Loading images {loaded} / {total}
        {failed > 0 && `, ${failed} tried again`}
      </span>
    </div>
  )
}

const NO_PLANES =
  'Axial images only: the sagittal and coronal planes and the crosshair cannot be drawn here, which ' +
  'needs WebGL2. A current Chrome, Edge or Firefox with graphics acceleration shows them; where it ' +
  'did before, reload the page.'

/** What cannot be shown, of a series or in this browser; the reader may put the note away. */
export function ImagesLimits({ notes }: { notes: readonly string[] }) {
  const [read, setRead] = useState('')
  const said = notes.join(' ')
  if (said === '' || said === read) return null
  return (
    <div class="banner note" role="status">
      {notes.map(note => (
        <p key={note}>{note}</p>
      ))}
      <button type="button" onClick={() => setRead(said)}>
        Understood
      </button>
    </div>
  )
}

const HANGING: Record<NonNullable<Preferences['prior']>, string> = {
  beside: 'beside the current one when a case opens',
  on_key: 'when V is pressed',
}

export function Legend({
  mouse,
  onMouse,
  prior,
  onPrior,
  onClose,
}: {
  mouse: MousePreset
  onMouse(preset: MousePreset): void
  prior: NonNullable<Preferences['prior']>
  onPrior(prior: NonNullable<Preferences['prior']>): void
  onClose(): void
}) {
  return (
    <section class="legend-sheet" aria-label="Keys">
      {LEGEND.map(([title, rows]) => (
        <div key={title}>
          <h2>{title}</h2>
          <dl>
            {rows.map(([keys, what]) => (
              <div key={keys}>
                <dt>{keys}</dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </div>
      ))}
      <fieldset>
        <legend>Mouse buttons, kept for you</legend>
        {(Object.keys(MOUSE_PRESETS) as MousePreset[]).map(preset => (
          <label key={preset}>
            <input
              type="radio"
              name="mouse"
              checked={preset === mouse}
              onChange={() => onMouse(preset)}
            />
            {MOUSE_PRESETS[preset].name}
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>Earlier examinations, kept for you</legend>
        {(Object.keys(HANGING) as (keyof typeof HANGING)[]).map(when => (
          <label key={when}>
            <input
              type="radio"
              name="prior"
              checked={when === prior}
              onChange={() => onPrior(when)}
            />
            {HANGING[when]}
          </label>
        ))}
      </fieldset>
      <button type="button" onClick={onClose}>
        Close <kbd>?</kbd>
      </button>
    </section>
  )
}
