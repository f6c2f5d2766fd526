// SPDX-License-Identifier: Apache-2.0
// The objects that kustomize and helm make of deploy/, by the programs themselves.
import {spawnSync} from 'node:child_process'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join, relative} from 'node:path'
import {parseYaml, plain} from '../crds/apiserver.mjs'

// What @program says of @args; throws what it complains about.
export function run(program, args, options = {}) {
  const done = spawnSync(program, args, {encoding: 'utf8', maxBuffer: 64 << 20, ...options})

  if (done.status !== 0)
    throw new Error(`${program} ${args[0]}: ${(done.stderr || String(done.error)).trim()}`)
  return done.stdout
}

// A template of which nothing is left is a document with a comment.
const objectsOf = text => parseYaml(text).filter(({error, value}) => error || value).map(({error, value}) => {
  if (error)
    throw new Error(error)
  return plain(value)
})

export class Renderer {
  constructor(kubectl, helm, deploy) {
    Object.assign(this, {kubectl, helm, deploy, chart: join(deploy, 'chart/kmesh-rl')})
  }

  // Of the kustomization @base below deploy/, with the components of these names.
  kustomize(base, components = []) {
    if (!components.length)
      return objectsOf(run(this.kubectl, ['kustomize', join(this.deploy, base)]))

    const directory = mkdtempSync(join(tmpdir(), 'krl-deploy-'))
    const from = path => relative(directory, join(this.deploy, path))
    try {
      writeFileSync(join(directory, 'kustomization.yaml'), JSON.stringify({
        resources: [from(base)], components: components.map(name => from(`components/${name}`))
      }))
      return objectsOf(run(this.kubectl, ['kustomize', directory]))
    } finally {
      rmSync(directory, {recursive: true})
    }
  }

  template(...flags) {
    return objectsOf(run(this.helm, ['template', 'kmesh-rl', this.chart, '--namespace', 'kmesh-rl', '--include-crds', ...flags]))
  }

  lint() {
    return run(this.helm, ['lint', '--strict', this.chart])
  }
}

export const nameOf = ({kind, metadata: {name, namespace}}) => [kind, namespace, name].filter(Boolean).join('/')

const sorted = value => Array.isArray(value) ? value.map(sorted)
  : value !== null && typeof value === 'object'
    ? Object.fromEntries(Object.keys(value).sort().map(key => [key, sorted(value[key])])) : value

// Where @b differs from @a, as paths.
function* differences(a, b, path = '') {
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) {
    if (a !== b)
      yield `${path}: ${JSON.stringify(a)} and ${JSON.stringify(b)}`
    return
  }
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
    yield* differences(a[key], b[key], `${path}/${key}`)
}

// Why the objects of @ours and @theirs are not the same, whatever their order.
export function differs(ours, theirs) {
  const byName = objects => new Map(objects.map(object => [nameOf(object), sorted(object)]))
  const [a, b] = [byName(ours), byName(theirs)]

  return [...new Set([...a.keys(), ...b.keys()])].flatMap(name => {
    if (!a.has(name) || !b.has(name))
      return [`${name} is only in the ${a.has(name) ? 'kustomization' : 'chart'}`]
    return [...differences(a.get(name), b.get(name))].map(difference => `${name}${difference}`)
  }).join('; ')
}
