//! Limits on every event, so that bad input is an error and does not end the process.

/// The largest event in JSON, in bytes: what the event store's servers take at most.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// The levels of nested arrays and objects that an event must have fewer than, in JSON and in Avro.
pub const MAX_DEPTH: usize = 128;

/// The most values (scalars, arrays, objects, unions) in an event, written or read: in Avro a few bytes can claim any number of
/// them.
pub const MAX_VALUES: usize = 1_000_000;

/// What the upcast rules of one step may cost, counted before they run: for each rule its nodes, times the
/// event's bytes if it walks over a list or a text, times them again if it does so for each item of a list or
/// for each of many nested records. An event of 100 kB may have some 2,000 nodes of rules that walk once, one
/// of 5 kB some ten nodes of rules that walk twice.
pub const MAX_RULE_COST: u64 = 1 << 28;

/// The longest text of a rule, in bytes.
pub const MAX_RULE_BYTES: usize = 1024;

/// The deepest nesting of a rule, each operator of a chain (`a + b + c`) counted as a level: a level takes some
/// 40 KiB of stack when the rule runs (measured without optimisation), and an ordinary thread has 2 MiB.
pub const MAX_RULE_DEPTH: usize = 24;
