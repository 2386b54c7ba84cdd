/** What a form needs to know of a JSON schema (draft 2020-12), as the server publishes it. */

export interface Schema {
  $ref?: string
  $defs?: Record<string, Schema>
  anyOf?: Schema[]
  type?: string
  const?: unknown
  enum?: string[]
  default?: unknown
  title?: string
  description?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  prefixItems?: Schema[]
  minItems?: number
  minimum?: number
  maximum?: number
  maxLength?: number
}

/** A schema whose reference is followed; `nullable` where null stands for "left out". */
export interface Shape extends Schema {
  nullable: boolean
  /** More than one scalar type is allowed, such as a number or a name. */
  mixed: boolean
}

/** Follow references and take null out of alternatives; of a text or a list, the list is taken. */
export function shapeOf(schema: Schema, root: Schema): Shape {
  const { $ref, anyOf, ...rest } = schema
  if ($ref) {
    const target = root.$defs?.[$ref.replace('#/$defs/', '')] ?? {}
    return { ...shapeOf(target, root), ...rest }
  }
  if (!anyOf) return { ...rest, nullable: false, mixed: false }
  const others = anyOf.filter(({ type }) => type !== 'null')
  const chosen = others.find(({ type }) => type === 'array') ?? others[0] ?? {}
  const mixed = others.length > 1 && chosen.type !== 'array'
  const nullable = others.length < anyOf.length
  return { ...shapeOf(chosen, root), ...rest, nullable, mixed }
}

/** Return what a new part holds before anything is typed: what it must have, and nothing else. */
export function blank(schema: Schema, root: Schema): unknown {
  const shape = shapeOf(schema, root)
  if (shape.const !== undefined) return shape.const
  if (shape.enum) return shape.enum[0]
  if (shape.properties) {
    const { required = [], properties } = shape
    return Object.fromEntries(required.map(name => [name, blank(properties[name] ?? {}, root)]))
  }
  if (shape.prefixItems) return shape.prefixItems.map(each => blank(each, root))
  if (shape.type === 'array') return shape.minItems ? [blank(shape.items ?? {}, root)] : []
  if (shape.type === 'boolean') return false
  return shape.type === 'string' ? '' : (shape.minimum ?? 0)
}

/** Put a name of the protocol into words. */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ').replace(/\bai\b/, 'AI')
  return text.charAt(0).toUpperCase() + text.slice(1)
}
