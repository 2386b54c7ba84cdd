import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks'
import { type Api, Refusal, Unreachable } from '../api/client'
import type { Mark, PatientPoint, Reading, Subject, Value } from '../api/types'
import { uuid } from '../api/uuid'
import type { Outbox } from '../outbox/box'
import { deliverEvents } from '../outbox/deliver'
import { nextSpeed } from '../viewer/cine'
import type { MousePreset } from '../viewer/gestures'
import { type Command, commandOf, focusOf } from '../viewer/keys'
import type { NextCase } from '../viewer/next'
import { nextSlab, nextThickness, type Projection, USUAL_THICKNESS_MM } from '../viewer/slab'
import { type Viewer, WINDOW_PRESETS } from '../viewer/viewer'
import { useActivity } from './activity'
import { AiPanel, type Overlay } from './ai'
import { missingAnswers, NO_FINDING, questionsOf, requiredQuestions, sectionOf } from './answers'
import { EventQueue } from './events'
import { artefactsOnScreen, exposureChanges, type Shown } from './exposure'
import { Feedback } from './feedback'
import { FindingsBar, hasMarks, MarkHead, MeasurementList, Removed } from './findings'
import { Finish } from './finish'
import { Form } from './form'
import { ImagesNotice, Legend, MissingPlanes, useImages } from './images'
import { markersOf, marksOfAi } from './marks'
import { useMeasuring } from './measuring'
import { SavingNotices } from './notices'
import { layoutsOf, nextLayout, useKeptPreferences } from './preferences'
import { useSaving } from './saving'
import { next, stateOf } from './state'
import { Tabs } from './tabs'
import { Toolbar } from './toolbar'
import { TopBar } from './topbar'

interface RoomProps {
  /** Opened: its stage is not "assigned". */
  reading: Reading
  api: Api
  /** What is on its way to the server, of this reading and of others. */
  box: Outbox
  /** Speak for another reading. */
  connect(reading: number): Pick<Api, 'sendEvents'>
  /** Build a viewer in an element; throws a readable error where that cannot be done. */
  makeViewer(container: HTMLElement): Promise<Viewer>
  onViewer(viewer: Viewer): void
  nextCase: NextCase
}

/** Section "case", or the id of a nodule or of a mark. */
type SectionId = 'case' | number | string

const NO_MARKS: readonly Mark[] = []

/** One reading: the images, the form beside them, and what passes between them and the server. */
export function Room({ reading, api, box, connect, makeViewer, ...props }: RoomProps) {
  const { onViewer, nextCase } = props
  const { nodules, questionnaire } = reading
  const [state, dispatch] = useReducer(next, reading, stateOf)
  const [section, setSection] = useState<SectionId>(nodules[0]?.id ?? 'case')
  const [legend, setLegend] = useState(false)
  const [overlay, setOverlay] = useState<Overlay>({ on: true, opacity: 0.45 })
  const [overlayDrawn, setOverlayDrawn] = useState(false)
  const [markers, setMarkers] = useState(true)
  const [thickness_mm, setThickness] = useState(
    reading.preferences?.thickness_mm ?? USUAL_THICKNESS_MM,
  )
  const [mouse, setMouse] = useState<MousePreset>(reading.preferences?.mouse ?? 'window')
  const layouts = layoutsOf(reading)
  const panel = useRef<HTMLElement>(null)
  const events = useMemo(() => new EventQueue(api, box, reading.id), [api, box, reading.id])
  events.stage = state.stage

  const shown = useImages({
    reading,
    makeViewer,
    onViewer,
    events,
    onOverlayDrawn: setOverlayDrawn,
    onComplete: nextCase.prepare,
    onMeasured: event => measuring.measured(event),
  })
  const { viewer, host, images } = shown
  const { slices_per_s } = shown.cine
  useKeptPreferences(api, { layout: shown.layout, mouse, thickness_mm, slices_per_s })

  const ai =
    state.stage === 'aided' && typeof state.result === 'object' && 'ai' in state.result
      ? state.result.ai
      : null
  const answers = state.stage === 'submitted' ? null : state.answers
  const marks = answers?.marks ?? NO_MARKS
  const ofAi = useMemo(() => marksOfAi(ai), [ai])
  const places = useMemo(() => markersOf(nodules, marks, ofAi), [nodules, marks, ofAi])
  const nodule = [...nodules, ...ofAi].find(({ id }) => id === section) ?? null
  const mark = marks.find(({ id }) => id === section) ?? null
  const isOfAi = ofAi.some(({ id }) => id === section)
  const subject: Subject = mark?.id ?? nodule?.id ?? null
  const noduleAi = nodule && ai?.nodules[nodule.id]
  const [removed, setRemoved] = useState<{ mark: Mark; at: number } | null>(null)
  const measuring = useMeasuring({ viewer, questionnaire, state, subject, dispatch })

  const answer = (question: string, value: Value | null) =>
    dispatch({ type: 'answered', nodule: subject, question, value })

  // Steps

  const missing =
    answers === null ? [] : missingAnswers(questionnaire, nodules, answers, reading.findings)
  const ask = () => {
    dispatch({ type: 'asked_to_finish', missing })
    if (missing.length > 0) goToProblem(missing)
  }
  const saving = useSaving({
    ...{ reading, api, box, state, dispatch },
    onStep: now => {
      events.stage = now.stage // what follows belongs to the new stage
      if (now.stage === 'aided' && places[0]) choose(places[0].id)
    },
    onRefused: ({ because, problems }) => {
      dispatch({ type: 'refused', detail: because, problems })
      goToProblem(problems)
    },
  })
  useEffect(() => {
    deliverEvents(box, connect, events.isMine)
  }, [box, connect, events])
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
    const chosen = places.find(place => place.id === id)
    if (!chosen) return
    viewer?.goTo(chosen.centre_mm, chosen.diameter_mm)
    events.add('nodule_jump', placeOf(id))
  }
  useEffect(() => viewer?.mark(places, subject), [viewer, places, subject])
  const markAt = (point_mm: PatientPoint | null) => {
    const series = reading.series[0]?.id
    if (!hasMarks(reading) || answers === null || !point_mm || series === undefined) return
    const id = uuid()
    dispatch({ type: 'marked', mark: { id, series, point_mm, answers: {} } })
    events.add('marked', { mark: id })
    setRemoved(null)
    setSection(id)
    afterRender(() => goToFormRef.current())
  }
  const isLocked = (id: string) =>
    state.stage === 'aided' && Boolean(state.unaided?.marks?.some(mark => mark.id === id))
  const unmark = (mark: Mark) => {
    if (isLocked(mark.id)) return
    const at = marks.indexOf(mark)
    viewer?.releaseMeasurements(mark.id)
    dispatch({ type: 'unmarked', mark: mark.id })
    events.add('unmarked', { mark: mark.id })
    setRemoved({ mark, at })
    setSection(marks[at + 1]?.id ?? marks[at - 1]?.id ?? nodules[0]?.id ?? 'case')
    viewer?.focus()
  }
  const putBack = () => {
    if (removed === null) return
    dispatch({ type: 'marked', ...removed })
    events.add('marked', { mark: removed.mark.id })
    setSection(removed.mark.id)
    setRemoved(null)
  }
  useEffect(() => {
    viewer?.showSaliency((overlay.on && noduleAi?.saliency) || null)
    viewer?.setSaliencyOpacity(overlay.opacity)
  }, [viewer, overlay, noduleAi])
  useActivity(events, nodule?.id ?? null, mark?.id ?? null)
  useExposure(events, nodule?.id ?? null, noduleAi ?? undefined, overlay.on && overlayDrawn)
  // After the above, so that what it writes down on leaving is sent, too.
  useLeaving(
    useCallback(() => {
      saving.leave()
      events.leave()
    }, [events, saving.leave]),
  )

  // Moving about in the form

  const goToProblem = (problems: { nodule: Subject; question: string }[]) => {
    const first = problems[0]
    if (!first) return
    const there = first.nodule ?? 'case'
    if (there !== section && first.question !== NO_FINDING) choose(there) // the images follow: they never show another nodule
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
        return viewer?.arrange(nextLayout(shown.layout, layouts))
      case 'magnifier':
        return viewer?.useMagnifier(!shown.magnifier)
      case 'crosshair':
        return viewer?.useCrosshair(!shown.crosshair)
      case 'tool':
        return viewer?.useTool(shown.tool === command.tool ? null : command.tool)
      case 'delete':
        if (mark && !measuring.hasSelected()) return unmark(mark)
        return viewer?.deleteMeasurement()
      case 'undo':
        return viewer?.undoMeasurement()
      case 'redo':
        return viewer?.redoMeasurement()
      case 'take': {
        const field = document.activeElement?.closest<HTMLElement>('[data-question]')
        const atHand = field?.dataset.question ?? null
        if (measuring.take(atHand) && atHand) afterRender(() => goToNext(atHand))
        return
      }
      case 'mark':
        return markAt(viewer?.pointAtHand() ?? null)
      case 'no_finding': {
        if (!hasMarks(reading) || marks.length > 0) return
        return dispatch({ type: 'found_nothing', said: !answers?.no_finding })
      }
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
        const index = places.findIndex(({ id }) => id === section)
        const from = index < 0 && command.step < 0 ? 0 : index
        const to = places[(from + command.step + places.length) % places.length]
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

  const isFixed = state.stage !== 'submitted' && ['sending', 'ended'].includes(state.step)
  const tabs = [
    ...places.map(({ id, by, label }, i) => ({
      id: String(id),
      label: by === 'ai' ? label : by === 'study' ? `Nodule ${label}` : `Mark ${label.slice(1)}`,
      section: places[i]?.id ?? null,
      missing: by === 'ai' ? null : missing.filter(problem => problem.nodule === id).length,
    })),
    ...(questionnaire.case.length > 0
      ? [
          {
            id: 'case',
            label: 'Case',
            section: null,
            missing: missing.filter(
              ({ nodule, question }) => nodule === null && question !== NO_FINDING,
            ).length,
          },
        ]
      : []),
  ]
  const silence = state.stage === 'submitted' ? undefined : state.problems.find(isAboutFindings)
  const required = answers === null ? 0 : requiredQuestions(questionnaire, nodules, answers).length

  return (
    <div class="room" data-stage={state.stage}>
      <TopBar reading={reading} stage={state.stage} saved={saving.saved} />
      <section class="images" aria-label="CT images">
        <Toolbar
          layout={shown.layout}
          window={shown.window}
          inverted={shown.inverted}
          crosshair={shown.crosshair}
          tool={shown.tool}
          markers={markers}
          slab={shown.slab}
          thickness_mm={shown.slab?.thickness_mm ?? thickness_mm}
          cine={shown.cine}
          places={places}
          selected={subject}
          disabled={viewer === null || images.state === 'loading'}
          planes={shown.every}
          layouts={layouts}
          magnifier={shown.magnifier}
          onLayout={layout => viewer?.arrange(layout)}
          onMagnifier={() => obey({ do: 'magnifier' })}
          onWindow={window => viewer?.setWindow(window)}
          onInvert={() => obey({ do: 'invert' })}
          onCrosshair={() => obey({ do: 'crosshair' })}
          onTool={tool => obey({ do: 'tool', tool })}
          onMarkers={() => obey({ do: 'markers' })}
          onProjection={chooseProjection}
          onThickness={step => obey({ do: 'thickness', step })}
          onCine={() => obey({ do: 'cine' })}
          onSpeed={step => obey({ do: 'speed', step })}
          onReset={() => obey({ do: 'reset' })}
          onPlace={choose}
          onLegend={() => setLegend(!legend)}
        />
        <div class="stage">
          <div class="viewer-host" ref={host} />
          <ImagesNotice images={images} />
          {!shown.every && <MissingPlanes />}
          {legend && (
            <Legend
              mouse={mouse}
              onMouse={preset => {
                setMouse(preset)
                viewer?.useMouse(preset)
              }}
              onClose={() => setLegend(false)}
            />
          )}
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
        <SavingNotices reading={reading} state={state} saving={saving} />
        {state.stage === 'submitted' ? (
          <Submitted reading={reading} api={api} next={state.next} onNext={nextCase.going} />
        ) : (
          <>
            {hasMarks(reading) && (
              <FindingsBar
                marks={marks.length}
                noFinding={answers?.no_finding ?? false}
                problem={silence?.detail ?? null}
                disabled={isFixed}
                onMark={() => obey({ do: 'mark' })}
                onNoFinding={said => dispatch({ type: 'found_nothing', said })}
              />
            )}
            {removed && <Removed onUndo={putBack} />}
            <div class="scrolls">
              <Tabs
                tabs={tabs}
                current={String(section)}
                onChoose={id => choose(tabs.find(tab => tab.id === id)?.section ?? 'case')}
              >
                {state.stage === 'aided' && (
                  <AiPanel
                    result={state.result}
                    nodule={nodule}
                    overlay={overlay}
                    overlayDrawn={overlayDrawn}
                    onOverlay={setOverlay}
                    onJump={() => nodule && choose(nodule.id)}
                    onRetry={fetchAi}
                  />
                )}
                {mark && (
                  <MarkHead
                    number={marks.indexOf(mark) + 1}
                    mark={mark}
                    locked={isLocked(mark.id)}
                    onGoTo={() => choose(mark.id)}
                    onRemove={() => unmark(mark)}
                  />
                )}
                {!isOfAi && (
                  <Form
                    section={String(section)}
                    questions={questionsOf(questionnaire, subject)}
                    answers={sectionOf(state.answers, subject)}
                    unaided={
                      state.stage === 'aided' && state.unaided && (!mark || isLocked(mark.id))
                        ? sectionOf(state.unaided, subject)
                        : null
                    }
                    predicted={noduleAi?.semantic ?? null}
                    problems={state.problems.filter(p => p.nodule === subject)}
                    disabled={isFixed}
                    onAnswer={answer}
                    onDone={goToNext}
                  />
                )}
                <MeasurementList
                  measurements={(state.answers.measurements ?? []).filter(
                    one => one.nodule === (subject === null ? null : String(subject)),
                  )}
                  viewer={viewer}
                  disabled={isFixed}
                />
              </Tabs>
            </div>
            <Finish
              state={state}
              waiting={saving.waiting}
              answered={required - missing.length}
              of={required}
              onAsk={ask}
              onConfirm={() => saving.finish(state.stage === 'unaided' ? 'lock' : 'submit')}
              onBack={() => dispatch({ type: 'went_on' })}
              onTakeBack={saving.takeBack}
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
  api,
  next,
  onNext,
}: {
  reading: Reading
  api: Api
  next: string | null
  onNext(): void
}) {
  const link = useRef<HTMLAnchorElement>(null)
  useEffect(() => link.current?.focus(), [])
  return (
    <div class="done" role="status">
      <h2>Submitted</h2>
      <p>Your answers to {reading.case} are stored.</p>
      {reading.feedback && (
        <Feedback
          api={api}
          places={reading.findings !== undefined && reading.findings !== 'given'}
        />
      )}
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

/** Whether a problem is that neither a mark is made nor anything said. */
function isAboutFindings({ question }: { question: string }): boolean {
  return question === NO_FINDING
}

/** What is told of where the reader goes: nodules have numbers, marks are named by UUIDs. */
function placeOf(id: SectionId) {
  return typeof id === 'number' ? { nodule: id } : { nodule: null, mark: id }
}

function entryOf(panel: HTMLElement | null, question: string): HTMLElement | null {
  const field = panel?.querySelector(`[data-question="${CSS.escape(question)}"]`)
  return field?.querySelector<HTMLElement>('[data-entry]') ?? null
}

function afterRender(what: () => void): void {
  setTimeout(what)
}
