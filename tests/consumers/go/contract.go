package main

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	generation = 1
	// The server ends what takes long or waits: this is for a server that no longer answers.
	transactionTimeout = 5 * time.Minute

	statementTimeout = "57014"
)

var (
	// Classes and codes that pass without help: connection, rollback, resources, operator, standby, locks, idle time-outs.
	passingCodes = []string{"08", "40", "53", "57", "25006", "25P03", "55P03"}
	// The role owns no projection, or the functions are not installed in this database.
	forbiddenCodes = []string{"42501", "3F000"}
	// Errors of an event's data, which only this event has: cardinality, data, constraint, raised by a function.
	dataCodes = []string{"21", "22", "23", "44", "P0"}
)

var (
	// errUnavailable passes without help: repeat the transaction.
	errUnavailable = errors.New("unavailable")
	// errRejoin: what Kafka has assigned to this instance is no longer valid.
	errRejoin = errors.New("leave the group and join it again")
	// errHalted lasts until a person has acted.
	errHalted = errors.New("the projection cannot run")
)

type partition struct {
	topic  string
	number int32
}

// epochs are the partitions that this instance has claimed.
type epochs map[partition]int64

// failure says why a record, or an event of nextHeld, cannot be applied.
type failure struct {
	Ordinal int    `json:"ordinal,omitempty"`
	ID      int64  `json:"id,omitempty"`
	Code    string `json:"code"`
	Reason  string `json:"reason"`
}

func newFailure(code string, reason error) failure {
	const longest = 1000
	text := storable(reason.Error())
	if len(text) > longest {
		text = storable(text[:longest])
	}
	return failure{Code: code, Reason: text}
}

// judgement is what receive returns for a record.
type judgement struct {
	Ordinal int
	Result  string
	Reason  *string
}

func (j judgement) isApplied() bool { return j.Result == "new" || j.Result == "unjudged" }
func (j judgement) isParked() bool  { return !j.isApplied() && j.Result != "duplicate" }

// heldEvent is a parked event whose turn it is.
type heldEvent struct {
	id     int64
	record *kgo.Record
}

// transact runs work in a transaction. Its errors are those above where they apply, and else the driver's.
func transact(ctx context.Context, pool *pgxpool.Pool, work func(context.Context, pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	connection, err := pool.Acquire(ctx)
	if err != nil {
		return explained(err, true)
	}
	defer connection.Release()
	err = pgx.BeginFunc(ctx, connection, func(tx pgx.Tx) error { return work(ctx, tx) })
	return explained(err, connection.Conn().IsClosed())
}

func explained(err error, isLost bool) error {
	var database *pgconn.PgError
	if !errors.As(err, &database) {
		if err != nil && isLost {
			return fmt.Errorf("%w: %w", errUnavailable, err)
		}
		return err
	}
	switch code := database.Code; {
	case code == "AQ001":
		return fmt.Errorf("%w: %s: %s", errRejoin, database.Message, database.Detail)
	case code == "AQ010", code == "AQ011", code == "AQ012":
		return fmt.Errorf("%w: %s %s", errHalted, database.Message, database.Hint)
	case hasPrefix(code, passingCodes):
		return fmt.Errorf("%w: %w", errUnavailable, err)
	}
	return err
}

func hasPrefix(code string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(code, prefix) {
			return true
		}
	}
	return false
}

// offsetsInKafka is what claim compares with the database. A topic id or a committed offset that is not known is nil.
type offsetsInKafka struct {
	topicID          *string
	earliest, latest int64
	committed        *int64
}

// claimed is a partition's epoch and the offset to resume at, or the problem that halts the projection.
type claimed struct {
	epoch, next int64
	problem     string
}

// claim makes this consumer the partition's owner.
func claim(ctx context.Context, tx pgx.Tx, it partition, kafka offsetsInKafka, consumer string) (claimed, error) {
	var c claimed
	err := tx.QueryRow(ctx, `
		select coalesce(epoch, 0), coalesce(next_offset, 0), coalesce(problem, '')
		  from aqueduct_consumer.claim($1::text, $2::integer, $3::text, $4::text, $5::integer, $6::bigint, $7::bigint,
		                               $8::bigint, $9::text)`,
		projection, generation, it.topic, kafka.topicID, it.number, kafka.earliest, kafka.latest, kafka.committed, consumer,
	).Scan(&c.epoch, &c.next, &c.problem)
	var database *pgconn.PgError
	if errors.As(err, &database) && hasPrefix(database.Code, forbiddenCodes) {
		login := tx.Conn().Config()
		err = fmt.Errorf("%w: role %q may not act for projection %q in database %q (%s): "+
			"run there aqueduct projection install %s --owner ROLE, with a role of which it is a member",
			errHalted, login.User, projection, login.Database, database.Message, projection)
	}
	return c, err
}

// nextHeld returns parked events whose turn it is.
func nextHeld(ctx context.Context, tx pgx.Tx, owned epochs, limit int, failed []failure) ([]heldEvent, error) {
	rows, err := tx.Query(ctx, `
		select id, topic, partition, "offset", decode(key, 'base64'), decode(value, 'base64'), headers
		  from aqueduct_consumer.next_held($1::text, $2::integer, $3::jsonb, $4::integer, $5::jsonb)`,
		projection, generation, jsonb{owned.partitions()}, limit, jsonb{failed})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (heldEvent, error) {
		var id int64
		var headers []parkedHeader
		record := &kgo.Record{}
		err := row.Scan(&id, &record.Topic, &record.Partition, &record.Offset, &record.Key, &record.Value, &headers)
		for _, header := range headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: header.Name, Value: header.Value})
		}
		return heldEvent{id, record}, err
	})
}

// receive returns a judgement for each record, in their order.
func receive(
	ctx context.Context, tx pgx.Tx, owned epochs, envelopes []map[string]any, failed []failure,
) ([]judgement, error) {
	rows, err := tx.Query(ctx, `
		select ordinal, result, reason
		  from aqueduct_consumer.receive($1::text, $2::integer, $3::jsonb, $4::jsonb, $5::jsonb)`,
		projection, generation, jsonb{owned.partitions()}, jsonb{envelopes}, jsonb{failed})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[judgement])
}

func park(ctx context.Context, tx pgx.Tx, records []parkedRecord) error {
	_, err := tx.Exec(ctx, "select aqueduct_consumer.park($1::text, $2::integer, $3::jsonb)",
		projection, generation, jsonb{records})
	return err
}

func advance(ctx context.Context, tx pgx.Tx, owned epochs, next map[partition]int64) error {
	offsets := make([]map[string]any, 0, len(next))
	for it, offset := range next {
		offsets = append(offsets, map[string]any{
			"topic": it.topic, "partition": it.number, "epoch": owned[it], "next_offset": offset})
	}
	_, err := tx.Exec(ctx, "select aqueduct_consumer.advance($1::text, $2::integer, $3::jsonb)",
		projection, generation, jsonb{offsets})
	return err
}

func (e epochs) partitions() []map[string]any {
	partitions := make([]map[string]any, 0, len(e))
	for it, epoch := range e {
		partitions = append(partitions, map[string]any{"topic": it.topic, "partition": it.number, "epoch": epoch})
	}
	return partitions
}

// jsonb is a parameter that is sent as JSON.
type jsonb struct{ value any }

func (j jsonb) Value() (driver.Value, error) {
	text, err := json.Marshal(j.value)
	return string(text), err
}
