//! When the single statement is tried again after it failed.

use parking_lot::Mutex;

/// Failures after which the pause no longer doubles.
const MOST_DOUBLINGS: u32 = 6;

/// Lets batches try the single statement. After two failures in a row some batches do not try it, twice as many after each
/// further failure, up to 64: a table or a stream with which it fails each time costs little more than without it.
#[derive(Debug, Default)]
pub(crate) struct RetryGate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Batches that will not try.
    skip: u32,
}

impl RetryGate {
    /// Whether this batch tries.
    pub(crate) fn may_try(&self) -> bool {
        let mut state = self.0.lock();
        let may_try = state.skip == 0;
        state.skip = state.skip.saturating_sub(1);
        may_try
    }

    pub(crate) fn record_success(&self) {
        *self.0.lock() = State::default();
    }

    pub(crate) fn record_failure(&self) {
        let mut state = self.0.lock();
        state.skip = if state.failures == 0 { 0 } else { 1 << state.failures.min(MOST_DOUBLINGS) };
        state.failures = state.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_try_less_often_the_more_of_them_fail() {
        let gate = RetryGate::default();
        let batches_until_the_next_try = || (0..).take_while(|_| !gate.may_try()).count();
        for skipped in [0, 2, 4, 8, 16, 32, 64, 64] {
            gate.record_failure();
            assert_eq!(batches_until_the_next_try(), skipped);
        }
        gate.record_success();
        assert!(gate.may_try());
        gate.record_failure();
        assert!(gate.may_try());
    }
}
