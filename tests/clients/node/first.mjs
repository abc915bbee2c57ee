// Fresh groups one after another, as tests/src/first_record.rs directs them.

import { createInterface } from 'node:readline'
import { Consumer } from '@platformatic/kafka'
import kafkajs from 'kafkajs'

const topic = process.env.FIRST_TOPIC

async function ofKafkaJs(address, groupId) {
  const started = performance.now()
  const kafka = new kafkajs.Kafka({ brokers: [address], logLevel: kafkajs.logLevel.NOTHING })
  const consumer = kafka.consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const first = new Promise(resolve => {
    consumer.run({ eachMessage: async () => resolve(performance.now()) })
  })
  const took = await first - started
  await consumer.disconnect()
  return took
}

async function ofPlatformatic(address, groupId) {
  const started = performance.now()
  const consumer = new Consumer({ clientId: 'first', bootstrapBrokers: [address], groupId })
  const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
  for await (const _ of stream) break
  const took = performance.now() - started
  await consumer.close(true)
  return took
}

const of = { kafkajs: ofKafkaJs, platformatic: ofPlatformatic }[process.argv[2]]
for await (const line of createInterface({ input: process.stdin })) {
  const took = await of(...line.split(' '))
  console.log('first', Math.round(took * 1000))
}
process.exit(0)
