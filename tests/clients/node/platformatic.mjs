// The scenarios of tests/src/clients.rs with @platformatic/kafka. It streams as a member of a
// group only, so each read has a group of its own.

import {
  Admin, ConfigResourceTypes, Consumer, cooperativeStickyAssigner,
  IncrementalAlterConfigOperationTypes, ListOffsetTimestamps, ProduceAcks, Producer,
  stringDeserializers, stringSerializers,
} from '@platformatic/kafka'
import { readFileSync } from 'node:fs'
import {
  ask, bootstrap, check, eventually, fails, inTime, numbered, range, same, scenario, sleep,
  untilToldToLeave, within,
} from './common.mjs'

const client = {
  clientId: 'ottla-tests', bootstrapBrokers: [bootstrap], retries: 600, retryDelay: 100,
}
const admin = new Admin({ ...client, strict: true })
const impatient = new Admin({ ...client, retries: false })
const id = error => error.apiId ?? error.errors?.map(id)[0] ?? (error.cause && id(error.cause))
const { TOPIC, BROKER } = ConfigResourceTypes
const { SET, DELETE } = IncrementalAlterConfigOperationTypes

async function main() {
  const { version } = JSON.parse(readFileSync('node_modules/@platformatic/kafka/package.json'))
  console.log('version', version)
  await scenario('connect', connect)
  await scenario('create-topic', createTopic)
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    await scenario(`produce-${codec}`, () => produce(codec))
  }
  await scenario('acks-0', () => acks('acks-0', 0))
  await scenario('acks-1', () => acks('acks-1', 1))
  await scenario('acks-all', () => acks('acks-all', -1))
  await scenario('idempotence', idempotence)
  await scenario('consume-beginning', consumeBeginning)
  await scenario('consume-end', consumeEnd)
  await scenario('consume-offset', consumeOffset)
  await scenario('consume-timestamp', consumeTimestamp)
  await scenario('unknown-topic', unknownTopic)
  await scenario('auto-create', autoCreate)
  await scenario('oversize-record', oversizeRecord)
  await scenario('delete-records', deleteRecords)
  await scenario('create-partitions', createPartitions)
  await scenario('delete-topic', deleteTopic)
  await scenario('describe-configs', describeConfigs)
  await scenario('alter-configs', alterConfigs)
  await scenario('log-dirs', logDirs)
  console.log('n/a dump-log the library reads no files')
  await scenario('group-admin', groupAdmin)
  console.log('n/a group-pattern the library subscribes to names only')
  console.log('n/a group-restart the consumer gives up when its connection breaks while it joins')
  console.log('n/a group-kill the consumer gives up when its connection breaks while it joins')
  await scenario('restart', () => interrupted('restart'))
  await scenario('kill', () => interrupted('kill'))
}

async function connect() {
  const cluster = await admin.metadata({ topics: [] })
  same([1], [...cluster.brokers.keys()])
  check(cluster.id, 'no cluster id')
}

async function createTopic() {
  await create('created', 3, { 'retention.ms': '60000' })
  same([1, 1, 1], (await describe('created')).partitions.map(partition => partition.leader))
  await fails('TOPIC_ALREADY_EXISTS', id, () => impatient.createTopics({ topics: ['created'] }))
}

// Keys, values and headers of every kind, null and empty ones; a header's key cannot repeat.
async function produce(codec) {
  const topic = await create(`produce-${codec}`, 3)
  const sent = range(0, 300).map(i => ({
    topic,
    key: `key ${i % 10}`,
    value: i % 50 === 0 ? null : `value ${i} of a compressible text `.repeat(i % 7),
    timestamp: BigInt(1_700_000_000_000 + i),
    headers: { trace: `id ${i}`, empty: '' },
  }))
  await sending({ compression: codec }, send => send({ messages: sent }))
  const received = (await readAll(topic)).map(({ topic, key, value, timestamp, headers }) =>
    ({ topic, key, value: value ?? null, timestamp, headers: Object.fromEntries(headers) }))
  same(sent, received.sort((a, b) => Number(a.timestamp - b.timestamp)))
}

async function acks(topic, level) {
  await create(topic, 1)
  for (const chunk of [0, 50]) {
    const answer = await send(topic, chunk, chunk + 50, { acks: level })
    if (level !== 0) same([{ topic, partition: 0, offset: BigInt(chunk) }], answer.offsets)
  }
  same(numbered(0, 100), values(await read(topic, 100)))
}

async function idempotence() {
  const topic = await create('idempotence', 1)
  const acked = []
  await sending({ idempotent: true }, send =>
    Promise.all(range(0, 200).map(async i => {
      const sent = numbered(10 * i, 10 * i + 10)
      const { offsets } = await send({ messages: sent.map(value => ({ topic, value })) })
      sent.forEach((value, n) => { acked[Number(offsets[0].offset) + n] = value })
    })))
  same(acked, values(await readAll(topic)))
  same(2000, new Set(acked).size)
}

async function consumeBeginning() {
  const topic = await create('consume-beginning', 1)
  await send(topic, 0, 50)
  same(numbered(0, 50), values(await read(topic, 50)))
}

async function consumeEnd() {
  const topic = await create('consume-end', 1)
  await send(topic, 0, 50)
  const onceOpen = () => send(topic, 50, 60)
  same(numbered(50, 60), values(await read(topic, 10, { mode: 'latest', onceOpen })))
}

async function consumeOffset() {
  const topic = await create('consume-offset', 1)
  await send(topic, 0, 50)
  same(numbered(33, 50), values(await read(topic, 17, { from: 33n })))
}

async function consumeTimestamp() {
  const topic = await create('consume-timestamp', 1)
  const start = Date.now() - 60_000
  const messages = numbered(0, 50)
    .map((value, i) => ({ topic, value, timestamp: BigInt(start + 100 * i) }))
  await sending({}, send => send({ messages }))
  const found = await offsetAt(topic, 0, BigInt(start + 2_950))
  same([30n, BigInt(start + 3_000)], [found.offset, found.timestamp])
  same(numbered(30, 50), values(await read(topic, 20, { from: found.offset })))
}

async function unknownTopic() {
  const message = error => error.message // the library's own, for this answer of the broker
  await fails('Unknown topic unknown.', message, () => impatient.metadata({ topics: ['unknown'] }))
  const deletion = () => impatient.deleteTopics({ topics: ['unknown'] })
  await fails('UNKNOWN_TOPIC_OR_PARTITION', id, deletion)
  check(!(await admin.listTopics()).includes('unknown'), 'the topic was created')
}

async function autoCreate() {
  await send('auto-created', 0, 1, { autocreateTopics: true })
  same(['v0'], values(await readAll('auto-created')))
}

async function oversizeRecord() {
  const topic = await create('oversize', 1, { 'max.message.bytes': '10000' })
  await send(topic, 0, 1)
  const large = { messages: [{ topic, value: 'x'.repeat(20_000) }] }
  const refused = () => sending({ retries: false }, send => send(large))
  await fails('MESSAGE_TOO_LARGE', id, refused)
  await send(topic, 1, 2)
  same(numbered(0, 2), values(await readAll(topic)))
}

async function deleteRecords() {
  const topic = await create('delete-records', 1)
  await send(topic, 0, 50)
  const [deleted] = await admin.deleteRecords({
    topics: [{ name: topic, partitions: [{ partition: 0, offset: 20n }] }],
  })
  same(20n, deleted.partitions[0].lowWatermark)
  same(numbered(20, 50), values(await readAll(topic)))
}

async function createPartitions() {
  const topic = await create('create-partitions', 1)
  const grow = (by, count) => by.createPartitions({ topics: [{ name: topic, count }] })
  await grow(admin, 3)
  const three = async () => (await describe(topic)).partitions.length === 3
  await eventually(three, 'three partitions')
  const messages = [{ topic, partition: 2, value: 'v0' }]
  const answer = await sending({}, send => send({ messages }))
  same([{ topic, partition: 2, offset: 0n }], answer.offsets)
  await fails('INVALID_PARTITIONS', id, () => grow(impatient, 2))
}

async function deleteTopic() {
  const topic = await create('delete-topic', 1)
  await send(topic, 0, 10)
  const first = (await describe(topic)).id
  await admin.deleteTopics({ topics: [topic] })
  await eventually(async () => !(await admin.listTopics()).includes(topic), 'the topic gone')
  await create(topic, 1)
  check((await describe(topic)).id !== first, 'the same topic id again')
  await send(topic, 90, 91)
  same(['v90'], values(await readAll(topic)))
}

async function describeConfigs() {
  const topic = await create('describe-configs', 1, { 'max.message.bytes': '12345' })
  const described = await configs(TOPIC, topic)
  const source = name => [described[name].value, described[name].configSource]
  same(['12345', 1], source('max.message.bytes'))
  same(['delete', 5], source('cleanup.policy'))
  const node = (await configs(BROKER, '1'))['node.id']
  same(['1', true], [node.value, node.readOnly])
}

async function alterConfigs() {
  const topic = await create('alter-configs', 1)
  const alter = (by, ...configs) => by.incrementalAlterConfigs({
    resources: [{ resourceType: TOPIC, resourceName: topic, configs }],
  })
  const set = (name, value) => ({ name, configOperation: SET, value })
  const retention = async () => (await configs(TOPIC, topic))['retention.ms'].value
  await alter(admin, set('retention.ms', '123456'))
  await eventually(async () => (await retention()) === '123456', 'the value set')
  await alter(admin, { name: 'retention.ms', configOperation: DELETE })
  await eventually(async () => (await retention()) === '604800000', 'the default')
  await fails('INVALID_CONFIG', id, () => alter(impatient, set('retention.ms', 'soon')))
  await fails('INVALID_CONFIG', id, () => alter(impatient, set('retentoin.ms', '1')))
}

async function logDirs() {
  const topic = await create('log-dirs', 1)
  await send(topic, 0, 50)
  const [broker] = await admin.describeLogDirs({ topics: [{ name: topic, partitions: [0] }] })
  const [dir] = broker.results
  check(dir.topics[0].partitions[0].partitionSize > 0n, 'no bytes in the partition')
}

// A group that only ever commits: listed, described, read, reset and deleted.
async function groupAdmin() {
  const groupId = 'group-admin'
  const topic = await create('group-admin', 1)
  await send(topic, 0, 50)
  const commit = offset => admin.alterConsumerGroupOffsets({
    groupId, topics: [{ name: topic, partitionOffsets: [{ partition: 0, offset }] }],
  })
  const committed = async () => {
    const [group] = await admin.listConsumerGroupOffsets({ groups: [groupId] })
    return group.topics[0].partitions[0].committedOffset
  }
  const listed = async () => (await admin.listGroups()).has(groupId)
  await commit(20n)
  same(20n, await committed())
  check(await listed(), 'not listed')
  const described = await admin.describeGroups({ groups: [groupId] })
  same(0, described.get(groupId).members.size)
  await commit(5n)
  same(5n, await committed())
  await admin.deleteGroups({ groups: [groupId] })
  check(!(await listed()), 'still listed')
  await fails('GROUP_ID_NOT_FOUND', id, () => impatient.deleteGroups({ groups: [groupId] }))
}

// The ledger of the harness decides about this one. Messages that are sent together to one
// partition are acknowledged by the first one's offset.
async function interrupted(how) {
  const topic = await create(how, 3)
  await sending({ idempotent: true }, async send => {
    const sendTen = async (partition, from) => {
      const messages = range(from, from + 10).map(n => ({ topic, partition, value: `value-${n}` }))
      const { offsets } = await send({ messages })
      messages.forEach(({ value }, n) => {
        console.log('acked', partition, Number(offsets[0].offset) + n, value)
      })
    }
    // One request of a partition at a time: when several are tried again, this library lets a later
    // one overtake, and then sends with a new producer id what had arrived already.
    const sendRange = (from, to) => Promise.all([0, 1, 2].map(async partition => {
      for (let at = from + 10 * partition; at < to; at += 30) await sendTen(partition, at)
    }))
    await sendRange(0, 500)
    const underWay = sendRange(500, 1000)
    await ask(how)
    await underWay
    await sendRange(1000, 1500)
  })
  for (const { partition, offset, value } of await readAll(topic)) {
    console.log('read', partition, offset.toString(), value)
  }
}

// What the scenarios are made of.

async function create(topic, partitions, entries = {}) {
  const configs = Object.entries(entries).map(([name, value]) => ({ name, value }))
  await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs })
  await eventually(async () => {
    const found = await describe(topic).catch(() => undefined)
    return found?.partitions.filter(partition => partition.leader === 1).length === partitions
  }, 'a leader for each partition')
  return topic
}

async function describe(topic) {
  return (await admin.metadata({ topics: [topic], forceUpdate: true })).topics.get(topic)
}

async function configs(resourceType, resourceName) {
  const [described] = await admin.describeConfigs({ resources: [{ resourceType, resourceName }] })
  return Object.fromEntries(described.configs.map(config => [config.name, config]))
}

async function offsetAt(topic, partition, timestamp) {
  const partitions = [{ partitionIndex: partition, timestamp }]
  const [found] = await admin.listOffsets({ topics: [{ name: topic, partitions }] })
  return found.partitions[0]
}

// The library asks for the leader's acknowledgement unless told otherwise.
async function sending(config, action) {
  const producer = new Producer({ ...client, serializers: stringSerializers, ...config })
  const send = request => producer.send({ acks: ProduceAcks.ALL, ...request })
  try {
    return await action(send)
  } finally {
    await producer.close()
  }
}

function send(topic, from, to, options = {}) {
  const messages = numbered(from, to).map(value => ({ topic, key: 'k', value }))
  return sending({}, send => send({ messages, ...options }))
}

let groups = 0

// The next `count` messages, from the beginning, the end or an offset of the first partition.
async function read(topic, count, { mode = 'earliest', from, onceOpen } = {}) {
  const groupId = `read-${groups++}`
  const consumer = new Consumer({ ...client, groupId, deserializers: stringDeserializers })
  const manual = { mode: 'manual', offsets: [{ topic, partition: 0, offset: from }] }
  const stream = await consumer.consume({
    topics: [topic], maxWaitTime: 200, autocommit: false, ...(from === undefined ? { mode } : manual),
  })
  if (onceOpen) await onceOpen()
  const messages = []
  const enough = async () => {
    for await (const message of stream) {
      messages.push(message)
      if (messages.length === count) return
    }
  }
  await inTime(enough(), within, `reading ${count} messages of ${topic}`)
  await consumer.close(true)
  return messages
}

// Everything between beginning and end of all partitions.
async function readAll(topic) {
  let count = 0n
  for (const partition of (await describe(topic)).partitions.keys()) {
    const start = await offsetAt(topic, partition, ListOffsetTimestamps.EARLIEST)
    const end = await offsetAt(topic, partition, ListOffsetTimestamps.LATEST)
    count += end.offset - start.offset
  }
  return read(topic, Number(count))
}

function values(messages) {
  return messages.map(message => message.value)
}

// A member of a consumer group, as tests/src/clients/groups/group.rs directs it.
async function member() {
  const { env } = process
  const sessionTimeout = Number(env.MEMBER_SESSION_MS)
  const cooperative = {
    protocols: [{ name: 'cooperative-sticky', version: 1 }],
    partitionAssigner: cooperativeStickyAssigner,
  }
  const consumer = new Consumer({
    ...client,
    groupId: env.MEMBER_GROUP,
    groupInstanceId: env.MEMBER_INSTANCE,
    sessionTimeout,
    rebalanceTimeout: Math.max(sessionTimeout, 10_000),
    heartbeatInterval: sessionTimeout / 10,
    ...(env.MEMBER_COOPERATIVE ? cooperative : {}),
  })
  let next = new Map() // where each owned partition is read next
  let reader
  const own = places => {
    const lost = [...next.keys()].filter(at => !places.includes(at))
    const won = places.filter(at => !next.has(at))
    if (lost.length > 0) console.log('revoked', ...lost)
    if (won.length > 0) console.log('assigned', ...won)
    next = new Map(places.map(at => [at, next.get(at)]))
  }
  // A stream still yields, after a rebalance, what it had read before. So each assignment gets a
  // stream of its own; what it begins with is known once it has the committed offsets.
  const follow = async () => {
    const stream = await consumer.consume({
      topics: [env.MEMBER_TOPIC], mode: 'committed', fallbackMode: 'earliest', autocommit: false,
      maxWaitTime: 200, highWaterMark: 10,
    })
    const former = reader
    reader = stream
    former?.close().catch(error => console.log('not closed:', String(error)))
    for await (const { topic, partition, offset, leaderEpoch } of stream) {
      if (reader !== stream) return
      const place = `${topic}:${partition}`
      if (!next.has(place) || offset < (next.get(place) ?? 0n)) continue
      next.set(place, offset + 1n)
      console.log('read', place, offset.toString())
      if (offset % 10n !== 9n) continue
      await sleep(20)
      if (reader !== stream || !next.has(place)) continue
      try {
        await consumer.commit({ offsets: [{ topic, partition, offset: offset + 1n, leaderEpoch }] })
        console.log('committed', place, (offset + 1n).toString())
      } catch (error) {
        console.log('not committed:', String(error))
      }
    }
  }
  const failed = error => { console.log('stopped:', String(error)); process.exit(1) }
  if (!env.MEMBER_COOPERATIVE) consumer.on('consumer:group:rebalance', () => own([]))
  consumer.on('consumer:group:join', ({ assignments }) => {
    own(assignments.flatMap(at => at.partitions.map(partition => `${at.topic}:${partition}`)))
    if (reader) follow().catch(failed)
  })
  follow().catch(failed)
  await untilToldToLeave()
  await consumer.close(true)
}

await (process.env.MEMBER_GROUP ? member() : main())
process.exit(0)
