//! The first few events that show something, by reference.

/// How many references are kept for each observation: enough to list every event that may count as dirt in a type
/// with fewer than 1,000 events, and a sample beyond.
const MAX_REFERENCES: usize = 3;

/// A count of events, or of values, with the references of the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::infer) struct Sightings {
    pub(in crate::infer) count: u64,
    pub(in crate::infer) first: Vec<Box<str>>,
}

impl Sightings {
    pub(in crate::infer) fn add(&mut self, reference: &str) {
        self.count += 1;
        if self.first.len() < MAX_REFERENCES && self.first.last().is_none_or(|last| &**last != reference) {
            self.first.push(reference.into());
        }
    }

    pub(in crate::infer) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for reference in &other.first {
            if self.first.len() < MAX_REFERENCES && !self.first.contains(reference) {
                self.first.push(reference.clone());
            }
        }
    }

    pub(in crate::infer) fn references(&self) -> Vec<String> {
        self.first.iter().map(|reference| reference.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_all_and_keeps_the_first() {
        let mut sightings = Sightings::default();
        for revision in 0..1_000 {
            sightings.add(&format!("{revision}@order-1"));
        }
        assert_eq!(sightings.count, 1_000);
        assert_eq!(sightings.references(), ["0@order-1", "1@order-1", "2@order-1"]);
    }

    #[test]
    fn an_event_with_many_values_is_referred_to_once() {
        let mut sightings = Sightings::default();
        sightings.add("0@order-1");
        sightings.add("0@order-1");
        assert_eq!((sightings.count, sightings.references()), (2, vec!["0@order-1".to_owned()]));
    }
}
