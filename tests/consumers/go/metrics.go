package main

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var (
	recordsTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "consumer_records_total", Help: "Records by the result of receive"}, []string{"result"})
	heldTotal = promauto.NewCounter(prometheus.CounterOpts{
		Name: "consumer_held_total", Help: "Parked events that were applied later"})
	batchesTotal = promauto.NewCounter(prometheus.CounterOpts{
		Name: "consumer_batches_total", Help: "Committed transactions"})
	retriesTotal = promauto.NewCounter(prometheus.CounterOpts{
		Name: "consumer_retries_total", Help: "Attempts that failed and were repeated"})
	rejoinsTotal = promauto.NewCounter(prometheus.CounterOpts{
		Name: "consumer_rejoins_total", Help: "Times that the group was left and joined again"})
	partitionsOwned = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "consumer_partitions", Help: "Partitions that this instance owns"})
)

// serveMetrics serves them for Prometheus until the process ends.
func serveMetrics(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.Handler())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		slog.Error("metrics are no longer served", "error", server.Serve(listener))
	}()
	slog.Info("serving metrics", "url", "http://"+listener.Addr().String()+"/metrics")
	return nil
}
