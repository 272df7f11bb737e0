//! The numbers that decide. The report states those that apply.

/// Events in which a kind of JSON value may conflict with the others without a say in the schema.
const DIRT_EVENTS: u64 = 3;
/// In a type with as many events or more, one in this many may conflict.
const DIRT_SHARE: u64 = 1_000;

/// How many events may conflict in a type with that many events.
pub(super) fn dirt_limit(events: u64) -> u64 {
    DIRT_EVENTS.max(events / DIRT_SHARE)
}

/// Texts that a field needs before it can be an enum.
pub(super) const ENUM_MIN_TEXTS: u64 = 50;
/// Texts for each symbol, on average.
pub(super) const ENUM_TEXTS_PER_SYMBOL: u64 = 10;
/// How often each symbol must have been met: one that was met once or twice suggests that others were not met yet.
pub(super) const ENUM_MIN_PER_SYMBOL: u64 = 3;

/// Different keys from which objects whose values are all of one kind can be a map although each key is a valid
/// field name.
pub(super) const MAP_MIN_KEYS: usize = 20;
/// Such objects have on average at most one in this many of the keys.
pub(super) const MAP_SPARSENESS: u64 = 4;

/// Values from which whole numbers can be a timestamp although the field's name does not suggest it.
pub(super) const TIMESTAMP_MIN_NUMBERS: u64 = 100;
/// 2000-01-01 and 2050-01-01 in seconds since 1970: numbers outside are no timestamps.
pub(super) const TIMESTAMP_RANGE: (i64, i64) = (946_684_800, 2_524_608_000);

/// Digits of an unsigned whole number of 64 bits: the least precision of a decimal that stands in for a long.
pub(super) const UNSIGNED_LONG_DIGITS: u32 = 20;
/// The most digits of a decimal.
pub(super) const MAX_PRECISION: u32 = 38;
/// Precisions that are used for decimals with a fraction, so that larger amounts than those met fit too.
pub(super) const PRECISIONS: [u32; 3] = [18, 28, 38];
/// Digits that must be left free for larger amounts, where they can be.
pub(super) const SPARE_DIGITS: u32 = 2;

/// The highest version for which files are written. A higher one is a mapping that reads another number.
pub(super) const MAX_VERSION: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dirt_is_three_events_or_one_in_a_thousand() {
        for (events, limit) in [(5, 3), (999, 3), (1_000, 3), (3_999, 3), (4_000, 4), (40_211, 40)] {
            assert_eq!(dirt_limit(events), limit, "{events}");
        }
    }
}
