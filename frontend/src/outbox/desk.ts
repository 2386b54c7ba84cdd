import { connect } from '../api/client'
import { Outbox, type Parcel } from './box'
import { type Delivery, deliver, deliverEvents } from './deliver'

/*
 * On the pages around the reading room: sends what readings that were closed could not, says what
 * became of it, and lets nobody log out over answers that are still on their way.
 */

const box = new Outbox(document.body.dataset.reader ?? '')

/** Send everything once; return what could not be delivered, and tell what was. */
async function sendAll(): Promise<[string, Parcel, Delivery][]> {
  await deliverEvents(box, connect)
  const left: [string, Parcel, Delivery][] = []
  for (const [name, parcel] of box.parcels().reverse()) {
    const delivery = await deliver(connect(parcel.reading), parcel, () => box.keep(name, parcel))
    if (delivery.kind === 'saved' || delivery.kind === 'done') {
      box.drop('answers', name)
      box.announce(String(parcel.reading))
      tell(parcel, `${WORDS[parcel.step]} now.`)
    } else left.push([name, parcel, delivery])
  }
  return left
}

const WORDS = {
  draft: 'answers that had been waiting in this browser are saved',
  lock: 'the unaided answer that had been waiting in this browser is locked',
  submit: 'the final answer that had been waiting in this browser is submitted',
} as const

function why(delivery: Delivery): string {
  switch (delivery.kind) {
    case 'waiting':
      return 'they wait in this browser until the server can be reached.'
    case 'conflict':
      return 'other answers were saved elsewhere since. Open the case to choose.'
    case 'ended':
    case 'refused':
      return `${delivery.because} They are kept in this browser: open the case to copy them.`
    default:
      return ''
  }
}

function tell(parcel: Parcel, words: string, more: (Node | string)[] = []): void {
  const line = document.createElement('p')
  line.className = 'message'
  line.setAttribute('role', 'status')
  line.append(`${parcel.case}: ${words} `, ...more)
  document.getElementById('main')?.prepend(line)
}

function button(words: string, then: () => void): HTMLButtonElement {
  const made = document.createElement('button')
  made.type = 'button'
  made.textContent = words
  made.addEventListener('click', then)
  return made
}

function linkTo(parcel: Parcel): HTMLAnchorElement {
  const link = document.createElement('a')
  link.href = `/reading/${parcel.reading}`
  link.textContent = 'Open it'
  return link
}

async function logOut(form: HTMLFormElement): Promise<void> {
  const left = await sendAll()
  if (left.length === 0) {
    box.empty()
    return form.submit()
  }
  for (const [name, parcel, delivery] of left) {
    const drop = button('Throw them away and log out', () => {
      box.drop('answers', name)
      logOut(form)
    })
    const stay = button('Leave them here and log out', () => form.submit())
    tell(parcel, `there are answers that are not saved: ${why(delivery)}`, [
      linkTo(parcel),
      ' ',
      stay,
      ' ',
      drop,
    ])
  }
}

if (box.user) {
  box.announce('signed_in')
  sendAll().then(left => {
    for (const [, parcel, delivery] of left) {
      tell(parcel, `there are answers that are not saved: ${why(delivery)}`, [linkTo(parcel)])
    }
  })
  const form = document.querySelector<HTMLFormElement>('form[data-log-out]')
  form?.addEventListener('submit', event => {
    if (box.parcels().length === 0 && box.events().length === 0) return
    event.preventDefault()
    logOut(form)
  })
}
