import type { Nodule } from '../api/types'
import type { Layout } from '../viewer/viewer'
import { WINDOW_PRESETS, type Window } from '../viewer/viewer'

interface ToolbarProps {
  layout: Layout
  window: Window
  inverted: boolean
  crosshair: boolean
  markers: boolean
  nodules: Nodule[]
  selected: number | null
  disabled: boolean
  onLayout(): void
  onWindow(window: Window): void
  onInvert(): void
  onCrosshair(): void
  onMarkers(): void
  onReset(): void
  onNodule(nodule: Nodule): void
  onLegend(): void
}

export function Toolbar(props: ToolbarProps) {
  const { window, nodules, disabled } = props
  return (
    <div class="toolbar" role="toolbar" aria-label="Images">
      <fieldset class="group" aria-label="Nodules">
        {nodules.map(nodule => (
          <Tool
            key={nodule.id}
            name={`Nodule ${nodule.number}`}
            shortcut={nodules.length === 1 ? 'N' : ''}
            on={nodule.id === props.selected}
            disabled={disabled}
            onClick={() => props.onNodule(nodule)}
          />
        ))}
      </fieldset>
      <fieldset class="group" aria-label="Window">
        {WINDOW_PRESETS.map((preset, i) => (
          <Tool
            key={preset.name}
            name={preset.name}
            shortcut={String(i + 1)}
            on={preset.centre === window.centre && preset.width === window.width}
            disabled={disabled}
            onClick={() => props.onWindow(preset)}
          />
        ))}
        <Tool
          name="Invert"
          shortcut="I"
          on={props.inverted}
          {...{ disabled }}
          onClick={props.onInvert}
        />
      </fieldset>
      <fieldset class="group" aria-label="Display">
        <Tool
          name="3 planes"
          shortcut="L"
          on={props.layout === 'mpr'}
          {...{ disabled }}
          onClick={props.onLayout}
        />
        <Tool
          name="Crosshair"
          shortcut="C"
          on={props.crosshair}
          {...{ disabled }}
          onClick={props.onCrosshair}
        />
        <Tool
          name="Markers"
          shortcut="M"
          on={props.markers}
          {...{ disabled }}
          onClick={props.onMarkers}
        />
        <Tool name="Reset" shortcut="R" {...{ disabled }} onClick={props.onReset} />
      </fieldset>
      <Tool name="Keys" shortcut="?" disabled={false} onClick={props.onLegend} />
    </div>
  )
}

function Tool(props: {
  name: string
  shortcut: string
  /** Leave out for a button that has no state. */
  on?: boolean
  disabled: boolean
  onClick(): void
}) {
  return (
    <button
      type="button"
      class="tool"
      aria-pressed={props.on}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      {props.name}
      {props.shortcut && <kbd>{props.shortcut}</kbd>}
    </button>
  )
}
