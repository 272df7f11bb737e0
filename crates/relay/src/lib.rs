//! The relay: events from the store to Kafka, in order, in Avro, in Kafka transactions.
