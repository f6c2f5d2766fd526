// SPDX-License-Identifier: Apache-2.0
// What a ValidatingAdmissionPolicy says of an object. cel-js evaluates the expressions; what Kubernetes adds to CEL
// and the policy uses is here, as its documentation has it (Common Expression Language in Kubernetes, "Kubernetes IP
// address library", "Kubernetes CIDR library").
import {BlockList, isIP} from 'node:net'
import {Environment} from '@marcbachmann/cel-js'

class Cidr {
  constructor(text) {
    const [address, bits] = text.split('/')

    this.family = isIP(address)
    this.bits = Number(bits)
    this.bytes = bytesOf(address)
  }

  masked() {
    const copy = Object.assign(Object.create(Cidr.prototype), this)

    copy.bytes = this.bytes.map((byte, i) => byte & 0xff << 8 - Math.min(8, Math.max(0, this.bits - 8 * i)))
    return copy
  }

  equals(other) {
    return this.family === other.family && this.bits === other.bits && String(this.bytes) === String(other.bytes)
  }
}

function bytesOf(address) {
  if (isIP(address) === 4)
    return address.split('.').map(Number)
  const [head, tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groups = text => text ? text.split(':') : []
  const words = tail === undefined ? groups(head)
    : [...groups(head), ...Array(8 - groups(head).length - groups(tail).length).fill('0'), ...groups(tail)]
  return words.flatMap(word => [parseInt(word, 16) >> 8, parseInt(word, 16) & 0xff])
}

const isMapped = address => {
  const list = new BlockList()

  list.addSubnet('::ffff:0:0', 96, 'ipv6')
  return isIP(address) === 6 && list.check(address, 'ipv6')
}

// Without IPv4 in IPv6, zones and leading zeros.
function isCidr(text) {
  const [, address, bits] = /^([0-9a-fA-F:.]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? []

  return address !== undefined && isIP(address) !== 0 && !isMapped(address) && Number(bits) <= (isIP(address) === 4 ? 32 : 128)
}

const FUNCTIONS = [
  ['isCIDR(string): bool', isCidr],
  ['cidr(string): Cidr', value => {
    if (!isCidr(value))
      throw new Error(`${value} is no CIDR`)
    return new Cidr(value)
  }],
  ['Cidr.masked(): Cidr', value => value.masked()],
  ['string.replace(string, string): string', (value, what, by) => value.replaceAll(what, by)]
]

function environment() {
  const env = new Environment().registerVariable('object', 'dyn').registerVariable('variables', 'dyn')

  env.registerType('Cidr', Cidr)
  for (const [signature, handler] of FUNCTIONS)
    try {
      env.registerFunction(signature, handler)
    } catch (error) {
      // cel-js has it by now.
      if (!/already|overlap/i.test(error.message))
        throw error
    }
  env.registerOperator('Cidr == Cidr', (a, b) => a.equals(b))
  return env
}

// A function from an object to the validations, by their place, that refuse it, each as {at, message}. One that cannot
// be computed refuses too, as failurePolicy: Fail has it.
export function compile(policy) {
  const env = environment()
  const variables = policy.spec.variables.map(({name, expression}) => [name, env.parse(expression)])
  const validations = policy.spec.validations.map(({expression, message}) => [env.parse(expression), message])

  return object => {
    const computed = {}

    for (const [name, program] of variables)
      computed[name] = program({object, variables: computed})
    return validations.flatMap(([program, message], at) => {
      try {
        return program({object, variables: computed}) === true ? [] : [{at, message}]
      } catch (error) {
        return [{at, message: `${message} (${error.message})`}]
      }
    })
  }
}
