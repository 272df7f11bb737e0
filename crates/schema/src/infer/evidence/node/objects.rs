//! What the objects at one path look like: their keys, and the values of each.

use std::collections::{BTreeMap, BTreeSet};

use super::{EventRef, Node};
use crate::infer::evidence::references::Sightings;
use crate::mapping::json::Member;

/// Keys of one object type that are told apart; the values of further ones are gathered as those of a map.
pub(in crate::infer) const MAX_KEYS: usize = 256;

/// Statistics of the objects at one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::infer) struct Objects {
    /// All objects.
    pub(in crate::infer) seen: Sightings,
    /// Objects without a member.
    pub(in crate::infer) empty: u64,
    /// Objects of exactly `$type` and `$value`, as Newtonsoft.Json wraps values that are no objects in JSON.
    pub(in crate::infer) wrappers: u64,
    pub(in crate::infer) keys: BTreeMap<Box<str>, Key>,
    /// The values of the keys beyond [`MAX_KEYS`].
    pub(in crate::infer) others: Option<Box<Node>>,
    /// Keys by their folded form, of those that are spelled in more than one way.
    spellings: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// Folded keys of which one object had two spellings.
    pub(in crate::infer) together: BTreeSet<Box<str>>,
}

/// One key of the objects at a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::infer) struct Key {
    pub(in crate::infer) node: Node,
    /// Objects that have it in no spelling.
    pub(in crate::infer) absent: Sightings,
    /// Its place among the keys, by their first appearance.
    pub(in crate::infer) order: usize,
}

impl Key {
    /// Adds the evidence of another spelling, which no object has together with this one.
    pub(in crate::infer) fn join(&mut self, other: &Self) {
        self.node.merge(&other.node);
        // The same, but where two versions spell it differently: then only what lacks both.
        self.absent.count = self.absent.count.min(other.absent.count);
        self.absent.first.retain(|reference| other.absent.first.contains(reference));
    }
}

/// What two keys share that writers spell differently: `OrderId`, `orderId`, `order_id` and `order-id`.
pub(in crate::infer) fn folded(key: &str) -> Box<str> {
    let letters = key.chars().filter(|character| !matches!(character, '_' | '-'));
    letters.flat_map(char::to_lowercase).collect::<String>().into_boxed_str()
}

impl Objects {
    pub(super) fn add(&mut self, members: &[Member<'_>], event: EventRef<'_>, budget: &mut usize) {
        for (key, value) in members {
            if !self.keys.contains_key(&**key) && !self.insert(key, budget) {
                self.others.get_or_insert_default().add(value, event, budget);
            } else if let Some(known) = self.keys.get_mut(&**key) {
                known.node.add(value, event, budget);
            }
        }
        self.seen.add(event.reference);
        if members.is_empty() {
            self.empty += 1;
        }
        let has = |wanted: &str| members.iter().any(|(key, _)| key == wanted);
        if members.len() == 2 && has("$type") && has("$value") {
            self.wrappers += 1;
        }
        let mut present: BTreeSet<&str> = members.iter().map(|(key, _)| &**key).collect();
        for (folded, spellings) in &self.spellings {
            match spellings.iter().filter(|spelling| present.contains(&***spelling)).count() {
                0 => {}
                1 => present.extend(spellings.iter().map(|spelling| &**spelling)),
                _ => {
                    self.together.insert(folded.clone());
                }
            }
        }
        if present.len() < self.keys.len() {
            for (_, known) in self.keys.iter_mut().filter(|(key, _)| !present.contains(&***key)) {
                known.absent.add(event.reference);
            }
        }
    }

    /// Makes room for a key. Returns false where there is none left.
    fn insert(&mut self, key: &str, budget: &mut usize) -> bool {
        if self.keys.len() >= MAX_KEYS || *budget == 0 {
            return false;
        }
        *budget -= 1;
        let folded_key = folded(key);
        let same: Vec<_> = self.keys.keys().filter(|known| folded(known) == folded_key).cloned().collect();
        let other = same.first().cloned();
        if other.is_some() {
            let spellings = self.spellings.entry(folded_key).or_insert(same);
            spellings.push(key.into());
        }
        // The objects before this one lack it, but for those that have another spelling.
        let absent = other.map_or_else(|| self.seen.clone(), |other| self.keys[&other].absent.clone());
        self.keys.insert(key.into(), Key { node: Node::default(), absent, order: self.keys.len() });
        true
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (name, key) in &mut self.keys {
            if !other.keys.contains_key(name) {
                key.absent.merge(&other.seen);
            }
        }
        let known = self.keys.len();
        for (name, theirs) in &other.keys {
            if let Some(mine) = self.keys.get_mut(name) {
                mine.node.merge(&theirs.node);
                mine.absent.merge(&theirs.absent);
            } else {
                let mut absent = self.seen.clone();
                absent.merge(&theirs.absent);
                let order = known + theirs.order;
                self.keys.insert(name.clone(), Key { node: theirs.node.clone(), absent, order });
            }
        }
        if let Some(others) = &other.others {
            self.others.get_or_insert_default().merge(others);
        }
        self.seen.merge(&other.seen);
        self.empty += other.empty;
        self.wrappers += other.wrappers;
        self.together.extend(other.together.iter().cloned());
    }

    /// The values of all keys, as those of a map.
    pub(in crate::infer) fn values(&self) -> Node {
        let mut values = self.others.as_deref().cloned().unwrap_or_default();
        for key in self.keys.values() {
            values.merge(&key.node);
        }
        values
    }

    /// How many keys were told apart.
    pub(in crate::infer) fn distinct_keys(&self) -> usize {
        self.keys.len() + usize::from(self.others.is_some())
    }
}
