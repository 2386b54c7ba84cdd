import { useRef } from 'preact/hooks'
import type { Answers, Reading } from '../api/types'
import { differences, NO_ANSWER } from './answers'
import { SignIn } from './finish'
import type { Saving } from './saving'
import type { ReadingState } from './state'
import { timeOf } from './topbar'

/** What stands between the reader's answers and the server, and what the reader can do about it. */
export function SavingNotices({
  reading,
  state,
  saving,
}: {
  reading: Reading
  state: ReadingState
  saving: Saving
}) {
  const { saved, waiting, aside, finished } = saving
  const answers = state.stage === 'submitted' ? NOTHING : state.answers
  const lists = { questionnaire: reading.questionnaire, nodules: reading.nodules }
  return (
    <>
      {saved?.kind === 'conflict' && (
        <div class="saving-notice draft-conflict" role="alert">
          <p>
            Another tab or computer has saved other answers to this reading
            {saved.theirs.saved_at && ` at ${timeOf(saved.theirs.saved_at)}`}. Nothing more is saved
            from here until you choose:
          </p>
          <Differences
            {...lists}
            here={{ title: 'Here', answers }}
            there={{ title: 'There', answers: { ...NOTHING, ...saved.theirs.answers } }}
          />
          <div class="row">
            <button type="button" data-action="take-theirs" onClick={saving.takeTheirs}>
              Load those answers
            </button>
            <button type="button" data-action="keep-mine" onClick={saving.keepMine}>
              Keep the answers shown here
            </button>
          </div>
        </div>
      )}
      {saved?.kind === 'waiting' && waiting === null && <Waiting saved={saved} />}
      {saved?.kind === 'refused' && (
        <div class="saving-notice" role="alert">
          <p>The server does not take these answers, because: {saved.because}</p>
        </div>
      )}
      {saved?.kind === 'ended' && (
        <div class="saving-notice stale" role="alert">
          <p>
            {saved.because} This page can only be read; what differs from the answers that were
            finished is listed here to be copied, and is not saved.
          </p>
          <Differences
            {...lists}
            typedOnly
            here={{ title: 'Here, not saved', answers }}
            there={{ title: 'Finished', answers: finished ?? NOTHING }}
          />
          <div class="row">
            <button type="button" data-action="reload-reading" onClick={() => location.reload()}>
              Go to the reading as it is now
            </button>
          </div>
        </div>
      )}
      {aside.map(each => (
        <div class="saving-notice aside" role="alert" key={each.name}>
          <p>
            At {timeOf(each.parcel.since)} other answers were typed on this computer, and they were
            never saved
            {each.parcel.stage === state.stage
              ? '.'
              : `: the ${each.parcel.stage} answer is locked.`}
          </p>
          <Differences
            {...lists}
            typedOnly={each.parcel.stage !== state.stage}
            here={{ title: 'Not saved', answers: each.parcel.answers }}
            there={{
              title: each.parcel.stage === state.stage ? 'Below' : 'Locked',
              answers:
                each.parcel.stage === state.stage
                  ? answers
                  : (reading.answers[each.parcel.stage] ?? finished ?? NOTHING),
            }}
          />
          <div class="row">
            {each.parcel.stage === state.stage && (
              <button type="button" data-action="use-aside" onClick={() => saving.use(each)}>
                Put them into the form
              </button>
            )}
            <button type="button" data-action="discard-aside" onClick={() => saving.discard(each)}>
              Throw them away
            </button>
          </div>
        </div>
      ))}
    </>
  )
}

const NOTHING: Answers = { case: {}, nodules: {} }

function Waiting({ saved }: { saved: Saving['saved'] & { kind: 'waiting' } }) {
  const kept = saved.kept
    ? 'What you typed is kept in this browser'
    : 'This browser keeps nothing: leave this page open. What you typed'
  if (saved.because === 'signed_out') {
    return (
      <div class="saving-notice" role="alert">
        <p>You are signed out. {kept} and is saved once you have signed in again.</p>
        <SignIn />
      </div>
    )
  }
  if (saved.because === 'somebody_else') {
    return (
      <div class="saving-notice" role="alert">
        <p>
          Somebody else is signed in in this browser, or this reading is no longer yours. {kept} and
          is saved once you have signed in again.
        </p>
        <SignIn />
      </div>
    )
  }
  return saved.kept ? null : (
    <div class="saving-notice" role="alert">
      <p>{kept} is saved once the server can be reached.</p>
    </div>
  )
}

/** A table of the questions that are answered in two ways, which can be copied. */
function Differences({
  questionnaire,
  nodules,
  here,
  there,
  typedOnly = false,
}: Pick<Reading, 'questionnaire' | 'nodules'> &
  Record<'here' | 'there', Side> & { typedOnly?: boolean }) {
  const table = useRef<HTMLTableElement>(null)
  const rows = differences(questionnaire, nodules, here.answers, there.answers).filter(
    // Where nothing was typed there is nothing to be copied.
    row => !typedOnly || row.here !== NO_ANSWER,
  )
  if (rows.length === 0) return <p class="quiet">No answer differs.</p>
  const copy = () => {
    if (table.current) getSelection()?.selectAllChildren(table.current)
    document.execCommand('copy') // the clipboard of scripts exists on secure origins only
  }
  return (
    <>
      <table class="differences" ref={table}>
        <thead>
          <tr>
            <th scope="col">Question</th>
            <th scope="col">{here.title}</th>
            <th scope="col">{there.title}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr key={row.what}>
              <th scope="row">{row.what}</th>
              <td>{row.here}</td>
              <td>{row.there}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <button type="button" class="link" data-action="copy" onClick={copy}>
        Copy this table
      </button>
    </>
  )
}

interface Side {
  title: string
  answers: Answers
}
