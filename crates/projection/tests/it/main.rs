//! Projections on a real Postgres and a real Kafka. Many tests name the guarantee that they test: nothing is
//! lost (1), nothing is duplicated (2), order holds (3), gaps are detected (4), a bad event does not stop the
//! others (6), nothing is skipped silently (7).

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails the test")]

mod bank;
mod batches;
mod both_paths;
mod conflicts;
mod consumer;
mod consumer_model;
mod cut_off_steps;
mod durability;
mod faults;
mod groups;
mod inbox;
mod migration;
mod parallel_batches;
mod parked;
mod parked_rows;
mod parked_steps;
mod postgres_faults;
mod projectors;
mod random;
mod reactors;
mod recreated_topics;
mod schemas;
mod sessions;
mod shared_consumer;
mod single_statement;
mod sql;
mod sql_fields;
mod sql_paths;
mod sql_planner;
mod sql_steps;
mod sql_vectors;
mod sql_versions;
mod support;
mod tables;
mod telemetry;
mod vectors;
mod verdicts;
mod wire;
