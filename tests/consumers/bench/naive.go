// Keeps the tables of the template, row by row: a transaction for each record, no contract. Only for comparison.

package main

import (
	"context"
	"encoding/binary"
	"log"
	"math/big"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

const addRevenue = `
	insert into naive.revenue as r (day, country, ordered, returned, confirmed) values ($1, $2, $3, $4, $5)
	    on conflict (day, country) do update
	   set ordered = r.ordered + excluded.ordered, returned = r.returned + excluded.returned,
	       confirmed = r.confirmed + excluded.confirmed`

// event has the fields of all types.
type event struct {
	OrderID    string     `avro:"orderId"`
	CustomerID *string    `avro:"customerId"`
	PlacedAt   time.Time  `avro:"placedAt"`
	ReceivedAt time.Time  `avro:"receivedAt"`
	Day        time.Time  `avro:"day"`
	Country    string     `avro:"country"`
	Lines      []struct{} `avro:"lines"`
	Total      *big.Rat   `avro:"total"`
	Confirmed  *big.Rat   `avro:"confirmed"`
}

func apply(ctx context.Context, tx pgx.Tx, name string, data *event, revision, position int64) error {
	var err error
	execute := func(statement string, arguments ...any) {
		if err == nil {
			_, err = tx.Exec(ctx, statement, arguments...)
		}
	}
	switch name {
	case "shop.orders.OrderCreated":
		total := data.Total.FloatString(3)
		execute(`
			insert into naive.orders
			    (order_id, customer_id, placed_at, day, country, state, lines, total, revision, position)
			values ($1, $2, $3::timestamp, $3::timestamp::date, $4, 'created', $5, $6, $7, $8)`,
			data.OrderID, data.CustomerID, data.PlacedAt, data.Country, len(data.Lines), total, revision, position)
		execute(addRevenue, data.PlacedAt, data.Country, total, "0", "0")
	case "shop.orders.OrderConfirmed":
		confirmed := data.Confirmed.FloatString(3)
		execute(`update naive.orders set state = 'confirmed', confirmed = $1, revision = $2, position = $3 where order_id = $4`,
			confirmed, revision, position, data.OrderID)
		execute(addRevenue, data.Day, data.Country, "0", "0", confirmed)
	case "shop.orders.OrderRejected", "shop.orders.OrderCancelled":
		state := strings.ToLower(strings.TrimPrefix(name, "shop.orders.Order"))
		execute(`update naive.orders set state = $1, revision = $2, position = $3 where order_id = $4`,
			state, revision, position, data.OrderID)
	case "shop.orders.ReturnReceived":
		execute(addRevenue, data.ReceivedAt, data.Country, "0", data.Total.FloatString(3), "0")
	}
	return err
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	time.Local = time.UTC // as in the template
	ctx := context.Background()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("AQUEDUCT_KAFKA__BROKERS"), ",")...),
		kgo.ConsumerGroup(os.Getenv("AQUEDUCT_KAFKA__GROUP")),
		kgo.ConsumeTopics(strings.Split(os.Getenv("AQUEDUCT_TOPICS"), ",")...),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	check(err)
	registry, err := sr.NewClient(sr.URLs(os.Getenv("AQUEDUCT_REGISTRY__URL")))
	check(err)
	postgres, err := pgx.Connect(ctx, os.Getenv("AQUEDUCT_POSTGRES__URL"))
	check(err)
	schemas := map[int]avro.Schema{}
	for {
		fetches := client.PollFetches(ctx)
		check(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) {
			id := int(binary.BigEndian.Uint32(record.Value[1:5]))
			if schemas[id] == nil {
				found, err := registry.SchemaByID(ctx, id)
				check(err)
				schemas[id], err = avro.ParseWithCache(found.Schema, "", &avro.SchemaCache{})
				check(err)
			}
			var data event
			check(avro.Unmarshal(schemas[id], record.Value[5:], &data))
			headers := map[string]string{}
			for _, header := range record.Headers {
				headers[header.Key] = string(header.Value)
			}
			revision, err := strconv.ParseInt(headers["ce_revision"], 10, 64)
			check(err)
			position, err := strconv.ParseInt(headers["ce_position"], 10, 64)
			check(err)
			check(pgx.BeginFunc(ctx, postgres, func(tx pgx.Tx) error {
				return apply(ctx, tx, headers["ce_type"], &data, revision, position)
			}))
		})
	}
}
