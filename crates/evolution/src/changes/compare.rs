//! Compares two schemas, part by part.

use std::collections::HashSet;

use aqueduct_avro::{Enum, Field, LogicalType, Record, Schema, Type, TypeId};
use serde_json::{Map, Value as Json};

use crate::changes::types::{branch_for, describe, describe_logical, is_same, logical, time_of};
use crate::changes::{Change, ChangeKind};

/// A comparison, with what it has found so far.
pub(super) struct Comparison<'a> {
    older: &'a Schema,
    newer: &'a Schema,
    place: String,
    /// Pairs that were compared: a type may contain itself.
    seen: HashSet<(TypeId, TypeId)>,
    found: Vec<Change>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(older: &'a Schema, newer: &'a Schema) -> Self {
        Self { older, newer, place: String::new(), seen: HashSet::new(), found: Vec::new() }
    }

    pub(super) fn run(mut self) -> Vec<Change> {
        self.types(self.older.root(), self.newer.root());
        self.found
    }

    fn report(&mut self, kind: ChangeKind) {
        self.found.push(Change { place: self.place.clone(), kind });
    }

    fn at(&mut self, part: &str, compare: impl FnOnce(&mut Self)) {
        let length = self.place.len();
        self.place.push_str(part);
        compare(self);
        self.place.truncate(length);
    }

    fn types(&mut self, older_id: TypeId, newer_id: TypeId) {
        if !self.seen.insert((older_id, newer_id)) {
            return;
        }
        let (older, newer) = (self.older.get(older_id), self.newer.get(newer_id));
        match (older, newer) {
            (Type::Union(older), Type::Union(newer)) => self.unions(older, newer),
            (Type::Union(older), _) => self.unions(older, &[newer_id]),
            (_, Type::Union(newer)) => self.unions(&[older_id], newer),
            _ if older.kind() != newer.kind() => {
                let (from, to) = (describe(self.older, older_id), describe(self.newer, newer_id));
                self.report(ChangeKind::Type { from, to });
                self.logical_types(logical(older), logical(newer));
            }
            _ => self.of_one_kind(older, newer),
        }
        let (older, newer) = (self.older.attributes(older_id), self.newer.attributes(newer_id));
        self.attributes(older, newer);
    }

    fn of_one_kind(&mut self, older: &'a Type, newer: &'a Type) {
        if let (Some(from), Some(to)) = (older.name(), newer.name())
            && from != to
        {
            self.report(ChangeKind::Name { from: from.to_string(), to: to.to_string() });
        }
        self.logical_types(logical(older), logical(newer));
        match (older, newer) {
            (Type::Array(older), Type::Array(newer)) => self.at("[]", |it| it.types(*older, *newer)),
            (Type::Map(older), Type::Map(newer)) => self.at("{}", |it| it.types(*older, *newer)),
            (Type::Record(older), Type::Record(newer)) => self.records(older, newer),
            (Type::Enum(older), Type::Enum(newer)) => self.enums(older, newer),
            (Type::Fixed(older), Type::Fixed(newer)) if older.size != newer.size => {
                self.report(ChangeKind::Size { from: older.size, to: newer.size });
            }
            _ => {}
        }
    }

    fn logical_types(&mut self, older: Option<LogicalType>, newer: Option<LogicalType>) {
        if older == newer {
            return;
        }
        let shown = |of: Option<LogicalType>| of.map_or("a plain value".to_owned(), describe_logical);
        match (older, newer) {
            (
                Some(LogicalType::Decimal { precision: from, scale: from_scale }),
                Some(LogicalType::Decimal { precision: to, scale: to_scale }),
            ) => {
                if from_scale != to_scale {
                    self.report(ChangeKind::Scale { from: from_scale, to: to_scale });
                }
                if from != to {
                    self.report(ChangeKind::Precision { from, to });
                }
            }
            _ => match (older.and_then(time_of), newer.and_then(time_of)) {
                (Some((one, from)), Some((other, to))) if one == other => {
                    self.report(ChangeKind::Unit { from: from.to_owned(), to: to.to_owned() });
                }
                _ => self.report(ChangeKind::LogicalType { from: shown(older), to: shown(newer) }),
            },
        }
    }

    fn records(&mut self, older: &'a Record, newer: &'a Record) {
        let mut read = HashSet::new();
        for field in &newer.fields {
            let source = source_of(older, newer, field);
            let part = if self.place.is_empty() { field.name.clone() } else { format!(".{}", field.name) };
            self.at(&part, |it| match source {
                Some(source) => {
                    read.insert(&source.name);
                    it.fields(source, field);
                }
                None => it.report(ChangeKind::FieldAdded { default: field.default.clone() }),
            });
        }
        for field in older.fields.iter().filter(|field| !read.contains(&field.name)) {
            let part = if self.place.is_empty() { field.name.clone() } else { format!(".{}", field.name) };
            self.at(&part, |it| it.report(ChangeKind::FieldRemoved));
        }
        self.documentation(older.doc.as_ref(), newer.doc.as_ref());
    }

    fn fields(&mut self, older: &'a Field, newer: &'a Field) {
        if older.name != newer.name {
            self.report(ChangeKind::FieldRenamed { from: older.name.clone() });
        }
        self.types(older.field_type, newer.field_type);
        self.defaults(older.default.as_ref(), newer.default.as_ref());
        if older.order != newer.order {
            self.report(ChangeKind::Order);
        }
        self.documentation(older.doc.as_ref(), newer.doc.as_ref());
        self.attributes(&older.attributes, &newer.attributes);
    }

    fn enums(&mut self, older: &Enum, newer: &Enum) {
        for symbol in older.symbols.iter().filter(|symbol| !newer.symbols.contains(symbol)) {
            self.report(ChangeKind::SymbolRemoved { symbol: symbol.clone() });
        }
        for symbol in newer.symbols.iter().filter(|symbol| !older.symbols.contains(symbol)) {
            self.report(ChangeKind::SymbolAdded { symbol: symbol.clone() });
        }
        let json = |default: &Option<String>| default.clone().map(Json::String);
        self.defaults(json(&older.default).as_ref(), json(&newer.default).as_ref());
        self.documentation(older.doc.as_ref(), newer.doc.as_ref());
    }

    fn unions(&mut self, older: &[TypeId], newer: &[TypeId]) {
        let mut read = HashSet::new();
        for older_id in older {
            let branch = self.older.get(*older_id);
            match branch_for(self.newer, newer, branch) {
                Some(newer_id) if is_same(self.newer.get(newer_id), branch) => {
                    read.insert(newer_id);
                    self.types(*older_id, newer_id);
                }
                Some(newer_id) => {
                    let (from, to) = (describe(self.older, *older_id), describe(self.newer, newer_id));
                    self.report(ChangeKind::BranchReadAs { from, to });
                }
                None => self.report(ChangeKind::BranchRemoved { branch: describe(self.older, *older_id) }),
            }
        }
        for newer_id in newer.iter().filter(|newer_id| !read.contains(*newer_id)) {
            self.report(ChangeKind::BranchAdded { branch: describe(self.newer, *newer_id) });
        }
    }

    fn defaults(&mut self, older: Option<&Json>, newer: Option<&Json>) {
        if older != newer {
            self.report(ChangeKind::Default { from: older.cloned(), to: newer.cloned() });
        }
    }

    fn documentation(&mut self, older: Option<&String>, newer: Option<&String>) {
        if older != newer {
            self.report(ChangeKind::Documentation);
        }
    }

    /// Those of logical types are compared as what they mean.
    fn attributes(&mut self, older: &Map<String, Json>, newer: &Map<String, Json>) {
        let names: HashSet<&String> = older.keys().chain(newer.keys()).collect();
        let differs = |name: &&&String| older.get(**name) != newer.get(**name);
        let is_logical = |name: &&&String| ["logicalType", "precision", "scale"].contains(&name.as_str());
        let mut names: Vec<_> = names.iter().filter(differs).filter(|name| !is_logical(name)).collect();
        names.sort_unstable();
        for name in names {
            self.report(ChangeKind::Attribute { name: (*name).clone() });
        }
    }
}

/// The older field that a newer one reads. As in Avro the aliases of all newer fields rename the older ones before names are compared.
fn source_of<'a>(older: &'a Record, newer: &Record, field: &Field) -> Option<&'a Field> {
    let named = |name: &String| older.fields.iter().find(|candidate| candidate.name == *name);
    let is_renamed =
        || newer.fields.iter().any(|it| it.name != field.name && it.aliases.contains(&field.name));
    let renamed = field.aliases.iter().find_map(named);
    renamed.or_else(|| named(&field.name).filter(|_| !is_renamed()))
}
