// The scenarios of tests/src/clients.rs with KafkaJS. It reads as a member of a group only, so
// each read has a group of its own.

import { readFileSync } from 'node:fs'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import {
  ask, bootstrap, check, eventually, fails, inTime, numbered, range, same, scenario, sleep,
  untilToldToLeave, within,
} from './common.mjs'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs

// Codecs besides gzip are the application's to bring.
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => zstdCompressSync(encoder.buffer),
  decompress: async buffer => zstdDecompressSync(buffer),
})

const retry = { initialRetryTime: 50, maxRetryTime: 500, retries: 100 }
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry })
const impatient = { retry: { retries: 0 } }
const type = error => error.type ?? error.cause?.type ?? String(error)
let admin

async function main() {
  const { version } = JSON.parse(readFileSync('node_modules/kafkajs/package.json'))
  console.log('version', version)
  admin = kafka.admin()
  await admin.connect()
  await scenario('connect', connect)
  await scenario('create-topic', createTopic)
  for (const name of ['none', 'gzip', 'snappy', 'zstd']) {
    await scenario(`produce-${name}`, () => produce(name))
  }
  console.log('n/a produce-lz4 the library leaves the codec to native modules of others')
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
  console.log('n/a log-dirs the library has no call for it')
  console.log('n/a dump-log the library reads no files')
  await scenario('group-admin', groupAdmin)
  console.log('n/a group-cooperative the library rebalances eagerly only')
  console.log("n/a group-static the library's members are all dynamic")
  console.log('n/a group-pattern the library resolves a pattern once, when subscribing')
  console.log('n/a group-restart the consumer gives up for good when its coordinator is away')
  console.log('n/a group-kill the consumer gives up for good when its coordinator is away')
  await scenario('restart', () => interrupted('restart'))
  await scenario('kill', () => interrupted('kill'))
  await admin.disconnect()
}

async function connect() {
  const cluster = await admin.describeCluster()
  same([1], cluster.brokers.map(broker => broker.nodeId))
  check(cluster.clusterId, 'no cluster id')
}

async function createTopic() {
  await create('created', 3, { 'retention.ms': '60000' })
  same([1, 1, 1], (await partitions('created')).map(partition => partition.leader))
  check(!(await admin.createTopics({ topics: [{ topic: 'created' }] })), 'created twice')
}

// Keys, values and headers, null, empty and repeated ones; no header can be null here.
async function produce(name) {
  const topic = await create(`produce-${name}`, 3)
  const names = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', zstd: 'ZSTD' }
  const compression = CompressionTypes[names[name]]
  const sent = range(0, 300).map(i => ({
    key: `key ${i % 10}`,
    value: i % 50 === 0 ? null : `value ${i} of a compressible text `.repeat(i % 7),
    timestamp: String(1_700_000_000_000 + i),
    headers: { trace: [`id ${i}`, 'again'], empty: '' },
  }))
  await sending({}, producer => producer.send({ topic, messages: sent, compression }))

  const text = value => (value === null ? null : value.toString())
  const received = (await readAll(topic)).map(({ message }) => ({
    key: text(message.key),
    value: text(message.value),
    timestamp: message.timestamp,
    headers: { trace: message.headers.trace.map(text), empty: text(message.headers.empty) },
  }))
  same(sent, received.sort((a, b) => a.timestamp - b.timestamp))
}

async function acks(topic, level) {
  await create(topic, 1)
  for (const chunk of [0, 50]) {
    const answers = await send(topic, chunk, chunk + 50, { acks: level })
    if (level !== 0) same(String(chunk), answers[0].baseOffset)
  }
  same(numbered(0, 100), values(await read(topic, 100)))
}

// What is sent at once arrives in any order, but each request's messages stay together.
async function idempotence() {
  const topic = await create('idempotence', 1)
  const config = { idempotent: true, maxInFlightRequests: 5 }
  const acked = []
  await sending(config, producer =>
    Promise.all(range(0, 200).map(async i => {
      const sent = numbered(10 * i, 10 * i + 10)
      const [answer] = await producer.send({ topic, messages: sent.map(value => ({ value })) })
      sent.forEach((value, n) => { acked[Number(answer.baseOffset) + n] = value })
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
  const found = await read(topic, 10, {
    fromBeginning: false,
    afterFirstFetch: () => send(topic, 50, 60),
  })
  same(numbered(50, 60), values(found))
}

async function consumeOffset() {
  const topic = await create('consume-offset', 1)
  await send(topic, 0, 50)
  same(numbered(33, 50), values(await read(topic, 17, { seek: '33' })))
}

async function consumeTimestamp() {
  const topic = await create('consume-timestamp', 1)
  const start = Date.now() - 60_000
  const messages = numbered(0, 50).map((value, i) => ({ value, timestamp: String(start + 100 * i) }))
  await sending({}, producer => producer.send({ topic, messages }))
  const [found] = await admin.fetchTopicOffsetsByTimestamp(topic, start + 2_950)
  same('30', found.offset)
  same(numbered(30, 50), values(await read(topic, 20, { seek: found.offset })))
}

async function unknownTopic() {
  const once = kafka.admin(impatient)
  await once.connect()
  const unknown = 'UNKNOWN_TOPIC_OR_PARTITION'
  await fails(unknown, type, () => once.fetchTopicMetadata({ topics: ['unknown'] }))
  await fails(unknown, type, () => once.deleteTopics({ topics: ['unknown'] }))
  await once.disconnect()
  check(!(await admin.listTopics()).includes('unknown'), 'the topic was created')
}

async function autoCreate() {
  await send('auto-created', 0, 1)
  same(['v0'], values(await read('auto-created', 1)))
}

async function oversizeRecord() {
  const topic = await create('oversize', 1, { 'max.message.bytes': '10000' })
  await send(topic, 0, 1)
  const large = { topic, messages: [{ value: 'x'.repeat(20_000) }] }
  await fails('MESSAGE_TOO_LARGE', type, () => sending(impatient, producer => producer.send(large)))
  await send(topic, 1, 2)
  same(numbered(0, 2), values(await readAll(topic)))
}

async function deleteRecords() {
  const topic = await create('delete-records', 1)
  await send(topic, 0, 50)
  await partitions(topic) // or the library does not know their leaders
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '20' }] })
  same('20', (await admin.fetchTopicOffsets(topic))[0].low)
  same(numbered(20, 50), values(await readAll(topic)))
}

async function createPartitions() {
  const topic = await create('create-partitions', 1)
  const grow = (client, count) => client.createPartitions({ topicPartitions: [{ topic, count }] })
  await grow(admin, 3)
  await eventually(async () => (await partitions(topic)).length === 3, 'three partitions')
  const [answer] = await sending({}, producer =>
    producer.send({ topic, messages: [{ partition: 2, value: 'v0' }] }))
  same([2, '0'], [answer.partition, answer.baseOffset])
  const once = kafka.admin(impatient)
  await once.connect()
  await fails('INVALID_PARTITIONS', type, () => grow(once, 2))
  await once.disconnect()
}

async function deleteTopic() {
  const topic = await create('delete-topic', 1)
  await send(topic, 0, 10)
  await admin.deleteTopics({ topics: [topic] })
  await eventually(async () => !(await admin.listTopics()).includes(topic), 'the topic gone')
  await create(topic, 1)
  await send(topic, 90, 91)
  same(['v90'], values(await readAll(topic)))
}

async function describeConfigs() {
  const topic = await create('describe-configs', 1, { 'max.message.bytes': '12345' })
  const described = await configs(ConfigResourceTypes.TOPIC, topic)
  const source = name => [described[name].configValue, described[name].configSource]
  same(['12345', 1], source('max.message.bytes'))
  same(['delete', 5], source('cleanup.policy'))
  const broker = await configs(ConfigResourceTypes.BROKER, '1')
  same(['1', true], [broker['node.id'].configValue, broker['node.id'].readOnly])
}

// This library has the old call only: what is not named goes back to its default.
async function alterConfigs() {
  const topic = await create('alter-configs', 1)
  const alter = (client, name, value) => {
    const entries = [{ name, value }]
    return client.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: entries }] })
  }
  const retention = async () =>
    (await configs(ConfigResourceTypes.TOPIC, topic))['retention.ms'].configValue
  await alter(admin, 'retention.ms', '123456')
  await eventually(async () => (await retention()) === '123456', 'the value set')
  await alter(admin, 'segment.ms', '123456')
  await eventually(async () => (await retention()) === '604800000', 'the default')
  const once = kafka.admin(impatient)
  await once.connect()
  await fails('INVALID_CONFIG', type, () => alter(once, 'retention.ms', 'soon'))
  await fails('INVALID_CONFIG', type, () => alter(once, 'retentoin.ms', '1'))
  await once.disconnect()
}

// A group that only ever commits: listed, described, read, reset and deleted.
async function groupAdmin() {
  const groupId = 'group-admin'
  const topic = await create('group-admin', 1)
  await send(topic, 0, 50)
  const committed = async () => {
    const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
    return partitions[0].offset
  }
  const listed = async () => (await admin.listGroups()).groups.some(group => group.groupId === groupId)
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '20' }] })
  same('20', await committed())
  check(await listed(), 'not listed')
  same('Empty', (await admin.describeGroups([groupId])).groups[0].state)
  await admin.resetOffsets({ groupId, topic, earliest: true })
  same('-2', await committed()) // the library's word for the beginning
  await admin.deleteGroups([groupId])
  check(!(await listed()), 'still listed')
  const refusal = error => error.groups[0].error.type
  await fails('GROUP_ID_NOT_FOUND', refusal, () => admin.deleteGroups([groupId]))
}

// The ledger of the harness decides about this one. Messages that are sent together to one
// partition are acknowledged by the first one's offset.
async function interrupted(how) {
  const topic = await create(how, 3)
  await sending({ idempotent: true, maxInFlightRequests: 1 }, async producer => {
    const sendTen = async (partition, from) => {
      const messages = range(from, from + 10).map(n => ({ partition, value: `value-${n}` }))
      const [answer] = await producer.send({ topic, messages })
      messages.forEach(({ value }, n) => {
        console.log('acked', partition, Number(answer.baseOffset) + n, value)
      })
    }
    // One request of a partition at a time: what is sent beside one that is tried again gets the
    // same sequence numbers in this library.
    const sendRange = (from, to) => Promise.all([0, 1, 2].map(async partition => {
      for (let at = from + 10 * partition; at < to; at += 30) await sendTen(partition, at)
    }))
    await sendRange(0, 500)
    const underWay = sendRange(500, 1000)
    await ask(how)
    await underWay
    await sendRange(1000, 1500)
  })
  for (const { partition, message } of await readAll(topic)) {
    console.log('read', partition, message.offset, message.value.toString())
  }
}

// What the scenarios are made of.

async function create(topic, numPartitions, entries = {}) {
  const configEntries = Object.entries(entries).map(([name, value]) => ({ name, value }))
  const config = { topic, numPartitions, replicationFactor: 1, configEntries }
  check(await admin.createTopics({ topics: [config] }), `${topic} exists already`)
  return topic
}

async function partitions(topic) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0].partitions
}

async function configs(kind, name) {
  const { resources } = await admin.describeConfigs({ resources: [{ type: kind, name }] })
  return Object.fromEntries(resources[0].configEntries.map(entry => [entry.configName, entry]))
}

async function sending(config, action) {
  const { DefaultPartitioner: createPartitioner } = kafkajs.Partitioners
  const producer = kafka.producer({ createPartitioner, ...config })
  await producer.connect()
  try {
    return await action(producer)
  } finally {
    await producer.disconnect()
  }
}

function send(topic, from, to, options = {}) {
  const messages = numbered(from, to).map(value => ({ key: 'k', value }))
  return sending({}, producer => producer.send({ topic, messages, ...options }))
}

let groups = 0

// The next `count` messages, from the beginning, the end or an offset of the first partition.
async function read(topic, count, { fromBeginning = true, seek, afterFirstFetch } = {}) {
  const consumer = kafka.consumer({ groupId: `read-${groups++}`, maxWaitTimeInMs: 200 })
  const messages = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning })
  const fetched = new Promise(resolve => consumer.on(consumer.events.FETCH, resolve))
  const enough = new Promise(resolve => {
    consumer.run({
      autoCommit: false,
      eachMessage: async received => {
        messages.push(received)
        if (messages.length === count) resolve()
      },
    })
    if (seek) consumer.seek({ topic, partition: 0, offset: seek })
  })
  if (afterFirstFetch) await fetched.then(afterFirstFetch)
  await inTime(enough, within, `reading ${count} messages of ${topic}`)
  await consumer.disconnect()
  return messages
}

// Everything between beginning and end of all partitions.
async function readAll(topic) {
  const offsets = await admin.fetchTopicOffsets(topic)
  return read(topic, offsets.reduce((sum, { low, high }) => sum + Number(high) - Number(low), 0))
}

function values(received) {
  return received.map(({ message }) => message.value.toString())
}

// A member of a consumer group, as tests/src/clients/groups/group.rs directs it.
async function member() {
  const sessionTimeout = Number(process.env.MEMBER_SESSION_MS)
  const consumer = kafka.consumer({
    groupId: process.env.MEMBER_GROUP,
    sessionTimeout,
    rebalanceTimeout: 10_000,
    heartbeatInterval: sessionTimeout / 10,
    maxWaitTimeInMs: 200,
  })
  consumer.on(consumer.events.REBALANCING, () => console.log('revoked'))
  consumer.on(consumer.events.CRASH, ({ payload }) => console.log('crashed:', String(payload.error)))
  consumer.on(consumer.events.GROUP_JOIN, ({ payload: { memberAssignment } }) => {
    const places = Object.entries(memberAssignment)
      .flatMap(([topic, partitions]) => partitions.map(partition => `${topic}:${partition}`))
    console.log('revoked')
    console.log('assigned', ...places)
  })
  await consumer.connect()
  await consumer.subscribe({ topic: process.env.MEMBER_TOPIC, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
      const place = `${batch.topic}:${batch.partition}`
      for (let at = 0; at < batch.messages.length; at += 10) {
        if (!isRunning() || isStale()) return
        const messages = batch.messages.slice(at, at + 10)
        messages.forEach(({ offset }) => console.log('read', place, offset))
        await sleep(20)
        const next = String(BigInt(messages.at(-1).offset) + 1n)
        await consumer.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset: next }])
        resolveOffset(messages.at(-1).offset)
        console.log('committed', place, next)
        await heartbeat()
      }
    },
  })
  await untilToldToLeave()
  await consumer.disconnect()
}

await (process.env.MEMBER_GROUP ? member() : main())
process.exit(0)
