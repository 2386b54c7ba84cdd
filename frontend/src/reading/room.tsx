import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks'
import type { Api } from '../api/client'
import type { Reading, Subject, Value } from '../api/types'
import type { Outbox } from '../outbox/box'
import { deliverEvents } from '../outbox/deliver'
import type { MousePreset } from '../viewer/gestures'
import type { NextCase } from '../viewer/next'
import type { Viewer } from '../viewer/viewer'
import { useActivity } from './activity'
import { AiPanel } from './ai'
import { missingAnswers, NO_FINDING, questionsOf, requiredQuestions, sectionOf } from './answers'
import { useCommands } from './commands'
import { EventQueue } from './events'
import { FindingsBar, hasMarks, MarkHead, MeasurementList, Removed } from './findings'
import { Finish } from './finish'
import { useFormFocus } from './focus'
import { Form } from './form'
import { comparingOf, ImagesLimits, ImagesNotice, Legend, useImages } from './images'
import { marksOf, useMarking } from './marking'
import { markersOf, marksOfAi } from './marks'
import { useMeasuring } from './measuring'
import { SavingNotices } from './notices'
import { aiOf, useAi, useOverlay, useSaliency } from './predictions'
import { layoutsOf, useKeptPreferences, useUsualLayout } from './preferences'
import { useExposure, useLeaving } from './presence'
import { useSaving } from './saving'
import { placeOf, type SectionId, tabsOf } from './sections'
import { useSlabs } from './slabs'
import { next, stateOf } from './state'
import { Submitted } from './submitted'
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

/** One reading: the images, the form beside them, and what passes between them and the server. */
export function Room({ reading, api, box, connect, makeViewer, ...props }: RoomProps) {
  const { onViewer, nextCase } = props
  const { nodules, questionnaire } = reading
  const [state, dispatch] = useReducer(next, reading, stateOf)
  const [section, setSection] = useState<SectionId>(nodules[0]?.id ?? 'case')
  const [legend, setLegend] = useState(false)
  const { overlay, setOverlay, ...onScreen } = useOverlay()
  const [markers, setMarkers] = useState(true)
  const [mouse, setMouse] = useState<MousePreset>(reading.preferences?.mouse ?? 'window')
  const [hanging, setHanging] = useState(reading.preferences?.prior ?? 'beside')
  const layouts = layoutsOf(reading)
  const panel = useRef<HTMLElement>(null)
  const events = useMemo(() => new EventQueue(api, box, reading.id), [api, box, reading.id])
  events.stage = state.stage

  const shown = useImages({
    reading,
    makeViewer,
    onViewer,
    events,
    onOverlayDrawn: onScreen.setDrawn,
    onComplete: nextCase.prepare,
    onMeasured: event => measuring.measured(event),
  })
  const { viewer, host, images } = shown
  const slabs = useSlabs(viewer, shown.slab, reading.preferences?.thickness_mm)
  const { slices_per_s } = shown.cine
  const usual = useUsualLayout(reading, shown.layout)
  useKeptPreferences(api, {
    layout: usual,
    prior: hanging,
    mouse,
    thickness_mm: slabs.kept_mm,
    slices_per_s,
  })

  // What there is to answer about, and which of it is at hand

  const ai = aiOf(state)
  const answers = state.stage === 'submitted' ? null : state.answers
  const marks = marksOf(state)
  const ofAi = useMemo(() => marksOfAi(ai), [ai])
  const places = useMemo(
    () => markersOf(nodules, marks, ofAi, reading.series),
    [nodules, marks, ofAi, reading.series],
  )
  const nodule = [...nodules, ...ofAi].find(({ id }) => id === section) ?? null
  const mark = marks.find(({ id }) => id === section) ?? null
  const isOfAi = ofAi.some(({ id }) => id === section)
  const subject: Subject = mark?.id ?? nodule?.id ?? null
  const noduleAi = nodule && ai?.nodules[nodule.id]
  const measuring = useMeasuring({ viewer, questionnaire, state, subject, dispatch })

  const answer = (question: string, value: Value | null) =>
    dispatch({ type: 'answered', nodule: subject, question, value })

  const choose = (id: SectionId) => {
    setSection(id)
    const chosen = places.find(place => place.id === id)
    if (!chosen) return
    shown.goTo(chosen)
    events.add('nodule_jump', placeOf(id))
  }

  // Steps

  const missing =
    answers === null ? [] : missingAnswers(questionnaire, nodules, answers, reading.findings)
  const form = useFormFocus({ panel, section, missing, choose })
  const ask = () => {
    dispatch({ type: 'asked_to_finish', missing })
    if (missing.length > 0) form.goToProblem(missing)
  }
  const saving = useSaving({
    ...{ reading, api, box, state, dispatch },
    onStep: now => {
      events.stage = now.stage // what follows belongs to the new stage
      if (now.stage === 'aided' && places[0]) choose(places[0].id)
    },
    onRefused: ({ because, problems }) => {
      dispatch({ type: 'refused', detail: because, problems })
      form.goToProblem(problems)
    },
  })
  useEffect(() => {
    deliverEvents(box, connect, events.isMine)
  }, [box, connect, events])
  const fetchAi = useAi(api, state.stage, dispatch)

  // What the images show of it

  const marking = useMarking({
    ...{ reading, state, viewer, events, dispatch, series: shown.series },
    open: setSection,
    goToForm: form.goToFormNext,
  })
  useEffect(() => viewer?.mark(places, subject), [viewer, places, subject])
  useSaliency(viewer, overlay, noduleAi, nodule?.series ?? 0)
  useActivity(events, nodule?.id ?? null, mark?.id ?? null)
  useExposure(events, nodule?.id ?? null, noduleAi ?? undefined, overlay.on && onScreen.drawn)
  // After the above, so that what it writes down on leaving is sent, too.
  useLeaving(
    useCallback(() => {
      saving.leave()
      events.leave()
    }, [events, saving.leave]),
  )

  const step = state.stage === 'submitted' ? null : state.step
  const obey = useCommands({
    ...{
      viewer,
      shown,
      layouts,
      usual,
      slabs,
      marking,
      measuring,
      form,
      places,
      section,
      mark,
      choose,
    },
    ...{ markers, setMarkers, setOverlay, legend, setLegend },
    ask: () => {
      if (step === 'answering') ask()
    },
    goOn: () => {
      if (step === 'confirming') dispatch({ type: 'went_on' })
    },
  })

  const isFixed = step === 'sending' || step === 'ended'
  const tabs = tabsOf(places, questionnaire.case.length > 0, missing)
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
          thickness_mm={slabs.thickness_mm}
          cine={shown.cine}
          places={places}
          selected={subject}
          disabled={viewer === null || images.state === 'loading'}
          planes={shown.every}
          slabs={shown.slabs}
          layouts={layouts}
          comparing={comparingOf(reading, shown)}
          onSeries={shown.switchTo}
          onPrior={shown.choosePrior}
          onLink={() => obey({ do: 'link' })}
          magnifier={shown.magnifier}
          onLayout={layout => viewer?.arrange(layout)}
          onMagnifier={() => obey({ do: 'magnifier' })}
          onWindow={window => viewer?.setWindow(window)}
          onInvert={() => obey({ do: 'invert' })}
          onCrosshair={() => obey({ do: 'crosshair' })}
          onTool={tool => obey({ do: 'tool', tool })}
          onMarkers={() => obey({ do: 'markers' })}
          onProjection={slabs.choose}
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
          <ImagesLimits notes={shown.notes} />
          {legend && (
            <Legend
              mouse={mouse}
              onMouse={preset => {
                setMouse(preset)
                viewer?.useMouse(preset)
              }}
              prior={hanging}
              onPrior={setHanging}
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
            {marking.removed && <Removed onUndo={marking.putBack} />}
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
                    overlayDrawn={onScreen.drawn}
                    onOverlay={setOverlay}
                    otherSeries={nodule !== null && nodule.series !== shown.series}
                    tilted={!shown.slabs}
                    onJump={() =>
                      nodule && shown.switchTo(nodule.series).then(() => choose(nodule.id))
                    }
                    onRetry={fetchAi}
                  />
                )}
                {mark && (
                  <MarkHead
                    number={marks.indexOf(mark) + 1}
                    mark={mark}
                    locked={marking.isLocked(mark.id)}
                    onGoTo={() => choose(mark.id)}
                    onRemove={() => marking.unmark(mark)}
                  />
                )}
                {!isOfAi && (
                  <Form
                    section={String(section)}
                    questions={questionsOf(questionnaire, subject)}
                    answers={sectionOf(state.answers, subject)}
                    unaided={
                      state.stage === 'aided' &&
                      state.unaided &&
                      (!mark || marking.isLocked(mark.id))
                        ? sectionOf(state.unaided, subject)
                        : null
                    }
                    predicted={noduleAi?.semantic ?? null}
                    problems={state.problems.filter(p => p.nodule === subject)}
                    disabled={isFixed}
                    onAnswer={answer}
                    onDone={form.goToNext}
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
              onFirstProblem={() => form.goToProblem(state.problems)}
            />
          </>
        )}
      </aside>
    </div>
  )
}

/** Whether a problem is that neither a mark is made nor anything said. */
function isAboutFindings({ question }: { question: string }): boolean {
  return question === NO_FINDING
}
