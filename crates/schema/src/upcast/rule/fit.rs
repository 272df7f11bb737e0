//! The result of a rule as a value of its field: whether its type fits is decided when the rule is loaded, whether its
//! value does when there is one.

use std::collections::HashSet;

use super::calculate::decimal;
use super::types::{Kind, Type};
use crate::layout::shape::Shape;
use crate::layout::types::{Layout, Record};
use crate::limits::MAX_DEPTH;
use crate::mapping::json::Json;
use crate::mapping::json::number::Number;
use crate::mapping::mismatch::{Mismatch, shortened};
use crate::mapping::{number, text, time};
use crate::upcast::budget::Budget;
use crate::upcast::read::read_default;
use crate::upcast::value::{Entry, TimeType, Value};

/// Whether every value of the type may fit the shape, but for its range or the form of its text.
pub(super) fn fits(old: &Layout, new: &Layout, of: &Type, shape: &Shape) -> bool {
    Types { old, new, known: HashSet::new() }.fit(of, shape)
}

struct Types<'l> {
    old: &'l Layout,
    new: &'l Layout,
    /// Pairs of records that are being compared, or that fit.
    known: HashSet<(usize, usize)>,
}

impl Types<'_> {
    fn fit(&mut self, of: &Type, shape: &Shape) -> bool {
        of.kinds().iter().all(|kind| self.kind(kind, shape))
    }

    fn kind(&mut self, kind: &Kind, shape: &Shape) -> bool {
        match (kind, shape) {
            (_, Shape::Union(union)) => {
                let branch = union.branch_of(kind.json_kind(), false);
                branch.is_some_and(|branch| self.kind(kind, &union.branches[branch]))
            }
            (Kind::Null, Shape::Null) | (Kind::Bool, Shape::Boolean) => true,
            (Kind::Int, shape) => matches!(
                shape,
                Shape::Int
                    | Shape::Long
                    | Shape::Float
                    | Shape::Double
                    | Shape::Decimal(_)
                    | Shape::Timestamp(_)
                    | Shape::LocalTimestamp(_)
            ),
            (Kind::Double, shape) => matches!(shape, Shape::Float | Shape::Double),
            (Kind::Decimal, shape) => matches!(shape, Shape::Decimal(_) | Shape::String),
            (Kind::Text, shape) => {
                matches!(shape, Shape::String | Shape::Enum(_) | Shape::Uuid(_))
                    || TimeType::of(shape).is_some()
            }
            (Kind::Bytes, shape) => matches!(shape, Shape::Bytes | Shape::Fixed(_)),
            (Kind::List(items), Shape::Array(shape)) | (Kind::Map(items), Shape::Map(shape)) => {
                self.fit(items, shape)
            }
            (Kind::Object(members), Shape::Map(shape)) => members.iter().all(|(_, of)| self.fit(of, shape)),
            (Kind::Object(members), Shape::Record(index)) => {
                let record = &self.new.records[*index];
                let types: Vec<_> = members.iter().map(|(name, of)| (name.as_str(), of.clone())).collect();
                self.record(&types, record)
            }
            (Kind::Record(old), Shape::Record(index)) => {
                if !self.known.insert((*old, *index)) {
                    return true;
                }
                let fields = self.old.records[*old].fields.iter();
                let types: Vec<_> =
                    fields.map(|field| (field.name.as_str(), Type::of(&field.shape))).collect();
                self.record(&types, &self.new.records[*index])
            }
            _ => false,
        }
    }

    /// Fields are found by their names; what is missing has a default, and there is nothing else.
    fn record(&mut self, types: &[(&str, Type)], record: &Record) -> bool {
        let known = |name: &str| record.fields.iter().any(|field| field.name == name);
        types.iter().all(|(name, _)| known(name))
            && record.fields.iter().all(|field| match types.iter().find(|(name, _)| *name == field.name) {
                Some((_, of)) => self.fit(of, &field.shape),
                None => field.default.is_some(),
            })
    }
}

/// Whether a value of the type is one of the shape as it is.
pub(super) fn is_same(of: &Type, shape: &Shape) -> bool {
    match (of.only(), shape) {
        (Some(Kind::Bool), Shape::Boolean)
        | (Some(Kind::Int), Shape::Long)
        | (Some(Kind::Double), Shape::Double)
        | (Some(Kind::Bytes), Shape::Bytes) => true,
        (Some(Kind::List(items)), Shape::Array(shape)) | (Some(Kind::Map(items)), Shape::Map(shape)) => {
            is_same(items, shape)
        }
        _ => false,
    }
}

/// Makes values of rules those of the newer version's types.
pub(super) struct Fitter<'a, 'b> {
    pub(super) old: &'a Layout,
    pub(super) new: &'a Layout,
    pub(super) budget: &'b Budget<'a>,
}

impl<'a> Fitter<'a, '_> {
    pub(super) fn fit(
        &self,
        shape: &'a Shape,
        value: Value<'a>,
        depth: usize,
    ) -> Result<Value<'a>, Mismatch> {
        self.budget.items(1)?;
        if depth > MAX_DEPTH {
            return Err(Mismatch::new(format!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(match (shape, value) {
            (Shape::Union(union), value) => {
                let branch = union.branch_of(value.json_kind(), false);
                let branch = branch.ok_or_else(|| unfit(shape, value))?;
                self.fit(&union.branches[branch], value, depth)?.among(union)?
            }
            (Shape::Int, Value::Int(number)) if i32::try_from(number).is_err() => {
                return Err(Mismatch::new(format!("{number} does not fit an int (32 bits)")));
            }
            (Shape::Float | Shape::Double, Value::Int(number)) => self.double(shape, number as f64)?,
            (Shape::Float, Value::Double(number)) => self.double(shape, number)?,
            (Shape::Decimal(of), Value::Int(_) | Value::Decimal(..)) => {
                let given = decimal(value, self.budget)?;
                let number = given.rescale(of.scale).map_err(|error| Mismatch::new(error.to_string()))?;
                if !number.fits(of.precision) {
                    return Err(Mismatch::new(format!("{given} has more than {} digits", of.precision)));
                }
                number.into()
            }
            (Shape::String, Value::Decimal(..)) => {
                Value::Text(self.budget.text(&decimal(value, self.budget)?.to_string())?)
            }
            (Shape::String, value @ Value::Time(..)) => {
                Value::Text(value.text(self.budget)?.unwrap_or_default())
            }
            (Shape::Enum(of), Value::Text(symbol)) if !of.symbols.iter().any(|known| known == symbol) => {
                let (shown, known) = (shortened(symbol), of.symbols.join(", "));
                return Err(Mismatch::new(format!(
                    "{shown:?} is not a symbol of {} ({known})",
                    of.name.full
                )));
            }
            (Shape::Uuid(_), Value::Text(uuid)) => {
                Value::Text(self.budget.text(&text::uuid(uuid)?.to_string())?)
            }
            (Shape::Fixed(of), Value::Bytes(bytes)) if bytes.len() != of.size => {
                let (found, name, size) = (bytes.len(), &of.name.full, of.size);
                return Err(Mismatch::new(format!("{found} bytes, but {name} has {size}")));
            }
            (Shape::Date | Shape::TimeOfDay(_) | Shape::Timestamp(_) | Shape::LocalTimestamp(_), value) => {
                self.time(shape, value)?
            }
            (Shape::Array(items), Value::List(list)) => Value::List(self.list(items, list, depth + 1)?),
            (Shape::Map(values), Value::Map(entries)) => {
                let fitted: &mut [Entry<'a>] = self.budget.many(entries.len(), ("", Value::Null))?;
                for (fitted, (key, value)) in fitted.iter_mut().zip(entries) {
                    *fitted = (key, self.fit(values, *value, depth + 1).map_err(|error| error.in_key(key))?);
                }
                Value::Map(fitted)
            }
            (Shape::Record(index), value) => {
                Value::Record(self.record(&self.new.records[*index], value, depth + 1)?, *index as u32)
            }
            (Shape::Null, Value::Null)
            | (Shape::Boolean, Value::Bool(_))
            | (Shape::Int | Shape::Long, Value::Int(_))
            | (Shape::Double, Value::Double(_))
            | (Shape::Bytes | Shape::Fixed(_), Value::Bytes(_))
            | (Shape::String | Shape::Enum(_), Value::Text(_)) => value,
            // A date is text to rules.
            (Shape::Enum(_) | Shape::Uuid(_), Value::Time(..)) => {
                let text = value.text(self.budget)?.unwrap_or_default();
                self.fit(shape, Value::Text(text), depth)?
            }
            _ => return Err(unfit(shape, value)),
        })
    }

    /// The list itself, where its items are what they must be.
    fn list(
        &self,
        shape: &'a Shape,
        list: &'a [Value<'a>],
        depth: usize,
    ) -> Result<&'a [Value<'a>], Mismatch> {
        let fit = |index: usize, item: Value<'a>| {
            self.fit(shape, item, depth).map_err(|error| error.in_item(index))
        };
        for (start, item) in list.iter().enumerate() {
            let first = fit(start, *item)?;
            if first.is_same(*item) {
                continue;
            }
            let fitted = self.budget.many(list.len(), Value::Null)?;
            fitted[..start].copy_from_slice(&list[..start]);
            fitted[start] = first;
            for (index, item) in list.iter().enumerate().skip(start + 1) {
                fitted[index] = fit(index, *item)?;
            }
            return Ok(fitted);
        }
        Ok(list)
    }

    fn double(&self, shape: &Shape, number: f64) -> Result<Value<'a>, Mismatch> {
        if matches!(shape, Shape::Double) {
            return Ok(Value::Double(number));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the nearest float is meant")]
        let narrow = number as f32;
        if narrow.is_infinite() && number.is_finite() {
            return Err(Mismatch::new(format!("{number} does not fit a float (32 bits)")));
        }
        Ok(Value::Double(number::widened(narrow)))
    }

    fn time(&self, shape: &Shape, value: Value<'a>) -> Result<Value<'a>, Mismatch> {
        let of = TimeType::of(shape).ok_or_else(|| unfit(shape, value))?;
        let json = match value {
            Value::Time(own, units) if own == of => return Ok(Value::Time(of, units)),
            Value::Int(number) => Json::Number(Number::Whole(number)),
            value => Json::String(value.text(self.budget)?.ok_or_else(|| unfit(shape, value))?.into()),
        };
        let units = match of {
            TimeType::Date => time::date(&json)?.into(),
            TimeType::TimeOfDay(unit) => time::time_of_day(&json, unit)?,
            TimeType::Timestamp(unit) => time::timestamp(&json, unit)?,
            TimeType::LocalTimestamp(unit) => time::local_timestamp(&json, unit)?,
        };
        Ok(Value::Time(of, units))
    }

    fn record(&self, of: &'a Record, value: Value<'a>, depth: usize) -> Result<&'a [Value<'a>], Mismatch> {
        let fields = self.budget.many(of.fields.len(), Value::Null)?;
        for (index, (fitted, field)) in fields.iter_mut().zip(&of.fields).enumerate() {
            let given = match value {
                Value::Record(given, record) => {
                    let old = self.old.records.get(record as usize).map_or(&[][..], |record| &record.fields);
                    let is_here = |at: &usize| old.get(*at).is_some_and(|it| it.name == field.name);
                    let by_name = || old.iter().position(|known| known.name == field.name);
                    let at = Some(index).filter(is_here).or_else(by_name);
                    at.and_then(|at| given.get(at)).copied()
                }
                Value::Map(entries) => {
                    let found = entries.binary_search_by(|(key, _)| (*key).cmp(&field.name));
                    found.ok().map(|at| entries[at].1)
                }
                _ => None,
            };
            let filled = match (given, &field.default) {
                (Some(given), _) => self.fit(&field.shape, given, depth),
                (None, Some(default)) => read_default(self.new, &field.shape, default, self.budget),
                (None, None) => Err(Mismatch::new("missing")),
            };
            *fitted = filled.map_err(|error| error.in_field(&field.name))?;
        }
        Ok(fields)
    }
}

fn unfit(shape: &Shape, value: Value<'_>) -> Mismatch {
    Mismatch::new(format!("expected {}, found {}", shape.describe(), value.describe()))
}
