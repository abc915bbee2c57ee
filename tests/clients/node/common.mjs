// What the scenarios of all Node clients are made of.

import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'

export const bootstrap = process.env.BOOTSTRAP_SERVERS
export const within = 30_000 // ms; only a broker that does not answer takes as long

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export async function ask(what) {
  console.log(what)
  same('done', (await lines.next()).value)
}

export async function untilToldToLeave() {
  await lines.next()
}

export async function scenario(name, run) {
  try {
    await inTime(run(), 2 * within, name)
    console.log('ok', name)
  } catch (error) {
    const nested = [error.errors, error.partitions?.map(({ error }) => error)].flat()
    const causes = nested.filter(Boolean).flatMap(cause => [cause, ...(cause.errors ?? [])])
    const text = [error, ...causes].join('; ')
    console.log('FAIL', name, text.replaceAll('\n', ' '))
  }
}

export async function inTime(promise, limit, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took over ${limit} ms`)), limit)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

export function check(condition, otherwise) {
  if (!condition) throw new Error(otherwise)
}

export function same(expected, found) {
  const text = value =>
    JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner))
  check(isDeepStrictEqual(expected, found), `expected ${text(expected)}, found ${text(found)}`)
}

export async function fails(code, codeOf, action) {
  try {
    await action()
  } catch (error) {
    return same(code, codeOf(error))
  }
  throw new Error(`expected ${code}, found success`)
}

export async function eventually(holds, what) {
  const deadline = Date.now() + within
  while (!(await holds())) {
    check(Date.now() < deadline, `expected ${what}`)
    await sleep(20)
  }
}

export function sleep(ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}

export function range(from, to) {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

export function numbered(from, to) {
  return range(from, to).map(i => `v${i}`)
}
