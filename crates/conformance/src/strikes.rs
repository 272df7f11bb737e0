//! How often a consumer was disturbed.

/// The number of disturbances of each kind.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    kinds: Vec<(&'static str, usize)>,
}

impl Strikes {
    /// Kinds without which the property is not judged.
    pub(crate) fn require(&mut self, kinds: impl IntoIterator<Item = &'static str>) {
        kinds.into_iter().for_each(|kind| self.add(kind, 0));
    }

    /// Counts a disturbance of a required kind.
    pub(crate) fn count(&mut self, kind: &'static str) {
        self.add(kind, 1);
    }

    pub(crate) fn add(&mut self, kind: &'static str, number: usize) {
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, counted)) => *counted += number,
            None => self.kinds.push((kind, number)),
        }
    }

    /// Of all kinds.
    pub(crate) fn number(&self) -> usize {
        self.kinds.iter().map(|(_, number)| number).sum()
    }

    /// Whether the property can be judged.
    pub(crate) fn are_complete(&self) -> bool {
        self.number() > 0 && self.missing().is_none()
    }

    /// The first required kind of which there was none.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        self.kinds.iter().find(|(_, number)| *number == 0).map(|(kind, _)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_does_not_stand_for_another() {
        let mut strikes = Strikes::default();
        strikes.require(["a shutdown", "a crash"]);
        assert_eq!((strikes.number(), strikes.missing()), (0, Some("a shutdown")));
        strikes.count("a shutdown");
        strikes.count("a shutdown");
        assert_eq!((strikes.number(), strikes.missing()), (2, Some("a crash")));
        assert!(!strikes.are_complete());
        strikes.count("a crash");
        assert_eq!((strikes.number(), strikes.missing()), (3, None));
        assert!(strikes.are_complete());
    }
}
