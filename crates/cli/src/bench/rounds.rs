//! All sides in turn.

use super::comparison::Round;
use super::measured::Measured;
use crate::Failure;

/// Several ways to do the same work.
pub(super) trait Contest {
    /// One of the ways.
    type Side: Copy + 'static;

    /// All of them, the product's first.
    const SIDES: &'static [Self::Side];

    /// Into how many stretches a round is divided. Each side takes its turn in each.
    fn stretches(&self) -> usize {
        1
    }

    /// What the sides of a round need, and none is charged for.
    async fn prepare(&mut self, _round: usize) -> Result<(), Failure> {
        Ok(())
    }

    /// Does a side's work of a stretch. All of it is done when this returns.
    async fn run(&mut self, side: Self::Side, round: usize, stretch: usize) -> Result<Measured, Failure>;

    /// After all.
    async fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// The rounds, after one that is not shown: it fills caches (schema ids, code, the servers' files).
pub(super) async fn interleaved<C: Contest>(
    name: &str,
    rounds: usize,
    contest: &mut C,
) -> Result<Vec<Round>, Failure> {
    let mut shown = Vec::with_capacity(rounds);
    for n in 0..=rounds {
        eprintln!(
            "{name}: {}",
            if n == 0 { "warming up".to_owned() } else { format!("round {n} of {rounds}") }
        );
        contest.prepare(n).await?;
        let mut measured = vec![Vec::new(); C::SIDES.len()];
        for stretch in 0..contest.stretches() {
            for side in order(C::SIDES.len(), n + stretch) {
                measured[side].push(contest.run(C::SIDES[side], n, stretch).await?);
            }
        }
        contest.finish().await?;
        let mut sums = measured.iter().map(|stretches| Measured::sum(stretches));
        if let Some(product) = sums.next()
            && n > 0
        {
            shown.push(Round { product, baselines: sums.collect() });
        }
    }
    Ok(shown)
}

/// Which side comes when. Each turn reverses the order of the one before, so that a machine that becomes slower or
/// faster during two turns affects all sides alike.
fn order(sides: usize, turn: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..sides).collect();
    if !turn.is_multiple_of(2) {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each side processes 100 events a stretch: the product in 1 second and then in 3, the others in 4 and in 8.
    #[derive(Default)]
    struct Fake(Vec<(usize, usize, usize)>);

    impl Contest for Fake {
        type Side = usize;
        const SIDES: &'static [usize] = &[0, 1, 2];

        fn stretches(&self) -> usize {
            2
        }

        async fn run(&mut self, side: usize, round: usize, stretch: usize) -> Result<Measured, Failure> {
            self.0.push((round, stretch, side));
            let seconds = [[1.0, 3.0], [4.0, 4.0], [8.0, 8.0]][side][stretch];
            Ok(Measured { events: 100, seconds, process_cpu_seconds: None, server_cpu_seconds: None })
        }
    }

    #[tokio::test]
    async fn stretches_reverse_the_order_and_are_summed() {
        let mut fake = Fake::default();
        let rounds = interleaved("fake", 1, &mut fake).await.unwrap();
        let (forwards, backwards) = ([0, 1, 2], [2, 1, 0]);
        let turns = [(0, 0, forwards), (0, 1, backwards), (1, 0, backwards), (1, 1, forwards)];
        let expected = turns.map(|(round, stretch, sides)| sides.map(|side| (round, stretch, side)));
        assert_eq!(fake.0, expected.concat());
        assert_eq!(rounds.len(), 1, "the first round is not shown");
        // Of the sums, 8 seconds to 4. The mean of the stretches' ratios would be 2.67.
        assert_eq!(rounds[0].ratio(0), 2.0);
        assert_eq!(rounds[0].ratio(1), 4.0);
    }
}
