//! What is drawn from the seed.

use jiff::Timestamp;

/// A source of values with a clock of its own.
pub(super) struct Random {
    state: fastrand::Rng,
    /// Milliseconds since 1970.
    now: i64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: fastrand::Rng::with_seed(seed), now: 1_672_531_200_000 }
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.state.u64(0..end)
    }

    /// True once in so many times.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.state.usize(0..values.len())]
    }

    pub(super) fn uuid(&mut self) -> String {
        let bits = self.state.u128(..);
        let hex = format!("{bits:032x}");
        // Version 4, variant 1.
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }

    /// Hexadecimal digits, not all zero.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.state.u32(1..16), 16).unwrap_or('1')).collect()
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        // The first byte alone makes it neither text nor JSON.
        let length = self.state.usize(3..12);
        std::iter::once(0xff).chain((0..length).map(|_| self.state.u8(..))).collect()
    }

    /// An amount with two places, `1234.50`.
    pub(super) fn money(&mut self) -> String {
        let cents = self.below(500_000) + 1;
        format!("{}.{:02}", cents / 100, cents % 100)
    }

    pub(super) fn pass_time(&mut self) {
        self.now += self.state.i64(1..60_000);
    }

    pub(super) fn now_milliseconds(&self) -> i64 {
        self.now
    }

    /// `2023-01-01T00:02:14.955Z`.
    pub(super) fn now_text(&self) -> String {
        let time = Timestamp::from_millisecond(self.now).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("{time:.3}")
    }

    /// As .NET writes a DateTimeOffset: up to seven digits, zeros cut, an offset.
    pub(super) fn now_dotnet(&mut self) -> String {
        let ticks = self.state.i64(0..10_000);
        let nanoseconds = i128::from(self.now) * 1_000_000 + i128::from(ticks) * 100;
        let time = Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
        let text = time.to_string();
        text.trim_end_matches('Z').to_owned() + "+00:00"
    }

    /// `2023-03-01`.
    pub(super) fn today(&self) -> String {
        self.now_text().chars().take(10).collect()
    }
}
