package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	heldEvery   = time.Second           // between checks for parked events while no records come
	shortestGap = 10 * time.Millisecond // between polls
	// The claims of other partitions can take long, and an end must not be older than two minutes.
	longestUse = time.Minute
)

// membership is the time from joining the group to leaving it.
type membership struct {
	*consumer
	client *kgo.Client
	fail   context.CancelCauseFunc // ends the membership, with the reason

	// The group's goroutine claims partitions while this one applies batches of others.
	lock  sync.Mutex
	owned epochs
}

// join is a member of the group until the context ends, or there is an error.
func (c *consumer) join(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	m := &membership{consumer: c, fail: fail, owned: epochs{}}
	options := append(c.member[:len(c.member):len(c.member)],
		kgo.AdjustFetchOffsetsFn(m.onAssigned),
		kgo.OnPartitionsRevoked(m.onRevoked),
		kgo.OnPartitionsLost(m.onRevoked))
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	m.client = client
	// Leaves the group: onRevoked drops the partitions.
	defer client.CloseAllowingRebalance()
	return m.consume(ctx)
}

// onAssigned is called before newly assigned partitions are read, with the offsets that are committed in Kafka, and
// returns where to read instead. Its context ends when the next rebalance takes partitions away.
func (m *membership) onAssigned(
	ctx context.Context, committed map[string]map[int32]kgo.Offset,
) (map[string]map[int32]kgo.Offset, error) {
	resumed := map[string]map[int32]kgo.Offset{}
	for topic := range committed {
		resumed[topic] = map[int32]kgo.Offset{}
	}
	err := m.retry(ctx, func(int) error { return m.claimAll(ctx, committed, resumed) })
	if err != nil && ctx.Err() == nil {
		m.fail(err)
	}
	return resumed, err
}

// claimAll claims partitions that are not in resumed, and adds them.
func (m *membership) claimAll(ctx context.Context, committed, resumed map[string]map[int32]kgo.Offset) error {
	var listed listing
	for topic, partitions := range committed {
		for number, offset := range partitions {
			it := partition{topic, number}
			if _, isClaimed := resumed[topic][number]; isClaimed {
				continue
			}
			if time.Since(listed.at) > longestUse {
				var err error
				if listed, err = m.list(ctx, slices.Collect(maps.Keys(committed))); err != nil {
					return fmt.Errorf("%w: %w", errUnavailable, err)
				}
			}
			kafka, err := listed.offsetsOf(it)
			if err != nil {
				return fmt.Errorf("%w: offsets of %s/%d: %w", errUnavailable, topic, number, err)
			}
			if at := offset.EpochOffset().Offset; at >= 0 {
				kafka.committed = &at
			}
			var claimed claimed
			err = transact(ctx, m.postgres, func(ctx context.Context, tx pgx.Tx) (err error) {
				claimed, err = claim(ctx, tx, it, kafka, m.name)
				return err
			})
			if err != nil {
				return err
			}
			// Committed by now: others must see it, and a person accepts it.
			if claimed.problem != "" {
				return fmt.Errorf("%w: %s", errHalted, claimed.problem)
			}
			m.lock.Lock()
			m.owned[it] = claimed.epoch
			partitionsOwned.Set(float64(len(m.owned)))
			m.lock.Unlock()
			resumed[topic][number] = kgo.NewOffset().At(claimed.next)
			slog.Info("claimed partition", "topic", topic, "partition", number, "offset", claimed.next)
		}
	}
	return nil
}

// listing is what Kafka has of topics at a time.
type listing struct {
	at           time.Time
	topics       kadm.TopicDetails
	starts, ends kadm.ListedOffsets
}

// list asks for all partitions of the topics at once.
func (m *membership) list(ctx context.Context, topics []string) (l listing, err error) {
	l.at = time.Now()
	if l.topics, err = m.kafka.ListTopics(ctx, topics...); err != nil {
		return l, fmt.Errorf("topics: %w", err)
	}
	if l.starts, err = m.kafka.ListStartOffsets(ctx, topics...); err != nil {
		return l, fmt.Errorf("first offsets: %w", err)
	}
	if l.ends, err = m.kafka.ListEndOffsets(ctx, topics...); err != nil {
		return l, fmt.Errorf("last offsets: %w", err)
	}
	slog.Debug("listed offsets", "topics", topics)
	return l, nil
}

// offsetsOf returns the first and the last offset of a partition.
func (l listing) offsetsOf(it partition) (offsetsInKafka, error) {
	start, hasStart := l.starts.Lookup(it.topic, it.number)
	end, hasEnd := l.ends.Lookup(it.topic, it.number)
	if err := errors.Join(l.topics[it.topic].Err, start.Err, end.Err); err != nil {
		return offsetsInKafka{}, err
	}
	if !hasStart || !hasEnd {
		return offsetsInKafka{}, errors.New("Kafka does not list them")
	}
	offsets := offsetsInKafka{earliest: start.Offset, latest: end.Offset}
	if id := l.topics[it.topic].ID; id != (kadm.TopicID{}) {
		// As Kafka's own tools write it.
		text := base64.RawURLEncoding.EncodeToString(id[:])
		offsets.topicID = &text
	}
	return offsets, nil
}

// onRevoked is not called while a batch is applied: see kgo.BlockRebalanceOnPoll. The client drops the records of these
// partitions that were not polled yet.
func (m *membership) onRevoked(_ context.Context, _ *kgo.Client, revoked map[string][]int32) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for topic, numbers := range revoked {
		for _, number := range numbers {
			delete(m.owned, partition{topic, number})
		}
	}
	partitionsOwned.Set(float64(len(m.owned)))
}

func (m *membership) consume(ctx context.Context) error {
	heldAt := time.Now()
	for {
		batch, err := m.poll(ctx, max(time.Until(heldAt), shortestGap))
		if err != nil {
			return err
		}
		m.lock.Lock()
		owned := maps.Clone(m.owned)
		m.lock.Unlock()
		if len(owned) > 0 && (len(batch.next) > 0 || !time.Now().Before(heldAt)) {
			held, err := m.apply(ctx, owned, batch)
			if err != nil {
				return err
			}
			heldAt = time.Now()
			if held == 0 {
				heldAt = heldAt.Add(heldEvery)
			}
			m.commitToKafka(ctx, batch)
		}
		// The offsets are in Postgres. If a batch takes longer than the group waits for its members, another instance
		// claims the partitions, and the epochs in Postgres keep this one from moving them.
		m.client.AllowRebalance()
	}
}

// poll waits for records. From here on no partition is revoked until AllowRebalance.
func (m *membership) poll(ctx context.Context, longest time.Duration) (batch, error) {
	polling, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	fetches := m.client.PollRecords(polling, m.batch)
	if ctx.Err() != nil {
		return batch{}, context.Cause(ctx)
	}
	polled := batch{next: map[partition]int64{}}
	if polling.Err() != nil && errors.Is(fetches.Err(), polling.Err()) {
		return polled, nil // no records came
	}
	for _, fetch := range fetches.Errors() {
		// The client repeats what passes. What is left, such as a topic that was created again or an offset that retention
		// removed, is for claim to judge.
		return batch{}, fmt.Errorf("%w: %s/%d: %w", errRejoin, fetch.Topic, fetch.Partition, fetch.Err)
	}
	fetches.EachRecord(func(record *kgo.Record) {
		polled.next[partition{record.Topic, record.Partition}] = record.Offset + 1
		if !record.Attrs.IsControl() {
			polled.records = append(polled.records, record)
		}
	})
	return polled, nil
}

// apply applies a batch and moves its offsets in one transaction, which a stop does not interrupt. It returns how many
// parked events were applied.
func (m *membership) apply(ctx context.Context, owned epochs, batch batch) (held int, err error) {
	var judged []judgement
	err = m.retry(ctx, func(attempt int) error {
		ctx := context.WithoutCancel(ctx)
		all, err := decodeAll(ctx, m.decoder, batch.records)
		if err != nil {
			return err
		}
		return transact(ctx, m.postgres, func(ctx context.Context, tx pgx.Tx) (err error) {
			a := application{tx, owned, m.decoder, m.batch, attempt}
			if held, err = a.held(ctx); err != nil {
				return err
			}
			if len(batch.records) > 0 {
				if judged, err = a.records(ctx, batch.records, all); err != nil {
					return err
				}
			}
			if len(batch.next) > 0 {
				return advance(ctx, tx, owned, batch.next)
			}
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	batchesTotal.Inc()
	heldTotal.Add(float64(held))
	for _, it := range judged {
		recordsTotal.WithLabelValues(it.Result).Inc()
		if it.isParked() {
			record := batch.records[it.Ordinal-1]
			slog.Warn("parked record", "topic", record.Topic, "partition", record.Partition, "offset", record.Offset,
				"result", it.Result, "reason", it.Reason, "traceparent", optionalHeader(record, "traceparent"))
		}
	}
	return held, nil
}

// commitToKafka is for displays of lag: nothing resumes there, so nothing waits for it.
func (m *membership) commitToKafka(ctx context.Context, batch batch) {
	if len(batch.next) == 0 {
		return
	}
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for it, next := range batch.next {
		if offsets[it.topic] == nil {
			offsets[it.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[it.topic][it.number] = kgo.EpochOffset{Epoch: -1, Offset: next}
	}
	m.client.CommitOffsets(ctx, offsets, nil)
}
