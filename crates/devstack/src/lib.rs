//! What a developer needs on one machine, started and ended with the command: event store, registry, Kafka, Postgres.
