import type { Layout, Measurement, PatientPoint, Plane, Saliency, Series, Tool } from '../api/types'
import type { MousePreset } from './gestures'
import type { Quantities } from './measuring'
import type { Slab } from './slab'
import type { HuStatistics } from './statistics'

export type { Plane } from '../api/types'

export const PLANES: readonly Plane[] = ['axial', 'sagittal', 'coronal']

/**
 * The axial images alone; with the sagittal and coronal ones; all three and an axial slab; those
 * of an earlier examination beside the current one.
 */
export const LAYOUTS: readonly { layout: Layout; name: string }[] = [
  { layout: 'axial', name: 'Axial' },
  { layout: 'mpr', name: '3 planes' },
  { layout: 'quad', name: '2 × 2' },
  { layout: 'compare', name: 'Prior' },
]

/** A display window in Hounsfield units. */
export interface Window {
  centre: number
  width: number
}

export interface WindowPreset extends Window {
  name: string
}

export const WINDOW_PRESETS: readonly WindowPreset[] = [
  { name: 'Lung', centre: -600, width: 1500 },
  { name: 'Soft tissue', centre: 40, width: 400 },
  { name: 'Bone', centre: 400, width: 1800 },
]

/** What the viewer tells the room, for the screen and for the record of the reading. */
export type ViewerEvent =
  | { kind: 'progress'; loaded: number; total: number; failed: number }
  | { kind: 'first_image'; plane: Plane; index: number }
  | { kind: 'series_loaded'; slices: number; failed: number }
  /** There is nothing left to load, of an earlier examination neither. */
  | { kind: 'all_loaded' }
  | { kind: 'prior_loaded'; series: number; slices: number; failed: number }
  /** Another series of the current examination is shown. */
  | { kind: 'series'; series: number }
  /** `offset_mm` leads from a point of the current examination to that of the earlier one. */
  | { kind: 'link'; series: number; automatic: boolean; linked: boolean; offset_mm: PatientPoint }
  /** A plane shows another slice, or another part of it; `span_mm` is what fits into the pane. */
  | {
      kind: 'slice'
      series: number
      /** It is the pane of an earlier examination. */
      prior: boolean
      /** It came about by loading, and is no sign of the reader. */
      automatic?: boolean
      plane: Plane
      index: number
      total: number
      position_mm: PatientPoint
      span_mm: readonly number[]
      /** Across the slice, where the gantry was tilted. */
      normal?: PatientPoint
      /** Nothing is shown: slices are missing. */
      blank?: true
    }
  | { kind: 'window'; centre: number; width: number; inverted: boolean }
  | { kind: 'layout'; layout: Layout; plane?: Plane }
  | { kind: 'crosshair'; on: boolean }
  | { kind: 'slab'; plane: Plane; slab: Slab | null }
  | { kind: 'active'; plane: Plane }
  | { kind: 'cine'; plane: Plane; playing: boolean; slices_per_s: number }
  | { kind: 'magnifier'; on: boolean }
  | { kind: 'tool'; tool: Tool | null }
  /** Something was measured, changed or taken away; `made` is new, `selected` touched last. */
  | {
      kind: 'measurements'
      measurements: readonly Measurement[]
      made: string | null
      selected: string | null
    }
  | { kind: 'saliency'; planes: Plane[] }
  | {
      kind: 'rendering'
      planes: readonly Plane[]
      software: boolean
      /** What there is to know of the series that is shown. */
      notes: readonly string[]
      /** Slabs of it can be shown. */
      slabs: boolean
      /** It is the series of which there are no other planes. */
      withheld: boolean
    }
  | { kind: 'context_lost' }
  | { kind: 'context_restored' }

/** Something at a point of the patient: a given nodule, a mark of the reader's or one of the AI's. */
export interface Marker {
  id: number | string
  by: 'study' | 'reader' | 'ai'
  label: string
  centre_mm: PatientPoint
  /** Null where nobody gave a size. */
  diameter_mm: number | null
  /** The frame of reference of its centre; none where a case has only one. */
  frame?: string | undefined
}

export interface MarkerOnCanvas {
  nodule: Marker['id']
  x: number
  y: number
  radius_px: number
  /** The slice lies off the centre of the nodule. */
  off_centre: boolean
}

export interface MeasurementOnCanvas {
  id: string
  kind: Tool
  points: (readonly [number, number])[]
  /** What is written beside it. */
  lines: string[]
  quantities: Quantities
}

export interface PaneState {
  /** Counted from 1: from the head, from the right, from the front. */
  index: number
  total: number
  position_mm: PatientPoint
  loaded: boolean
  /** Whether it is drawn by now: the axial images are the first. */
  drawn: boolean
  mm_per_pixel: number
  zoom: number
  /** Null where single slices are shown. */
  slab: Slab | null
  letters: { left: string; right: string; top: string; bottom: string }
  /** Canvas pixels (CSS) from the top left of the pane. */
  markers: MarkerOnCanvas[]
  measurements: MeasurementOnCanvas[]
  /** Name of the saliency plane that is drawn, if one is. */
  saliency: string | null
  /** The pane on the page. */
  rect: { x: number; y: number; width: number; height: number }
}

/** The pane of an earlier examination. */
export interface PriorState extends PaneState {
  series: number
  linked: boolean
  offset_mm: PatientPoint
  loaded_images: number
}

export interface ViewerState {
  /** The series of the current examination that is shown. */
  series: number
  loaded: number
  total: number
  failed: number
  layout: Layout
  active: Plane
  window: Window
  inverted: boolean
  markers_shown: boolean
  crosshair: boolean
  tool: Tool | null
  measurements: readonly Measurement[]
  cine: { playing: boolean; slices_per_s: number }
  saliency_opacity: number
  software_rendering: boolean
  magnifier: boolean
  /** What this browser can draw. */
  planes: readonly Plane[]
  panes: Record<Plane, PaneState>
  /** The second axial pane, where the layout has one. */
  beside: PaneState | null
  /** An earlier examination, where the layout has it. */
  prior: PriorState | null
}

/** A CT viewer, spoken to in the terms of a radiologist. */
export interface Viewer {
  /** Load a series and show the slice through `start`; resolves when it can be read. */
  show(series: Series, start: PatientPoint | null): Promise<void>
  /** Show another series of the examination, where the reader is now. */
  switchTo(series: Series): Promise<void>
  /** What `compare` shows beside the current examination; read once that is there. */
  usePrior(series: Series, title: string): void
  /** Let the earlier examination go along from where both are now, or let it go by itself. */
  linkPrior(linked: boolean): void
  /** Show the axial images alone, or the three planes. */
  arrange(layout: Layout): void
  /** Centre every plane on `point`, zoomed in on something `diameter_mm` wide. */
  goTo(point: PatientPoint, diameter_mm?: number | null): void
  /** Move the active plane by whole slices; positive is towards feet, left or back. */
  scroll(slices: number): void
  /** Move the active plane to its first or last slice. */
  scrollToEnd(end: 'first' | 'last'): void
  /** Set the display window of every plane, in Hounsfield units. */
  setWindow(window: Window): void
  /** Swap black and white. */
  invert(): void
  /** Magnify the active plane by `factor`. */
  zoom(factor: number): void
  /** Show the active plane, or every plane, as slabs; null goes back to single slices. */
  setSlab(slab: Slab | null, where: 'active' | 'all'): void
  /** Scroll the active plane by itself, from head to feet, until the reader does something. */
  playCine(playing: boolean): void
  setCineSpeed(slices_per_s: number): void
  /** Back to the whole body, the middle slice, single slices and the lung window. */
  reset(): void
  /** What is to be marked in every plane, and which of it is at hand: what is measured is its. */
  mark(markers: readonly Marker[], selected: Marker['id'] | null): void
  showMarkers(shown: boolean): void
  /** Draw relevance over the planes it belongs to, in the series it is of; null removes it. */
  showSaliency(saliency: Saliency | null, series: number): void
  /** From 0, invisible, to 1. */
  setSaliencyOpacity(opacity: number): void
  /** While on, the left button moves the other planes to the point under the pointer. */
  useCrosshair(on: boolean): void
  /** What the buttons of the mouse do. */
  useMouse(preset: MousePreset): void
  /** While on, what lies under the pointer is shown larger. */
  useMagnifier(on: boolean): void
  /** What the left button draws; null gives it back. Points can be dragged at any time. */
  useTool(tool: Tool | null): void
  /** Show measurements in place of those that are there, which cannot be undone. */
  restoreMeasurements(measurements: readonly Measurement[]): void
  /** Bring a measurement on screen and take it as the one that was touched last. */
  goToMeasurement(id: string): void
  /** Take away the measurement that was touched last. */
  deleteMeasurement(): void
  undoMeasurement(): void
  redoMeasurement(): void
  /** What is said at an arrow. */
  writeAt(id: string, text: string): void
  /** Measurements of a mark that is taken away belong to nothing. */
  releaseMeasurements(nodule: string): void
  /** Hounsfield units in an ellipse; null where its images are not there. */
  statisticsOf(measurement: Measurement): HuStatistics | null
  /** The point under the pointer, or, away from the images, where the three planes meet. */
  pointAtHand(): PatientPoint | null
  /** Give the keyboard to the active plane. */
  focus(): void
  state(): ViewerState
  /** Hear of everything the viewer does; returns how to stop. */
  listen(listener: (event: ViewerEvent) => void): () => void
  /** Free the GPU and the image cache. The viewer is of no use afterwards. */
  close(): void
}

/** The images cannot be shown now; the message says why, and trying again may help. */
export class ImagesUnavailable extends Error {}
