// The scenarios of tests/src/clients.rs with franz-go.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// within bounds every scenario; only a broker that does not answer takes as long.
const within = 60 * time.Second

var stdin = bufio.NewReader(os.Stdin)

func main() {
	if os.Getenv("MEMBER_GROUP") != "" {
		member()
		return
	}
	if topic := os.Getenv("FIRST_TOPIC"); topic != "" {
		first(topic)
		return
	}
	fmt.Println("version", moduleVersion("github.com/twmb/franz-go"))
	client := must(open())
	admin := kadm.NewClient(client)
	defer admin.Close()

	scenario("connect", func(ctx context.Context) { connect(ctx, admin) })
	scenario("create-topic", func(ctx context.Context) { createTopic(ctx, admin) })
	for name, codec := range codecs {
		scenario("produce-"+name, func(ctx context.Context) { produce(ctx, admin, name, codec) })
	}
	scenario("acks-0", func(ctx context.Context) { acksNone(ctx, admin) })
	scenario("acks-1", func(ctx context.Context) { acks(ctx, admin, "acks-1", acksLeader) })
	scenario("acks-all", func(ctx context.Context) { acks(ctx, admin, "acks-all", acksAll) })
	scenario("idempotence", func(ctx context.Context) { idempotence(ctx, admin) })
	scenario("consume-beginning", func(ctx context.Context) { consumeBeginning(ctx, admin) })
	scenario("consume-end", func(ctx context.Context) { consumeEnd(ctx, admin) })
	scenario("consume-offset", func(ctx context.Context) { consumeOffset(ctx, admin) })
	scenario("consume-timestamp", func(ctx context.Context) { consumeTimestamp(ctx, admin) })
	scenario("unknown-topic", func(ctx context.Context) { unknownTopic(ctx, admin) })
	scenario("auto-create", func(ctx context.Context) { autoCreate(ctx, admin) })
	scenario("oversize-record", func(ctx context.Context) { oversizeRecord(ctx, admin) })
	scenario("delete-records", func(ctx context.Context) { deleteRecords(ctx, admin) })
	scenario("create-partitions", func(ctx context.Context) { createPartitions(ctx, admin) })
	scenario("delete-topic", func(ctx context.Context) { deleteTopic(ctx, admin) })
	scenario("describe-configs", func(ctx context.Context) { describeConfigs(ctx, admin) })
	scenario("alter-configs", func(ctx context.Context) { alterConfigs(ctx, admin) })
	scenario("log-dirs", func(ctx context.Context) { logDirs(ctx, admin) })
	fmt.Println("n/a dump-log the library reads no files")
	scenario("group-admin", func(ctx context.Context) { groupAdmin(ctx, admin) })
	scenario("restart", func(ctx context.Context) { interrupted(ctx, admin, "restart") })
	scenario("kill", func(ctx context.Context) { interrupted(ctx, admin, "kill") })
}

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

var (
	acksLeader = []kgo.Opt{kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()}
	acksAll    = []kgo.Opt{kgo.RequiredAcks(kgo.AllISRAcks())}
)

func connect(ctx context.Context, admin *kadm.Client) {
	cluster := must(admin.BrokerMetadata(ctx))
	same(1, len(cluster.Brokers))
	check(cluster.Cluster != "", "no cluster id")
}

func createTopic(ctx context.Context, admin *kadm.Client) {
	retention := "60000"
	config := map[string]*string{"retention.ms": &retention}
	created := must(admin.CreateTopic(ctx, 3, 1, config, "created"))
	topic := describe(ctx, admin, "created")
	same(created.ID, topic.ID)
	for _, partition := range topic.Partitions.Sorted() {
		same(1, partition.Leader)
	}
	same(3, len(topic.Partitions))
	fails(kerr.TopicAlreadyExists, second(admin.CreateTopic(ctx, 3, 1, config, "created")))
}

// Keys, values and headers of every kind, null and empty and repeated ones included.
func produce(ctx context.Context, admin *kadm.Client, name string, codec kgo.CompressionCodec) {
	topic := create(ctx, admin, "produce-"+name, 3, nil)
	producer := must(open(kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond)))
	defer producer.Close()
	var sent []*kgo.Record
	for i := range 300 {
		record := &kgo.Record{
			Topic:     topic,
			Key:       fmt.Appendf(nil, "key %d", i%10),
			Value:     []byte(strings.Repeat(fmt.Sprintf("value %d of a compressible text ", i), i%7)),
			Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
			Headers: []kgo.RecordHeader{
				{Key: "trace", Value: fmt.Appendf(nil, "id %d", i)},
				{Key: "trace", Value: nil},
				{Key: "empty", Value: []byte{}},
			},
		}
		if i%50 == 0 {
			record.Value = nil
		}
		sent = append(sent, record)
	}
	none(producer.ProduceSync(ctx, sent...).FirstErr())

	received := readAll(ctx, admin, topic)
	same(len(sent), len(received))
	byTime := func(a, b *kgo.Record) int { return a.Timestamp.Compare(b.Timestamp) }
	slices.SortFunc(received, byTime)
	for i, record := range received {
		same(describeRecord(sent[i]), describeRecord(record))
	}
}

func describeRecord(r *kgo.Record) string {
	text := fmt.Sprintf("%d/%d %d %q null=%v", r.Partition, r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value == nil)
	for _, header := range r.Headers {
		text += fmt.Sprintf(" %s=%q null=%v", header.Key, header.Value, header.Value == nil)
	}
	return text + string(r.Value)
}

func acksNone(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "acks-0", 1, nil)
	send(ctx, topic, 0, 100, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	same(numbered(0, 100), values(consume(ctx, topic, kgo.NewOffset().AtStart(), 100)))
}

// What was not acknowledged by all replicas may become readable a moment later.
func acks(ctx context.Context, admin *kadm.Client, name string, options []kgo.Opt) {
	topic := create(ctx, admin, name, 1, nil)
	for i, record := range send(ctx, topic, 0, 100, options...) {
		same(int64(i), record.Offset)
	}
	same(numbered(0, 100), values(consume(ctx, topic, kgo.NewOffset().AtStart(), 100)))
}

func idempotence(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "idempotence", 1, nil)
	small := kgo.ProducerBatchMaxBytes(1024) // so that many requests are in flight
	for i, record := range send(ctx, topic, 0, 2000, small) {
		same(int64(i), record.Offset)
	}
	same(numbered(0, 2000), values(readAll(ctx, admin, topic)))
}

func consumeBeginning(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "consume-beginning", 1, nil)
	send(ctx, topic, 0, 50)
	same(numbered(0, 50), values(consume(ctx, topic, kgo.NewOffset().AtStart(), 50)))
}

func consumeEnd(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "consume-end", 1, nil)
	send(ctx, topic, 0, 50)
	consumer := must(open(assign(topic, kgo.NewOffset().AtEnd())))
	defer consumer.Close()
	// The client looks the end up in its first poll, which has nothing to return.
	first, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	same(0, consumer.PollFetches(first).NumRecords())
	send(ctx, topic, 50, 60)
	same(numbered(50, 60), values(poll(ctx, consumer, 10)))
}

func consumeOffset(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "consume-offset", 1, nil)
	send(ctx, topic, 0, 50)
	same(numbered(33, 50), values(consume(ctx, topic, kgo.NewOffset().At(33), 17)))
}

func consumeTimestamp(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "consume-timestamp", 1, nil)
	start := time.Now().UnixMilli() - 60_000
	producer := must(open())
	defer producer.Close()
	for i := range 50 {
		at := time.UnixMilli(start + 100*int64(i))
		record := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "v%d", i), Timestamp: at}
		none(producer.ProduceSync(ctx, record).FirstErr())
	}
	offsets := must(admin.ListOffsetsAfterMilli(ctx, start+2_950, topic))
	same(30, offsets[topic][0].Offset)
	same(start+3_000, offsets[topic][0].Timestamp)
	at := kgo.NewOffset().AfterMilli(start + 2_950)
	same(numbered(30, 50), values(consume(ctx, topic, at, 20)))
}

func unknownTopic(ctx context.Context, admin *kadm.Client) {
	fails(kerr.UnknownTopicOrPartition, must(admin.ListTopics(ctx, "unknown"))["unknown"].Err)
	fails(kerr.UnknownTopicOrPartition, second(admin.DeleteTopic(ctx, "unknown")))
	producer := must(open(kgo.UnknownTopicRetries(0)))
	defer producer.Close()
	answer := producer.ProduceSync(ctx, &kgo.Record{Topic: "unknown", Value: []byte("v0")})
	fails(kerr.UnknownTopicOrPartition, answer.FirstErr())
	check(!must(admin.ListTopics(ctx)).Has("unknown"), "the topic was created")
}

func autoCreate(ctx context.Context, admin *kadm.Client) {
	send(ctx, "auto-created", 0, 1, kgo.AllowAutoTopicCreation())
	same(numbered(0, 1), values(readAll(ctx, admin, "auto-created")))
}

func oversizeRecord(ctx context.Context, admin *kadm.Client) {
	limit := "10000"
	topic := create(ctx, admin, "oversize", 1, map[string]*string{"max.message.bytes": &limit})
	send(ctx, topic, 0, 1)
	producer := must(open(kgo.ProducerBatchCompression(kgo.NoCompression())))
	defer producer.Close()
	large := &kgo.Record{Topic: topic, Value: make([]byte, 20_000)}
	fails(kerr.MessageTooLarge, producer.ProduceSync(ctx, large).FirstErr())
	send(ctx, topic, 1, 2)
	same(numbered(0, 2), values(readAll(ctx, admin, topic)))
}

func deleteRecords(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "delete-records", 1, nil)
	send(ctx, topic, 0, 50)
	var before kadm.Offsets
	before.Add(kadm.Offset{Topic: topic, At: 20})
	deleted, _ := must(admin.DeleteRecords(ctx, before)).Lookup(topic, 0)
	none(deleted.Err)
	same(20, deleted.LowWatermark)
	same(numbered(20, 50), values(readAll(ctx, admin, topic)))
	consumer := must(open(assign(topic, kgo.NewOffset().At(10)), kgo.ConsumeResetOffset(kgo.NoResetOffset())))
	defer consumer.Close()
	fails(kerr.OffsetOutOfRange, consumer.PollFetches(ctx).Err())
}

func createPartitions(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "create-partitions", 1, nil)
	none(must(admin.UpdatePartitions(ctx, 3, topic)).Error())
	eventually(func() bool { return len(describe(ctx, admin, topic).Partitions) == 3 }, "three partitions")
	producer := must(open(kgo.RecordPartitioner(kgo.ManualPartitioner())))
	defer producer.Close()
	record := &kgo.Record{Topic: topic, Partition: 2, Value: []byte("v0")}
	none(producer.ProduceSync(ctx, record).FirstErr())
	same(0, record.Offset)
	fails(kerr.InvalidPartitions, must(admin.UpdatePartitions(ctx, 2, topic))[topic].Err)
}

func deleteTopic(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "delete-topic", 1, nil)
	send(ctx, topic, 0, 10)
	first := describe(ctx, admin, topic).ID
	must(admin.DeleteTopic(ctx, topic))
	eventually(func() bool { return !must(admin.ListTopics(ctx)).Has(topic) }, "the topic gone")
	create(ctx, admin, topic, 1, nil)
	eventually(func() bool {
		detail := must(admin.ListTopics(ctx, topic))[topic]
		return detail.Err == nil && detail.ID != first
	}, "a new topic id")
	send(ctx, topic, 90, 91)
	same(numbered(90, 91), values(readAll(ctx, admin, topic)))
}

func describeConfigs(ctx context.Context, admin *kadm.Client) {
	limit := "12345"
	topic := create(ctx, admin, "describe-configs", 1, map[string]*string{"max.message.bytes": &limit})
	set := topicConfig(ctx, admin, topic, "max.message.bytes")
	same("12345 DYNAMIC_TOPIC_CONFIG", set.MaybeValue()+" "+set.Source.String())
	untouched := topicConfig(ctx, admin, topic, "cleanup.policy")
	same("delete DEFAULT_CONFIG", untouched.MaybeValue()+" "+untouched.Source.String())
	broker := must(must(admin.DescribeBrokerConfigs(ctx, 1)).On("1", nil))
	same("1", find(broker.Configs, "node.id").MaybeValue())
}

func alterConfigs(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "alter-configs", 1, nil)
	alter := func(name string, value string, how kadm.IncrementalOp) error {
		change := kadm.AlterConfig{Op: how, Name: name, Value: &value}
		answers := must(admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, topic))
		return must(answers.On(topic, nil)).Err
	}
	retention := func() string { return topicConfig(ctx, admin, topic, "retention.ms").MaybeValue() }
	none(alter("retention.ms", "123456", kadm.SetConfig))
	eventually(func() bool { return retention() == "123456" }, "the value set")
	none(alter("retention.ms", "", kadm.DeleteConfig))
	eventually(func() bool { return retention() == "604800000" }, "the default")
	fails(kerr.InvalidConfig, alter("retention.ms", "soon", kadm.SetConfig))
	fails(kerr.InvalidConfig, alter("retentoin.ms", "1", kadm.SetConfig))
}

func logDirs(ctx context.Context, admin *kadm.Client) {
	topic := create(ctx, admin, "log-dirs", 1, nil)
	send(ctx, topic, 0, 50)
	dirs := must(admin.DescribeAllLogDirs(ctx, nil))[1]
	same(1, len(dirs))
	partition, _ := dirs.Lookup(dirs.Sorted()[0].Dir, topic, 0)
	check(partition.Size > 0, "no bytes in the partition")
}

// A group that only ever commits: listed, described, read, reset and deleted.
func groupAdmin(ctx context.Context, admin *kadm.Client) {
	topic, group := create(ctx, admin, "group-admin", 1, nil), "group-admin"
	send(ctx, topic, 0, 50)
	commit := func(offset int64, metadata string) {
		var offsets kadm.Offsets
		offsets.Add(kadm.Offset{Topic: topic, At: offset, LeaderEpoch: -1, Metadata: metadata})
		none(admin.CommitAllOffsets(ctx, group, offsets))
	}
	committed := func() string {
		found, _ := must(admin.FetchOffsets(ctx, group)).Lookup(topic, 0)
		return fmt.Sprintf("%d %s", found.At, found.Metadata)
	}
	listed := func() bool {
		_, found := must(admin.ListGroups(ctx))[group]
		return found
	}
	commit(20, "noted")
	same("20 noted", committed())
	check(listed(), "not listed")
	same("Empty", must(admin.DescribeGroups(ctx, group))[group].State)
	commit(5, "")
	same("5 ", committed())
	none(second(admin.DeleteGroup(ctx, group)))
	check(!listed(), "still listed")
	fails(kerr.GroupIDNotFound, second(admin.DeleteGroup(ctx, group)))
}

// The ledger of the harness decides about this one.
func interrupted(ctx context.Context, admin *kadm.Client, how string) {
	topic := create(ctx, admin, how, 3, nil)
	producer := must(open(kgo.ProducerBatchMaxBytes(1024)))
	defer producer.Close()
	produce := func(from, to int) {
		for i := from; i < to; i++ {
			record := &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", i%100), Value: fmt.Appendf(nil, "value-%d", i)}
			producer.Produce(ctx, record, func(record *kgo.Record, err error) {
				if err == nil {
					fmt.Printf("acked %d %d %s\n", record.Partition, record.Offset, record.Value)
				}
			})
		}
	}
	produce(0, 500)
	none(producer.Flush(ctx))
	produce(500, 1000)
	fmt.Println(how)
	same("done\n", must(stdin.ReadString('\n')))
	produce(1000, 1500)
	none(producer.Flush(ctx))
	for _, record := range readAll(ctx, admin, topic) {
		fmt.Printf("read %d %d %s\n", record.Partition, record.Offset, record.Value)
	}
}

// What the scenarios are made of: a failed expectation panics, and the scenario reports it.

func scenario(name string, run func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	defer func() {
		if failure := recover(); failure != nil {
			fmt.Println("FAIL", name, strings.ReplaceAll(fmt.Sprint(failure), "\n", " "))
			return
		}
		fmt.Println("ok", name)
	}()
	run(ctx)
}

func check(condition bool, otherwise string) {
	if !condition {
		panic(otherwise)
	}
}

func none(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	none(err)
	return value
}

func second[T any](_ T, err error) error {
	return err
}

func same[T any](expected, found T) {
	a, b := fmt.Sprint(expected), fmt.Sprint(found)
	check(a == b, fmt.Sprintf("expected %s, found %s", a, b))
}

func fails(expected *kerr.Error, found error) {
	check(errors.Is(found, expected), fmt.Sprintf("expected %v, found %v", expected, found))
}

func eventually(holds func() bool, what string) {
	for deadline := time.Now().Add(within); !holds(); time.Sleep(20 * time.Millisecond) {
		check(time.Now().Before(deadline), "expected "+what)
	}
}

func open(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(options, kgo.SeedBrokers(os.Getenv("BOOTSTRAP_SERVERS")))...)
}

func assign(topic string, at kgo.Offset) kgo.Opt {
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: at}})
}

func create(ctx context.Context, admin *kadm.Client, topic string, partitions int32, config map[string]*string) string {
	must(admin.CreateTopic(ctx, partitions, 1, config, topic))
	return topic
}

func describe(ctx context.Context, admin *kadm.Client, topic string) kadm.TopicDetail {
	detail := must(admin.ListTopics(ctx, topic))[topic]
	none(detail.Err)
	return detail
}

func topicConfig(ctx context.Context, admin *kadm.Client, topic, name string) *kadm.Config {
	return find(must(must(admin.DescribeTopicConfigs(ctx, topic)).On(topic, nil)).Configs, name)
}

func find(configs []kadm.Config, name string) *kadm.Config {
	i := slices.IndexFunc(configs, func(config kadm.Config) bool { return config.Key == name })
	check(i >= 0, "no config "+name)
	return &configs[i]
}

func send(ctx context.Context, topic string, from, to int, options ...kgo.Opt) []*kgo.Record {
	producer := must(open(options...))
	defer producer.Close()
	var records []*kgo.Record
	for _, value := range numbered(from, to) {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(value)})
	}
	none(producer.ProduceSync(ctx, records...).FirstErr())
	return records
}

func consume(ctx context.Context, topic string, at kgo.Offset, count int) []*kgo.Record {
	consumer := must(open(assign(topic, at)))
	defer consumer.Close()
	return poll(ctx, consumer, count)
}

func poll(ctx context.Context, consumer *kgo.Client, count int) []*kgo.Record {
	var records []*kgo.Record
	for len(records) < count {
		fetches := consumer.PollFetches(ctx)
		none(fetches.Err())
		records = append(records, fetches.Records()...)
	}
	return records
}

// Everything between beginning and end of all partitions.
func readAll(ctx context.Context, admin *kadm.Client, topic string) []*kgo.Record {
	starts, ends := must(admin.ListStartOffsets(ctx, topic)), must(admin.ListEndOffsets(ctx, topic))
	count := 0
	partitions := make(map[int32]kgo.Offset)
	ends.Each(func(end kadm.ListedOffset) {
		none(end.Err)
		start := starts[topic][end.Partition].Offset
		partitions[end.Partition] = kgo.NewOffset().At(start)
		count += int(end.Offset - start)
	})
	consumer := must(open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: partitions})))
	defer consumer.Close()
	return poll(ctx, consumer, count)
}

func values(records []*kgo.Record) []string {
	var values []string
	for _, record := range records {
		values = append(values, string(record.Value))
	}
	return values
}

func numbered(from, to int) []string {
	var values []string
	for i := from; i < to; i++ {
		values = append(values, fmt.Sprint("v", i))
	}
	return values
}

func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return "unknown"
}
