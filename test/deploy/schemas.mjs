// SPDX-License-Identifier: Apache-2.0
// What an API server finds wrong with an object by the schema of its kind: types, required fields, values of
// enumerations, and fields that the schema does not have.

// By apiVersion, where the validators are, by path since not every package exports them.
const APIS = {
  'v1': 'kubernetes-models/_schemas/IoK8sApiCoreV1',
  'apps/v1': 'kubernetes-models/_schemas/IoK8sApiAppsV1',
  'networking.k8s.io/v1': 'kubernetes-models/_schemas/IoK8sApiNetworkingV1',
  'rbac.authorization.k8s.io/v1': 'kubernetes-models/_schemas/IoK8sApiRbacV1',
  'admissionregistration.k8s.io/v1': 'kubernetes-models/_schemas/IoK8sApiAdmissionregistrationV1',
  'apiextensions.k8s.io/v1':
    'kubernetes-models/_schemas/IoK8sApiextensionsApiserverPkgApisApiextensionsV1',
  'monitoring.coreos.com/v1':
    '@kubernetes-models/prometheus-operator/_schemas/ComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1'
}

// Of a CustomResourceDefinition the modules have lost these; test/crds knows them.
const LOST = /\/(description|x-kubernetes-[a-z-]+)$/

const isObject = value => value !== null && typeof value === 'object'

// @value, and what is asked of it: the validators ask an object for each field of its schema, so what they do not ask
// it for is no field. Of one that they ask for nothing, anything may be in it.
function watched(value, path, seen) {
  if (!isObject(value))
    return value
  const asked = new Set()
  const children = new Map()

  if (!Array.isArray(value))
    seen.push({path, value, asked})
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === 'string')
        asked.add(key)
      if (!isObject(target[key]))
        return target[key]
      if (!children.has(key))
        children.set(key, watched(target[key], `${path}/${key}`, seen))
      return children.get(key)
    }
  })
}

// A list of what is wrong with @object, empty for a valid one.
export async function problemsOf(object) {
  const module = APIS[object.apiVersion]

  if (!module)
    return [`no schema for ${object.apiVersion}`]
  const {validate} = await import(`./node_modules/${module}${object.kind}.js`).catch(() => ({}))
  if (!validate)
    return [`no schema for ${object.kind} of ${object.apiVersion}`]
  const seen = []
  const valid = validate(watched(object, '', seen))
  const problems = valid ? [] : validate.errors.map(
    ({instancePath, message, keyword, params}) => `${instancePath}: ${message ?? `${keyword} ${JSON.stringify(params)}`}`)

  for (const {path, value, asked} of seen)
    if (asked.size)
      problems.push(...Object.keys(value).filter(key => !asked.has(key)).map(key => `${path}/${key}`)
        .filter(field => object.kind !== 'CustomResourceDefinition' || !LOST.test(field))
        .map(field => `${field}: unknown field`))
  return problems
}
