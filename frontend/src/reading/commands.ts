import { useEffect, useRef } from 'preact/hooks'
import type { Layout, Mark } from '../api/types'
import { nextSpeed } from '../viewer/cine'
import { type Command, commandOf, focusOf } from '../viewer/keys'
import type { Marker, Viewer } from '../viewer/viewer'
import { WINDOW_PRESETS } from '../viewer/viewer'
import type { Overlay } from './ai'
import { afterRender, type useFormFocus } from './focus'
import type { useImages } from './images'
import type { useMarking } from './marking'
import type { useMeasuring } from './measuring'
import { nextLayout } from './preferences'
import type { SectionId } from './sections'
import type { useSlabs } from './slabs'

/** What a command may touch. */
export interface Obeying {
  viewer: Viewer | null
  shown: ReturnType<typeof useImages>
  layouts: readonly Layout[]
  /** Where comparing goes back to. */
  usual: Layout
  slabs: ReturnType<typeof useSlabs>
  marking: ReturnType<typeof useMarking>
  measuring: ReturnType<typeof useMeasuring>
  form: ReturnType<typeof useFormFocus>
  places: readonly Marker[]
  section: SectionId
  /** The mark whose section is open. */
  mark: Mark | null
  choose(id: SectionId): void
  markers: boolean
  setMarkers(shown: boolean): void
  setOverlay(change: (overlay: Overlay) => Overlay): void
  legend: boolean
  setLegend(shown: boolean): void
  /** Ask whether to lock or submit; back to the answers. */
  ask(): void
  goOn(): void
}

/** Do what a key or a button asks for. */
export function obey(command: Command, room: Obeying) {
  const { viewer, shown, marking, places, section } = room
  switch (command.do) {
    case 'scroll':
      return viewer?.scroll(command.slices)
    case 'end':
      return viewer?.scrollToEnd(command.end)
    case 'preset': {
      const preset = WINDOW_PRESETS[command.index]
      if (preset) viewer?.setWindow(preset)
      return
    }
    case 'zoom':
      return viewer?.zoom(command.factor)
    case 'invert':
      return viewer?.invert()
    case 'reset':
      return viewer?.reset()
    case 'layout':
      return viewer?.arrange(nextLayout(shown.layout, room.layouts))
    case 'compare':
      if (shown.priors.length === 0) return
      return viewer?.arrange(shown.layout === 'compare' ? room.usual : 'compare')
    case 'next_prior': {
      const at = shown.priors.findIndex(({ id }) => id === shown.prior)
      const next = shown.priors[(at + 1) % shown.priors.length]
      return next && shown.choosePrior(next.id)
    }
    case 'link':
      return shown.layout === 'compare' ? viewer?.linkPrior(!shown.linked) : undefined
    case 'series':
      return shown.switchTo(shown.nextSeries)
    case 'magnifier':
      return viewer?.useMagnifier(!shown.magnifier)
    case 'crosshair':
      return viewer?.useCrosshair(!shown.crosshair)
    case 'tool':
      return viewer?.useTool(shown.tool === command.tool ? null : command.tool)
    case 'delete':
      if (room.mark && !room.measuring.hasSelected()) return marking.unmark(room.mark)
      return viewer?.deleteMeasurement()
    case 'undo':
      return viewer?.undoMeasurement()
    case 'redo':
      return viewer?.redoMeasurement()
    case 'take': {
      const field = document.activeElement?.closest<HTMLElement>('[data-question]')
      const atHand = field?.dataset.question ?? null
      if (room.measuring.take(atHand) && atHand) afterRender(() => room.form.goToNext(atHand))
      return
    }
    case 'mark':
      return marking.markAt(viewer?.pointAtHand() ?? null)
    case 'no_finding':
      return marking.sayNone()
    case 'slab':
      return room.slabs.turn(command.where)
    case 'thickness':
      return room.slabs.step(command.step)
    case 'cine':
      return viewer?.playCine(!shown.cine.playing)
    case 'speed':
      return viewer?.setCineSpeed(nextSpeed(shown.cine.slices_per_s, command.step))
    case 'markers':
      viewer?.showMarkers(!room.markers)
      return room.setMarkers(!room.markers)
    case 'nodule': {
      const index = places.findIndex(({ id }) => id === section)
      const from = index < 0 && command.step < 0 ? 0 : index
      const to = places[(from + command.step + places.length) % places.length]
      if (to) room.choose(to.id)
      return
    }
    case 'overlay':
      return room.setOverlay(({ on, opacity }) => ({ on: !on, opacity }))
    case 'opacity':
      return room.setOverlay(({ opacity }) => ({
        on: true,
        opacity: Math.min(1, Math.max(0.1, opacity + command.step)),
      }))
    case 'legend':
      return room.setLegend(!room.legend)
    case 'form':
      return room.form.goToForm()
    case 'images':
      room.setLegend(false)
      room.goOn()
      return viewer?.focus()
    case 'finish':
      return room.ask()
  }
}

/** Obey the keys of the keyboard; returns how else to have a command obeyed. */
export function useCommands(room: Obeying): (command: Command) => void {
  const latest = useRef(room)
  latest.current = room // as of this render: the next key may come before any effect has run
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented) return
      const command = commandOf(event, focusOf(event.target as Element | null))
      if (command === null) return
      event.preventDefault()
      obey(command, latest.current)
    }
    document.addEventListener('keydown', onKeyDown)
    return () => document.removeEventListener('keydown', onKeyDown)
  }, [])
  return command => {
    obey(command, room)
  }
}
