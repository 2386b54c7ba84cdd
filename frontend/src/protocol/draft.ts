import { type Document, isCollection, isMap, isSeq, parseDocument } from 'yaml'

export type Path = (string | number)[]

/** A mistake as the server tells it; `place` is dotted. */
export interface Problem {
  place: string
  detail: string
}

/**
 * A protocol's text that is changed part by part: comments and what is not touched stay.
 *
 * The server reads YAML 1.1, where `off` and `no` are no words unless they are quoted.
 */
export class Draft {
  private document: Document
  private readonly keys = new WeakMap<object, number>()
  private made = 0
  private latest: unknown = null

  constructor(text: string) {
    this.document = parseDocument(text, { version: '1.1', logLevel: 'silent' })
  }

  /** Why the text cannot be shown as a form, or null. */
  get unreadable(): string | null {
    const [error] = this.document.errors
    if (error) return error.message.split('\n')[0] ?? ''
    return isMap(this.document.contents) ? null : 'It has no names with values.'
  }

  get text(): string {
    return this.document.toString({ lineWidth: 100, flowCollectionPadding: false })
  }

  get value(): unknown {
    return this.document.toJS({ maxAliasCount: 0 })
  }

  /** Set a part; undefined takes it out, and what is empty without it too. */
  set(path: Path, value: unknown): void {
    if (value === undefined) {
      this.document.deleteIn(path)
      const around = path.slice(0, -1)
      const left = this.document.getIn(around, true)
      if (around.length === 1 && isMap(left) && left.items.length === 0) this.set(around, undefined)
      return
    }
    for (let depth = 1; depth < path.length; depth++) {
      const around = path.slice(0, depth)
      if (!isCollection(this.document.getIn(around, true)))
        this.document.setIn(
          around,
          this.document.createNode(typeof path[depth] === 'number' ? [] : {}),
        )
    }
    const scalar = value === null || typeof value !== 'object'
    this.document.setIn(path, scalar ? value : this.document.createNode(value))
  }

  /** Add an item to a list, written as those before it. */
  add(path: Path, value: unknown): void {
    const list = this.document.getIn(path, true)
    if (!isSeq(list)) {
      this.set(path, [value])
      this.latest = this.document.getIn([...path, 0], true)
      return
    }
    const node = this.document.createNode(value)
    const last = list.items.at(-1)
    if (isCollection(node) && isCollection(last) && last.flow) node.flow = true
    if (list.items.length === 0) list.flow = false
    list.add(node)
    this.latest = node
  }

  /** Whether a part is the item that was added last. */
  isLatest(path: Path): boolean {
    return this.latest !== null && this.document.getIn(path, true) === this.latest
  }

  move(path: Path, from: number, to: number): void {
    const list = this.document.getIn(path, true)
    if (!isSeq(list) || to < 0 || to >= list.items.length) return
    list.items.splice(to, 0, ...list.items.splice(from, 1))
  }

  remove(path: Path, at: number): void {
    this.document.deleteIn([...path, at])
  }

  /** A key that stays with an item of a list when it is moved. */
  key(path: Path): number {
    const node = this.document.getIn(path, true)
    if (typeof node !== 'object' || node === null) return -Number(path.at(-1)) - 1
    const known = this.keys.get(node) ?? ++this.made
    this.keys.set(node, known)
    return known
  }
}
