package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// member is a member of a consumer group, as tests/src/clients/groups/group.rs directs it.
func member() {
	session := time.Duration(must(strconv.Atoi(os.Getenv("MEMBER_SESSION_MS")))) * time.Millisecond
	options := []kgo.Opt{
		kgo.ConsumerGroup(os.Getenv("MEMBER_GROUP")),
		kgo.ConsumeTopics(os.Getenv("MEMBER_TOPIC")),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(session / 10),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.MetadataMaxAge(500 * time.Millisecond),
		kgo.DisableAutoCommit(),
		// Or a commit could come when the partition is another member's already.
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(report("assigned")),
		kgo.OnPartitionsRevoked(report("revoked")),
		kgo.OnPartitionsLost(report("revoked")),
	}
	if os.Getenv("MEMBER_COOPERATIVE") == "" {
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	}
	if os.Getenv("MEMBER_PATTERN") != "" {
		options = append(options, kgo.ConsumeRegex())
	}
	if instance := os.Getenv("MEMBER_INSTANCE"); instance != "" {
		options = append(options, kgo.InstanceID(instance))
	}
	client := must(open(options...))
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		_, _ = stdin.ReadString('\n')
		leave()
	}()
	for ctx.Err() == nil {
		records := client.PollRecords(ctx, 10).Records()
		for _, record := range records {
			fmt.Printf("read %s:%d %d\n", record.Topic, record.Partition, record.Offset)
		}
		if len(records) > 0 {
			time.Sleep(20 * time.Millisecond)
			commit(client, records)
		}
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
}

func commit(client *kgo.Client, records []*kgo.Record) {
	if err := client.CommitRecords(context.Background(), records...); err != nil {
		fmt.Println("not committed:", err)
		return
	}
	for _, record := range records {
		fmt.Printf("committed %s:%d %d\n", record.Topic, record.Partition, record.Offset+1)
	}
}

func report(word string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
		var places []string
		for topic, partitions := range topics {
			for _, partition := range partitions {
				places = append(places, fmt.Sprintf("%s:%d", topic, partition))
			}
		}
		if len(places) > 0 {
			fmt.Println(word, strings.Join(places, " "))
		}
	}
}
