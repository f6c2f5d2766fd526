// SPDX-License-Identifier: Apache-2.0
// The documents, and what the agent and an API server say of them.
import {spawnSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {basename} from 'node:path'
import {compile, parseYaml} from './apiserver.mjs'

const nameOf = value => value?.metadata?.name ?? value?.metadata?.namespace ?? value?.kind ?? 'unreadable'

// The documents of @text, which is the file @path, each with the lines of the comment above it.
export function documentsOf(text, path) {
  return text.split(/^---\n/m).flatMap(part => {
    const [parsed] = parseYaml(part)

    return parsed ? [{
      text: part,
      value: parsed.value,
      comment: /^(# .*\n)*/.exec(part)[0].replace(/^# /gm, '').trimEnd().split('\n'),
      name: `${basename(path)}: ${nameOf(parsed.value)}`
    }] : []
  })
}

export const read = path => documentsOf(readFileSync(path, 'utf8'), path)

// As JSON, with whole numbers as they are.
const toJson = value =>
  JSON.stringify(value, (key, v) => typeof v === 'bigint' ? `#${v}#` : v).replace(/"#(-?[0-9]+)#"/g, '$1')

const listed = problems => problems.map(({path, message}) => path ? `${path}: ${message}` : message).join('; ')

export class Judges {
  constructor(tool, crd) {
    this.tool = tool
    this.crd = crd
    this.review = compile(crd)
    this.violated = new Map()	// of each node of the schema, what of it refused a document
  }

  run(...args) {
    const done = spawnSync(this.tool, args.slice(0, -1), {input: args.at(-1), encoding: 'utf8'})

    if (done.status !== 0 && done.status !== 1)
      throw new Error(`${this.tool} ended with ${done.status ?? done.signal ?? done.error}`)
    return done
  }

  // What the agent says of a document, without file, line and column; nothing of one that it takes.
  agent(text) {
    const done = this.run('validate', '-f', '-', text)

    return done.status ? done.stderr.trim().split('\n').map(line => line.replace(/^[^:]*:[0-9]+:[0-9]+: /, '')) : []
  }

  // What the API server says of a document: of each item of a List, as which kubectl sends it.
  schema(text) {
    const [{error, value}] = parseYaml(text)
    const items = value?.kind === 'List' ? value.items : [value]
    const problems = error ? [{message: error}] : items.flatMap(item => this.review(item))

    for (const {node, keyword} of problems.filter(p => p.node))
      this.violated.set(node, (this.violated.get(node) ?? new Set()).add(keyword))
    return {problems, value}
  }

  // Why what the agent says of the document does not begin as the comment above it.
  differs({text, comment: [expected]}) {
    const [said] = this.agent(text)

    if (said?.startsWith(expected || '-'))
      return undefined
    return said ? `the agent says "${said}", its comment "${expected}"` : 'the agent takes it'
  }

  // A document of each group, and why it is none of it.

  good({text}) {
    const said = this.agent(text)
    const {problems, value} = this.schema(text)

    if (said.length || problems.length)
      return `the agent says "${said.join('; ')}", the schema "${listed(problems)}"`
    const filled = this.agent(toJson(value))
    return filled.length ? `with the defaults filled in, the agent says "${filled.join('; ')}"` : undefined
  }

  bad(document) {
    const {problems} = this.schema(document.text)

    return this.differs(document) ?? (problems.length ? undefined : 'the schema takes it')
  }

  agentOnly(document) {
    const {problems} = this.schema(document.text)

    return this.differs(document) ?? (problems.length ? `the schema says "${listed(problems)}"` : undefined)
  }

  schemaOnly({text}) {
    const {problems} = this.schema(text)
    const said = this.agent(text)

    if (said.length)
      return `the agent says "${said.join('; ')}"`
    return problems.length ? undefined : 'the schema takes it'
  }

  // What of @schema has refused no document yet, as "PATH KEYWORD".
  untried(schema, path = '', seen = new Set()) {
    if (seen.has(schema))
      return []
    seen.add(schema)
    const refused = this.violated.get(schema) ?? new Set()
    const parts = ['type', 'pattern', 'enum', 'exclusiveMinimum', 'minimum', 'multipleOf', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems',
      'maxProperties', 'anyOf', 'oneOf', 'not'].filter(keyword => keyword in schema)
      // Type and length beside an enumeration are there for the rules.
      .filter(keyword => !schema.enum || !['type', 'maxLength'].includes(keyword))
      .filter(keyword => keyword !== 'minimum' || !schema.exclusiveMinimum)
      .concat((schema.required ?? []).map(name => `required ${name}`))
      .concat((schema['x-kubernetes-validations'] ?? []).map(({rule}) => rule))
    const children = Object.entries(schema.properties ?? {}).map(([key, child]) => [child, `${path}.${key}`])
      .concat((schema.allOf ?? []).map(child => [child, path]))
      .concat([schema.items, schema.additionalProperties].filter(Boolean).map(child => [child, `${path}[]`]))

    return parts.filter(part => !refused.has(part)).map(part => `${path} ${part}`)
      .concat(children.flatMap(([child, at]) => this.untried(child, at, seen)))
  }
}
