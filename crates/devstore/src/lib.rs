//! A single-node event store for development and tests that speaks EventStoreDB's gRPC protocol.
