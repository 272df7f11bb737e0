//! Limits on every event, so that bad input is an error and does not end the process.

/// The largest event in JSON, in bytes: what the event store's servers take at most.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// The levels of nested arrays and objects that an event must have fewer than, in JSON and in Avro.
pub const MAX_DEPTH: usize = 128;

/// The most values (scalars, arrays, objects, unions) in an event, written or read: in memory a value is many times as large as the
/// few bytes that it may have in JSON, and in Avro a few bytes can claim any number of them.
pub const MAX_VALUES: usize = 1_000_000;

/// What it may cost to bring one event to the latest version, in units of work. Visiting a value, evaluating a node of a
/// rule, and sixteen bytes of text take one each. An event of [`MAX_VALUES`] may have a rule that copies every element.
pub const MAX_UPCAST_WORK: u64 = 8_000_000;

/// The most memory that the values of one event may take on the way to the latest version, in bytes.
pub const MAX_UPCAST_BYTES: usize = 48 * 1024 * 1024;

/// The longest text of a rule, in bytes.
pub const MAX_RULE_BYTES: usize = 1024;

/// The deepest nesting of a rule, each operator of a chain (`a + b + c`) counted as a level. Rules are parsed, checked and
/// run by recursion.
pub const MAX_RULE_DEPTH: usize = 24;
