import './style.css'
import { createViewer } from './viewer/cornerstone'
const room = document.getElementById('room')!
const r = await (await fetch('/api/readings/3')).json()
const el = document.createElement('div'); el.className='stage'; room.append(el)
const v = createViewer(el)
;(window as any).__reread = { get viewer() { return v.state() }, v }
v.listen(e => { if (e.kind !== 'progress') console.log(performance.now().toFixed(0), JSON.stringify(e)) })
v.mark(r.nodules, r.nodules[0].id)
await v.show(r.series[0], r.nodules[0].centre_mm)
