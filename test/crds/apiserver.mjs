// SPDX-License-Identifier: Apache-2.0
// What an API server says of a document, given a CustomResourceDefinition. YAML is read as kubectl reads it, nulls
// are dropped, unknown fields refused (kubectl's --validate=strict), defaults filled in; then ajv asks the schema,
// and cel-js the rules of x-kubernetes-validations.
import {isIPv4, isIPv6} from 'node:net'
import {Environment} from '@marcbachmann/cel-js'
import Ajv from 'ajv'
import {parseAllDocuments} from 'yaml'

const INT64_MAX = 2n ** 63n - 1n

export const isMap = value => value !== null && typeof value === 'object' && !Array.isArray(value)

// The documents of @text: YAML 1.1 without its times and dates, which kubectl takes for text. Of keys that are
// given twice, the last one counts.
export function parseYaml(text) {
  const documents = parseAllDocuments(text, {
    version: '1.1', intAsBigInt: true, uniqueKeys: false,
    customTags: tags => tags.filter(t => t.format !== 'TIME' && t.tag !== 'tag:yaml.org,2002:timestamp')
  })

  return documents.filter(d => d.errors.length || d.contents).map(d => ({
    error: d.errors[0]?.message,
    value: d.errors.length ? undefined : d.toJS()
  }))
}

// Numbers as JSON Schema has them. What is no int64 is no integer to the API server. Of two places that are one
// object, as anchors make them, the results are one as well.
export function plain(value, seen = new Map()) {
  if (typeof value === 'bigint')
    return value > INT64_MAX || value < -INT64_MAX - 1n ? Infinity : Number(value)
  if (value === null || typeof value !== 'object')
    return value
  if (!seen.has(value))
    seen.set(value, Array.isArray(value) ? value.map(v => plain(v, seen))
      : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v, seen)])))
  return seen.get(value)
}

export function readDefinition(text) {
  const definition = plain(parseYaml(text)[0].value)
  const [version] = definition.spec.versions

  return {definition, version, schema: version.schema.openAPIV3Schema}
}

const childOf = (schema, key) => schema.properties?.[key] ?? schema.additionalProperties

// Call @visit(schema, value, path) for @value and all in it that has a schema.
function walk(schema, value, path, visit) {
  visit(schema, value, path)
  if (Array.isArray(value) && schema.items)
    value.forEach((item, i) => walk(schema.items, item, `${path}[${i}]`, visit))
  if (isMap(value))
    for (const [key, item] of Object.entries(value))
      if (childOf(schema, key))
        walk(childOf(schema, key), item, path ? `${path}.${key}` : key, visit)
}

function dropNulls(schema, value) {
  if (isMap(value))
    for (const key of Object.keys(value))
      if (value[key] === null && childOf(schema, key) && !childOf(schema, key).nullable)
        delete value[key]
}

function setDefaults(schema, value) {
  if (isMap(value))
    for (const [key, child] of Object.entries(schema.properties ?? {}))
      if (child.default !== undefined && !(key in value))
        value[key] = structuredClone(child.default)
}

const unknownFields = (schema, value) =>
  isMap(value) && schema.properties && !schema['x-kubernetes-preserve-unknown-fields']
    ? Object.keys(value).filter(key => !(key in schema.properties)) : []

// @schema in the words of JSON Schema. A format without a type asks for a string as well. The nodes of the result
// have the one they come from as `of`, and are one where those are.
function toJsonSchema(schema, seen = new Map()) {
  if (seen.has(schema))
    return seen.get(schema)

  const convert = node => toJsonSchema(node, seen)
  const result = {...schema}

  seen.set(schema, result)
  Object.defineProperty(result, 'of', {value: schema})
  if (schema['x-kubernetes-int-or-string'])
    result.type = ['integer', 'string']
  // A number of its own in JSON Schema, as of draft 6.
  if (schema.exclusiveMinimum) {
    result.exclusiveMinimum = schema.minimum
    delete result.minimum
  }
  if (schema.format && !schema.type)
    result.type = 'string'
  for (const key of ['anyOf', 'allOf', 'oneOf'])
    if (schema[key])
      result[key] = schema[key].map(convert)
  for (const key of ['not', 'items', 'additionalProperties'])
    if (schema[key])
      result[key] = convert(schema[key])
  if (schema.properties)
    result.properties = Object.fromEntries(Object.entries(schema.properties).map(([k, v]) => [k, convert(v)]))
  return result
}

// Addresses as the API server reads them: without a zone, and leading zeros count for nothing between dots.
function isAddress(text) {
  const at = text.lastIndexOf(':') + 1
  const address = text.includes('.') ? text.slice(0, at) + text.slice(at).replace(/(^|\.)0+(?=[0-9])/g, '$1') : text

  return isIPv4(address) || isIPv6(address) && !address.includes('%')
}

const formats = {
  ipv4: text => isAddress(text) && text.includes('.'),
  ipv6: text => isAddress(text) && text.includes(':'),
  cidr: text => {
    const [, address, bits] = /^([^/]+)\/([0-9]+)$/.exec(text) ?? []
    return address !== undefined && isAddress(address) && Number(bits) <= (address.includes(':') ? 128 : 32)
  },
  'date-time': true, int32: true, int64: true
}

const programs = new Map()

// Does @rule hold of @self? One that cannot be computed does not.
function holds(rule, self) {
  if (!programs.has(rule))
    programs.set(rule, new Environment().registerVariable('self', 'dyn').parse(rule))
  try {
    return programs.get(rule)({self}) === true
  } catch {
    return false
  }
}

// What is checked of any object: a DNS-1123 subdomain, and a label.
function metadataProblems(metadata) {
  const label = '[a-z0-9]([a-z0-9-]*[a-z0-9])?'
  const {name, namespace = 'default'} = isMap(metadata) ? metadata : {}
  const problems = []

  if (typeof name !== 'string' || name.length > 253 || !new RegExp(`^${label}(\\.${label})*$`).test(name))
    problems.push({path: 'metadata.name', message: 'expected a DNS subdomain'})
  if (typeof namespace !== 'string' || namespace.length > 63 || !new RegExp(`^${label}$`).test(namespace))
    problems.push({path: 'metadata.namespace', message: 'expected a DNS label'})
  return problems
}

// A function from a document's value, into which it fills the defaults, to what is wrong with it: a list of {path,
// message, node, keyword}, the last two being the node of the schema and what of it says so.
export function compile({definition, version, schema}) {
  const ajv = new Ajv({strict: false, strictNumbers: true, allErrors: true, verbose: true, formats})
  const validate = ajv.compile(toJsonSchema(schema))
  const {kind} = definition.spec.names
  const apiVersion = `${definition.spec.group}/${version.name}`

  return value => {
    if (!isMap(value) || value.kind !== kind || value.apiVersion !== apiVersion)
      return [{path: '', message: `expected a ${kind} of ${apiVersion}`}]

    const problems = metadataProblems(value.metadata)

    delete value.status
    walk(schema, value, '', dropNulls)
    walk(schema, value, '', (node, item, path) => problems.push(...unknownFields(node, item).map(
      key => ({path: path ? `${path}.${key}` : key, message: 'unknown field'}))))
    // Whether floating point is a multiple of anything is not known beyond 2^53 (go-openapi/swag, IsFloat64AJSONInteger).
    walk(schema, value, '', (node, item, path) => node.multipleOf && plain(item) === Infinity &&
      problems.push({path, message: 'a multiple of nothing', node, keyword: 'multipleOf'}))
    walk(schema, value, '', setDefaults)
    if (!validate(plain(value)))
      problems.push(...validate.errors.map(e => ({
        path: e.instancePath, message: e.message, node: e.parentSchema.of,
        keyword: e.keyword === 'required' ? `required ${e.params.missingProperty}` : e.keyword
      })))
    walk(schema, value, '', (node, item, path) => {
      for (const rule of node['x-kubernetes-validations'] ?? [])
        if (!holds(rule.rule, item))
          problems.push({path, message: rule.message, node, keyword: rule.rule})
    })
    return problems
  }
}
