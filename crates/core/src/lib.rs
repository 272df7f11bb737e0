//! The domain side of Aqueduct: events, aggregates, the repository, the event bus, given/when/then tests; no I/O.
