// Command consumer keeps the projection of read_models.go. Environment variables and exit codes: README.md.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	exitFailed = 1
	exitHalted = 2
)

func main() {
	// The Avro library returns local-timestamp values in the time zone of the process. In one with daylight saving time
	// an hour of the year would be moved.
	time.Local = time.UTC
	var level slog.Level
	err := level.UnmarshalText([]byte(environment("LOG_LEVEL", "INFO")))
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err == nil {
		err = run(ctx)
	}
	switch {
	case errors.Is(err, errHalted):
		slog.Error("halted", "error", err)
		os.Exit(exitHalted)
	case err != nil:
		slog.Error("failed", "error", err)
		os.Exit(exitFailed)
	}
	slog.Info("stopped")
}

func run(ctx context.Context) error {
	if err := serveMetrics(environment("AQUEDUCT_HTTP__CONSUMER", "127.0.0.1:9110")); err != nil {
		return err
	}
	consumer, err := newConsumer(ctx)
	if err != nil {
		return err
	}
	defer consumer.close()
	return consumer.run(ctx)
}

func environment(name, otherwise string) string {
	if value, isSet := os.LookupEnv(name); isSet {
		return value
	}
	return otherwise
}
