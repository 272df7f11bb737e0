//! What every process has: configuration, logs, traces, metrics, health, a graceful end.
