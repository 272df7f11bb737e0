//! Whether this instance takes part in a route's consumer group.

use crate::kafka::group::Change;

/// The problem of a route that has not joined its consumer group yet.
pub(crate) const JOINING: &str = "joining the consumer group";

/// What the changes of a membership add up to.
pub(crate) struct Membership {
    reachable: bool,
    joined: bool,
}

impl Membership {
    pub(crate) fn new() -> Self {
        Self { reachable: true, joined: false }
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Brokers { reachable } => self.reachable = *reachable,
            Change::Assigned(_) => self.joined = true,
            Change::Revoked { lost, .. } => self.joined &= !lost,
        }
    }

    /// Why this instance does not take part in the group; `None` if it does.
    pub(crate) fn problem(&self, brokers: &str) -> Option<String> {
        if !self.reachable {
            Some(format!("no kafka broker of {brokers} can be reached"))
        } else if !self.joined {
            Some(JOINING.to_owned())
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revoked(lost: bool) -> Change {
        let (done, _) = std::sync::mpsc::channel();
        Change::Revoked { lanes: vec![0], lost, done }
    }

    fn after(changes: &[Change]) -> Option<String> {
        let mut membership = Membership::new();
        changes.iter().for_each(|change| membership.apply(change));
        membership.problem("kafka:9092")
    }

    #[test]
    fn an_instance_takes_part_from_its_first_assignment_on() {
        assert_eq!(after(&[]).as_deref(), Some(JOINING));
        assert_eq!(after(&[Change::Assigned(vec![])]), None, "even if others own all lanes");
        assert_eq!(after(&[Change::Assigned(vec![0]), revoked(false)]), None);
        assert_eq!(after(&[Change::Assigned(vec![0]), revoked(true)]).as_deref(), Some(JOINING));
    }

    #[test]
    fn unreachable_brokers_are_reported_until_one_is_back() {
        let (away, back) = (Change::Brokers { reachable: false }, Change::Brokers { reachable: true });
        let lost = after(&[Change::Assigned(vec![0]), away]).unwrap();
        assert!(lost.contains("kafka:9092"), "{lost}");
        let away = Change::Brokers { reachable: false };
        assert_eq!(after(&[Change::Assigned(vec![0]), away, back]), None);
    }
}
