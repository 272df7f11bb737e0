package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	connectTimeout = 10 * time.Second
	longestPause   = 10 * time.Second
)

// consumer is what lasts longer than a membership in the group.
type consumer struct {
	name     string
	batch    int // most records of a transaction
	decoder  *decoder
	postgres *pgxpool.Pool
	kafka    *kadm.Client
	member   []kgo.Opt
}

func newConsumer(ctx context.Context) (*consumer, error) {
	for _, name := range []string{"AQUEDUCT_KAFKA__BROKERS", "AQUEDUCT_REGISTRY__URL", "AQUEDUCT_POSTGRES__URL"} {
		if os.Getenv(name) == "" {
			return nil, fmt.Errorf("environment variable %s is not set", name)
		}
	}
	batch, err := strconv.Atoi(environment("AQUEDUCT_BATCH", "500"))
	if err != nil || batch < 1 {
		return nil, fmt.Errorf("AQUEDUCT_BATCH is %q, expected a number from 1", os.Getenv("AQUEDUCT_BATCH"))
	}
	decoder, err := newDecoder(os.Getenv("AQUEDUCT_REGISTRY__URL"), environment("AQUEDUCT_SCHEMAS__DIRECTORY", "schemas"))
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s:%d", host, os.Getpid())
	properties, err := kafkaProperties(os.Environ())
	if err != nil {
		return nil, err
	}
	connection, err := connectionOptions(os.Getenv("AQUEDUCT_KAFKA__BROKERS"), properties)
	if err != nil {
		return nil, err
	}
	session, err := sessionOptions(properties)
	if err != nil {
		return nil, err
	}
	group := environment("AQUEDUCT_KAFKA__GROUP", "aqueduct."+projection)
	subscribed := strings.Split(environment("AQUEDUCT_TOPICS", strings.Join(topics, ",")), ",")
	postgres, err := newPool(ctx, os.Getenv("AQUEDUCT_POSTGRES__URL"), name)
	if err != nil {
		return nil, err
	}
	admin, err := kgo.NewClient(connection...)
	if err != nil {
		postgres.Close()
		return nil, err
	}
	return &consumer{name, batch, decoder, postgres, kadm.NewClient(admin),
		append(append(connection, memberOptions(group, subscribed)...), session...)}, nil
}

func newPool(ctx context.Context, url, name string) (*pgxpool.Pool, error) {
	configuration, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	configuration.MaxConns = 2 // a batch, and claims at the same time
	configuration.ConnConfig.ConnectTimeout = connectTimeout
	configuration.ConnConfig.RuntimeParams["application_name"] = name
	// Statements are not prepared by name: a pooler in transaction mode may be between.
	configuration.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	return pgxpool.NewWithConfig(ctx, configuration)
}

func memberOptions(group string, topics []string) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topics...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// A transaction's marker has an offset too. Without it, the offset after a transaction would never be reached, and
		// a partition without new records would look as if something were left to read.
		kgo.KeepControlRecords(),
		// Only partitions that move are revoked. Under an eager balancer each rebalance would revoke all of them.
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		// A partition must not be revoked, and its epoch forgotten, while a batch with its records is applied.
		kgo.BlockRebalanceOnPoll(),
		// Postgres decides where to resume. Kafka's offsets are committed for displays of lag.
		kgo.DisableAutoCommit(),
		// An offset that the partition does not have is an error, and not the beginning or the end: see claim.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	}
}

func (c *consumer) close() {
	c.kafka.Close()
	c.postgres.Close()
}

// run consumes until the context ends.
func (c *consumer) run(ctx context.Context) error {
	for {
		err := c.join(ctx)
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return nil
		}
		if !errors.Is(err, errRejoin) {
			return err
		}
		rejoinsTotal.Inc()
		slog.Warn("leaving the group to join it again", "error", err)
		pause(ctx, 100*time.Millisecond+rand.N(900*time.Millisecond))
	}
}

// retry repeats what fails for a reason that passes, a commit of unknown outcome too: the inbox drops the second.
func (c *consumer) retry(ctx context.Context, work func(attempt int) error) error {
	for attempt := 1; ; attempt++ {
		err := work(attempt)
		if !errors.Is(err, errUnavailable) {
			return err
		}
		retriesTotal.Inc()
		wait := min(longestPause, 100*time.Millisecond<<min(attempt, 10))
		wait = wait/2 + rand.N(wait/2)
		slog.Warn("waiting before the next attempt", "seconds", wait.Seconds(), "error", err)
		if pause(ctx, wait); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func pause(ctx context.Context, wait time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}
