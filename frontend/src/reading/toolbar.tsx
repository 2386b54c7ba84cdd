import type { Layout, Tool as MeasuringTool } from '../api/types'
import { TOOLS } from '../viewer/measuring'
import { PROJECTIONS, type Projection, type Slab } from '../viewer/slab'
import { LAYOUTS, type Marker, WINDOW_PRESETS, type Window } from '../viewer/viewer'

/** Series of the examination that is read, and earlier examinations, where there are any. */
interface Comparing {
  series: readonly { id: number; name: string }[]
  shown: number
  priors: readonly { id: number; name: string }[]
  /** The one on screen, or 0. */
  prior: number
  linked: boolean
}

interface ToolbarProps {
  layout: Layout
  window: Window
  inverted: boolean
  crosshair: boolean
  tool: MeasuringTool | null
  markers: boolean
  /** Of the active plane. */
  slab: Slab | null
  thickness_mm: number
  cine: { playing: boolean; slices_per_s: number }
  /** Nodules and marks, to go to. */
  places: readonly Marker[]
  selected: Marker['id'] | null
  disabled: boolean
  /** Every plane can be shown. */
  planes: boolean
  layouts: readonly Layout[]
  comparing: Comparing
  magnifier: boolean
  onSeries(id: number): void
  onPrior(id: number): void
  onLink(): void
  onMagnifier(): void
  onLayout(layout: Layout): void
  onWindow(window: Window): void
  onInvert(): void
  onCrosshair(): void
  onTool(tool: MeasuringTool): void
  onMarkers(): void
  onProjection(projection: Projection): void
  onThickness(step: 1 | -1): void
  onCine(): void
  onSpeed(step: 1 | -1): void
  onReset(): void
  onPlace(id: Marker['id']): void
  onLegend(): void
}

export function Toolbar(props: ToolbarProps) {
  const { window, places, disabled } = props
  return (
    <div class="toolbar" role="toolbar" aria-label="Images">
      {places.length > 0 && (
        <fieldset class="group" aria-label="Nodules">
          {places.map(({ id, by, label }) => (
            <Tool
              key={id}
              name={by === 'study' ? `Nodule ${label}` : label}
              shortcut={places.length === 1 ? 'N' : ''}
              on={id === props.selected}
              disabled={disabled}
              onClick={() => props.onPlace(id)}
            />
          ))}
        </fieldset>
      )}
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
        {LAYOUTS.filter(({ layout }) => props.layouts.includes(layout)).map(({ layout, name }) => (
          <Tool
            key={layout}
            name={name}
            shortcut={layout === 'compare' ? 'V' : layout === props.layout ? 'L' : ''}
            on={layout === props.layout}
            disabled={disabled || (!props.planes && layout !== 'axial' && layout !== 'compare')}
            onClick={() => props.onLayout(layout)}
          />
        ))}
      </fieldset>
      {props.comparing.prior !== 0 && (
        <fieldset class="group" aria-label="Earlier examinations">
          {props.comparing.priors.length > 1 &&
            props.comparing.priors.map(({ id, name }) => (
              <Tool
                key={id}
                name={name}
                on={id === props.comparing.prior}
                {...{ disabled }}
                shortcut=""
                onClick={() => props.onPrior(id)}
              />
            ))}
          <Tool
            name="Linked"
            shortcut="J"
            on={props.comparing.linked}
            {...{ disabled }}
            onClick={props.onLink}
          />
        </fieldset>
      )}
      {props.comparing.series.length > 1 && (
        <fieldset class="group" aria-label="Series">
          {props.comparing.series.map(({ id, name }) => (
            <Tool
              key={id}
              name={name}
              shortcut={id === props.comparing.shown ? 'W' : ''}
              on={id === props.comparing.shown}
              {...{ disabled }}
              onClick={() => props.onSeries(id)}
            />
          ))}
        </fieldset>
      )}
      <fieldset class="group" aria-label="Tools">
        <Tool
          name="Magnifier"
          shortcut="G"
          on={props.magnifier}
          {...{ disabled }}
          onClick={props.onMagnifier}
        />
        <Tool
          name="Crosshair"
          shortcut="C"
          on={props.crosshair}
          disabled={disabled || !props.planes}
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
      <fieldset class="group" aria-label="Measuring">
        {TOOLS.map(({ tool, name, key }) => (
          <Tool
            key={tool}
            name={name}
            shortcut={key}
            on={props.tool === tool}
            {...{ disabled }}
            onClick={() => props.onTool(tool)}
          />
        ))}
      </fieldset>
      <fieldset class="group" aria-label="Slab">
        {PROJECTIONS.map(({ projection, name }, i) => (
          <Tool
            key={projection}
            name={name}
            shortcut={i === 0 ? 'S' : ''}
            on={props.slab?.projection === projection}
            {...{ disabled }}
            onClick={() => props.onProjection(projection)}
          />
        ))}
        <Stepper
          what="Slab"
          value={`${props.thickness_mm} mm`}
          less={['Thinner', ',']}
          more={['Thicker', '.']}
          {...{ disabled }}
          onStep={props.onThickness}
        />
      </fieldset>
      <fieldset class="group" aria-label="Cine">
        <Tool
          name="Cine"
          shortcut="P"
          on={props.cine.playing}
          {...{ disabled }}
          onClick={props.onCine}
        />
        <Stepper
          what="Cine"
          value={`${props.cine.slices_per_s} / s`}
          less={['Slower', '<']}
          more={['Faster', '>']}
          {...{ disabled }}
          onStep={props.onSpeed}
        />
      </fieldset>
      <Tool name="Keys" shortcut="?" disabled={false} onClick={props.onLegend} />
    </div>
  )
}

/** A value between two buttons that make it smaller and larger. */
function Stepper(props: {
  what: string
  value: string
  less: [name: string, shortcut: string]
  more: [name: string, shortcut: string]
  disabled: boolean
  onStep(step: 1 | -1): void
}) {
  const button = ([name, shortcut]: [string, string], sign: string, step: 1 | -1) => (
    <button
      type="button"
      class="tool step"
      aria-label={`${props.what}: ${name.toLowerCase()}`}
      title={`${name} (${shortcut})`}
      disabled={props.disabled}
      onClick={() => props.onStep(step)}
    >
      {sign}
    </button>
  )
  return (
    <span class="stepper">
      {button(props.less, '−', -1)}
      <output>{props.value}</output>
      {button(props.more, '+', 1)}
    </span>
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
      title={props.shortcut && `${props.name} (${props.shortcut})`}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      {props.name}
      {props.shortcut && <kbd>{props.shortcut}</kbd>}
    </button>
  )
}
