// The scenarios of tests/src/clients.rs with segmentio/kafka-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	. "ottla.tests/harness"
)

var (
	address net.Addr
	client  *kafka.Client
)

func main() {
	address = Must(net.ResolveTCPAddr("tcp", os.Getenv("BOOTSTRAP_SERVERS")))
	client = &kafka.Client{Addr: address, Timeout: Within}
	if os.Getenv("MEMBER_GROUP") != "" {
		member()
		return
	}
	if topic := os.Getenv("FIRST_TOPIC"); topic != "" {
		first(topic)
		return
	}
	fmt.Println("version", ModuleVersion("github.com/segmentio/kafka-go"))
	Scenario("connect", in(connect))
	Scenario("create-topic", in(createTopic))
	for name, codec := range codecs {
		Scenario("produce-"+name, in(func(ctx context.Context) { produce(ctx, name, codec) }))
	}
	Scenario("acks-0", in(func(ctx context.Context) { acks(ctx, "acks-0", kafka.RequireNone) }))
	Scenario("acks-1", in(func(ctx context.Context) { acks(ctx, "acks-1", kafka.RequireOne) }))
	Scenario("acks-all", in(func(ctx context.Context) { acks(ctx, "acks-all", kafka.RequireAll) }))
	fmt.Println("n/a idempotence the library has no idempotent producer")
	Scenario("consume-beginning", in(consumeBeginning))
	Scenario("consume-end", in(consumeEnd))
	Scenario("consume-offset", in(consumeOffset))
	Scenario("consume-timestamp", in(consumeTimestamp))
	Scenario("unknown-topic", in(unknownTopic))
	Scenario("auto-create", in(autoCreate))
	Scenario("oversize-record", in(oversizeRecord))
	fmt.Println("n/a delete-records the library has no call for it")
	Scenario("create-partitions", in(createPartitions))
	Scenario("delete-topic", in(deleteTopic))
	Scenario("describe-configs", in(describeConfigs))
	Scenario("alter-configs", in(alterConfigs))
	fmt.Println("n/a log-dirs the library has no call for it")
	fmt.Println("n/a dump-log the library reads no files")
	Scenario("group-admin", in(groupAdmin))
	fmt.Println("n/a group-cooperative the library rebalances eagerly only")
	fmt.Println("n/a group-static the library's members are all dynamic")
	fmt.Println("n/a group-pattern the library subscribes to names only")
	Scenario("restart", in(func(ctx context.Context) { interrupted(ctx, "restart") }))
	Scenario("kill", in(func(ctx context.Context) { interrupted(ctx, "kill") }))
}

var codecs = map[string]kafka.Compression{
	"none":   0,
	"gzip":   kafka.Gzip,
	"snappy": kafka.Snappy,
	"lz4":    kafka.Lz4,
	"zstd":   kafka.Zstd,
}

func connect(ctx context.Context) {
	metadata := Must(client.Metadata(ctx, &kafka.MetadataRequest{}))
	Same(1, len(metadata.Brokers))
	Same(1, metadata.Controller.ID)
	Check(metadata.ClusterID != "", "no cluster id")
}

func createTopic(ctx context.Context) {
	create(ctx, "created", 3, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "60000"})
	topic := describe(ctx, "created")
	for _, partition := range topic.Partitions {
		Same(1, partition.Leader.ID)
	}
	Same(3, len(topic.Partitions))
	Fails(kafka.TopicAlreadyExists, tryCreate(ctx, "created", 1))
}

// Keys, values and headers, empty and repeated ones; the library reads empty values as null.
func produce(ctx context.Context, name string, codec kafka.Compression) {
	topic := create(ctx, "produce-"+name, 3)
	var sent []kafka.Message
	for i := range 300 {
		message := kafka.Message{
			Key:   fmt.Appendf(nil, "key %d", i%10),
			Value: []byte(strings.Repeat(fmt.Sprintf("value %d of a compressible text ", i), i%7)),
			Time:  time.UnixMilli(1_700_000_000_000 + int64(i)),
			Headers: []kafka.Header{
				{Key: "trace", Value: fmt.Appendf(nil, "id %d", i)},
				{Key: "trace", Value: []byte("again")},
				{Key: "empty", Value: []byte{}},
			},
		}
		if i%50 == 0 {
			message.Value = nil
		}
		sent = append(sent, message)
	}
	acked := write(ctx, topic, sent, func(writer *kafka.Writer) {
		writer.Compression = codec
		writer.Balancer = &kafka.Hash{}
	})

	received := readAll(ctx, topic)
	Same(len(sent), len(received))
	byTime := func(a, b kafka.Message) int { return a.Time.Compare(b.Time) }
	slices.SortFunc(received, byTime)
	slices.SortFunc(acked, byTime)
	for i, message := range received {
		Same(describeMessage(acked[i]), describeMessage(message))
		Same(string(sent[i].Value), string(message.Value))
	}
}

func describeMessage(m kafka.Message) string {
	text := fmt.Sprintf("%d/%d %d %q", m.Partition, m.Offset, m.Time.UnixMilli(), m.Key)
	for _, header := range m.Headers {
		text += fmt.Sprintf(" %s=%q", header.Key, header.Value)
	}
	return text + string(m.Value)
}

// What was not acknowledged by all replicas may become readable a moment later.
func acks(ctx context.Context, name string, level kafka.RequiredAcks) {
	topic := create(ctx, name, 1)
	acked := send(ctx, topic, 0, 100, func(writer *kafka.Writer) { writer.RequiredAcks = level })
	if level != kafka.RequireNone {
		for i, message := range acked {
			Same(int64(i), message.Offset)
		}
	}
	Same(Numbered(0, 100), values(consume(ctx, topic, 0, kafka.FirstOffset, 100)))
}

func consumeBeginning(ctx context.Context) {
	topic := create(ctx, "consume-beginning", 1)
	send(ctx, topic, 0, 50)
	Same(Numbered(0, 50), values(consume(ctx, topic, 0, kafka.FirstOffset, 50)))
}

// A reader does not say when it has found the end; it is asked for here.
func consumeEnd(ctx context.Context) {
	topic := create(ctx, "consume-end", 1)
	send(ctx, topic, 0, 50)
	conn := Must(kafka.DialLeader(ctx, "tcp", address.String(), topic, 0))
	defer conn.Close()
	Same(50, Must(conn.Seek(0, kafka.SeekEnd)))
	send(ctx, topic, 50, 60)
	None(conn.SetReadDeadline(time.Now().Add(Within)))
	var messages []kafka.Message
	for range 10 {
		messages = append(messages, Must(conn.ReadMessage(1<<20)))
	}
	Same(Numbered(50, 60), values(messages))
}

func consumeOffset(ctx context.Context) {
	topic := create(ctx, "consume-offset", 1)
	send(ctx, topic, 0, 50)
	Same(Numbered(33, 50), values(consume(ctx, topic, 0, 33, 17)))
}

func consumeTimestamp(ctx context.Context) {
	topic := create(ctx, "consume-timestamp", 1)
	start := time.Now().UnixMilli() - 60_000
	var messages []kafka.Message
	for i, value := range Numbered(0, 50) {
		messages = append(messages, kafka.Message{Value: []byte(value), Time: time.UnixMilli(start + 100*int64(i))})
	}
	write(ctx, topic, messages)
	conn := Must(kafka.DialLeader(ctx, "tcp", address.String(), topic, 0))
	defer conn.Close()
	offset := Must(conn.ReadOffset(time.UnixMilli(start + 2_950)))
	Same(30, offset)
	Same(Numbered(30, 50), values(consume(ctx, topic, 0, offset, 20)))
}

func unknownTopic(ctx context.Context) {
	deleted := Must(client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{"unknown"}}))
	Fails(kafka.UnknownTopicOrPartition, deleted.Errors["unknown"])
	writer := open("unknown")
	defer writer.Close()
	err := writer.WriteMessages(ctx, kafka.Message{Value: []byte("v0")})
	Fails(kafka.UnknownTopicOrPartition, err)
	Check(!exists(ctx, "unknown"), "the topic was created")
}

func autoCreate(ctx context.Context) {
	writer := open("auto-created")
	defer writer.Close()
	writer.AllowAutoTopicCreation = true
	Eventually(func() bool {
		err := writer.WriteMessages(ctx, kafka.Message{Value: []byte("v0")})
		return !errors.Is(err, kafka.UnknownTopicOrPartition) && !errors.Is(err, kafka.LeaderNotAvailable)
	}, "the topic made")
	Eventually(func() bool { return metadata(ctx, "auto-created").Error == nil }, "it in the metadata")
	Same(Numbered(0, 1), values(readAll(ctx, "auto-created")))
}

func oversizeRecord(ctx context.Context) {
	topic := create(ctx, "oversize", 1, kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: "10000"})
	send(ctx, topic, 0, 1)
	writer := open(topic)
	defer writer.Close()
	var refused kafka.WriteErrors
	err := writer.WriteMessages(ctx, kafka.Message{Value: make([]byte, 20_000)})
	Check(errors.As(err, &refused), fmt.Sprint("expected a refusal, found ", err))
	Fails(kafka.MessageSizeTooLarge, refused[0])
	send(ctx, topic, 1, 2)
	Same(Numbered(0, 2), values(readAll(ctx, topic)))
}

func createPartitions(ctx context.Context) {
	topic := create(ctx, "create-partitions", 1)
	grow := func(count int32) error {
		topics := []kafka.TopicPartitionsConfig{{Name: topic, Count: count}}
		return Must(client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: topics})).Errors[topic]
	}
	None(grow(3))
	Eventually(func() bool { return len(describe(ctx, topic).Partitions) == 3 }, "three partitions")
	last := kafka.BalancerFunc(func(_ kafka.Message, partitions ...int) int { return slices.Max(partitions) })
	acked := write(ctx, topic, []kafka.Message{{Value: []byte("v0")}}, func(w *kafka.Writer) { w.Balancer = last })
	Same("2/0", fmt.Sprintf("%d/%d", acked[0].Partition, acked[0].Offset))
	Fails(kafka.InvalidPartitionNumber, grow(2))
}

func deleteTopic(ctx context.Context) {
	topic := create(ctx, "delete-topic", 1)
	send(ctx, topic, 0, 10)
	None(Must(client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})).Errors[topic])
	Eventually(func() bool { return !exists(ctx, topic) }, "the topic gone")
	create(ctx, topic, 1)
	send(ctx, topic, 90, 91)
	Same(Numbered(90, 91), values(readAll(ctx, topic)))
}

func describeConfigs(ctx context.Context) {
	topic := create(ctx, "describe-configs", 1, kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: "12345"})
	set := config(ctx, kafka.ResourceTypeTopic, topic, "max.message.bytes")
	Same("12345 1", fmt.Sprint(set.ConfigValue, " ", set.ConfigSource))
	untouched := config(ctx, kafka.ResourceTypeTopic, topic, "cleanup.policy")
	Same("delete 5", fmt.Sprint(untouched.ConfigValue, " ", untouched.ConfigSource))
	node := config(ctx, kafka.ResourceTypeBroker, "1", "node.id")
	Same("1", node.ConfigValue)
	Check(node.ReadOnly, "node.id can be altered")
}

func alterConfigs(ctx context.Context) {
	topic := create(ctx, "alter-configs", 1)
	alter := func(name, value string, how kafka.ConfigOperation) error {
		change := kafka.IncrementalAlterConfigsRequestConfig{Name: name, Value: value, ConfigOperation: how}
		answer := Must(client.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
			Resources: []kafka.IncrementalAlterConfigsRequestResource{{
				ResourceType: kafka.ResourceTypeTopic,
				ResourceName: topic,
				Configs:      []kafka.IncrementalAlterConfigsRequestConfig{change},
			}},
		}))
		return answer.Resources[0].Error
	}
	retention := func() string { return config(ctx, kafka.ResourceTypeTopic, topic, "retention.ms").ConfigValue }
	None(alter("retention.ms", "123456", kafka.ConfigOperationSet))
	Eventually(func() bool { return retention() == "123456" }, "the value set")
	None(alter("retention.ms", "", kafka.ConfigOperationDelete))
	Eventually(func() bool { return retention() == "604800000" }, "the default")
	Fails(kafka.InvalidConfiguration, alter("retention.ms", "soon", kafka.ConfigOperationSet))
	Fails(kafka.InvalidConfiguration, alter("retentoin.ms", "1", kafka.ConfigOperationSet))
}

// A group that only ever commits: listed, described, read, reset and deleted.
func groupAdmin(ctx context.Context) {
	topic, group := create(ctx, "group-admin", 1), "group-admin"
	send(ctx, topic, 0, 50)
	commit := func(offset int64, metadata string) {
		commits := []kafka.OffsetCommit{{Partition: 0, Offset: offset, Metadata: metadata}}
		request := &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{topic: commits}}
		None(Must(client.OffsetCommit(ctx, request)).Topics[topic][0].Error)
	}
	committed := func() string {
		request := &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0}}}
		var response *kafka.OffsetFetchResponse
		Eventually(func() bool {
			response = Must(client.OffsetFetch(ctx, request))
			return !errors.Is(response.Error, kafka.GroupCoordinatorNotAvailable) &&
				!errors.Is(response.Error, kafka.NotCoordinatorForGroup)
		}, "a coordinator")
		None(response.Error)
		Check(len(response.Topics[topic]) == 1, fmt.Sprintf("no partition in %+v", response))
		partition := response.Topics[topic][0]
		None(partition.Error)
		return fmt.Sprintf("%d %s", partition.CommittedOffset, partition.Metadata)
	}
	listed := func() bool {
		groups := Must(client.ListGroups(ctx, &kafka.ListGroupsRequest{})).Groups
		return slices.ContainsFunc(groups, func(g kafka.ListGroupsResponseGroup) bool { return g.GroupID == group })
	}
	remove := func() error {
		return Must(client.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})).Errors[group]
	}
	Same("-1 ", committed())
	commit(20, "noted")
	Same("20 noted", committed())
	Check(listed(), "not listed")
	described := Must(client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}}))
	Same("Empty", described.Groups[0].GroupState)
	commit(5, "")
	Same("5 ", committed())
	None(remove())
	Check(!listed(), "still listed")
	Fails(kafka.GroupIdNotFound, remove())
}

// The ledger of the harness decides about this one. A record is sent once: without idempotence a
// second try may double it.
func interrupted(ctx context.Context, how string) {
	client.Transport = &kafka.Transport{} // connections of the shared one may be gone
	topic := create(ctx, how, 3)
	writer := open(topic)
	writer.Balancer = &kafka.Hash{}
	writer.BatchSize = 20
	writer.MaxAttempts = 1
	writer.Async = true
	var settled sync.WaitGroup
	writer.Completion = func(messages []kafka.Message, err error) {
		for _, message := range messages {
			if err == nil {
				fmt.Printf("acked %d %d %s\n", message.Partition, message.Offset, message.Value)
			}
			settled.Done()
		}
	}
	produce := func(from, to int) {
		for i := from; i < to; i++ {
			settled.Add(1)
			key, value := fmt.Appendf(nil, "key-%d", i%100), fmt.Appendf(nil, "value-%d", i)
			if writer.WriteMessages(ctx, kafka.Message{Key: key, Value: value}) != nil {
				settled.Done() // not even taken: the broker is away
			}
		}
	}
	produce(0, 500)
	settled.Wait()
	underWay := make(chan struct{})
	go func() {
		produce(500, 1000)
		close(underWay)
	}()
	fmt.Println(how)
	Same("done\n", Must(Stdin.ReadString('\n')))
	<-underWay
	client.Transport = &kafka.Transport{}
	Eventually(func() bool { return leads(ctx, topic, 3) }, "the broker to lead again")
	produce(1000, 1500)
	settled.Wait()
	None(writer.Close())
	for _, message := range readAll(ctx, topic) {
		fmt.Printf("read %d %d %s\n", message.Partition, message.Offset, message.Value)
	}
}

// What the scenarios are made of.

// in gives a scenario a context that ends with its time.
func in(run func(context.Context)) func() {
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*Within)
		defer cancel()
		run(ctx)
	}
}

func tryCreate(ctx context.Context, topic string, partitions int, configs ...kafka.ConfigEntry) error {
	config := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: configs}
	request := &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}}
	return Must(client.CreateTopics(ctx, request)).Errors[topic]
}

// create makes a topic and waits until its partitions are led.
func create(ctx context.Context, topic string, partitions int, configs ...kafka.ConfigEntry) string {
	None(tryCreate(ctx, topic, partitions, configs...))
	Eventually(func() bool {
		found := metadata(ctx, topic)
		leaderless := func(p kafka.Partition) bool { return p.Leader.ID != 1 || p.Error != nil }
		return found.Error == nil && !slices.ContainsFunc(found.Partitions, leaderless)
	}, "a leader for each partition")
	return topic
}

// leads tells whether the broker serves all partitions: a restarted one needs a moment.
func leads(ctx context.Context, topic string, partitions int) bool {
	var offsets []kafka.OffsetRequest
	for partition := range partitions {
		offsets = append(offsets, kafka.LastOffsetOf(partition))
	}
	request := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: offsets}}
	response, err := client.ListOffsets(ctx, request)
	refused := func(p kafka.PartitionOffsets) bool { return p.Error != nil }
	return err == nil && !slices.ContainsFunc(response.Topics[topic], refused)
}

func metadata(ctx context.Context, topic string) kafka.Topic {
	return Must(client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})).Topics[0]
}

func describe(ctx context.Context, topic string) kafka.Topic {
	found := metadata(ctx, topic)
	None(found.Error)
	return found
}

func exists(ctx context.Context, topic string) bool {
	topics := Must(client.Metadata(ctx, &kafka.MetadataRequest{})).Topics
	return slices.ContainsFunc(topics, func(found kafka.Topic) bool { return found.Name == topic })
}

func config(ctx context.Context, kind kafka.ResourceType, name, key string) kafka.DescribeConfigResponseConfigEntry {
	resource := kafka.DescribeConfigRequestResource{ResourceType: kind, ResourceName: name}
	request := &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{resource}}
	described := Must(client.DescribeConfigs(ctx, request)).Resources[0]
	None(described.Error)
	found := func(entry kafka.DescribeConfigResponseConfigEntry) bool { return entry.ConfigName == key }
	i := slices.IndexFunc(described.ConfigEntries, found)
	Check(i >= 0, "no config "+key)
	return described.ConfigEntries[i]
}

// open opens a writer with a transport of its own: the shared one keeps old metadata.
func open(topic string) *kafka.Writer {
	return &kafka.Writer{
		Addr:         address,
		Topic:        topic,
		RequiredAcks: kafka.RequireAll,
		BatchTimeout: 10 * time.Millisecond,
		Transport:    &kafka.Transport{},
	}
}

// write writes the messages and returns them as acknowledged.
func write(ctx context.Context, topic string, messages []kafka.Message, changes ...func(*kafka.Writer)) []kafka.Message {
	writer := open(topic)
	var acked []kafka.Message
	var lock sync.Mutex
	writer.Completion = func(messages []kafka.Message, err error) {
		lock.Lock()
		defer lock.Unlock()
		if err == nil {
			acked = append(acked, messages...)
		}
	}
	for _, change := range changes {
		change(writer)
	}
	None(writer.WriteMessages(ctx, messages...))
	None(writer.Close())
	return acked
}

func send(ctx context.Context, topic string, from, to int, changes ...func(*kafka.Writer)) []kafka.Message {
	var messages []kafka.Message
	for _, value := range Numbered(from, to) {
		messages = append(messages, kafka.Message{Key: []byte("k"), Value: []byte(value)})
	}
	return write(ctx, topic, messages, changes...)
}

func consume(ctx context.Context, topic string, partition int, offset int64, count int) []kafka.Message {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{address.String()}, Topic: topic, Partition: partition, MaxWait: 200 * time.Millisecond})
	defer reader.Close()
	None(reader.SetOffset(offset))
	var messages []kafka.Message
	for range count {
		messages = append(messages, Must(reader.ReadMessage(ctx)))
	}
	return messages
}

// readAll reads everything between beginning and end of all partitions.
func readAll(ctx context.Context, topic string) []kafka.Message {
	var messages []kafka.Message
	for _, partition := range describe(ctx, topic).Partitions {
		conn := Must(kafka.DialLeader(ctx, "tcp", address.String(), topic, partition.ID))
		start, end, err := conn.ReadOffsets()
		None(err)
		None(conn.Close())
		messages = append(messages, consume(ctx, topic, partition.ID, start, int(end-start))...)
	}
	return messages
}

func values(messages []kafka.Message) []string {
	var values []string
	for _, message := range messages {
		values = append(values, string(message.Value))
	}
	return values
}
