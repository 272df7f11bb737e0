//! The order in which the events of a batch are applied.

use std::collections::{BTreeMap, HashMap};

use crate::sql::events::Event;

/// Cuts a batch into steps: the first event of each stream, then the second of each, and so on. So the events of a stream are
/// applied in order although a statement applies many events at once. In a step events are together by type.
///
/// A batch of one stream has as many steps as events.
pub(crate) fn steps<'e>(events: &[Event<'e>]) -> Vec<BTreeMap<&'e str, Vec<Event<'e>>>> {
    let mut steps: Vec<BTreeMap<&str, Vec<Event<'_>>>> = Vec::new();
    let mut met: HashMap<&str, usize> = HashMap::new();
    for (event, envelope) in events {
        let step = met.entry(envelope.stream.as_str()).or_default();
        if steps.len() == *step {
            steps.push(BTreeMap::new());
        }
        steps[*step].entry(envelope.event_type()).or_default().push((event, envelope));
        *step += 1;
    }
    steps
}
