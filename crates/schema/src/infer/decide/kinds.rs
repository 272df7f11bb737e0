//! Which kinds of JSON values make the type at a path, and which are dirt.

use crate::infer::evidence::{Kind, Node, Numbers, Sightings};

/// The kinds at a path that have a say, and what conflicts with them.
#[derive(Debug)]
pub(super) struct Kinds {
    pub(super) chosen: Vec<Kind>,
    pub(super) dirt: Vec<Conflict>,
    pub(super) contradiction: Option<(Conflict, Conflict)>,
    /// Whether texts are numbers: then all numbers, those in texts included.
    pub(super) numbers: Numbers,
    pub(super) texts_are_numbers: bool,
}

/// Values of one kind where another is expected.
#[derive(Debug, Clone)]
pub(super) struct Conflict {
    pub(super) kind: Kind,
    pub(super) events: Sightings,
}

/// Weighs the kinds at a path. `events` is how many events the type has, `limit` in how many of them a kind may
/// conflict.
pub(super) fn weigh(node: &Node, events: u64, limit: u64) -> Kinds {
    let kinds = weigh_with(node, events, limit, texts_as_numbers(node, limit));
    if kinds.texts_are_numbers && kinds.chosen.len() > 1 {
        // In a union a branch takes only its own JSON kind, so text needs one of its own.
        return weigh_with(node, events, limit, None);
    }
    kinds
}

/// `other_texts` are the few texts that are not numbers, where texts are taken as numbers.
fn weigh_with(node: &Node, events: u64, limit: u64, other_texts: Option<Sightings>) -> Kinds {
    let mut kinds = Kinds {
        chosen: Vec::new(),
        dirt: Vec::new(),
        contradiction: None,
        numbers: node.numbers.clone(),
        texts_are_numbers: false,
    };
    let mut found: Vec<Conflict> =
        node.kinds().map(|kind| Conflict { kind, events: node.occurrence(kind).events.clone() }).collect();
    if let Some(other_texts) = other_texts {
        kinds.texts_are_numbers = true;
        kinds.numbers.merge(&node.texts.digits);
        found.retain(|conflict| conflict.kind != Kind::Text);
        if let Some(number) = found.iter_mut().find(|conflict| conflict.kind == Kind::Number) {
            number.events.merge(&node.occurrence(Kind::Text).events);
        }
        if other_texts.count > 0 {
            kinds.dirt.push(Conflict { kind: Kind::Text, events: other_texts });
        }
    }
    // The most frequent first; the order of kinds decides between equals.
    found.sort_by_key(|conflict| std::cmp::Reverse(conflict.events.count));
    let Some(main) = found.first().cloned() else { return kinds };
    let wrapped = node.objects.as_ref().is_some_and(|objects| objects.wrappers == objects.seen.count);
    let recurs =
        |conflict: &Conflict| conflict.events.count > limit || (conflict.kind == Kind::Object && wrapped);
    let rest = found.split_off(1);
    let (recurring, rare): (Vec<_>, Vec<_>) = rest.into_iter().partition(|conflict| recurs(conflict));
    kinds.chosen.push(main.kind);
    kinds.chosen.extend(recurring.iter().map(|conflict| conflict.kind));
    kinds.chosen.sort_unstable();
    let covered: u64 = main.events.count + rare.iter().map(|conflict| conflict.events.count).sum::<u64>();
    if main.events.count <= limit && recurring.is_empty() && covered * 2 > events {
        // Nothing recurs and nothing is rare: no kind can be called the right one.
        kinds.contradiction = rare.first().cloned().map(|other| (main, other));
    }
    kinds.dirt.extend(rare);
    kinds
}

/// Whether the texts beside numbers are numbers too. Returns the few that are not.
fn texts_as_numbers(node: &Node, limit: u64) -> Option<Sightings> {
    let texts = &node.texts;
    let numeric = texts.digits.count + texts.no_numbers.count;
    if node.numbers.count == 0 || numeric == 0 || texts.leading_zeros.count > 0 {
        return None;
    }
    let others = texts.count - numeric;
    // UUIDs, dates and times are counted without references; what is listed then are the first texts of any form.
    let seen = if texts.others.count == others { &texts.others } else { &node.occurrence(Kind::Text).events };
    let exact = Sightings { count: others, first: if others > 0 { seen.first.clone() } else { Vec::new() } };
    (others <= limit && node.numbers.count + numeric > limit || others == 0).then_some(exact)
}
