package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	. "ottla.tests/harness"
)

// member is a member of a consumer group, as tests/src/clients/groups/group.rs directs it.
func member() {
	session := time.Duration(Must(strconv.Atoi(os.Getenv("MEMBER_SESSION_MS")))) * time.Millisecond
	group := Must(kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                os.Getenv("MEMBER_GROUP"),
		Brokers:           []string{address.String()},
		Topics:            []string{os.Getenv("MEMBER_TOPIC")},
		SessionTimeout:    session,
		HeartbeatInterval: session / 10,
		JoinGroupBackoff:  50 * time.Millisecond,
		StartOffset:       kafka.FirstOffset,
	}))
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		_, _ = Stdin.ReadString('\n')
		leave()
	}()
	for {
		generation, err := group.Next(ctx)
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			fmt.Println("not a member:", err)
			continue
		}
		for topic, partitions := range generation.Assignments {
			for _, partition := range partitions {
				generation.Start(func(ctx context.Context) { own(ctx, generation, topic, partition) })
			}
		}
	}
	None(group.Close())
}

// own has one partition for as long as the generation lasts.
func own(ctx context.Context, generation *kafka.Generation, topic string, partition kafka.PartitionAssignment) {
	place := fmt.Sprintf("%s:%d", topic, partition.ID)
	fmt.Println("assigned", place)
	defer fmt.Println("revoked", place)
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{address.String()}, Topic: topic, Partition: partition.ID, MaxWait: 200 * time.Millisecond})
	defer reader.Close()
	None(reader.SetOffset(partition.Offset))
	for count := 1; ; count++ {
		message, err := reader.ReadMessage(ctx)
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			fmt.Println("not read:", err)
			return
		}
		fmt.Println("read", place, message.Offset)
		if count%10 == 0 || message.Offset+1 == message.HighWaterMark {
			time.Sleep(20 * time.Millisecond)
			next := message.Offset + 1
			if err := generation.CommitOffsets(map[string]map[int]int64{topic: {partition.ID: next}}); err != nil {
				fmt.Println("not committed:", err)
			} else {
				fmt.Println("committed", place, next)
			}
		}
	}
}
