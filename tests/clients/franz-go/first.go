package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// first makes fresh groups one after another, as tests/src/first_record.rs directs them.
func first(topic string) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		address, group, _ := strings.Cut(lines.Text(), " ")
		started := time.Now()
		client := must(kgo.NewClient(
			kgo.SeedBrokers(address),
			kgo.ConsumerGroup(group),
			kgo.ConsumeTopics(topic),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		))
		for client.PollFetches(context.Background()).NumRecords() == 0 {
		}
		took := time.Since(started)
		client.Close()
		fmt.Println("first", took.Microseconds())
	}
}
