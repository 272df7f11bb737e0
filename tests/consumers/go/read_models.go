// The read models: replace this file with your own, and the tables in migrations/.

package main

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const projection = "shop_go"

var topics = []string{"shop.orders"}

// eventTypes are those that this file handles, each with the schema that it is written for: writers' schemas are resolved
// to it.
var eventTypes = map[string]eventType{
	"shop.orders.OrderCreated":   {"orders/OrderCreated/v2.avsc", func() any { return new(OrderCreated) }},
	"shop.orders.OrderConfirmed": {"orders/OrderConfirmed/v1.avsc", func() any { return new(OrderConfirmed) }},
	"shop.orders.OrderRejected":  {"orders/OrderRejected/v1.avsc", func() any { return new(OrderRejected) }},
	"shop.orders.OrderCancelled": {"orders/OrderCancelled/v1.avsc", func() any { return new(OrderCancelled) }},
	"shop.orders.ReturnReceived": {"orders/ReturnReceived/v1.avsc", func() any { return new(ReturnReceived) }},
}

// ignoredTypes are those that the topics carry and that do not matter here. Any other type is parked.
var ignoredTypes = map[string]bool{}

// The fields of the schemas that the read models need.
type (
	OrderCreated struct {
		OrderID    string      `avro:"orderId"`
		CustomerID *string     `avro:"customerId"`
		PlacedAt   time.Time   `avro:"placedAt"`
		Country    string      `avro:"country"`
		Lines      []OrderLine `avro:"lines"`
		Total      *big.Rat    `avro:"total"`
	}
	OrderLine struct {
		SKU string `avro:"sku"`
	}
	OrderConfirmed struct {
		OrderID   string    `avro:"orderId"`
		Day       time.Time `avro:"day"`
		Country   string    `avro:"country"`
		Confirmed *big.Rat  `avro:"confirmed"`
	}
	OrderRejected struct {
		OrderID string `avro:"orderId"`
	}
	OrderCancelled struct {
		OrderID string `avro:"orderId"`
	}
	ReturnReceived struct {
		ReceivedAt time.Time `avro:"receivedAt"`
		Country    string    `avro:"country"`
		Total      *big.Rat  `avro:"total"`
	}
)

// apply is called with the batch's events in their order, in an open transaction. It changes tables of your own and
// nothing else. If it fails, it is called again with one event at a time, and events that fail are parked.
func apply(ctx context.Context, tx pgx.Tx, events []*event) error {
	if err := applyOrders(ctx, tx, events); err != nil {
		return err
	}
	return applyRevenue(ctx, tx, events)
}

// applyOrders keeps a row per order: one statement an event, and one round trip for all of them.
func applyOrders(ctx context.Context, tx pgx.Tx, events []*event) error {
	batch := &pgx.Batch{}
	for _, event := range events {
		change := func(orderID, statement string, arguments ...any) {
			arguments = append([]any{orderID, event.revision, event.position}, arguments...)
			batch.Queue(statement, arguments...).Exec(func(tag pgconn.CommandTag) error {
				if tag.RowsAffected() != 1 {
					return fmt.Errorf("%T has no row: order %s is unknown", event.data, orderID)
				}
				return nil
			})
		}
		switch data := event.data.(type) {
		case *OrderCreated:
			change(data.OrderID, `
				insert into shop_go.orders
				    (order_id, revision, position, customer_id, placed_at, day, country, state, lines, total)
				values ($1, $2, $3, $4, $5::timestamp, $5::timestamp::date, $6, 'created', $7, $8)`,
				data.CustomerID, data.PlacedAt, data.Country, len(data.Lines), decimal(data.Total))
		case *OrderConfirmed:
			change(data.OrderID, `
				update shop_go.orders set state = 'confirmed', confirmed = $4, revision = $2, position = $3
				 where order_id = $1`,
				decimal(data.Confirmed))
		case *OrderRejected:
			change(data.OrderID, `
				update shop_go.orders set state = 'rejected', revision = $2, position = $3 where order_id = $1`)
		case *OrderCancelled:
			change(data.OrderID, `
				update shop_go.orders set state = 'cancelled', revision = $2, position = $3 where order_id = $1`)
		}
	}
	return tx.SendBatch(ctx, batch).Close()
}

// applyRevenue adds up sums per day and country. Several instances add to one row: all lock them in the same order, or
// they deadlock.
func applyRevenue(ctx context.Context, tx pgx.Tx, events []*event) error {
	type key struct{ day, country string }
	type amounts struct{ ordered, returned, confirmed big.Rat }
	sums := map[key]*amounts{}
	row := func(day time.Time, country string) *amounts {
		it := key{day.Format(time.DateOnly), country}
		if sums[it] == nil {
			sums[it] = &amounts{}
		}
		return sums[it]
	}
	for _, event := range events {
		switch data := event.data.(type) {
		case *OrderCreated:
			sum := row(data.PlacedAt, data.Country)
			sum.ordered.Add(&sum.ordered, data.Total)
		case *ReturnReceived:
			sum := row(data.ReceivedAt, data.Country)
			sum.returned.Add(&sum.returned, data.Total)
		case *OrderConfirmed:
			sum := row(data.Day, data.Country)
			sum.confirmed.Add(&sum.confirmed, data.Confirmed)
		}
	}
	batch := &pgx.Batch{}
	inOrder := slices.SortedFunc(maps.Keys(sums), func(a, b key) int {
		return strings.Compare(a.day+a.country, b.day+b.country)
	})
	for _, it := range inOrder {
		sum := sums[it]
		batch.Queue(`
			insert into shop_go.revenue as r (day, country, ordered, returned, confirmed) values ($1, $2, $3, $4, $5)
			    on conflict (day, country) do update
			   set ordered = r.ordered + excluded.ordered, returned = r.returned + excluded.returned,
			       confirmed = r.confirmed + excluded.confirmed`,
			it.day, it.country, decimal(&sum.ordered), decimal(&sum.returned), decimal(&sum.confirmed))
	}
	return tx.SendBatch(ctx, batch).Close()
}

// decimal writes an amount for Postgres: the schemas give amounts three decimals.
func decimal(amount *big.Rat) string {
	return amount.FloatString(3)
}
