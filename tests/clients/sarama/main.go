// The scenarios of tests/src/clients.rs with sarama.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	. "ottla.tests/harness"
)

var brokers = []string{os.Getenv("BOOTSTRAP_SERVERS")}

func main() {
	if os.Getenv("MEMBER_GROUP") != "" {
		member()
		return
	}
	if topic := os.Getenv("FIRST_TOPIC"); topic != "" {
		first(topic)
		return
	}
	fmt.Println("version", ModuleVersion("github.com/IBM/sarama"))
	Scenario("connect", connect)
	Scenario("create-topic", createTopic)
	for name, codec := range codecs {
		Scenario("produce-"+name, func() { produce(name, codec) })
	}
	Scenario("acks-0", func() { acks("acks-0", sarama.NoResponse) })
	Scenario("acks-1", func() { acks("acks-1", sarama.WaitForLocal) })
	Scenario("acks-all", func() { acks("acks-all", sarama.WaitForAll) })
	Scenario("idempotence", idempotence)
	Scenario("consume-beginning", consumeBeginning)
	Scenario("consume-end", consumeEnd)
	Scenario("consume-offset", consumeOffset)
	Scenario("consume-timestamp", consumeTimestamp)
	Scenario("unknown-topic", unknownTopic)
	Scenario("auto-create", autoCreate)
	Scenario("oversize-record", oversizeRecord)
	Scenario("delete-records", deleteRecords)
	Scenario("create-partitions", createPartitions)
	Scenario("delete-topic", deleteTopic)
	Scenario("describe-configs", describeConfigs)
	Scenario("alter-configs", alterConfigs)
	Scenario("log-dirs", logDirs)
	fmt.Println("n/a dump-log the library reads no files")
	Scenario("group-admin", groupAdmin)
	fmt.Println("n/a group-pattern the library subscribes to names only")
	Scenario("restart", func() { interrupted("restart") })
	Scenario("kill", func() { interrupted("kill") })
}

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func connect() {
	admin := openAdmin()
	defer admin.Close()
	nodes, controller, err := admin.DescribeCluster()
	None(err)
	Same(1, len(nodes))
	Same(1, controller)
	request := sarama.NewMetadataRequest(sarama.MaxVersion, nil)
	Check(*Must(Must(admin.Controller()).GetMetadata(request)).ClusterID != "", "no cluster id")
}

func createTopic() {
	admin := openAdmin()
	defer admin.Close()
	create(admin, "created", 3, map[string]string{"retention.ms": "60000"})
	topic := describe(admin, "created")
	for _, partition := range topic.Partitions {
		Same(1, partition.Leader)
	}
	Same(3, len(topic.Partitions))
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}
	Fails(sarama.ErrTopicAlreadyExists, admin.CreateTopic("created", detail, false))
}

// Keys, values and headers of every kind, null and empty and repeated ones included.
func produce(name string, codec sarama.CompressionCodec) {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "produce-"+name, 3, nil)
	var sent []*sarama.ProducerMessage
	for i := range 300 {
		text := strings.Repeat(fmt.Sprintf("value %d of a compressible text ", i), i%7)
		message := &sarama.ProducerMessage{
			Topic:     topic,
			Key:       sarama.StringEncoder(fmt.Sprintf("key %d", i%10)),
			Value:     sarama.StringEncoder(text),
			Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
			Headers: []sarama.RecordHeader{
				{Key: []byte("trace"), Value: fmt.Appendf(nil, "id %d", i)},
				{Key: []byte("trace"), Value: nil},
				{Key: []byte("empty"), Value: []byte{}},
			},
		}
		if i%50 == 0 {
			message.Value = nil
		}
		sent = append(sent, message)
	}
	producer := openProducer(func(config *sarama.Config) {
		config.Producer.Compression = codec
		config.Producer.Flush.Frequency = 20 * time.Millisecond
	})
	defer producer.Close()
	None(producer.SendMessages(sent))

	received := readAll(topic)
	Same(len(sent), len(received))
	byTime := func(a, b *sarama.ConsumerMessage) int { return a.Timestamp.Compare(b.Timestamp) }
	slices.SortFunc(received, byTime)
	for i, message := range received {
		Same(describeSent(sent[i]), describeReceived(message))
	}
}

func describeSent(m *sarama.ProducerMessage) string {
	text := fmt.Sprintf("%d/%d %d %s", m.Partition, m.Offset, m.Timestamp.UnixMilli(), m.Key)
	if m.Value == nil {
		text += " null"
	} else {
		text += " " + string(Must(m.Value.Encode()))
	}
	for _, header := range m.Headers {
		text += fmt.Sprintf(" %s=%q null=%v", header.Key, header.Value, header.Value == nil)
	}
	return text
}

func describeReceived(m *sarama.ConsumerMessage) string {
	text := fmt.Sprintf("%d/%d %d %s", m.Partition, m.Offset, m.Timestamp.UnixMilli(), m.Key)
	if m.Value == nil {
		text += " null"
	} else {
		text += " " + string(m.Value)
	}
	for _, header := range m.Headers {
		text += fmt.Sprintf(" %s=%q null=%v", header.Key, header.Value, header.Value == nil)
	}
	return text
}

// What was not acknowledged by all replicas may become readable a moment later.
func acks(name string, level sarama.RequiredAcks) {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, name, 1, nil)
	offsets := send(topic, 0, 100, func(config *sarama.Config) { config.Producer.RequiredAcks = level })
	if level != sarama.NoResponse {
		for i, offset := range offsets {
			Same(int64(i), offset)
		}
	}
	Same(Numbered(0, 100), values(consume(topic, sarama.OffsetOldest, 100)))
}

// The library keeps one request in flight when it is idempotent.
func idempotence() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "idempotence", 1, nil)
	small := func(config *sarama.Config) {
		idempotent(config)
		config.Producer.Flush.MaxMessages = 10
	}
	for i, offset := range send(topic, 0, 2000, small) {
		Same(int64(i), offset)
	}
	Same(Numbered(0, 2000), values(readAll(topic)))
}

func consumeBeginning() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "consume-beginning", 1, nil)
	send(topic, 0, 50)
	Same(Numbered(0, 50), values(consume(topic, sarama.OffsetOldest, 50)))
}

func consumeEnd() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "consume-end", 1, nil)
	send(topic, 0, 50)
	consumer := Must(sarama.NewConsumer(brokers, settings()))
	defer consumer.Close()
	partition := Must(consumer.ConsumePartition(topic, 0, sarama.OffsetNewest))
	defer partition.Close()
	send(topic, 50, 60)
	Same(Numbered(50, 60), values(take(partition, 10)))
}

func consumeOffset() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "consume-offset", 1, nil)
	send(topic, 0, 50)
	Same(Numbered(33, 50), values(consume(topic, 33, 17)))
}

func consumeTimestamp() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "consume-timestamp", 1, nil)
	start := time.Now().UnixMilli() - 60_000
	producer := openProducer()
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for i, value := range Numbered(0, 50) {
		at := time.UnixMilli(start + 100*int64(i))
		message := &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value), Timestamp: at}
		messages = append(messages, message)
	}
	None(producer.SendMessages(messages))
	client := Must(sarama.NewClient(brokers, settings()))
	defer client.Close()
	offset := Must(client.GetOffset(topic, 0, start+2_950))
	Same(30, offset)
	Same(Numbered(30, 50), values(consume(topic, offset, 20)))
}

func unknownTopic() {
	admin := openAdmin()
	defer admin.Close()
	Fails(sarama.ErrUnknownTopicOrPartition, admin.DeleteTopic("unknown"))
	Same(sarama.ErrUnknownTopicOrPartition, Must(admin.DescribeTopics([]string{"unknown"}))[0].Err)
	consumer := Must(sarama.NewConsumer(brokers, settings()))
	defer consumer.Close()
	_, err := consumer.ConsumePartition("unknown", 0, sarama.OffsetOldest)
	Fails(sarama.ErrUnknownTopicOrPartition, err)
	_, found := Must(admin.ListTopics())["unknown"]
	Check(!found, "the topic was created")
}

func autoCreate() {
	send("auto-created", 0, 1, func(config *sarama.Config) { config.Metadata.AllowAutoTopicCreation = true })
	Same(Numbered(0, 1), values(readAll("auto-created")))
}

func oversizeRecord() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "oversize", 1, map[string]string{"max.message.bytes": "10000"})
	producer := openProducer()
	defer producer.Close()
	for i, value := range []string{"v0", strings.Repeat("x", 20_000), "v1"} {
		message := &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)}
		_, _, err := producer.SendMessage(message)
		if i == 1 {
			Fails(sarama.ErrMessageSizeTooLarge, err)
		} else {
			None(err)
		}
	}
	Same(Numbered(0, 2), values(readAll(topic)))
}

func deleteRecords() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "delete-records", 1, nil)
	send(topic, 0, 50)
	None(admin.DeleteRecords(topic, map[int32]int64{0: 20}))
	Same(Numbered(20, 50), values(readAll(topic)))
	consumer := Must(sarama.NewConsumer(brokers, settings()))
	defer consumer.Close()
	_, err := consumer.ConsumePartition(topic, 0, 10)
	Fails(sarama.ErrOffsetOutOfRange, err)
}

func createPartitions() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "create-partitions", 1, nil)
	None(admin.CreatePartitions(topic, 3, nil, false))
	Eventually(func() bool { return len(describe(admin, topic).Partitions) == 3 }, "three partitions")
	producer := openProducer(func(config *sarama.Config) {
		config.Producer.Partitioner = sarama.NewManualPartitioner
	})
	defer producer.Close()
	message := &sarama.ProducerMessage{Topic: topic, Partition: 2, Value: sarama.StringEncoder("v0")}
	partition, offset, err := producer.SendMessage(message)
	None(err)
	Same("2/0", fmt.Sprintf("%d/%d", partition, offset))
	err = admin.CreatePartitions(topic, 2, nil, false)
	var refused *sarama.TopicPartitionError
	Check(errors.As(err, &refused), fmt.Sprint("expected a refusal, found ", err))
	Same(sarama.ErrInvalidPartitions, refused.Err)
}

func deleteTopic() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "delete-topic", 1, nil)
	send(topic, 0, 10)
	first := describe(admin, topic).Uuid
	None(admin.DeleteTopic(topic))
	Eventually(func() bool {
		_, found := Must(admin.ListTopics())[topic]
		return !found
	}, "the topic gone")
	create(admin, topic, 1, nil)
	Check(describe(admin, topic).Uuid != first, "the same topic id again")
	send(topic, 90, 91)
	Same(Numbered(90, 91), values(readAll(topic)))
}

func describeConfigs() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "describe-configs", 1, map[string]string{"max.message.bytes": "12345"})
	set := config(admin, sarama.TopicResource, topic, "max.message.bytes")
	Same("12345 Topic", set.Value+" "+set.Source.String())
	untouched := config(admin, sarama.TopicResource, topic, "cleanup.policy")
	Same("delete Default", untouched.Value+" "+untouched.Source.String())
	node := config(admin, sarama.BrokerResource, "1", "node.id")
	Same("1", node.Value)
	Check(node.ReadOnly, "node.id can be altered")
}

func alterConfigs() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "alter-configs", 1, nil)
	set, remove := sarama.IncrementalAlterConfigsOperationSet, sarama.IncrementalAlterConfigsOperationDelete
	alter := func(name, value string, how sarama.IncrementalAlterConfigsOperation) error {
		entry := sarama.IncrementalAlterConfigsEntry{Operation: how, Value: &value}
		entries := map[string]sarama.IncrementalAlterConfigsEntry{name: entry}
		return admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false)
	}
	retention := func() string { return config(admin, sarama.TopicResource, topic, "retention.ms").Value }
	None(alter("retention.ms", "123456", set))
	Eventually(func() bool { return retention() == "123456" }, "the value set")
	None(alter("retention.ms", "", remove))
	Eventually(func() bool { return retention() == "604800000" }, "the default")
	Fails(sarama.ErrInvalidConfig, alter("retention.ms", "soon", set))
	Fails(sarama.ErrInvalidConfig, alter("retentoin.ms", "1", set))
}

func logDirs() {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, "log-dirs", 1, nil)
	send(topic, 0, 50)
	dirs := Must(admin.DescribeLogDirs([]int32{1}))[1]
	Same(1, len(dirs))
	for _, described := range dirs[0].Topics {
		if described.Topic == topic {
			Check(described.Partitions[0].Size > 0, "no bytes in the partition")
			return
		}
	}
	panic("the topic is not in the directory")
}

// A group that only ever commits: listed, described, read, reset and deleted.
func groupAdmin() {
	admin := openAdmin()
	defer admin.Close()
	topic, group := create(admin, "group-admin", 1, nil), "group-admin"
	send(topic, 0, 50)
	commit := func(offset int64, metadata string) {
		offsets := map[string]map[int32]sarama.OffsetAndMetadata{topic: {0: {Offset: offset, Metadata: metadata}}}
		Must(admin.AlterConsumerGroupOffsets(group, offsets, nil))
	}
	committed := func() string {
		block := Must(admin.ListConsumerGroupOffsets(group, nil)).GetBlock(topic, 0)
		return fmt.Sprintf("%d %s", block.Offset, block.Metadata)
	}
	listed := func() bool {
		_, found := Must(admin.ListConsumerGroups())[group]
		return found
	}
	commit(20, "noted")
	Same("20 noted", committed())
	Check(listed(), "not listed")
	Same("Empty", Must(admin.DescribeConsumerGroups([]string{group}))[0].State)
	commit(5, "")
	Same("5 ", committed())
	None(admin.DeleteConsumerGroup(group))
	Check(!listed(), "still listed")
	Fails(sarama.ErrGroupIDNotFound, admin.DeleteConsumerGroup(group))
}

// The ledger of the harness decides about this one.
func interrupted(how string) {
	admin := openAdmin()
	defer admin.Close()
	topic := create(admin, how, 3, nil)
	config := settings()
	idempotent(config)
	config.Producer.Flush.MaxMessages = 20
	config.Producer.Retry.Max = 1000
	config.Metadata.Retry.Max = 1000 // or it gives records up while the broker is away
	config.Producer.Return.Successes = true
	producer := Must(sarama.NewAsyncProducer(brokers, config))
	settled := make(chan struct{}, 1500)
	go func() {
		for message := range producer.Successes() {
			value := Must(message.Value.Encode())
			fmt.Printf("acked %d %d %s\n", message.Partition, message.Offset, value)
			settled <- struct{}{}
		}
	}()
	go func() {
		for err := range producer.Errors() {
			fmt.Println("not acknowledged:", err)
			settled <- struct{}{}
		}
	}()
	produce := func(from, to int) {
		for i := from; i < to; i++ {
			key, value := fmt.Sprintf("key-%d", i%100), fmt.Sprintf("value-%d", i)
			producer.Input() <- &sarama.ProducerMessage{
				Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value)}
		}
	}
	wait := func(count int) {
		timeout := time.After(2 * Within)
		for range count {
			select {
			case <-settled:
			case <-timeout:
				panic("records are neither acknowledged nor given up")
			}
		}
	}
	produce(0, 500)
	wait(500)
	go produce(500, 1000)
	fmt.Println(how)
	Same("done\n", Must(Stdin.ReadString('\n')))
	produce(1000, 1500)
	wait(1000)
	None(producer.Close())
	for _, message := range readAll(topic) {
		fmt.Printf("read %d %d %s\n", message.Partition, message.Offset, message.Value)
	}
}

// What the scenarios are made of.

func settings() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.AllowAutoTopicCreation = false
	config.Producer.RequiredAcks = sarama.WaitForAll
	return config
}

func idempotent(config *sarama.Config) {
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
}

func openAdmin() sarama.ClusterAdmin {
	return Must(sarama.NewClusterAdmin(brokers, settings()))
}

func openProducer(changes ...func(*sarama.Config)) sarama.SyncProducer {
	config := settings()
	config.Producer.Return.Successes = true
	for _, change := range changes {
		change(config)
	}
	return Must(sarama.NewSyncProducer(brokers, config))
}

// create makes a topic and waits until its partitions are led.
func create(admin sarama.ClusterAdmin, topic string, partitions int32, configs map[string]string) string {
	entries := make(map[string]*string)
	for key, value := range configs {
		entries[key] = &value
	}
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: entries}
	None(admin.CreateTopic(topic, detail, false))
	Eventually(func() bool {
		described := Must(admin.DescribeTopics([]string{topic}))[0]
		leaderless := func(p *sarama.PartitionMetadata) bool { return p.Leader != 1 }
		return described.Err == sarama.ErrNoError && !slices.ContainsFunc(described.Partitions, leaderless)
	}, "a leader for each partition")
	return topic
}

func describe(admin sarama.ClusterAdmin, topic string) *sarama.TopicMetadata {
	described := Must(admin.DescribeTopics([]string{topic}))[0]
	Same(sarama.ErrNoError, described.Err)
	return described
}

func config(admin sarama.ClusterAdmin, kind sarama.ConfigResourceType, name, key string) sarama.ConfigEntry {
	entries := Must(admin.DescribeConfig(sarama.ConfigResource{Type: kind, Name: name}))
	i := slices.IndexFunc(entries, func(entry sarama.ConfigEntry) bool { return entry.Name == key })
	Check(i >= 0, "no config "+key)
	return entries[i]
}

// send sends values from one call, and returns their offsets.
func send(topic string, from, to int, changes ...func(*sarama.Config)) []int64 {
	producer := openProducer(changes...)
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for _, value := range Numbered(from, to) {
		message := &sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder("k"), Value: sarama.StringEncoder(value)}
		messages = append(messages, message)
	}
	None(producer.SendMessages(messages))
	var offsets []int64
	for _, message := range messages {
		offsets = append(offsets, message.Offset)
	}
	return offsets
}

func consume(topic string, offset int64, count int) []*sarama.ConsumerMessage {
	consumer := Must(sarama.NewConsumer(brokers, settings()))
	defer consumer.Close()
	partition := Must(consumer.ConsumePartition(topic, 0, offset))
	defer partition.Close()
	return take(partition, count)
}

func take(partition sarama.PartitionConsumer, count int) []*sarama.ConsumerMessage {
	var messages []*sarama.ConsumerMessage
	timeout := time.After(Within)
	for len(messages) < count {
		select {
		case message := <-partition.Messages():
			messages = append(messages, message)
		case <-timeout:
			panic(fmt.Sprintf("%d of %d messages", len(messages), count))
		}
	}
	return messages
}

// readAll reads everything between beginning and end of all partitions.
func readAll(topic string) []*sarama.ConsumerMessage {
	client := Must(sarama.NewClient(brokers, settings()))
	defer client.Close()
	consumer := Must(sarama.NewConsumerFromClient(client))
	defer consumer.Close()
	var messages []*sarama.ConsumerMessage
	for _, partition := range Must(client.Partitions(topic)) {
		start := Must(client.GetOffset(topic, partition, sarama.OffsetOldest))
		end := Must(client.GetOffset(topic, partition, sarama.OffsetNewest))
		if start < end {
			reader := Must(consumer.ConsumePartition(topic, partition, start))
			messages = append(messages, take(reader, int(end-start))...)
			None(reader.Close())
		}
	}
	return messages
}

func values(messages []*sarama.ConsumerMessage) []string {
	var values []string
	for _, message := range messages {
		values = append(values, string(message.Value))
	}
	return values
}
