// SPDX-License-Identifier: Apache-2.0
// run.mjs BUILD TOP RESULTS [KUBECTL HELM]: is what deploy/ makes valid, the same by kustomize and by helm, and true to
// the programs? Without the two programs, what they make is skipped.
//
// Writes lines "pass|fail|skip<TAB>deploy/GROUP<TAB>case<TAB>reason" to the file RESULTS.
import {readFileSync, readdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {compile as compileSchema, parseYaml, plain, readDefinition} from '../crds/apiserver.mjs'
import {read} from '../crds/corpus.mjs'
import {compile as compilePolicy} from './admission.mjs'
import {args, factsOf} from './facts.mjs'
import {differs, nameOf, Renderer, run} from './render.mjs'
import {problemsOf} from './schemas.mjs'

const [build, top, results, kubectl, helm] = process.argv.slice(2)
const rows = []

function report(group, name, reason, verdict = reason ? 'fail' : 'pass') {
  rows.push([verdict, `deploy/${group}`, name, (reason ?? '').replace(/\s+/g, ' ')])
  if (verdict === 'fail')
    console.log(`FAIL  deploy/${group}/${name}: ${reason}`)
}

// What is to be installed in one way and the other: a kustomization and its components, and the flags of helm.
const VARIANTS = {
  'deploy/': ['.', [], []],
  'deploy/before-1.30': ['before-1.30', [], ['--kube-version=1.29.15']],
  'deploy/components/pod-monitor': ['.', ['pod-monitor'], ['--set=podMonitor.enabled=true']],
  'deploy/components/service-monitor': ['.', ['service-monitor'], ['--set=serviceMonitor.enabled=true']],
  'deploy/components/redis': ['.', ['redis'], ['--set=redis.secret=kmesh-rl-redis']]
}

// Values that the chart takes, and some that it has to refuse with what the message has in it.
const GOOD_VALUES = ['watchNamespace=shop', 'maxUnavailable=1', 'maxUnavailable=100%', 'logLevel=debug', 'logFormat=json',
  'image.tag=1.2.3', 'image.pullSecrets={a,b}', 'admissionPolicy=false', 'networkPolicy=false', 'priorityClassName=',
  'tolerations=null', 'nodeSelector.disk=ssd', 'resources.limits.memory=2Gi', 'podMonitor.enabled=true,podMonitor.labels.a=b',
  'metrics.top=20,metrics.measurePrograms=true', 'metrics.port=9600', 'redis.secret=redis,podMonitor.enabled=true']
const BAD_VALUES = {
  'maxUnavailble=1': 'maxUnavailble', 'maxUnavailable=0': 'maxUnavailable', 'maxUnavailable=101%': 'maxUnavailable',
  'logLevel=loud': 'logLevel', 'image.pullPolicy=Sometimes': 'pullPolicy', 'resources.limits.memory=much': 'memory',
  'watchNamespace=Not_A_Name': 'watchNamespace', 'podMonitor.interval=often': 'interval', 'admissionPolicy=1': 'admissionPolicy',
  'metrics.top=1001': 'top', 'metrics.port=0': 'port', 'redis.secret=Not_A_Name': 'secret'
}

async function attempt(group, name, check) {
  try {
    report(group, name, await check())
  } catch (error) {
    report(group, name, error.message)
  }
}

// The chart has no Namespace: helm makes it, or does not.
const withoutNamespace = objects => objects.filter(({kind}) => kind !== 'Namespace')

async function checkObjects(variant, objects) {
  for (const object of objects)
    await attempt('schema', `${variant} ${nameOf(object)}`, async () => (await problemsOf(object)).join('; '))
}

// Another port of metrics is another one everywhere.
function checkPort(renderer, monitors, address) {
  const text = JSON.stringify(renderer.template('--set=metrics.port=9600', ...monitors))

  if (!text.includes(`"--metrics=${address}:9600"`))
    return `the agent does not listen at ${address}:9600`
  return text.includes('9464') ? 'something asks 9464' : undefined
}

async function checkRendered(renderer) {
  for (const [variant, [base, components, flags]] of Object.entries(VARIANTS))
    await attempt('chart', `as ${variant}`, async () => {
      const objects = renderer.kustomize(base, components)
      await checkObjects(variant, objects)
      const {reason, verdict} = args(join(build, 'kmesh-rl-agent'),
                                     objects.find(({kind}) => kind === 'DaemonSet').spec.template.spec)
      report('manifest', `the agent takes its arguments, of ${variant}`, reason, verdict)
      return differs(withoutNamespace(objects), renderer.template(...flags))
    })
  await checkObjects('deploy/detach', renderer.kustomize('detach'))
  await attempt('chart', 'another port of metrics', () => checkPort(renderer, [], '127.0.0.1'))
  await attempt('chart', 'another port of metrics, with monitors', () =>
    checkPort(renderer, ['--set=podMonitor.enabled=true,serviceMonitor.enabled=true'], ''))
  await attempt('chart', 'helm lint', () => (renderer.lint(), undefined))
  for (const values of GOOD_VALUES)
    await attempt('chart', `takes ${values}`, async () => {
      for (const object of renderer.template(`--set=${values}`))
        for (const problem of await problemsOf(object))
          throw new Error(`${nameOf(object)}${problem}`)
    })
  for (const [values, says] of Object.entries(BAD_VALUES))
    await attempt('chart', `refuses ${values}`, () => {
      try {
        renderer.template(`--set=${values}`)
      } catch (error) {
        return error.message.includes(says) && error.message.includes('schema') ? undefined : `it says ${error.message}`
      }
      return 'it takes it'
    })
}

// The checks see what an API server would refuse: each of these, put in place of what it is about.
async function checkBroken(daemonset) {
  const broken = {
    'a field that is not there': [object => { object.spec.template.spec.hostPid = true }, 'hostPid: unknown field'],
    'a field of a list that is not there': [object => {
      object.spec.template.spec.containers[0].securityContext.capabilites = {}
    }, 'capabilites: unknown field'],
    'another type': [object => { object.spec.template.spec.hostNetwork = 'yes' }, 'hostNetwork'],
    'a required field that is missing': [object => { delete object.spec.selector }, 'selector']
  }

  for (const [name, [breakIt, says]] of Object.entries(broken)) {
    const object = structuredClone(daemonset)
    breakIt(object)
    const problems = await problemsOf(object)
    report('schema', `the checks see ${name}`,
           problems.some(problem => problem.includes(says)) ? undefined : `they see ${problems[0] ?? 'nothing'}`)
  }
  report('chart', 'the comparison sees a difference',
         differs([daemonset], [{...daemonset, spec: {}}]) && differs([daemonset], []) ? undefined : 'it sees none')
}

// The policy refuses nothing that agents take, and each of its validations something that the schema takes.
function checkPolicy(policy) {
  const review = compileSchema(readDefinition(readFileSync(join(top, 'crds/kmesh.net_ratelimits.yaml'), 'utf8')))
  const refuses = compilePolicy(policy)
  const corpus = group => readdirSync(join(top, 'test/crds', group)).filter(name => name.endsWith('.yaml'))
    .flatMap(name => read(join(top, 'test/crds', group, name)))
  const limits = documents => documents.filter(({value}) => value?.kind === 'RateLimit')
  const examples = readdirSync(join(top, 'deploy/examples'), {recursive: true}).filter(name => name.endsWith('.yaml'))
    .flatMap(name => read(join(top, 'deploy/examples', name)))
  const used = new Set()

  for (const {name, value} of limits([...corpus('good'), ...examples])) {
    review(value)
    report('admission', `takes ${name}`, refuses(value).map(({message}) => message).join('; '))
  }
  for (const {value} of limits(corpus('agent-only')))
    if (!review(value).length)
      refuses(value).forEach(({at}) => used.add(at))
  policy.spec.validations.forEach(({message}, at) => report('admission', `refuses what the schema takes: ${message}`,
    used.has(at) ? undefined : 'no document of test/crds/agent-only'))
}

// The alerts, by Prometheus' own tool.
async function checkAlerts() {
  for (const [verb, file] of [['check', 'deploy/prometheus/kmesh-rl.rules.yaml'], ['test', 'test/deploy/kmesh-rl.rules.test.yaml']])
    await attempt('alerts', `promtool ${verb} rules`, () => (run('promtool', [verb, 'rules', join(top, file)]), undefined))
}

const yaml = path => parseYaml(readFileSync(join(top, path), 'utf8')).map(({value}) => plain(value))
const [daemonset] = yaml('deploy/base/daemonset.yaml')
const [detach] = yaml('deploy/detach/daemonset.yaml')

await checkBroken(daemonset)
checkPolicy(yaml('deploy/admission.yaml')[0])
await checkAlerts()
for (const {name, reason, verdict} of factsOf({build, top, daemonset, detach, roles: yaml('deploy/base/rbac.yaml'), yaml}))
  report('manifest', name, reason, verdict)
if (kubectl)
  await checkRendered(new Renderer(kubectl, helm, join(top, 'deploy')))
else
  report('chart', '(all)', `the package with kubectl and helm is for x86-64, this machine is ${process.arch}`, 'skip')

const count = verdict => rows.filter(row => row[0] === verdict).length

writeFileSync(results, rows.map(row => `${row.join('\t')}\n`).join(''))
console.log(`${count('fail') ? 'FAIL' : 'ok'} deploy: ${count('pass')} passed, ${count('fail')} failed, ${count('skip')} skipped`)
process.exit(count('fail') ? 1 : 0)
