// SPDX-License-Identifier: Apache-2.0
// What an API server checks of the rules in x-kubernetes-validations when a CustomResourceDefinition is created:
// the types, which cel-js checks, and the estimated cost, which is counted here as cel-go counts it
// (checker/cost.go) with the sizes that Kubernetes takes from the schema (apiserver, pkg/cel).
import {Environment} from '@marcbachmann/cel-js'

const MAX_REQUEST_BYTES = 3 * 1024 * 1024
const RULE_COST_MAX = 10_000_000
const ALL_RULES_COST_MAX = 100_000_000
const STRING_FACTOR = 0.1
const REGEX_FACTOR = 0.25
const LIST_COST = 10

const BOOL = {name: 'bool', size: 1}
const INT = {name: 'int', size: 1}
const DYN = {name: 'dyn', size: MAX_REQUEST_BYTES - 2}

// The type of @schema, registered in @env with all in it; undefined for what no rule can see.
function declare(env, schema) {
  if (schema['x-kubernetes-int-or-string'])
    return DYN
  switch (schema.type) {
  case 'boolean':
    return BOOL
  case 'integer':
    return INT
  case 'number':
    return {name: 'double', size: 1}
  case 'string':
    return {name: 'string', size: schema.maxLength === undefined ? MAX_REQUEST_BYTES - 2 : 4 * schema.maxLength}
  case 'array': {
    const items = declare(env, schema.items)
    return items && {name: `list<${items.name}>`, items, size: schema.maxItems ?? Infinity}
  }
  case 'object':
    return declareObject(env, schema)
  }
}

let declared = 0

function declareObject(env, schema) {
  const fields = {}

  if (schema.additionalProperties) {
    const values = declare(env, schema.additionalProperties)
    return values && {name: `map<string, ${values.name}>`, items: {name: 'string', size: 0}, size: schema.maxProperties ?? Infinity}
  }
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const type = declare(env, property)
    if (type)
      fields[key] = type
  }
  const name = `Object${declared++}`
  env.registerType(name, {fields: Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, v.name]))})
  return {name, fields, size: 1}
}

const traverse = size => Math.ceil(size * STRING_FACTOR)

// The most that the comprehension @name over @n items costs beside the list itself, its body costing @body.
function loop(name, n, body) {
  switch (name) {
  case 'all':
    return n * (body + 3) + 1
  case 'exists_one':
    return n * (body + 2) + 2
  case 'filter':
    return n * (body + LIST_COST + 3) + LIST_COST + 1
  }
}

// {cost, type}, the most that @node can cost and what it is, with the types of the variables in @scope.
function estimate(node, scope) {
  const of = child => estimate(child, scope)
  const sum = (...children) => children.reduce((total, child) => total + of(child).cost, 0)

  switch (node.op) {
  case 'value':
    return {cost: 0, type: typeof node.args === 'string' ? {name: 'string', size: node.args.length} : INT}
  case 'id':
    return {cost: 1, type: scope[node.args]}
  case '.': {
    const {cost, type} = of(node.args[0])
    if (!type.fields?.[node.args[1]])
      throw new Error(`undefined field '${node.args[1]}'`)
    return {cost: cost + 1, type: type.fields[node.args[1]]}
  }
  case 'list':
    return {cost: LIST_COST + sum(...node.args), type: {items: BOOL, size: node.args.length}}
  case '!_':
    return {cost: 1 + of(node.args).cost, type: BOOL}
  case '&&':
  case '||':
    return {cost: sum(...node.args), type: BOOL}
  case '?:': {
    const [condition, a, b] = node.args.map(of)
    return {cost: condition.cost + Math.max(a.cost, b.cost), type: a.type}
  }
  case '==':
  case '!=': {
    const [a, b] = node.args.map(of)
    return {cost: a.cost + b.cost + traverse(Math.min(a.type.size, b.type.size)), type: BOOL}
  }
  case '<':
  case '<=':
    return {cost: 1 + sum(...node.args), type: BOOL}
  case 'in':
    return {cost: of(node.args[0]).cost + of(node.args[1]).cost + of(node.args[1]).type.size, type: BOOL}
  case 'call':
    return estimateCall(node.args[0], node.args[1][0], of)
  case 'rcall':
    return estimateMethod(node.args, scope, of)
  }
  throw new Error(`what ${node.op} costs is not known here`)
}

function estimateCall(name, argument, of) {
  const {cost, type} = of(argument)

  switch (name) {
  case 'has':
    return {cost: cost - 1, type: BOOL}
  case 'size':
    return {cost: cost + 1, type: INT}
  case 'bytes':
    return {cost: cost + traverse(type.size), type: {name: 'bytes', size: type.size}}
  }
  throw new Error(`what ${name}() costs is not known here`)
}

function estimateMethod([name, target, args], scope, of) {
  const {cost, type} = of(target)

  if (loop(name, 0, 0)) {
    const body = estimate(args[1], {...scope, [args[0].args]: type.items})
    return {cost: cost + loop(name, type.size, body.cost), type: name === 'filter' ? type : BOOL}
  }
  switch (name) {
  case 'size':
    return {cost: cost + 1, type: INT}
  case 'lowerAscii':
    return {cost: cost + traverse(type.size), type}
  case 'matches':
    return {cost: cost + traverse(type.size + 1) * Math.ceil(args[0].args.length * REGEX_FACTOR), type: BOOL}
  }
  throw new Error(`what .${name}() costs is not known here`)
}

// How many of each node of @schema a document can hold at most: visit(node, count, path).
function* nodes(schema, count, path) {
  yield {schema, count, path}
  for (const [key, property] of Object.entries(schema.properties ?? {}))
    yield* nodes(property, count, `${path}.${key}`)
  if (schema.items)
    yield* nodes(schema.items, count * (schema.maxItems ?? Infinity), `${path}[]`)
}

// The rules of @root, each as {path, rule, cost, problem}.
export function* checkRules(root) {
  for (const {schema, count, path} of nodes(root, 1, '')) {
    for (const {rule, message} of schema['x-kubernetes-validations'] ?? []) {
      const env = new Environment()
      let cost = 0, problem
      try {
        const self = declare(env, schema)
        env.registerVariable('self', self.name)
        const checked = env.check(rule)
        if (!checked.valid)
          throw checked.error
        if (checked.type !== 'bool')
          throw new Error(`a rule is a bool, not ${checked.type}`)
        if (!message?.trim() || /[\r\n]/.test(message))
          throw new Error('a message of one line is missing')
        cost = count * estimate(env.parse(rule).ast, {self}).cost
        if (cost > RULE_COST_MAX)
          throw new Error(`may cost ${cost}, more than ${RULE_COST_MAX}: lower maxItems or maxLength`)
      } catch (error) {
        problem = error.message.split('\n')[0]
      }
      yield {path, rule, cost, problem}
    }
  }
}

export function totalProblem(rules) {
  const total = rules.reduce((sum, {cost}) => sum + cost, 0)

  return total > ALL_RULES_COST_MAX ? `all rules may cost ${total}, more than ${ALL_RULES_COST_MAX}` : undefined
}
