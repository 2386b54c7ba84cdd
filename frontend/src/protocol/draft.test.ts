import { describe, expect, it } from 'vitest'
import { Draft } from './draft'
import { blank, type Schema, shapeOf } from './schema'

const TEXT = `# as agreed
protocol: 1
title: One # for now
conduct: {signature: required}
options:
  - {value: "1", label: One}
  - {value: "2", label: Two}
`

describe('a draft', () => {
  it('changes a part and leaves comments and the rest', () => {
    const draft = new Draft(TEXT)
    draft.set(['title'], 'Another')
    expect(draft.text).toBe(TEXT.replace('title: One', 'title: Another'))
  })

  it('quotes what YAML 1.1 reads as yes or no', () => {
    const draft = new Draft(TEXT)
    draft.set(['conduct', 'signature'], 'off')
    expect(draft.text).toContain('{signature: "off"}')
  })

  it('adds items as those before them, moves and removes them', () => {
    const draft = new Draft(TEXT)
    const first = draft.key(['options', 0])
    draft.add(['options'], { value: '3', label: 'Three' })
    expect(draft.text).toContain('  - {value: "3", label: Three}\n')
    draft.move(['options'], 0, 1)
    expect(draft.key(['options', 1])).toBe(first)
    draft.remove(['options'], 0)
    expect(draft.text).not.toContain('Two')
    expect((draft.value as { options: unknown[] }).options).toHaveLength(2)
  })

  it('makes what surrounds a new part, and takes it out again when it is empty', () => {
    const draft = new Draft(TEXT)
    draft.set(['images', 'display', 'zoom'], 'any')
    expect(draft.value).toMatchObject({ images: { display: { zoom: 'any' } } })
    draft.set(['conduct', 'signature'], undefined)
    expect(draft.text).not.toContain('conduct')
  })

  it('says why it cannot be a form', () => {
    expect(new Draft('a: [').unreadable).not.toBeNull()
    expect(new Draft('- a').unreadable).not.toBeNull()
    expect(new Draft(TEXT).unreadable).toBeNull()
  })
})

describe('a schema', () => {
  const root: Schema = {
    $defs: {
      Scale: {
        type: 'object',
        required: ['kind', 'of', 'pair'],
        properties: {
          kind: { const: 'scale' },
          of: { enum: ['a', 'b'], type: 'string' },
          pair: {
            type: 'array',
            prefixItems: [{ type: 'string' }, { type: 'integer', minimum: 2 }],
          },
          help: { type: 'string', default: '' },
        },
      },
    },
  }
  const optional: Schema = { anyOf: [{ $ref: '#/$defs/Scale' }, { type: 'null' }], default: null }

  it('follows references through alternatives with null', () => {
    const shape = shapeOf(optional, root)
    expect(shape.nullable).toBe(true)
    expect(shape.properties?.of?.enum).toEqual(['a', 'b'])
  })

  it('begins a new part with what it must have', () => {
    expect(blank(optional, root)).toEqual({ kind: 'scale', of: 'a', pair: ['', 2] })
  })

  it('takes numbers or names as mixed, and a list before a word', () => {
    const string = { type: 'string' }
    const nothing = { type: 'null' }
    expect(shapeOf({ anyOf: [{ type: 'number' }, string, nothing] }, root).mixed).toBe(true)
    const is = shapeOf({ anyOf: [string, { type: 'array', items: string }] }, root)
    expect([is.type, is.mixed]).toEqual(['array', false])
  })
})
