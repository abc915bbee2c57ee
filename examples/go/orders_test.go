package orders

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestAnOrderIsReadBack(t *testing.T) {
	t.Parallel()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(startOttla(t)),
		kgo.AllowAutoTopicCreation(),
		kgo.ConsumeTopics("orders"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	created := &kgo.Record{Topic: "orders", Key: []byte("o-1"), Value: []byte("created")}
	if err := client.ProduceSync(ctx, created).FirstErr(); err != nil {
		t.Fatal(err)
	}
	records := client.PollFetches(ctx).Records()
	if len(records) != 1 || string(records[0].Value) != "created" {
		t.Fatalf("read %v", records)
	}
}
