//! The relay on a real Kafka. Each test of a fault says which promise it attacks.

mod faults;
mod records;
mod support;
mod traces;
