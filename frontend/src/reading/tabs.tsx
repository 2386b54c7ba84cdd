import type { ComponentChildren } from 'preact'

export interface Tab {
  id: string
  label: string
  /** Null where nothing is asked. */
  missing: number | null
}

/** One tab per nodule and mark, and one for the case. */
export function Tabs({
  tabs,
  current,
  onChoose,
  children,
}: {
  tabs: Tab[]
  current: string
  onChoose(id: string): void
  children: ComponentChildren
}) {
  return (
    <>
      <div
        class="tabs"
        role="tablist"
        aria-label="Nodules and case"
        onKeyDown={event => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
          if (step === undefined) return
          event.preventDefault()
          const to = (tabs.findIndex(({ id }) => id === current) + step + tabs.length) % tabs.length
          const tab = tabs[to]
          if (tab) onChoose(tab.id)
          event.currentTarget.querySelectorAll('button')[to]?.focus()
        }}
      >
        {tabs.map(({ id, label, missing }) => (
          <button
            key={id}
            type="button"
            role="tab"
            id={`tab-${id}`}
            aria-selected={id === current}
            aria-controls="section"
            tabIndex={id === current ? 0 : -1}
            onClick={() => onChoose(id)}
          >
            {label}
            {missing !== null && (
              <span class="left">{missing === 0 ? ' ✓' : ` ${missing} left`}</span>
            )}
          </button>
        ))}
      </div>
      <div id="section" class="section" role="tabpanel" aria-labelledby={`tab-${current}`}>
        {children}
      </div>
    </>
  )
}
