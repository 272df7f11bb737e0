package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/twmb/franz-go/pkg/kgo"
)

const triesOfASlowEvent = 3

// errFound rolls back to a savepoint, because events were found that cannot be applied.
var errFound = errors.New("events cannot be applied")

type eventType struct {
	schema string
	new    func() any
}

// event is a decoded record. Data points to one of the types of read_models.go.
type event struct {
	data               any
	stream             string
	revision, position *int64
	traceparent        string
}

// batch holds the records of one transaction, and the offsets after them.
type batch struct {
	records []*kgo.Record
	next    map[partition]int64
}

// decoded holds the events of records by index, nil for those of ignored types, and why records have none.
type decoded struct {
	events   []*event
	problems map[int]failure
}

func decodeAll(ctx context.Context, decoder *decoder, records []*kgo.Record) (decoded, error) {
	all := decoded{make([]*event, len(records)), map[int]failure{}}
	for i, record := range records {
		data, err := decoder.decode(ctx, record)
		var broken *undecodable
		if errors.As(err, &broken) {
			all.problems[i] = newFailure(broken.code, broken)
			continue
		}
		if err != nil {
			return all, fmt.Errorf("%s/%d@%d: %w", record.Topic, record.Partition, record.Offset, err)
		}
		if data == nil {
			continue
		}
		if all.events[i], err = newEvent(record, data); err != nil {
			all.problems[i] = newFailure("headers", err)
		}
	}
	return all, nil
}

func newEvent(record *kgo.Record, data any) (*event, error) {
	revision, err := number(record, "ce_revision")
	if err != nil {
		return nil, err
	}
	position, err := number(record, "ce_position")
	if err != nil {
		return nil, err
	}
	stream := optionalHeader(record, "ce_subject")
	if stream == "" {
		stream = string(record.Key)
	}
	return &event{data, stream, revision, position, optionalHeader(record, "traceparent")}, nil
}

func number(record *kgo.Record, name string) (*int64, error) {
	text := optionalHeader(record, name)
	if text == "" {
		return nil, nil
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("header %s is %q, expected a number", name, text)
	}
	return &value, nil
}

// application applies a batch in a transaction.
type application struct {
	tx      pgx.Tx
	owned   epochs
	decoder *decoder
	limit   int // most parked events
	attempt int // of this batch, from 1
}

// held applies parked events whose turn it is, and returns how many.
func (a *application) held(ctx context.Context) (int, error) {
	failed := []failure{}
	for {
		count := 0
		err := pgx.BeginFunc(ctx, a.tx, func(tx pgx.Tx) error {
			held, err := nextHeld(ctx, tx, a.owned, a.limit, failed)
			if err != nil {
				return err
			}
			count = len(held)
			records := make([]*kgo.Record, len(held))
			for i := range held {
				records[i] = held[i].record
			}
			all, err := decodeAll(ctx, a.decoder, records)
			if err != nil {
				return err
			}
			problems := all.problems
			if len(problems) == 0 {
				// Followers of an event that cannot be decoded are not applied: it is asked for again without them.
				if problems, err = a.events(ctx, tx, all.events); err != nil {
					return err
				}
			}
			for i, problem := range problems {
				problem.ID = held[i].id
				failed = append(failed, problem)
			}
			return foundIn(problems)
		})
		if !errors.Is(err, errFound) {
			return count, err
		}
	}
}

// records applies and parks records, and returns what was decided on each.
func (a *application) records(ctx context.Context, records []*kgo.Record, all decoded) ([]judgement, error) {
	envelopes := make([]map[string]any, len(records))
	failed := []failure{}
	for i, record := range records {
		fields, unreadable := envelope(record)
		envelopes[i] = fields
		problem, isBroken := all.problems[i]
		if unreadable != nil {
			problem, isBroken = newFailure("headers", unreadable), true
		}
		if isBroken {
			problem.Ordinal = i + 1
			failed = append(failed, problem)
		}
	}
	for {
		var judged []judgement
		err := pgx.BeginFunc(ctx, a.tx, func(tx pgx.Tx) (err error) {
			if judged, err = receive(ctx, tx, a.owned, envelopes, failed); err != nil {
				return err
			}
			chosen := make([]*event, len(records))
			var unparked []parkedRecord
			for _, it := range judged {
				if i := it.Ordinal - 1; it.isApplied() {
					chosen[i] = all.events[i]
				} else if it.isParked() {
					unparked = append(unparked, parked(records[i]))
				}
			}
			problems, err := a.events(ctx, tx, chosen)
			if err != nil {
				return err
			}
			for i, problem := range problems {
				problem.Ordinal = i + 1
				failed = append(failed, problem)
			}
			if len(problems) > 0 || len(unparked) == 0 {
				return foundIn(problems)
			}
			return park(ctx, tx, unparked)
		})
		if !errors.Is(err, errFound) {
			return judged, err
		}
	}
}

func foundIn(problems map[int]failure) error {
	if len(problems) > 0 {
		return errFound
	}
	return nil
}

// events applies events at once; if that fails, one by one. It returns the first failure of each stream by index. Nil
// events are skipped.
func (a *application) events(ctx context.Context, tx pgx.Tx, all []*event) (map[int]failure, error) {
	chosen := make([]*event, 0, len(all))
	for _, it := range all {
		if it != nil {
			chosen = append(chosen, it)
		}
	}
	if problem, err := a.try(ctx, tx, chosen); problem == nil || err != nil {
		return nil, err
	}
	problems := map[int]failure{}
	failedStreams := map[string]bool{}
	for i, it := range all {
		if it == nil || failedStreams[it.stream] {
			continue
		}
		problem, err := a.try(ctx, tx, []*event{it})
		if err != nil {
			return nil, err
		}
		if problem != nil {
			slog.Warn("event cannot be applied", "stream", it.stream, "revision", it.revision, "error", problem,
				"traceparent", it.traceparent)
			problems[i] = newFailure("row", problem)
			failedStreams[it.stream] = true
		}
	}
	return problems, nil
}

// try applies events within a savepoint. The first error is one of their data, the second any other.
func (a *application) try(ctx context.Context, tx pgx.Tx, events []*event) (problem, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return applyRecovering(ctx, tx, events) })
	if err != nil && a.isOfData(err) {
		return err, nil
	}
	return nil, err
}

func (a *application) isOfData(err error) bool {
	var database *pgconn.PgError
	if !errors.As(err, &database) {
		// An event that apply does not expect, or a defect of it.
		return !a.tx.Conn().IsClosed()
	}
	isSlow := database.Code == statementTimeout && a.attempt >= triesOfASlowEvent
	return isSlow || hasPrefix(database.Code, dataCodes)
}

// applyRecovering makes a panic an error: one event that apply does not expect must not end the program again and again.
func applyRecovering(ctx context.Context, tx pgx.Tx, events []*event) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return apply(ctx, tx, events)
}
