import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Api } from '../api/client'
import type { Answers, Reading } from '../api/types'
import { uuid } from '../api/uuid'
import { type Outbox, onNews, type Parcel } from '../outbox/box'
import type { Delivery } from '../outbox/deliver'
import { sameAnswers } from './answers'
import { DraftSaver, type SavedState } from './draft'
import { type Aside, takeLeft } from './left'
import { type ReadingEvent, type ReadingState, stateOf } from './state'
import { StepSender, type Waiting } from './steps'

/** What the hook needs of the room. */
interface Room {
  reading: Reading
  api: Api
  box: Outbox
  state: ReadingState
  dispatch(event: ReadingEvent): void
  /** The server has taken the step: this is the reading now. */
  onStep(now: Reading): void
  onRefused(delivery: Delivery & { kind: 'refused' }): void
}

/** Bring what the reader does to the server, and say how that goes. */
export function useSaving({ reading, api, box, state, dispatch, ...room }: Room) {
  const [saved, setSaved] = useState<SavedState | null>(null)
  const [waiting, setWaiting] = useState<Waiting | null>(null)
  const [aside, setAside] = useState<Aside[]>([])
  const saver = useRef<DraftSaver | null>(null)
  const answers = state.stage === 'submitted' ? null : state.answers
  /** What the saver knows of; anything else on screen is new. */
  const known = useRef(answers)
  const now = useRef({ answers, room })
  now.current = { answers, room }

  const replace = useCallback(
    (answers: Answers) => {
      known.current = answers
      dispatch({ type: 'draft_replaced', answers })
    },
    [dispatch],
  )
  const steps = useMemo(() => {
    const ended = (delivery: Delivery, parcel: Parcel) => {
      setWaiting(null)
      switch (delivery.kind) {
        case 'done': {
          saver.current?.done()
          const accepted = stateOf(delivery.reading)
          known.current = accepted.stage === 'submitted' ? null : accepted.answers
          dispatch({ type: 'accepted', state: accepted })
          start.current(delivery.reading)
          return now.current.room.onStep(delivery.reading)
        }
        case 'conflict':
          dispatch({ type: 'took_back' })
          saver.current?.oppose(delivery.theirs)
          saver.current?.resume()
          return saver.current?.change(parcel.answers)
        case 'ended':
          return setSaved({ kind: 'ended', because: delivery.because })
        case 'refused':
          now.current.room.onRefused(delivery)
          saver.current?.resume()
          return saver.current?.change(parcel.answers)
      }
    }
    return new StepSender(api, box, ended, setWaiting)
  }, [api, box, dispatch])

  const start = useRef((_: Reading) => {})
  start.current = (from: Reading) => {
    if (from.stage !== 'unaided' && from.stage !== 'aided') {
      saver.current = null
      setSaved(null)
      return setAside(takeLeft(box, from).aside)
    }
    const of = { reading: from.id, case: from.case, stage: from.stage }
    saver.current = new DraftSaver(of, from.draft, api, box, setSaved)
    const { goOn, aside } = takeLeft(box, from)
    setAside(aside)
    if (goOn === null) return
    replace(goOn.parcel.answers)
    if (goOn.parcel.step === 'draft') return saver.current.adopt(goOn.name, goOn.parcel)
    dispatch({ type: 'sent' })
    saver.current.stop()
    steps.send(goOn.parcel, goOn.name)
  }
  useEffect(() => start.current(reading), [reading])
  /** How the stage was finished elsewhere; null while that is not known. */
  const [finished, setFinished] = useState<Answers | null>(null)
  const ended = saved?.kind === 'ended'
  useEffect(() => {
    const stage = saver.current?.of.stage
    if (!ended || !stage) return
    dispatch({ type: 'ended' })
    api.reading().then(
      now => setFinished(now.answers[stage]),
      () => {}, // then all that was typed is listed
    )
  }, [ended, api, dispatch])
  useEffect(() => {
    if (answers === null || answers === known.current) return
    known.current = answers
    saver.current?.change(answers)
  }, [answers])

  // What may have changed while nobody looked: the line, the session, the reading itself.
  useEffect(() => {
    const retry = () => {
      saver.current?.retry()
      steps.retry()
    }
    const look = async () => {
      const theirs = await saver.current?.look()
      if (theirs) replace(theirs.answers)
    }
    const back = () => {
      retry()
      look()
    }
    const deaf = [onNews(String(reading.id), look), onNews('signed_in', retry)]
    addEventListener('online', retry)
    addEventListener('focus', back)
    return () => {
      for (const stop of deaf) stop()
      removeEventListener('online', retry)
      removeEventListener('focus', back)
    }
  }, [reading.id, steps, replace])
  useEffect(() => {
    const lost = !box.keeps && (waiting !== null || saved?.kind === 'waiting')
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    if (lost) addEventListener('beforeunload', ask)
    return () => removeEventListener('beforeunload', ask)
  }, [box, waiting, saved])

  return {
    saved,
    /** A step that has not arrived yet. */
    waiting,
    finished,
    /** Answers that were typed on other pages and that nobody has saved. */
    aside,
    finish: async (step: 'lock' | 'submit') => {
      const { current } = saver
      if (state.stage === 'submitted' || current === null) return
      dispatch({ type: 'sent' })
      await current.stop()
      const { version, sent, of } = current
      const since = new Date().toISOString()
      const { answers } = state
      const sending = steps.send({ ...of, step, version, answers, key: uuid(), sent, since })
      current.handOver() // the step holds the same answers, and is kept by now
      await sending
    },
    takeBack: () => {
      steps.takeBack()
      setWaiting(null)
      dispatch({ type: 'took_back' })
      saver.current?.resume()
      if (now.current.answers) saver.current?.change(now.current.answers)
    },
    takeTheirs: () => {
      const theirs = saver.current?.takeTheirs()
      if (theirs) replace(theirs)
    },
    keepMine: () => answers && saver.current?.keepMine(answers),
    /** Put answers that were left aside in place of those on screen. */
    use: (chosen: Aside) => {
      box.drop('answers', chosen.name)
      setAside(aside.filter(each => each !== chosen))
      if (answers && !sameAnswers(answers, chosen.parcel.answers)) {
        dispatch({ type: 'draft_replaced', answers: chosen.parcel.answers })
      }
    },
    discard: (chosen: Aside) => {
      box.drop('answers', chosen.name)
      setAside(aside.filter(each => each !== chosen))
    },
    leave: useCallback(() => saver.current?.leave(), []),
  }
}

export type Saving = ReturnType<typeof useSaving>
