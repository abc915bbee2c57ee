// The Kafka page of Quarkus's Dev UI in a browser: what KafkaJS put into the broker is what a
// person sees there. A grid is read as it is drawn: rows of cells, in their order.

import { spawn } from 'node:child_process'
import { isDeepStrictEqual } from 'node:util'
import kafkajs from 'kafkajs'
import { chromium } from 'playwright-core'
import { bootstrap, check, eventually, inTime, same, scenario } from './common.mjs'

const { Kafka, logLevel } = kafkajs
const kafka = new Kafka({ brokers: [bootstrap], clientId: 'teller', logLevel: logLevel.NOTHING })

const records = [
  { partition: 0, key: 'ada', value: 'first', headers: { trace: 't-1', source: 'shop' } },
  { partition: 0, key: 'bea', value: '{"second": 2}' },
  { partition: 1, key: 'cid', value: 'third' },
  { partition: 2, key: 'dora', value: 'fourth' },
]

const uuid = /^[\w-]{22}$/ // as Kafka writes one
const startWithin = 120_000 // ms; Maven and Quarkus on a busy machine

let ui
let page
const faults = []

async function main() {
  console.log('version', process.env.QUARKUS_VERSION)
  const member = await fill()
  ui = await start()
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  page = await browser.newPage()
  page.on('pageerror', error => faults.push(`page: ${error}`))
  page.on('console', line => line.type() === 'error' && faults.push(`console: ${line.text()}`))
  await scenario('topics', topics)
  await scenario('records', theRecords)
  await scenario('groups', groups)
  await scenario('cluster', cluster)
  await scenario('changes', changes)
  await scenario('log', log)
  await browser.close()
  await member.disconnect()
  await ui.stop()
}

// A topic with records, and a group whose member has read all and committed a part.
async function fill() {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 3 }] })
  await admin.disconnect()
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic: 'orders', messages: records })
  await producer.disconnect()
  const member = kafka.consumer({ groupId: 'tellers' })
  const joined = new Promise(resolve => member.on(member.events.GROUP_JOIN, resolve))
  await member.connect()
  await member.subscribe({ topic: 'orders', fromBeginning: true })
  await member.run({ autoCommit: false, eachMessage: async () => {} })
  await joined
  const committed = [[0, '1'], [1, '1'], [2, '0']]
  await member.commitOffsets(
    committed.map(([partition, offset]) => ({ topic: 'orders', partition, offset })))
  return member
}

// Quarkus in dev mode, as a developer starts it, with everything off that asks other machines.
async function start() {
  const version = `pinned.version=${process.env.QUARKUS_VERSION}`
  const off = ['analytics.disabled=true', 'devservices.enabled=false'].map(key => `quarkus.${key}`)
  const settings = [version, 'quarkus.http.port=0', 'quarkusRegistryClient=false', ...off]
  const options = ['--batch-mode', ...settings.map(setting => `-D${setting}`)]
  const maven = spawn('mvn', [...options, 'quarkus:dev'], {
    cwd: process.env.QUARKUS,
    env: { ...process.env, KAFKA_BOOTSTRAP_SERVERS: bootstrap },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise(resolve => maven.on('exit', resolve))
  let text = ''
  const listening = new Promise((resolve, reject) => {
    maven.stdout.on('data', data => {
      text += data
      const address = /Listening on: (http:\S+)/.exec(text)
      if (address) resolve(address[1])
    })
    ended.then(status => reject(new Error(`Maven ended with ${status}: ${text}`)))
  })
  const address = await inTime(listening, startWithin, 'the start of Quarkus')
  const stop = () => {
    maven.kill() // which ends Quarkus, too
    return ended
  }
  return { address, stop, lines: () => text.split('\n') }
}

async function topics() {
  await open('topics')
  const [[, id]] = await shows('qwc-kafka-topics vaadin-grid', rows => rows.length === 1)
  check(uuid.test(id), `not a topic's id: ${id}`)
  await shows('qwc-kafka-topics vaadin-grid', [['orders', id, '3', '4', '']])
}

async function theRecords() {
  await page.getByText('orders', { exact: true }).click()
  const offsets = ['0', '1', '0', '0']
  const sent = records.map(({ partition, key, value }, i) =>
    [`${partition}`, offsets[i], key, value])
  // The newest first, and one time at the other: the order is the page's own.
  const found = rows => rows.map(([offset, partition, , ...rest]) => [partition, offset, ...rest])
  await shows('qwc-kafka-messages vaadin-grid', rows =>
    isDeepStrictEqual(sent, found(rows).toSorted()))
  await page.getByText('ada', { exact: true }).click()
  await shows('qwc-kafka-messages vaadin-grid.header-grid', [['trace', 't-1'], ['source', 'shop']])
}

async function groups() {
  await open('consumer-groups')
  const group = ['STABLE', 'tellers', '1', 'RoundRobinAssigner', '1', '2']
  await shows('qwc-kafka-consumer-groups vaadin-grid', [group])
  await page.getByText('tellers', { exact: true }).click()
  const [[member]] = await shows('qwc-kafka-consumer-groups vaadin-grid', rows =>
    isDeepStrictEqual(['/127.0.0.1', '3'], rows[0]?.slice(1)))
  check(member.startsWith('teller-'), `not the member's id: ${member}`)
  await page.getByText(member, { exact: true }).click()
  const lags = rows => isDeepStrictEqual(
    [['orders', '0', '1'], ['orders', '1', '0'], ['orders', '2', '1']], rows.toSorted())
  await shows('qwc-kafka-consumer-groups vaadin-grid vaadin-grid', lags)
}

async function cluster() {
  await open('nodes')
  const [host, port] = bootstrap.split(':')
  await shows('qwc-kafka-nodes .nodes vaadin-grid', [['1', host, port]])
  await shows('qwc-kafka-nodes .header vaadin-grid', rows => uuid.test(rows[0]?.[1]))
}

// A topic made and a record sent in the page, and both gone again.
async function changes() {
  await open('topics')
  await page.getByTitle('Create topic').click()
  await page.getByLabel('Topic Name').fill('drafts')
  await page.getByLabel('Partitions', { exact: true }).fill('2')
  await page.getByRole('button', { name: 'Create' }).click()
  const named = (name, count) => rows => rows.some(row => row[0] === name && row[3] === count)
  await shows('qwc-kafka-topics vaadin-grid', named('drafts', '0'))
  await page.getByText('drafts', { exact: true }).click()
  await page.getByTitle('Create message').click()
  await page.getByLabel('Key', { exact: true }).fill('a key')
  await page.getByLabel('Value', { exact: true }).fill('a value')
  await page.getByRole('button', { name: 'Create' }).click()
  const sent = ['a key', 'a value']
  await shows('qwc-kafka-messages vaadin-grid', rows =>
    isDeepStrictEqual([sent], rows.map(row => row.slice(3))))
  await open('topics')
  await shows('qwc-kafka-topics vaadin-grid', named('drafts', '1'))
  await page.locator('[data-topic-name=drafts]').click()
  await page.getByRole('button', { name: 'Delete' }).click()
  await shows('qwc-kafka-topics vaadin-grid', rows => rows.length === 1 && rows[0][0] === 'orders')
}

// Each page also asks for the list of Quarkus's extensions, which is Quarkus's own registry's.
async function log() {
  const errors = ui.lines().filter(line => / (WARN|ERROR) /.test(line))
  const ofTheBroker = errors.filter(line => !line.includes('Failed to resolve platform descriptor'))
  same([], [...ofTheBroker, ...faults])
}

const open = name => page.goto(`${ui.address}/q/dev-ui/io.quarkus.quarkus-kafka-client/${name}`)

// Waits until the first grid of those there has the rows that are expected, and answers them.
async function shows(where, expected) {
  const same = rows => isDeepStrictEqual(expected, rows)
  const holds = typeof expected === 'function' ? expected : same
  const grid = page.locator(where).first()
  let rows
  const what = { toString: () => `${where} to show ${expected}, found ${JSON.stringify(rows)}` }
  await eventually(async () => {
    rows = await grid.evaluate(drawn)
    return holds(rows)
  }, what)
  return rows
}

function drawn(grid) {
  const rows = [...grid.shadowRoot.querySelectorAll('#items > tr:not([hidden])')]
  const cells = row => [...row.querySelectorAll('td:not([part~=details-cell]) slot')]
  const text = slot => slot.assignedElements()[0]?.innerText.trim()
  return rows.map(row => cells(row).map(text))
}

await main()
process.exit(0)
