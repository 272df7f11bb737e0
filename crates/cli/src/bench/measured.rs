//! What a side of a comparison took for its events.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::cpu;

/// What the clocks showed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    process: Option<Duration>,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), process: cpu::of_process() }
    }
}

/// Events and the time that they took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Measured {
    pub(super) events: usize,
    pub(super) seconds: f64,
    /// CPU time of this process.
    pub(super) process_cpu_seconds: Option<f64>,
    /// CPU time of the server that is written to.
    pub(super) server_cpu_seconds: Option<f64>,
}

impl Measured {
    /// What this process spent from one moment to another.
    pub(super) fn between(begin: Moment, end: Moment, events: usize) -> Self {
        Self {
            events,
            seconds: end.at.saturating_duration_since(begin.at).as_secs_f64(),
            process_cpu_seconds: spent(begin.process, end.process),
            server_cpu_seconds: None,
        }
    }

    /// The same, with what the server's clocks showed before and after.
    pub(super) fn with_server(self, before: Option<Duration>, after: Option<Duration>) -> Self {
        Self { server_cpu_seconds: spent(before, after), ..self }
    }

    /// All stretches of a round together. A CPU time that one of them lacks is unknown.
    pub(super) fn sum(stretches: &[Self]) -> Self {
        Self {
            events: stretches.iter().map(|it| it.events).sum(),
            seconds: stretches.iter().map(|it| it.seconds).sum(),
            process_cpu_seconds: stretches.iter().map(|it| it.process_cpu_seconds).sum(),
            server_cpu_seconds: stretches.iter().map(|it| it.server_cpu_seconds).sum(),
        }
    }

    pub(super) fn rate(&self) -> f64 {
        self.events as f64 / self.seconds
    }

    /// Milliseconds of `cpu` seconds for 1,000 events.
    pub(super) fn per_thousand(&self, cpu: Option<f64>) -> Option<f64> {
        Some(cpu? * 1e6 / self.events as f64)
    }
}

fn spent(before: Option<Duration>, after: Option<Duration>) -> Option<f64> {
    Some(after?.saturating_sub(before?).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(events: usize, seconds: f64, server_cpu_seconds: Option<f64>) -> Measured {
        Measured { events, seconds, process_cpu_seconds: Some(seconds / 2.0), server_cpu_seconds }
    }

    #[test]
    fn a_round_is_the_sum_of_its_stretches() {
        let sum = Measured::sum(&[measured(1000, 1.0, Some(0.5)), measured(3000, 1.0, Some(1.5))]);
        assert_eq!(
            sum,
            Measured {
                events: 4000,
                seconds: 2.0,
                process_cpu_seconds: Some(1.0),
                server_cpu_seconds: Some(2.0)
            }
        );
        assert_eq!(sum.rate(), 2000.0);
        assert_eq!(sum.per_thousand(sum.server_cpu_seconds), Some(500.0));
    }

    #[test]
    fn a_time_that_a_stretch_lacks_is_unknown() {
        let sum = Measured::sum(&[measured(1000, 1.0, Some(0.5)), measured(1000, 1.0, None)]);
        assert_eq!(sum.server_cpu_seconds, None);
        assert_eq!(sum.per_thousand(sum.server_cpu_seconds), None);
    }
}
