//! The walk over the evidence of one event type.

use super::kinds::{Conflict, Kinds, weigh};
use super::numbers::{Decision, number_type, number_type_in_union, suggests_time};
use super::objects::{fields, map_reason};
use super::texts::text_type;
use crate::infer::counts::{events, grouped};
use crate::infer::draft::{DraftField, DraftRecord, DraftType, Slot};
use crate::infer::evidence::{Kind, MAX_KEYS, Node, Objects};
use crate::infer::names::{TypeNames, field_names};
use crate::infer::report::{Dirt, Fact, Finding, Problem, TypeReport};

pub(super) struct Walk<'w> {
    pub(super) event_type: &'w str,
    /// Events of the type that are objects.
    pub(super) events: u64,
    /// In how many of them a kind may conflict.
    pub(super) limit: u64,
    pub(super) names: &'w mut TypeNames,
    pub(super) report: &'w mut TypeReport,
}

/// Where the walk is.
#[derive(Debug, Clone, Default)]
struct Place {
    /// For reports: `lines[].unitPrice`.
    path: String,
    /// The keys on the way, from which nested types are named.
    keys: Vec<String>,
}

impl Place {
    fn field(&self, key: &str) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { path, keys: [&self.keys[..], &[key.to_owned()]].concat() }
    }

    fn within(&self, suffix: &str) -> Self {
        Self { path: format!("{}{suffix}", self.path), keys: self.keys.clone() }
    }

    fn key(&self) -> &str {
        self.keys.last().map_or("", String::as_str)
    }
}

impl Walk<'_> {
    /// The record of the event itself, which is never a map.
    pub(super) fn event(&mut self, root: &Node) -> DraftRecord {
        let Some(objects) = &root.objects else {
            return DraftRecord { name: self.event_type.to_owned(), fields: Vec::new() };
        };
        if objects.others.is_some() {
            let doubt = format!(
                "events have more than {MAX_KEYS} different keys; those beyond are not in the schema"
            );
            self.finding(&Place::default(), "record".to_owned(), Vec::new(), Some(doubt));
        }
        self.record(&Place::default(), self.event_type.to_owned(), objects)
    }

    fn finding(&mut self, place: &Place, decision: String, facts: Vec<Fact>, doubt: Option<String>) {
        self.report.findings.push(Finding { path: place.path.clone(), decision, facts, doubt });
    }

    fn record(&mut self, place: &Place, name: String, objects: &Objects) -> DraftRecord {
        let found = fields(objects);
        let keys: Vec<Vec<String>> = found.iter().map(|field| field.keys.clone()).collect();
        let names = field_names(&keys);
        let mut record = DraftRecord { name, fields: Vec::new() };
        for (field, name) in found.into_iter().zip(names) {
            let below = place.field(&field.keys[0]);
            let mut facts = Vec::new();
            let unit = if place.path.is_empty() { "events" } else { "objects" };
            let all = objects.seen.count;
            let absent = all.saturating_sub(field.key.node.values);
            if absent > 0 {
                let text =
                    format!("{} of {} {unit} have no {:?}", grouped(absent), grouped(all), field.keys[0]);
                facts.push(Fact::seen(text, &field.key.absent));
            }
            if field.keys.len() > 1 {
                facts.push(Fact::new(format!("writers spell it {}", field.keys.join(", "))));
            }
            let slot = self.slot(&below, &field.key.node, absent > 0, facts);
            record.fields.push(DraftField { name, stored: field.keys, slot });
        }
        record
    }

    /// Decides on the values at a path. `optional` says that some objects have none.
    fn slot(&mut self, place: &Place, node: &Node, optional: bool, mut facts: Vec<Fact>) -> Slot {
        let nulls = &node.nulls;
        if nulls.values == node.values {
            let text = format!("all {} values are null", grouped(node.values));
            facts.push(Fact::seen(text, &nulls.events));
            let doubt = Some("no evidence of a type: taken as text".to_owned());
            self.finding(place, "string or null".to_owned(), facts, doubt);
            return Slot { nullable: true, of: DraftType::Text };
        }
        if nulls.values > 0 {
            let text = format!("{} of {} values are null", grouped(nulls.values), grouped(node.values));
            facts.push(Fact::seen(text, &nulls.events));
        }
        let kinds = weigh(node, self.events, self.limit);
        self.conflicts(place, &kinds);
        let at = self.report.findings.len();
        let Decision { of, facts: more, doubt } = if kinds.chosen.len() > 1 {
            self.union(place, node, &kinds)
        } else {
            self.single(place, node, &kinds)
        };
        facts.extend(more);
        let slot = Slot { nullable: optional || nulls.values > 0, of };
        let finding = Finding { path: place.path.clone(), decision: slot.describe(), facts, doubt };
        // Above what is within it.
        self.report.findings.insert(at, finding);
        slot
    }

    fn conflicts(&mut self, place: &Place, kinds: &Kinds) {
        if let Some((one, other)) = &kinds.contradiction {
            let described = |conflict: &Conflict| {
                let text = format!("{} in {}", conflict.kind.with_article(), events(conflict.events.count));
                Fact::seen(text, &conflict.events)
            };
            let path = place.path.clone();
            self.report.problem.get_or_insert(Problem::Contradiction {
                path,
                one: described(one),
                other: described(other),
            });
        }
        for conflict in &kinds.dirt {
            let main = kinds.chosen.first().map_or("", |kind| kind.with_article());
            self.report.dirt.push(Dirt {
                path: place.path.clone(),
                what: format!("{} where others have {main}", conflict.kind.with_article()),
                events: conflict.events.count,
                references: conflict.events.references(),
            });
        }
    }

    fn single(&mut self, place: &Place, node: &Node, kinds: &Kinds) -> Decision {
        match kinds.chosen.first() {
            None | Some(Kind::Boolean) => Decision::plain(DraftType::Boolean),
            Some(Kind::Number) => {
                let mut decision =
                    number_type(&kinds.numbers, &node.texts.no_numbers, suggests_time(place.key()));
                if kinds.texts_are_numbers {
                    let digits = node.texts.digits.count;
                    let text = format!(
                        "{} of {} numbers are digits in text",
                        grouped(digits),
                        grouped(kinds.numbers.count)
                    );
                    decision.facts.push(Fact::new(text));
                    if matches!(decision.of, DraftType::Timestamp(_)) {
                        decision.of = DraftType::Long;
                    }
                }
                decision
            }
            Some(Kind::Text) => self.text(place, node),
            Some(Kind::Array) => self.array(place, node),
            Some(Kind::Object) => self.object(place, node),
        }
    }

    fn text(&mut self, place: &Place, node: &Node) -> Decision {
        let mut decision = text_type(&node.texts, "");
        if let DraftType::Enum { name, .. } = &mut decision.of {
            *name = self.names.name(self.event_type, &place.keys);
        }
        decision
    }

    fn union(&mut self, place: &Place, node: &Node, kinds: &Kinds) -> Decision {
        let mut types = Vec::new();
        let mut doubts = vec!["several kinds of JSON values: check what is meant".to_owned()];
        let mut facts = Vec::new();
        for kind in &kinds.chosen {
            let seen = &node.occurrence(*kind).events;
            facts.push(Fact::seen(format!("{} with {}", events(seen.count), kind.with_article()), seen));
            let decision = match kind {
                Kind::Boolean => Decision::plain(DraftType::Boolean),
                Kind::Number => number_type_in_union(&kinds.numbers),
                Kind::Text => Decision::plain(DraftType::Text),
                Kind::Array => self.array(place, node),
                Kind::Object => self.object(place, node),
            };
            types.push(decision.of);
            facts.extend(decision.facts);
            doubts.extend(decision.doubt);
        }
        Decision { of: DraftType::Union(types), facts, doubt: Some(doubts.join("; ")) }
    }

    fn array(&mut self, place: &Place, node: &Node) -> Decision {
        let Some(items) = &node.arrays.items else {
            let text = Slot { nullable: false, of: DraftType::Text };
            let doubt = Some("always empty, no evidence of a type: taken as an array of text".to_owned());
            return Decision { of: DraftType::Array(Box::new(text)), facts: Vec::new(), doubt };
        };
        let items = self.slot(&place.within("[]"), items, false, Vec::new());
        Decision::plain(DraftType::Array(Box::new(items)))
    }

    fn object(&mut self, place: &Place, node: &Node) -> Decision {
        let Some(objects) = &node.objects else { return Decision::plain(DraftType::Text) };
        if let Some(reason) = map_reason(objects) {
            let values = self.slot(&place.within("{}"), &objects.values(), false, Vec::new());
            let of = DraftType::Map(Box::new(values));
            return Decision { of, facts: vec![Fact::new(reason)], doubt: None };
        }
        let name = self.names.name(self.event_type, &place.keys);
        let record = self.record(place, name, objects);
        let doubt =
            record.fields.is_empty().then(|| "always empty: taken as a record without fields".to_owned());
        Decision { of: DraftType::Record(record), facts: Vec::new(), doubt }
    }
}
