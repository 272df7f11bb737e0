//! How each part of an older version's event becomes that of the next, decided once when schemas are loaded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::renames::Renames;
use crate::layout::invalid::InvalidSchema;
use crate::layout::shape::{Enum, Shape, Union};
use crate::layout::types::{Field, Layout};
use crate::upcast::rule::Rule;

/// What to do with a value of the older version.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    /// The value is the same.
    Keep,
    /// Index into [`Plans::records`].
    Record(usize),
    Array(Box<Plan>),
    Map(Box<Plan>),
    /// One for each branch of the older union.
    Union(Union, Vec<Plan>),
    /// Removed symbols become the default.
    Enum(Arc<Enum>),
    /// An int or a long to the nearest float.
    ToFloat,
    /// An int or a long to the nearest double.
    ToDouble,
    /// A float to the double that is the same number.
    FloatToDouble,
    StringToBytes,
    BytesToString,
    /// A value that becomes one of a union of several kinds.
    Among(Union, Box<Plan>),
}

impl Plan {
    fn keeps(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

/// A record of the newer version, made of one of the older version.
#[derive(Debug)]
pub(crate) struct RecordPlan {
    /// Index of the newer record in its layout.
    pub(crate) new: usize,
    /// Where its fields come from, in their order.
    pub(crate) fields: Vec<Source>,
}

#[derive(Debug)]
pub(crate) enum Source {
    /// A field of the older record, by its position.
    Old(usize, Plan),
    /// The default of the newer field.
    Default,
    Rule(Rule),
}

/// The plans of all records that occur; the event's comes first.
#[derive(Debug)]
pub(crate) struct Plans {
    pub(crate) records: Vec<RecordPlan>,
}

/// Decides for every field of the newer version where it comes from.
pub(crate) fn plan(old: &Layout, new: &Layout) -> Result<Plans, InvalidSchema> {
    let mut planner =
        Planner { old, new, records: Vec::new(), known: HashMap::new(), with_rules: HashSet::new() };
    planner.record(Layout::EVENT, Layout::EVENT, "the event")?;
    for (index, record) in new.records.iter().enumerate() {
        let unused = record.fields.iter().find(|field| field.rule.is_some());
        if let Some(field) = unused.filter(|_| !planner.with_rules.contains(&index)) {
            let place = format!("field {} of {}", field.name, record.name.full);
            let problem = "its upcast rule is never used: the older version has no such record here";
            return Err(InvalidSchema::new(&place, problem));
        }
    }
    // Filled from the back as recursion returns, so none is missing.
    let records = planner.records.into_iter().flatten().collect();
    Ok(Plans { records })
}

struct Planner<'a> {
    old: &'a Layout,
    new: &'a Layout,
    records: Vec<Option<RecordPlan>>,
    /// By index of the older and the newer record.
    known: HashMap<(usize, usize), usize>,
    with_rules: HashSet<usize>,
}

impl Planner<'_> {
    fn record(&mut self, old: usize, new: usize, place: &str) -> Result<usize, InvalidSchema> {
        if let Some(index) = self.known.get(&(old, new)) {
            return Ok(*index);
        }
        let (older, newer) = (&self.old.records[old], &self.new.records[new]);
        if !newer.name.matches(&older.name) {
            let (new, old) = (&newer.name.full, &older.name.full);
            return Err(InvalidSchema::new(
                place,
                format!("{new} is not {old}; add this alias or an upcast rule"),
            ));
        }
        let index = self.records.len();
        self.known.insert((old, new), index);
        self.records.push(None);
        self.with_rules.insert(new);
        let mut fields = Vec::with_capacity(newer.fields.len());
        let renames = Renames::new(&older.fields, &newer.fields);
        for field in &newer.fields {
            let place = format!("field {} of {}", field.name, newer.name.full);
            fields.push(self.source(old, &renames, field, &place)?);
        }
        self.records[index] = Some(RecordPlan { new, fields });
        Ok(index)
    }

    fn source(
        &mut self,
        old: usize,
        renames: &Renames<'_>,
        field: &Field,
        place: &str,
    ) -> Result<Source, InvalidSchema> {
        if let Some(rule) = &field.rule {
            let rule = Rule::compile(rule, self.old, old, self.new, &field.shape);
            return rule
                .map(Source::Rule)
                .map_err(|problem| InvalidSchema::new(place, format!("its upcast rule {problem}")));
        }
        if let Some(position) = renames.older(field, place)? {
            let counterpart = &self.old.records[old].fields[position];
            let plan = self.value(&counterpart.shape, &field.shape, place)?;
            return Ok(Source::Old(position, plan));
        }
        if field.default.is_some() {
            return Ok(Source::Default);
        }
        Err(InvalidSchema::new(
            place,
            "is new and older events do not have it: add a default, an alias or an upcast rule",
        ))
    }

    fn value(&mut self, old: &Shape, new: &Shape, place: &str) -> Result<Plan, InvalidSchema> {
        match self.direct(old, new, place)? {
            Some(plan) => Ok(plan),
            None => Err(InvalidSchema::new(
                place,
                format!("{} cannot be read as {} without an upcast rule", old.describe(), new.describe()),
            )),
        }
    }

    /// `None` where resolution does not lead from the one type to the other.
    fn direct(&mut self, old: &Shape, new: &Shape, place: &str) -> Result<Option<Plan>, InvalidSchema> {
        Ok(match (old, new) {
            (Shape::Union(old), new) => Some(self.union_plan(old, new, place)?),
            (old, Shape::Union(new)) => self.branch_plan(old, new, place)?,
            (Shape::Null, Shape::Null)
            | (Shape::Boolean, Shape::Boolean)
            | (Shape::Int, Shape::Int | Shape::Long)
            | (Shape::Long, Shape::Long)
            | (Shape::Float, Shape::Float)
            | (Shape::Double, Shape::Double)
            | (Shape::Bytes, Shape::Bytes)
            | (Shape::String | Shape::Uuid(_), Shape::String)
            | (Shape::Uuid(_), Shape::Uuid(_))
            | (Shape::Date, Shape::Date) => Some(Plan::Keep),
            (Shape::Int | Shape::Long, Shape::Float) => Some(Plan::ToFloat),
            (Shape::Int | Shape::Long, Shape::Double) => Some(Plan::ToDouble),
            (Shape::Float, Shape::Double) => Some(Plan::FloatToDouble),
            (Shape::String, Shape::Bytes) => Some(Plan::StringToBytes),
            (Shape::Bytes, Shape::String) => Some(Plan::BytesToString),
            (Shape::TimeOfDay(old), Shape::TimeOfDay(new))
            | (Shape::Timestamp(old), Shape::Timestamp(new))
            | (Shape::LocalTimestamp(old), Shape::LocalTimestamp(new)) => (old == new).then_some(Plan::Keep),
            // Another scale is another number to Avro, which compares only the bytes: only a rule may do it.
            (Shape::Decimal(old), Shape::Decimal(new)) => {
                (old.scale == new.scale && old.precision <= new.precision).then_some(Plan::Keep)
            }
            (Shape::Fixed(old), Shape::Fixed(new)) => {
                (new.name.matches(&old.name) && old.size == new.size).then_some(Plan::Keep)
            }
            (Shape::Enum(old), Shape::Enum(new)) => enum_plan(old, new, place)?,
            (Shape::Array(old), Shape::Array(new)) => {
                let items = self.value(old, new, place)?;
                Some(if items.keeps() { Plan::Keep } else { Plan::Array(Box::new(items)) })
            }
            (Shape::Map(old), Shape::Map(new)) => {
                let values = self.value(old, new, place)?;
                Some(if values.keeps() { Plan::Keep } else { Plan::Map(Box::new(values)) })
            }
            (Shape::Record(old), Shape::Record(new)) => Some(Plan::Record(self.record(*old, *new, place)?)),
            _ => None,
        })
    }

    fn union_plan(&mut self, old: &Union, new: &Shape, place: &str) -> Result<Plan, InvalidSchema> {
        let branches = old.branches.iter();
        let plans = branches.map(|branch| self.value(branch, new, place)).collect::<Result<Vec<_>, _>>()?;
        Ok(if plans.iter().all(Plan::keeps) { Plan::Keep } else { Plan::Union(old.clone(), plans) })
    }

    /// A branch of the same type wins over one that needs a promotion.
    fn branch_plan(&mut self, old: &Shape, new: &Union, place: &str) -> Result<Option<Plan>, InvalidSchema> {
        let same = |branch: &&Shape| std::mem::discriminant(*branch) == std::mem::discriminant(old);
        let (first, then): (Vec<_>, Vec<_>) = new.branches.iter().partition(same);
        for branch in first.into_iter().chain(then) {
            if let Some(plan) = self.direct(old, branch, place)? {
                let number = matches!(old, Shape::Float | Shape::Double);
                let among = number && new.has_several_kinds();
                return Ok(Some(if among { Plan::Among(new.clone(), Box::new(plan)) } else { plan }));
            }
        }
        Ok(None)
    }
}

fn enum_plan(old: &Enum, new: &Arc<Enum>, place: &str) -> Result<Option<Plan>, InvalidSchema> {
    if !new.name.matches(&old.name) {
        return Ok(None);
    }
    let removed = old.symbols.iter().find(|symbol| !new.symbols.contains(symbol));
    match (removed, &new.default) {
        (None, _) => Ok(Some(Plan::Keep)),
        (Some(_), Some(_)) => Ok(Some(Plan::Enum(Arc::clone(new)))),
        (Some(removed), None) => Err(InvalidSchema::new(
            place,
            format!(
                "the symbol {removed} was removed from {}, which has no default to replace it: add one",
                new.name.full
            ),
        )),
    }
}
