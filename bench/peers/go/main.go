// What a strong Go engineer writes in place of the bridge: verify, normalize, publish with franz-go, reply after the
// confirmation. It has no journal: while Kafka is away it waits, and answers 503 after 1.9 s.
//
//	go-server net|fast PORT
//
// The first argument chooses net/http or fasthttp. BENCH_BOOTSTRAP and BENCH_TOPIC say where events go.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	linger  = time.Millisecond
	timeout = 1900 * time.Millisecond
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go-server net|fast PORT")
	}
	client, err := connect(os.Getenv("BENCH_BOOTSTRAP"), os.Getenv("BENCH_TOPIC"))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if os.Args[1] == "fast" {
		log.Fatal(serveFastHTTP(listener, client))
	}
	log.Fatal(serveNetHTTP(listener, client))
}

// connect makes a producer as safe as the bridge's: acks=all, and idempotent, which is the default.
func connect(bootstrap, topic string) (*kgo.Client, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(linger),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		return nil, err
	}
	return client, client.Ping(context.Background())
}

// publish returns when Kafka has confirmed the record, or will not have in time.
func publish(client *kgo.Client, record *kgo.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	done := make(chan error, 1)
	client.Produce(ctx, record, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
