//! The independent checker: input, store, topics and Postgres compared; no code of the parts it judges.
