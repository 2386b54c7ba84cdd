/** Slices in a second. */
export const USUAL_SPEED = 10
const SPEEDS = [2, 4, 6, 8, 10, 15, 20, 30] as const

export function nextSpeed(speed: number, step: 1 | -1): number {
  const offered = step > 0 ? SPEEDS : [...SPEEDS].reverse()
  return offered.find(one => step * (one - speed) > 0) ?? speed
}

/** The slice after `index` on the way from head to feet, which begins again at the head. */
export function following(index: number, total: number): number {
  return total > 0 ? (index + 1) % total : 0
}

/** Calls `turn` as often as the speed says, until it is stopped. */
export class Cine {
  #speed = USUAL_SPEED
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(readonly turn: () => void) {}

  get playing(): boolean {
    return this.#timer !== undefined
  }

  get speed(): number {
    return this.#speed
  }

  play(): void {
    clearInterval(this.#timer)
    this.#timer = setInterval(() => this.turn(), 1000 / this.#speed)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  setSpeed(speed: number): void {
    this.#speed = speed
    if (this.playing) this.play()
  }
}
