// SPDX-License-Identifier: Apache-2.0
// What is true of the manifests beside their schema: that they ask for no more than is needed, and fit the programs of
// this tree.
import {spawnSync} from 'node:child_process'
import {readFileSync, readlinkSync} from 'node:fs'
import {join} from 'node:path'

const CAPABILITIES = ['NET_ADMIN', 'SYS_ADMIN', 'SYS_PTRACE']
const VERBS = ['get', 'list', 'watch', 'create', 'patch']

const unless = (condition, reason) => condition ? undefined : reason

function confinement({hostPID, hostNetwork, containers: [{securityContext}]}) {
  const {capabilities, readOnlyRootFilesystem, privileged} = securityContext

  if (privileged !== undefined || String(capabilities.drop) !== 'ALL' || String(capabilities.add) !== String(CAPABILITIES))
    return `it has ${JSON.stringify(securityContext)}`
  return unless(readOnlyRootFilesystem && hostPID && hostNetwork, 'its root can be written, or it is not among the host\'s processes')
}

function volumes({volumes: declared, containers: [{volumeMounts}]}) {
  const names = list => String(list.map(({name}) => name).sort())
  const writable = volumeMounts.filter(({readOnly}) => !readOnly).map(({mountPath}) => mountPath).sort()

  if (names(declared) !== names(volumeMounts))
    return `${names(declared)} are declared, ${names(volumeMounts)} mounted`
  return unless(String(writable) === '/run/kmesh-rl,/sys/fs/bpf', `it can write to ${writable}`)
}

// What detaches is confined as the agent is; what waits then has no rights at all.
function detaching({initContainers: [first], containers: [second]}, agent) {
  const {capabilities, runAsNonRoot} = second.securityContext

  if (JSON.stringify(first.securityContext) !== JSON.stringify(agent.containers[0].securityContext))
    return `it has ${JSON.stringify(first.securityContext)}`
  return unless(runAsNonRoot && String(capabilities.drop) === 'ALL' && !capabilities.add, JSON.stringify(second.securityContext))
}

// Whatever else is in their namespace goes on as it was.
function selected(policies, {template}) {
  const wide = policies.filter(({spec: {podSelector: {matchLabels = {}}}}) => !matchLabels['app.kubernetes.io/component'] ||
    Object.entries(matchLabels).some(([label, value]) => template.metadata.labels[label] !== value))

  return unless(policies.length && !wide.length, JSON.stringify(wide))
}

function verbs(roles) {
  const wide = roles.filter(({rules}) => rules).flatMap(({rules}) => rules)
    .filter(({apiGroups, resources, verbs: asked}) => [...apiGroups, ...resources].includes('*') ||
      asked.some(verb => !VERBS.includes(verb)) || resources.includes('secrets'))

  return unless(!wide.length, JSON.stringify(wide))
}

// The arguments as the agent reads them, which ends before it starts.
export function args(agent, {containers: [{args: given}]}) {
  const help = spawnSync(agent, ['--help'], {encoding: 'utf8'}).stdout

  if (!help.includes('kubernetes'))
    return {verdict: 'skip', reason: 'this agent has no --source kubernetes'}
  const done = spawnSync(agent, [...given, '--version'], {encoding: 'utf8'})
  return {reason: unless(done.status === 0, done.stderr)}
}

// Each asks where the agent listens unless it is told otherwise. Of those that end an agent, none asks whether it is ready,
// since one that the API server does not answer would be ended again and again.
function probes(agent, {containers: [{startupProbe, readinessProbe, livenessProbe}]}) {
  const help = spawnSync(agent, ['--help'], {encoding: 'utf8'}).stdout

  for (const [{httpGet}, path] of [[startupProbe, '/healthz'], [readinessProbe, '/readyz'], [livenessProbe, '/healthz']])
    if (httpGet?.path !== path || !help.includes(`(${httpGet.host}:${httpGet.port})`) || !help.includes(path))
      return `${path} is not at ${JSON.stringify(httpGet)}`
}

function versions(top, yaml) {
  const version = readFileSync(join(top, 'VERSION'), 'utf8').trim()
  const [chart] = yaml('deploy/chart/kmesh-rl/Chart.yaml')
  const tags = ['base', 'detach'].map(name => yaml(`deploy/${name}/kustomization.yaml`)[0].images[0].newTag)
  const others = [chart.version, chart.appVersion, ...tags].filter(other => other !== version)

  return unless(!others.length, `VERSION is ${version}, others are ${others}`)
}

// A list of {name, reason, verdict}; without a reason it holds.
export function factsOf({build, top, daemonset, detach, roles, yaml}) {
  const pod = daemonset.spec.template.spec
  const link = readlinkSync(join(top, 'deploy/chart/kmesh-rl/crds/kmesh.net_ratelimits.yaml'))

  return [
    {name: 'the capabilities that are needed, all others dropped', reason: confinement(pod)},
    {name: 'two directories can be written to', reason: volumes(pod)},
    {name: 'what detaches is confined as the agent is', reason: detaching(detach.spec.template.spec, pod)},
    {name: 'the network policy is about the agents alone',
     reason: selected(yaml('deploy/base/network-policy.yaml'), daemonset.spec)},
    {name: 'the roles read, but for status and events', reason: verbs(roles)},
    {name: 'the agent takes its arguments', ...args(join(build, 'kmesh-rl-agent'), pod)},
    {name: 'the probes ask what is there', reason: probes(join(build, 'kmesh-rl-agent'), pod)},
    {name: 'chart and image are of this version', reason: versions(top, yaml)},
    {name: 'the chart has the definition by a link', reason: unless(link.endsWith('/crds/kmesh.net_ratelimits.yaml'), link)}
  ]
}
