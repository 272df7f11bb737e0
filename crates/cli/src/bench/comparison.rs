//! What was compared, and the figures of it.

use serde::Serialize;

use super::measured::Measured;
use super::range::Range;

/// The product and baselines that do the same work, measured in turn.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// `relay`.
    pub(super) name: &'static str,
    /// What all sides do, and what none is charged for.
    pub(super) work: String,
    /// The product's side.
    pub(super) product: Side,
    /// What it is measured against.
    pub(super) baselines: Vec<Side>,
    /// The result of each round.
    pub(super) rounds: Vec<Round>,
}

/// One way to do the work.
#[derive(Debug, Serialize)]
pub(super) struct Side {
    /// In one or two words.
    pub(super) name: &'static str,
    /// What its time includes, and what it leaves out.
    pub(super) includes: String,
}

/// What each side took in a round.
#[derive(Debug, Serialize)]
pub(super) struct Round {
    pub(super) product: Measured,
    /// In the order of [`Comparison::baselines`].
    pub(super) baselines: Vec<Measured>,
}

impl Round {
    /// The product's throughput for one of a baseline's.
    pub(super) fn ratio(&self, baseline: usize) -> f64 {
        self.product.rate() / self.baselines[baseline].rate()
    }
}

/// The product against one baseline.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    pub(super) name: &'static str,
    pub(super) baseline: &'static str,
    pub(super) of_product: Medians,
    pub(super) of_baseline: Medians,
    pub(super) ratio: Range,
}

/// Medians of the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Medians {
    pub(super) events_per_second: f64,
    /// CPU time of this process for 1,000 events.
    pub(super) process_cpu_ms: Option<f64>,
    /// The same of the server that is written to.
    pub(super) server_cpu_ms: Option<f64>,
}

impl Comparison {
    /// The figures of each baseline; none without a round.
    pub(super) fn figures(&self) -> Vec<Figures> {
        let of_product = Medians::of(self.rounds.iter().map(|round| &round.product));
        let of_baseline = |(n, baseline): (usize, &Side)| {
            Some(Figures {
                name: self.name,
                baseline: baseline.name,
                of_product: of_product?,
                of_baseline: Medians::of(self.rounds.iter().map(|round| &round.baselines[n]))?,
                ratio: Range::of(self.rounds.iter().map(|round| round.ratio(n)))?,
            })
        };
        self.baselines.iter().enumerate().filter_map(of_baseline).collect()
    }
}

impl Medians {
    fn of<'a>(rounds: impl Iterator<Item = &'a Measured> + Clone) -> Option<Self> {
        let cpu = |of: fn(&Measured) -> Option<f64>| {
            let figures: Option<Vec<_>> = rounds.clone().map(|it| it.per_thousand(of(it))).collect();
            Some(Range::of(figures?)?.median)
        };
        Some(Self {
            events_per_second: Range::of(rounds.clone().map(Measured::rate))?.median,
            process_cpu_ms: cpu(|it| it.process_cpu_seconds),
            server_cpu_ms: cpu(|it| it.server_cpu_seconds),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two rounds in which the product is half as fast as one baseline and as fast as the other, then twice as fast.
    pub(in super::super) fn two_rounds() -> Comparison {
        let side = |name, includes: &str| Side { name, includes: includes.to_owned() };
        let measured = |seconds: f64, server_cpu_seconds| Measured {
            events: 2000,
            seconds,
            process_cpu_seconds: Some(seconds / 10.0),
            server_cpu_seconds,
        };
        let round = |product, baselines: [f64; 2]| Round {
            product: measured(product, Some(0.01)),
            baselines: baselines.map(|seconds| measured(seconds, None)).into(),
        };
        Comparison {
            name: "view",
            work: "2000 records.".to_owned(),
            product: side("projection", "everything"),
            baselines: vec![side("bare SQL", "rows that are ready"), side("decoding", "Avro, too")],
            rounds: vec![round(0.2, [0.1, 0.2]), round(0.2, [0.4, 0.4])],
        }
    }

    #[test]
    fn a_baseline_has_its_own_figures() {
        let figures = two_rounds().figures();
        let of_product =
            Medians { events_per_second: 10_000.0, process_cpu_ms: Some(10.0), server_cpu_ms: Some(5.0) };
        assert_eq!(figures[0].of_product, of_product);
        assert_eq!(figures[0].ratio, Range { median: 1.25, least: 0.5, most: 2.0 });
        assert_eq!(figures[0].of_baseline.events_per_second, 12_500.0);
        assert_eq!(figures[0].of_baseline.server_cpu_ms, None);
        assert_eq!(figures[1].baseline, "decoding");
        assert_eq!(figures[1].ratio, Range { median: 1.5, least: 1.0, most: 2.0 });
    }

    #[test]
    fn without_a_round_there_are_no_figures() {
        assert_eq!(Comparison { rounds: Vec::new(), ..two_rounds() }.figures(), []);
    }
}
