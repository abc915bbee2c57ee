package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	. "ottla.tests/harness"
)

// first makes fresh groups one after another, as tests/src/first_record.rs directs them.
func first(topic string) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		address, group, _ := strings.Cut(lines.Text(), " ")
		started := time.Now()
		reader := kafka.NewReader(kafka.ReaderConfig{
			Brokers: []string{address}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
			MaxWait: time.Second}) // or it takes ten seconds to close
		Must(reader.ReadMessage(context.Background()))
		took := time.Since(started)
		None(reader.Close())
		fmt.Println("first", took.Microseconds())
	}
}
