import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks'
import { type Api, Refusal, Unreachable } from '../api/client'
import type { Nodule, Reading, Value } from '../api/types'
import { nextSpeed } from '../viewer/cine'
import { type Command, commandOf, focusOf } from '../viewer/keys'
import type { NextCase } from '../viewer/next'
import { nextSlab, nextThickness, type Projection, USUAL_THICKNESS_MM } from '../viewer/slab'
import { type Viewer, WINDOW_PRESETS } from '../viewer/viewer'
import { useActivity } from './activity'
import { AiPanel, type Overlay } from './ai'
import { missingAnswers, requiredQuestions, sectionOf } from './answers'
import { DraftSaver, type LocalCopy, type SavedState } from './draft'
import { EventQueue } from './events'
import { artefactsOnScreen, exposureChanges, type Shown } from './exposure'
import { Finish } from './finish'
import { Form } from './form'
import { ImagesNotice, Legend, MissingPlanes, useImages } from './images'
import { next, type ReadingState, stateOf } from './state'
import { Tabs } from './tabs'
import { Toolbar } from './toolbar'
import { TopBar } from './topbar'

interface RoomProps {
  /** Opened: its stage is not "assigned". */
  reading: Reading
  api: Api
  copy: LocalCopy
  /** Build a viewer in an element; throws a readable error where that cannot be done. */
  makeViewer(container: HTMLElement): Promise<Viewer>
  onViewer(viewer: Viewer): void
  nextCase: NextCase
}

/** Section "case", or the id of a nodule. */
type SectionId = 'case' | number

/** One reading: the images, the form beside them, and what passes between them and the server. */
export function Room({ reading, api, copy, makeViewer, onViewer, nextCase }: RoomProps) {
  const { nodules, questionnaire } = reading
  const [state, dispatch] = useReducer(next, reading, stateOf)
  const [saved, setSaved] = useState<SavedState | null>(null)
  const [section, setSection] = useState<SectionId>(nodules[0]?.id ?? 'case')
  const [legend, setLegend] = useState(false)
  const [overlay, setOverlay] = useState<Overlay>({ on: true, opacity: 0.45 })
  const [overlayDrawn, setOverlayDrawn] = useState(false)
  const [markers, setMarkers] = useState(true)
  const [thickness_mm, setThickness] = useState(USUAL_THICKNESS_MM)
  const panel = useRef<HTMLElement>(null)
  const events = useMemo(() => new EventQueue(api), [api])
  events.stage = state.stage

  const shown = useImages({
    reading,
    makeViewer,
    onViewer,
    events,
    onOverlayDrawn: setOverlayDrawn,
    onComplete: nextCase.prepare,
  })
  const { viewer, host, images } = shown

  const nodule = nodules.find(({ id }) => id === section) ?? null
  const ai =
    state.stage === 'aided' && typeof state.result === 'object' && 'ai' in state.result
      ? state.result.ai
      : null
  const noduleAi = nodule && ai?.nodules[nodule.id]

  // Drafts

  const saver = useRef<DraftSaver | null>(null)
  const startSaving = useCallback(
    (from: Reading) => {
      if (from.stage !== 'unaided' && from.stage !== 'aided') {
        saver.current = null
        setSaved(null)
        return
      }
      saver.current = new DraftSaver(from.stage, from.draft, api, copy, setSaved)
      const left = DraftSaver.left(from.stage, from.draft, copy)
      if (left === null) return
      dispatch({ type: 'draft_replaced', answers: left })
      saver.current.change(left)
    },
    [api, copy],
  )
  useEffect(() => startSaving(reading), [reading, startSaving])
  useEffect(() => {
    const retry = () => saver.current?.retry()
    addEventListener('online', retry)
    addEventListener('focus', retry)
    return () => {
      removeEventListener('online', retry)
      removeEventListener('focus', retry)
    }
  }, [])
  const answer = (question: string, value: Value | null) =>
    dispatch({ type: 'answered', nodule: nodule?.id ?? null, question, value })
  const answers = state.stage === 'submitted' ? null : state.answers
  const savedAnswers = useRef(answers)
  useEffect(() => {
    if (answers === null || answers === savedAnswers.current) return
    savedAnswers.current = answers
    saver.current?.change(answers)
  }, [answers])
  const replaceAnswers = (state: ReadingState) => {
    savedAnswers.current = state.stage === 'submitted' ? null : state.answers
  }

  // Steps

  const missing = answers === null ? [] : missingAnswers(questionnaire, nodules, answers)
  const ask = () => {
    dispatch({ type: 'asked_to_finish', missing })
    if (missing.length > 0) goToProblem(missing)
  }
  const finish = async () => {
    if (state.stage === 'submitted') return
    dispatch({ type: 'sent' })
    await saver.current?.stop()
    try {
      const { stage, answers } = state
      const now = await (stage === 'unaided' ? api.lock(answers) : api.submit(answers))
      copy.clear()
      if (now.stage === 'submitted') shown.lengths.clear()
      const accepted = stateOf(now)
      replaceAnswers(accepted)
      dispatch({ type: 'accepted', state: accepted })
      events.stage = accepted.stage // what follows belongs to the new stage
      startSaving(now)
      if (now.stage === 'aided' && nodules[0]) choose(nodules[0].id)
    } catch (error) {
      const problems = error instanceof Refusal ? error.problems : []
      dispatch({ type: 'refused', detail: whyNot(error), problems })
      saver.current?.resume()
      goToProblem(problems)
    }
  }
  const fetchAi = useCallback(async () => {
    try {
      dispatch({ type: 'ai_arrived', ai: await api.ai() })
    } catch (error) {
      dispatch({ type: 'ai_missing', detail: whyNot(error) })
    }
  }, [api])
  useEffect(() => {
    if (state.stage === 'aided') fetchAi()
  }, [state.stage, fetchAi])

  // Nodules and overlay

  const choose = (id: SectionId) => {
    setSection(id)
    const chosen = nodules.find(nodule => nodule.id === id)
    if (chosen) jump(chosen)
  }
  const jump = (to: Nodule) => {
    viewer?.goTo(to.centre_mm, to.diameter_mm)
    events.add('nodule_jump', { nodule: to.id })
  }
  useEffect(() => viewer?.mark(nodules, nodule?.id ?? null), [viewer, nodules, nodule])
  useEffect(() => {
    viewer?.showSaliency((overlay.on && noduleAi?.saliency) || null)
    viewer?.setSaliencyOpacity(overlay.opacity)
  }, [viewer, overlay, noduleAi])
  useActivity(events, nodule?.id ?? null)
  useExposure(events, nodule?.id ?? null, noduleAi ?? undefined, overlay.on && overlayDrawn)
  // After the above, so that what it writes down on leaving is sent, too.
  useLeaving(
    useCallback(() => {
      saver.current?.leave()
      events.leave()
    }, [events]),
  )

  // Moving about in the form

  const goToProblem = (problems: { nodule: number | null; question: string }[]) => {
    const first = problems[0]
    if (!first) return
    const there = first.nodule ?? 'case'
    if (there !== section) choose(there) // the images follow: they never show another nodule
    afterRender(() => entryOf(panel.current, first.question)?.focus())
  }
  const goToForm = () => {
    const here = missing.filter(problem => (problem.nodule ?? 'case') === section)
    if (missing.length > 0) return goToProblem(here.length > 0 ? here : missing)
    panel.current?.querySelector<HTMLElement>('[data-action=ask], [data-entry]')?.focus()
  }
  const goToNext = (question: string) => {
    const entries = [...(panel.current?.querySelectorAll<HTMLElement>('[data-question]') ?? [])]
    const index = entries.findIndex(({ dataset }) => dataset.question === question)
    const following = entries[index + 1]?.dataset.question
    if (following !== undefined) return entryOf(panel.current, following)?.focus()
    afterRender(() => goToFormRef.current())
  }
  const goToFormRef = useRef(goToForm)
  goToFormRef.current = goToForm

  // Slabs

  const changeThickness = (thickness_mm: number) => {
    setThickness(thickness_mm)
    if (shown.slab) viewer?.setSlab({ ...shown.slab, thickness_mm }, 'active')
  }
  const chooseProjection = (projection: Projection) => {
    const again = shown.slab?.projection === projection
    viewer?.setSlab(again ? null : { projection, thickness_mm }, 'active')
  }

  // Keys

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
      case 'layout':
        return viewer?.arrange(shown.layout === 'mpr' ? 'axial' : 'mpr')
      case 'crosshair':
        return viewer?.useCrosshair(!shown.crosshair)
      case 'ruler':
        return viewer?.useRuler(!shown.ruler)
      case 'delete':
        return viewer?.deleteMeasurement()
      case 'undo':
        return viewer?.undoMeasurement()
      case 'slab':
        return command.where === 'all'
          ? viewer?.setSlab(shown.slab, 'all')
          : viewer?.setSlab(nextSlab(shown.slab, thickness_mm), 'active')
      case 'thickness':
        return changeThickness(
          nextThickness(shown.slab?.thickness_mm ?? thickness_mm, command.step),
        )
      case 'cine':
        return viewer?.playCine(!shown.cine.playing)
      case 'speed':
        return viewer?.setCineSpeed(nextSpeed(shown.cine.slices_per_s, command.step))
      case 'markers':
        viewer?.showMarkers(!markers)
        return setMarkers(!markers)
      case 'nodule': {
        const index = nodules.findIndex(({ id }) => id === section)
        const from = index < 0 && command.step < 0 ? 0 : index
        const to = nodules[(from + command.step + nodules.length) % nodules.length]
        return to && choose(to.id)
      }
      case 'overlay':
        return setOverlay(({ on, opacity }) => ({ on: !on, opacity }))
      case 'opacity':
        return setOverlay(({ opacity }) => ({
          on: true,
          opacity: Math.min(1, Math.max(0.1, opacity + command.step)),
        }))
      case 'legend':
        return setLegend(!legend)
      case 'form':
        return goToForm()
      case 'images':
        setLegend(false)
        if (state.stage !== 'submitted' && state.step === 'confirming')
          dispatch({ type: 'went_on' })
        return viewer?.focus()
      case 'finish':
        return state.stage !== 'submitted' && state.step === 'answering' ? ask() : undefined
    }
  }
  const obeyNow = useRef(obey)
  obeyNow.current = obey // as of this render: the next key may come before any effect has run
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented) return
      const command = commandOf(event, focusOf(event.target as Element | null))
      if (command === null) return
      event.preventDefault()
      obeyNow.current(command)
    }
    document.addEventListener('keydown', onKeyDown)
    return () => document.removeEventListener('keydown', onKeyDown)
  }, [])

  const tabs = [
    ...nodules.map(({ id, number }) => ({ id: String(id), label: `Nodule ${number}`, nodule: id })),
    ...(questionnaire.case.length > 0 ? [{ id: 'case', label: 'Case', nodule: null }] : []),
  ].map(tab => ({ ...tab, missing: missing.filter(p => p.nodule === tab.nodule).length }))
  const required = answers === null ? 0 : requiredQuestions(questionnaire, nodules, answers).length

  return (
    <div class="room" data-stage={state.stage}>
      <TopBar reading={reading} stage={state.stage} saved={saved} />
      <section class="images" aria-label="CT images">
        <Toolbar
          layout={shown.layout}
          window={shown.window}
          inverted={shown.inverted}
          crosshair={shown.crosshair}
          ruler={shown.ruler}
          markers={markers}
          slab={shown.slab}
          thickness_mm={shown.slab?.thickness_mm ?? thickness_mm}
          cine={shown.cine}
          nodules={nodules}
          selected={nodule?.id ?? null}
          disabled={viewer === null || images.state === 'loading'}
          planes={shown.every}
          onLayout={() => obey({ do: 'layout' })}
          onWindow={window => viewer?.setWindow(window)}
          onInvert={() => obey({ do: 'invert' })}
          onCrosshair={() => obey({ do: 'crosshair' })}
          onRuler={() => obey({ do: 'ruler' })}
          onMarkers={() => obey({ do: 'markers' })}
          onProjection={chooseProjection}
          onThickness={step => obey({ do: 'thickness', step })}
          onCine={() => obey({ do: 'cine' })}
          onSpeed={step => obey({ do: 'speed', step })}
          onReset={() => obey({ do: 'reset' })}
          onNodule={({ id }) => choose(id)}
          onLegend={() => setLegend(!legend)}
        />
        <div class="stage">
          <div class="viewer-host" ref={host} />
          <ImagesNotice images={images} />
          {!shown.every && <MissingPlanes />}
          {legend && <Legend onClose={() => setLegend(false)} />}
        </div>
      </section>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: only gives the keyboard back to the images */}
      <aside
        class="panel"
        aria-label="Answers"
        data-keys="form"
        ref={panel}
        onClick={event => {
          // After the mouse the arrow keys scroll images again, and move no slider unawares.
          const target = event.target as HTMLElement
          if (event.detail > 0 && target.closest('.choice, [type=range]')) viewer?.focus()
        }}
      >
        {state.stage === 'submitted' ? (
          <Submitted reading={reading} next={state.next} onNext={nextCase.going} />
        ) : (
          <>
            {saved?.kind === 'conflict' && (
              <div class="draft-conflict" role="alert">
                <p>Another tab or computer has saved other answers to this reading.</p>
                <button
                  type="button"
                  data-action="take-theirs"
                  onClick={() => {
                    const theirs = saver.current?.takeTheirs()
                    if (!theirs) return
                    savedAnswers.current = theirs
                    dispatch({ type: 'draft_replaced', answers: theirs })
                  }}
                >
                  Load those answers
                </button>
                <button
                  type="button"
                  data-action="keep-mine"
                  onClick={() => saver.current?.keepMine()}
                >
                  Keep the answers shown here
                </button>
              </div>
            )}
            <div class="scrolls">
              <Tabs
                tabs={tabs}
                current={String(section)}
                onChoose={id => choose(id === 'case' ? 'case' : Number(id))}
              >
                {state.stage === 'aided' && (
                  <AiPanel
                    result={state.result}
                    nodule={nodule}
                    overlay={overlay}
                    overlayDrawn={overlayDrawn}
                    onOverlay={setOverlay}
                    onJump={() => nodule && jump(nodule)}
                    onRetry={fetchAi}
                  />
                )}
                <Form
                  section={String(section)}
                  questions={nodule ? questionnaire.nodule : questionnaire.case}
                  answers={sectionOf(state.answers, nodule?.id ?? null)}
                  unaided={
                    state.stage === 'aided' && state.unaided
                      ? sectionOf(state.unaided, nodule?.id ?? null)
                      : null
                  }
                  predicted={noduleAi?.semantic ?? null}
                  problems={state.problems.filter(p => p.nodule === (nodule?.id ?? null))}
                  disabled={state.step === 'sending'}
                  onAnswer={answer}
                  onDone={goToNext}
                />
              </Tabs>
            </div>
            <Finish
              state={state}
              answered={required - missing.length}
              of={required}
              onAsk={ask}
              onConfirm={finish}
              onBack={() => dispatch({ type: 'went_on' })}
              onFirstProblem={() => goToProblem(state.problems)}
            />
          </>
        )}
      </aside>
    </div>
  )
}

/** Write down which AI artefacts come on screen and which leave it, with the page or without. */
function useExposure(
  events: EventQueue,
  nodule: number | null,
  ai: Parameters<typeof artefactsOnScreen>[1],
  overlayDrawn: boolean,
): void {
  const [pageVisible, setPageVisible] = useState(!document.hidden)
  const before = useRef<Shown[]>([])
  const record = useCallback(
    (now: Shown[]) => {
      const { shown, hidden } = exposureChanges(before.current, now)
      before.current = now
      for (const item of hidden) events.add('ai_hidden', { ...item })
      for (const item of shown) events.add('ai_shown', { ...item })
    },
    [events],
  )
  useEffect(
    () => record(artefactsOnScreen(nodule, ai, { overlayDrawn, pageVisible })),
    [record, nodule, ai, overlayDrawn, pageVisible],
  )
  useEffect(() => {
    let visible = !document.hidden
    const turn = (now: boolean) => {
      if (now === visible) return
      visible = now
      events.add(now ? 'visible' : 'hidden')
      if (!now) record([]) // at once: a page that goes away renders no more
      setPageVisible(now)
    }
    const onChange = () => turn(!document.hidden)
    const onHide = () => turn(false)
    document.addEventListener('visibilitychange', onChange)
    addEventListener('pagehide', onHide)
    addEventListener('pageshow', onChange)
    return () => {
      document.removeEventListener('visibilitychange', onChange)
      removeEventListener('pagehide', onHide)
      removeEventListener('pageshow', onChange)
    }
  }, [events, record])
}

/** Calls `leave` when the page is hidden or goes away. */
function useLeaving(leave: () => void): void {
  useEffect(() => {
    const whenHidden = () => document.visibilityState === 'hidden' && leave()
    addEventListener('pagehide', leave)
    document.addEventListener('visibilitychange', whenHidden)
    return () => {
      removeEventListener('pagehide', leave)
      document.removeEventListener('visibilitychange', whenHidden)
    }
  }, [leave])
}

function Submitted({
  reading,
  next,
  onNext,
}: {
  reading: Reading
  next: string | null
  onNext(): void
}) {
  const link = useRef<HTMLAnchorElement>(null)
  useEffect(() => link.current?.focus(), [])
  return (
    <div class="done" role="status">
      <h2>Submitted</h2>
      <p>Your answers to {reading.case} are stored.</p>
      {next === null ? (
        <p>This was the last case on your worklist.</p>
      ) : (
        <a class="primary" data-action="next" href={next} ref={link} onClick={onNext}>
          Next case
        </a>
      )}
      <a class="quiet-link" href={reading.worklist}>
        Worklist
      </a>
    </div>
  )
}

function whyNot(error: unknown): string {
  if (error instanceof Refusal && error.code === 'not_authenticated') {
    return 'You are signed out. Sign in again in another tab, then try once more.'
  }
  if (error instanceof Unreachable) return 'No connection to the server. Try again in a moment.'
  return error instanceof Error ? error.message : String(error)
}

function entryOf(panel: HTMLElement | null, question: string): HTMLElement | null {
  const field = panel?.querySelector(`[data-question="${CSS.escape(question)}"]`)
  return field?.querySelector<HTMLElement>('[data-entry]') ?? null
}

function afterRender(what: () => void): void {
  setTimeout(what)
}
