package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	. "ottla.tests/harness"
)

// member is a member of a consumer group, as tests/src/clients/groups/group.rs directs it.
func member() {
	session := time.Duration(Must(strconv.Atoi(os.Getenv("MEMBER_SESSION_MS")))) * time.Millisecond
	config := settings()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = session
	config.Consumer.Group.Heartbeat.Interval = session / 10
	config.Consumer.Group.InstanceId = os.Getenv("MEMBER_INSTANCE")
	if os.Getenv("MEMBER_COOPERATIVE") != "" {
		cooperative := sarama.NewBalanceStrategyCooperativeSticky()
		config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{cooperative}
	}
	group := Must(sarama.NewConsumerGroup(brokers, os.Getenv("MEMBER_GROUP"), config))
	ctx, leave := context.WithCancel(context.Background())
	go func() {
		_, _ = Stdin.ReadString('\n')
		leave()
	}()
	for ctx.Err() == nil {
		// A rebalance ends the call in order; without the broker it fails until that is back.
		if err := group.Consume(ctx, []string{os.Getenv("MEMBER_TOPIC")}, handler{}); err != nil {
			fmt.Println("not consuming:", err)
			time.Sleep(50 * time.Millisecond)
		}
	}
	None(group.Close())
}

type handler struct{}

func (handler) Setup(sarama.ConsumerGroupSession) error { return nil }

func (handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim has one partition for as long as it is this member's.
func (handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	place := fmt.Sprintf("%s:%d", claim.Topic(), claim.Partition())
	fmt.Println("assigned", place)
	defer fmt.Println("revoked", place)
	count := 0
	for message := range claim.Messages() {
		fmt.Println("read", place, message.Offset)
		session.MarkMessage(message, "")
		if count++; count%10 == 0 || message.Offset+1 == claim.HighWaterMarkOffset() {
			time.Sleep(20 * time.Millisecond)
			session.Commit()
		}
	}
	return nil
}
