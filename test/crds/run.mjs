// SPDX-License-Identifier: Apache-2.0
// run.mjs KMESH-RL CRD CORPUS RESULTS DOCUMENTS... -- FOREIGN...: are the agent and the CustomResourceDefinition of
// one mind? Each document of CORPUS/GROUP/*.yaml is given to both:
//
//   good         both take it, and so are the DOCUMENTS, and what `convert` makes of the FOREIGN ones
//   bad          both refuse it; what the agent says begins as the comment above it
//   agent-only   what a schema cannot say: the agent alone refuses it, and what it says begins as the comment
//   schema-only  the API server alone refuses it; the comment says why
//
// Writes lines "pass|fail<TAB>crds/GROUP<TAB>case<TAB>reason" to the file RESULTS.
import {readFileSync, readdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {readDefinition} from './apiserver.mjs'
import {Judges, documentsOf, read} from './corpus.mjs'
import {checkDefinition, columnOf} from './definition.mjs'
import {checkRules, totalProblem} from './rules.mjs'

// What of the schema needs no document that it refuses: what is judged before it is asked, what only agents write,
// and what would take a document of 16385 endpoints.
const ASIDE = [' type', '.apiVersion', '.kind', '.metadata', '.status', '.spec.endpoints maxItems']

const [tool, crdFile, corpus, results, ...rest] = process.argv.slice(2)
const shipped = rest.slice(0, rest.indexOf('--'))
const foreign = rest.slice(rest.indexOf('--') + 1)
const crdText = readFileSync(crdFile, 'utf8')
const crd = readDefinition(crdText)
const judges = new Judges(tool, crd)
const rows = []

function report(group, name, reason) {
  rows.push([reason ? 'fail' : 'pass', `crds/${group}`, name, (reason ?? '').replace(/\s+/g, ' ')])
  if (reason)
    console.log(`FAIL  crds/${group}/${name}: ${reason}`)
}

function runGroup(group, check) {
  const directory = join(corpus, group)

  for (const file of readdirSync(directory).filter(name => name.endsWith('.yaml')).sort())
    for (const document of read(join(directory, file)))
      report(group, document.name, check(document))
}

function runGood(group, documents) {
  const limits = documents.filter(({value}) => value?.kind === crd.definition.spec.names.kind)

  for (const document of limits)
    report(group, document.name, judges.good(document))
  if (!limits.length)
    report(group, '(all)', 'there are none')
}

// What kubectl get prints of an object, but for name and age.
function runColumns() {
  const object = {
    spec: {service: 'web'},
    status: {
      service: 'web:80', limit: '10 per 1 minute', limited: 3,
      conditions: [{type: 'Programmed', status: 'False', reason: 'Pending'},
                   {type: 'Accepted', status: 'True', reason: 'Valid'}]
    }
  }
  const wanted = {Service: 'web:80', Limit: '10 per 1 minute', Accepted: 'True', Limited: 3, Age: undefined, Reason: 'Valid'}
  const printed = Object.fromEntries(crd.version.additionalPrinterColumns.map(
    ({name, jsonPath}) => [name, columnOf(object, jsonPath)]))

  report('definition', 'kubectl get prints service, limit, accepted, limited and age',
         JSON.stringify(printed) === JSON.stringify(wanted) ? undefined : `it prints ${JSON.stringify(printed)}`)
}

// Everything that the checks find in a definition.
const problemsOf = other => [...checkDefinition(other), ...[...checkRules(other.schema)].map(r => r.problem).filter(Boolean)]

// The checks see what an API server would refuse: each of these, put in place of what it is about.
function runBroken() {
  const broken = [
    ['a node without a type', /type: boolean/, "description: '-'", 'type is missing'],
    ['a type in anyOf', '- required: [burst]', '- {required: [burst], type: object}', 'type may not stand in'],
    ['a field in anyOf that is not outside', '{headers: {minItems: 1}}', '{header: {minItems: 1}}', 'is not in properties outside'],
    ['an unknown keyword', 'minItems: 1\n', 'minimumItems: 1\n', 'minimumItems is not known'],
    ['a default that is not valid', 'default: Exact', 'default: exact', 'the default is not valid'],
    ['a required field that is not there', 'required: [ip, port]', 'required: [ip, ports]', 'ports, which is required'],
    ['a field without a description', /description: The TCP port.\n */, '', 'description is missing'],
    ['a pattern of one dialect', "pattern: '^[^\\x00]+$'", "pattern: '(?i)^a$'", 'not everyone reads alike'],
    ['a column of a field that is not there', '.status.limited', '.status.limitd', 'the column Limited'],
    ['a rule about a field that is not there', '!has(self.onLimit)', '!has(self.onLimt)', "undefined field 'onLimt'"],
    ['what old API servers cannot apply a status by', /type: boolean/, 'x-kubernetes-int-or-string: true', 'is beyond old API servers'],
    ['properties without a type', 'multipleOf: 1\n', 'properties: {}\n', 'take what has properties and no type for a mapping'],
    ['a rule about a field out of reach', '!has(s.model)', '!has(s.sourceIP)', "undefined field 'sourceIP'"],
    ['a rule that compares a number with text', 'size(bytes(self)) <= 63', "size(bytes(self)) == '63'", 'no such overload'],
    ['a rule that is no bool', 'size(bytes(self)) <= 63', 'size(bytes(self))', 'a rule is a bool, not int'],
    ['a rule that costs too much', 'maxItems: 16', 'maxItems: 160', 'lower maxItems or maxLength']
  ]

  for (const [name, what, instead, says] of broken) {
    const text = crdText.replace(what, () => instead)
    const found = text === crdText ? [] : problemsOf(readDefinition(text))
    report('definition', `the checks see ${name}`,
           found.some(problem => problem.includes(says)) ? undefined : `they see ${found[0] ?? 'nothing'}`)
  }
}

function runDefinition() {
  const rules = [...checkRules(crd.schema)]

  report('definition', 'structural, with valid names, defaults and columns', checkDefinition(crd).join('; '))
  for (const {path, rule, problem} of rules)
    report('definition', `${path}: ${rule}`, problem)
  report('definition', 'what all rules may cost', totalProblem(rules))
  runColumns()
  runBroken()
}

runDefinition()
runGroup('good', d => judges.good(d))
runGroup('bad', d => judges.bad(d))
runGroup('agent-only', d => judges.agentOnly(d))
runGroup('schema-only', d => judges.schemaOnly(d))
runGood('shipped', shipped.flatMap(read))
runGood('converted', foreign.flatMap(path => documentsOf(judges.run('convert', '-f', path, '').stdout, path)))
report('definition', 'each part of the schema refuses some document',
       judges.untried(crd.schema).filter(part => !ASIDE.some(aside => part.startsWith(aside))).join('; '))

const failed = rows.filter(([verdict]) => verdict === 'fail').length

writeFileSync(results, rows.map(row => `${row.join('\t')}\n`).join(''))
console.log(`${failed ? 'FAIL' : 'ok'} crds: ${rows.length - failed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
