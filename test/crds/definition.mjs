// SPDX-License-Identifier: Apache-2.0
// What an API server checks of a CustomResourceDefinition itself, rules aside: that its schema is structural, its
// names, defaults and columns; and that kubectl explain has something to say of every field.
import Ajv from 'ajv'

const JUNCTORS = ['anyOf', 'allOf', 'oneOf']
const VALUE_KEYWORDS = new Set(['enum', 'exclusiveMinimum', 'format', 'items', 'maxItems', 'maxLength', 'maxProperties', 'maximum', 'minItems',
  'minLength', 'minProperties', 'minimum', 'multipleOf', 'not', 'pattern', 'properties', 'required', ...JUNCTORS])
const KEYWORDS = new Set([...VALUE_KEYWORDS, 'additionalProperties', 'default', 'description', 'nullable', 'type',
  'x-kubernetes-int-or-string', 'x-kubernetes-list-map-keys', 'x-kubernetes-list-type',
  'x-kubernetes-preserve-unknown-fields', 'x-kubernetes-validations'])
const TYPES = ['object', 'array', 'string', 'integer', 'number', 'boolean']

// Problems of @node, a part of a value validation of @outer: all it looks into has to be in @outer as well.
function* nested(node, outer, path) {
  for (const key of Object.keys(node))
    if (!VALUE_KEYWORDS.has(key))
      yield `${path}: ${key} may not stand in anyOf, allOf, oneOf or not`
  for (const [key, property] of Object.entries(node.properties ?? {}))
    if (outer.properties?.[key])
      yield* nested(property, outer.properties[key], `${path}.${key}`)
    else
      yield `${path}.${key}: is not in properties outside of anyOf, allOf, oneOf and not`
  if (node.items)
    yield `${path}: items may not stand in anyOf, allOf, oneOf or not here`
  yield* junctors(node, outer, path)
  yield* pattern(node, path)
}

function* junctors(node, outer, path) {
  for (const junctor of JUNCTORS)
    for (const [i, part] of (node[junctor] ?? []).entries())
      yield* nested(part, outer, `${path}.${junctor}[${i}]`)
  if (node.not)
    yield* nested(node.not, outer, `${path}.not`)
}

// Only what regular expressions of Go and of JavaScript mean alike.
function* pattern(node, path) {
  if (node.pattern === undefined)
    return
  if (/\(\?[^:]|\\[1-9AbBzZpPQE]/.test(node.pattern))
    yield `${path}: a pattern that not everyone reads alike`
  try {
    new RegExp(node.pattern, 'u')
  } catch (error) {
    yield `${path}: ${error.message}`
  }
}

function* typeProblems(node, path) {
  const untyped = node['x-kubernetes-int-or-string'] || node['x-kubernetes-preserve-unknown-fields']

  if (node.type === undefined ? !untyped : !TYPES.includes(node.type))
    yield `${path}: type is ${node.type ?? 'missing'}`
  // The first lines of the definition say why.
  if (node['x-kubernetes-int-or-string'])
    yield `${path}: x-kubernetes-int-or-string is beyond old API servers`
  if (!node.type && (node.properties || node.items || node.additionalProperties))
    yield `${path}: old API servers take what has properties and no type for a mapping`
  if (node.properties && node.additionalProperties)
    yield `${path}: properties and additionalProperties exclude each other`
  if ((node.type === 'array') !== Boolean(node.items))
    yield `${path}: items belongs to a list`
  if (node['x-kubernetes-list-type'] === 'map')
    for (const key of node['x-kubernetes-list-map-keys'] ?? [undefined])
      if (!node.items.required?.includes(key))
        yield `${path}: ${key}, a key of the list, is not required`
}

// Problems of the structural schema @node.
function* structural(node, path) {
  for (const key of Object.keys(node))
    if (!KEYWORDS.has(key))
      yield `${path}: ${key} is not known`
  yield* typeProblems(node, path)
  yield* pattern(node, path)
  yield* junctors(node, node, path)
  if (!node.description && !/(\.metadata|\[\])$/.test(path))
    yield `${path}: description is missing`
  if (node.default !== undefined && !new Ajv({strict: false}).validate(node, node.default))
    yield `${path}: the default is not valid`
  for (const name of node.required ?? [])
    if (node.type && !node.properties?.[name])
      yield `${path}: ${name}, which is required, is not there`
  for (const [key, property] of Object.entries(node.properties ?? {}))
    yield* structural(property, `${path}.${key}`)
  if (node.items)
    yield* structural(node.items, `${path}[]`)
  if (node.additionalProperties)
    yield* structural({description: '-', ...node.additionalProperties}, `${path}{}`)
}

function* names({definition: {metadata, spec}, version}) {
  const {kind, listKind, plural, singular} = spec.names

  if (metadata.name !== `${plural}.${spec.group}`)
    yield 'the name is not PLURAL.GROUP'
  if (listKind !== `${kind}List` || singular !== kind.toLowerCase())
    yield 'listKind and singular are not those of kind'
  if (spec.versions.length !== 1 || !version.served || !version.storage)
    yield 'not one version, served and stored'
  if (version.schema.openAPIV3Schema.type !== 'object')
    yield 'the root is no object'
}

// The steps of a column's path: names, and [?(@.KEY=="VALUE")].
function stepsOf(jsonPath) {
  const steps = jsonPath.match(/\.[A-Za-z]+|\[\?\(@\.[A-Za-z]+=="[A-Za-z]+"\)\]/g) ?? []

  return steps.join('') === jsonPath ? steps : undefined
}

// What kubectl prints of @object in the column of @jsonPath; undefined for nothing.
export function columnOf(object, jsonPath) {
  return stepsOf(jsonPath).reduce((value, step) => {
    if (step.startsWith('.'))
      return value?.[step.slice(1)]
    const [, key, wanted] = /@\.([A-Za-z]+)=="([A-Za-z]+)"/.exec(step)
    return value?.find(item => item[key] === wanted)
  }, object)
}

const OBJECT_META = {properties: {creationTimestamp: {type: 'string'}}}
const COLUMN_TYPES = {string: ['string'], date: ['string'], integer: ['integer']}

function* columns({version, schema}) {
  for (const {name, type, jsonPath} of version.additionalPrinterColumns) {
    const steps = stepsOf(jsonPath)
    const end = steps?.reduce((node, step) => step.startsWith('.')
      ? (step === '.metadata' ? OBJECT_META : node?.properties?.[step.slice(1)])
      : node?.items, schema)

    if (!COLUMN_TYPES[type]?.includes(end?.type))
      yield `the column ${name} is no ${type} of the schema`
  }
}

export const checkDefinition = crd => [...names(crd), ...structural({description: '-', ...crd.schema}, ''), ...columns(crd)]
