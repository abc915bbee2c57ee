package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/IBM/sarama"
	. "ottla.tests/harness"
)

// first makes fresh groups one after another, as tests/src/first_record.rs directs them.
func first(topic string) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		address, name, _ := strings.Cut(lines.Text(), " ")
		config := sarama.NewConfig()
		config.Consumer.Offsets.Initial = sarama.OffsetOldest
		started := time.Now()
		group := Must(sarama.NewConsumerGroup([]string{address}, name, config))
		var took time.Duration
		for took == 0 {
			None(group.Consume(context.Background(), []string{topic}, untilFirst{started, &took}))
		}
		None(group.Close())
		fmt.Println("first", took.Microseconds())
	}
}

// untilFirst ends its session with the first record.
type untilFirst struct {
	started time.Time
	took    *time.Duration
}

func (untilFirst) Setup(sarama.ConsumerGroupSession) error { return nil }

func (untilFirst) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (first untilFirst) ConsumeClaim(_ sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	if <-claim.Messages() != nil {
		*first.took = time.Since(first.started)
	}
	return nil
}
