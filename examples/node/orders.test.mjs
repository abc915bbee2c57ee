import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Kafka, Partitioners } from 'kafkajs'
import { startOttla } from './ottla.mjs'

test('an order gets the first offset', async (t) => {
  const ottla = await startOttla()
  const kafka = new Kafka({ brokers: [ottla.address] })
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
  const admin = kafka.admin()
  t.after(async () => {
    await producer.disconnect()
    await admin.disconnect()
    await ottla.stop()
  })
  await producer.connect()
  const messages = [{ key: 'o-1', value: 'created' }]
  const [sent] = await producer.send({ topic: 'orders', messages })
  assert.equal(sent.baseOffset, '0')
  await admin.connect()
  assert.equal((await admin.fetchTopicOffsets('orders'))[0].high, '1')
})
