//! Both sides in turn.

use super::report::Round;
use crate::Failure;

/// Two ways to do the same work. Each returns its rate.
pub(super) trait Contest {
    /// What both sides of a round need, and neither is charged for.
    async fn prepare(&mut self, _round: usize) -> Result<(), Failure> {
        Ok(())
    }

    /// The product's side.
    async fn product(&mut self, round: usize) -> Result<f64, Failure>;

    /// What it is measured against.
    async fn bare(&mut self, round: usize) -> Result<f64, Failure>;

    /// After both.
    async fn finish(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// The rounds, after one that is not shown: it fills caches (schema ids, code, the servers' files). Who begins
/// alternates.
pub(super) async fn interleaved(
    name: &str,
    rounds: usize,
    contest: &mut impl Contest,
) -> Result<Vec<Round>, Failure> {
    let mut shown = Vec::with_capacity(rounds);
    for n in 0..=rounds {
        eprintln!(
            "{name}: {}",
            if n == 0 { "warming up".to_owned() } else { format!("round {n} of {rounds}") }
        );
        contest.prepare(n).await?;
        let round = if n % 2 == 0 {
            let product = contest.product(n).await?;
            Round::new(product, contest.bare(n).await?)
        } else {
            let bare = contest.bare(n).await?;
            Round::new(contest.product(n).await?, bare)
        };
        contest.finish().await?;
        if n > 0 {
            shown.push(round);
        }
    }
    Ok(shown)
}
