//! The median of figures and how far they are apart.

use serde::Serialize;

/// Of the ratios of all rounds, or of the times of all starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Range {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Range {
    /// `None` if there are no figures.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len().is_multiple_of(2) {
            f64::midpoint(figures[middle - 1], figures[middle])
        } else {
            figures[middle]
        };
        Some(Self { median, least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(Range::of([3.0, 1.0, 2.0]), Some(Range { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Range::of([4.0, 1.0, 2.0, 3.0]), Some(Range { median: 2.5, least: 1.0, most: 4.0 }));
        assert_eq!(Range::of([]), None);
    }
}
