//! Projections: records from Kafka to Postgres, once each, with inbox, views, reactors and parked events.
