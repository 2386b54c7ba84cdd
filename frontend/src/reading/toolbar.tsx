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
  /** Slices can be put together to slabs. */
  slabs: boolean
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
  const { window, places, disabled, comparing } = props
  const preset = WINDOW_PRESETS.find(
    ({ centre, width }) => centre === window.centre && width === window.width,
  )
  const layouts = LAYOUTS.filter(({ layout }) => props.layouts.includes(layout))
  const isOff = (layout: Layout) => !props.planes && layout !== 'axial' && layout !== 'compare'
  // With more to choose from, the other choices take less room: all of it stays in one row.
  const crowded = comparing.series.length > 1 || comparing.priors.length > 0
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
        {crowded ? (
          <Menu
            name="Window preset"
            none="Window"
            choices={WINDOW_PRESETS.map(({ name }) => ({ id: name, name }))}
            chosen={preset?.name ?? ''}
            {...{ disabled }}
            onChoose={wanted => {
              const chosen = WINDOW_PRESETS.find(({ name }) => name === wanted)
              if (chosen) props.onWindow(chosen)
            }}
          />
        ) : (
          WINDOW_PRESETS.map((one, i) => (
            <Tool
              key={one.name}
              name={one.name}
              shortcut={String(i + 1)}
              on={one === preset}
              disabled={disabled}
              onClick={() => props.onWindow(one)}
            />
          ))
        )}
        <Tool
          name="Invert"
          shortcut="I"
          on={props.inverted}
          {...{ disabled }}
          onClick={props.onInvert}
        />
      </fieldset>
      <fieldset class="group" aria-label="Display">
        {crowded ? (
          <Menu
            name="Layout"
            choices={layouts.map(({ layout, name }) => ({
              id: layout,
              name,
              disabled: isOff(layout),
            }))}
            chosen={props.layout}
            {...{ disabled }}
            onChoose={props.onLayout}
          />
        ) : (
          layouts.map(({ layout, name }) => (
            <Tool
              key={layout}
              name={name}
              shortcut={layout === 'compare' ? 'V' : layout === props.layout ? 'L' : ''}
              on={layout === props.layout}
              disabled={disabled || isOff(layout)}
              onClick={() => props.onLayout(layout)}
            />
          ))
        )}
      </fieldset>
      {props.comparing.prior !== 0 && (
        <fieldset class="group" aria-label="Earlier examinations">
          {props.comparing.priors.length > 1 && (
            <Menu
              name="Earlier examination"
              choices={props.comparing.priors}
              chosen={props.comparing.prior}
              {...{ disabled }}
              onChoose={props.onPrior}
            />
          )}
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
        <Menu
          name="Series"
          shortcut="W"
          choices={props.comparing.series}
          chosen={props.comparing.shown}
          {...{ disabled }}
          onChoose={props.onSeries}
        />
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
        {crowded ? (
          <Menu
            name="Measuring tool"
            none="Measure"
            choices={TOOLS.map(({ tool, name }) => ({ id: tool, name }))}
            chosen={props.tool ?? ''}
            {...{ disabled }}
            onChoose={props.onTool}
            onNone={() => props.tool && props.onTool(props.tool)}
          />
        ) : (
          TOOLS.map(({ tool, name, key }) => (
            <Tool
              key={tool}
              name={name}
              shortcut={key}
              on={props.tool === tool}
              {...{ disabled }}
              onClick={() => props.onTool(tool)}
            />
          ))
        )}
      </fieldset>
      <fieldset class="group" aria-label="Slab">
        {PROJECTIONS.map(({ projection, name }, i) => (
          <Tool
            key={projection}
            name={name}
            shortcut={i === 0 ? 'S' : ''}
            on={props.slab?.projection === projection}
            disabled={disabled || !props.slabs}
            onClick={() => props.onProjection(projection)}
          />
        ))}
        <Stepper
          what="Slab"
          value={`${props.thickness_mm} mm`}
          less={['Thinner', ',']}
          more={['Thicker', '.']}
          disabled={disabled || !props.slabs}
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

/** One of several, in the room of one. */
function Menu<Id extends string | number>(props: {
  name: string
  shortcut?: string
  /** What stands there while none is chosen. */
  none?: string
  choices: readonly { id: Id; name: string; disabled?: boolean }[]
  chosen: Id | ''
  disabled: boolean
  onChoose(id: Id): void
  onNone?(): void
}) {
  return (
    <select
      class="tool menu"
      aria-label={props.name}
      title={props.shortcut ? `${props.name} (${props.shortcut})` : props.name}
      value={props.chosen}
      disabled={props.disabled}
      onChange={({ currentTarget }) => {
        const chosen = props.choices.find(({ id }) => String(id) === currentTarget.value)
        if (chosen) props.onChoose(chosen.id)
        else props.onNone?.()
        currentTarget.blur() // the keyboard is the images' again
      }}
    >
      {props.none && <option value="">{props.none}</option>}
      {props.choices.map(({ id, name, disabled }) => (
        <option key={id} value={id} disabled={disabled}>
          {name}
        </option>
      ))}
    </select>
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
