//! Checks a rule against the older version's schema: every name is known, every operand has a type that its operator
//! takes, for every event of the older version.

use cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators,
};

use super::facts::{Facts, Place, Shown};
use super::node::{Comparison, Node, TypeName};
use super::parse::too_deep;
use super::types::{Kind, Type};
use crate::layout::types::Layout;
use crate::limits::MAX_RULE_DEPTH;

/// The enclosing record of the older version.
pub(super) const OLD: &str = "old";
/// The whole event of the older version.
pub(super) const EVENT: &str = "event";
/// Their variables; those of macros follow.
pub(super) const OLD_VARIABLE: usize = 0;
pub(super) const EVENT_VARIABLE: usize = 1;

/// An expression that was checked, and its type.
pub(super) type Checked = Result<(Node, Type), Refusal>;

/// Why a rule is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) problem: String,
    /// In characters from the beginning of the rule.
    pub(super) at: Option<u32>,
}

pub(super) struct Checker<'c> {
    pub(super) layout: &'c Layout,
    source: &'c SourceInfo,
    pub(super) variables: Vec<(String, Type)>,
    depth: usize,
}

impl<'c> Checker<'c> {
    /// For a rule of a record that is made of the older layout's `record`.
    pub(super) fn new(layout: &'c Layout, record: usize, source: &'c SourceInfo) -> Self {
        let variables = vec![
            (OLD.to_owned(), Kind::Record(record).into()),
            (EVENT.to_owned(), Kind::Record(Layout::EVENT).into()),
        ];
        Self { layout, source, variables, depth: 0 }
    }

    pub(super) fn refuse(&self, at: &IdedExpr, problem: impl Into<String>) -> Refusal {
        let at = self.source.offset_for(at.id).map(|(start, _)| start + 1);
        Refusal { problem: problem.into(), at }
    }

    pub(super) fn describe(&self, of: &Type) -> String {
        of.describe(self.layout)
    }

    pub(super) fn check(&mut self, expr: &IdedExpr, facts: &Facts) -> Checked {
        self.depth += 1;
        if self.depth > MAX_RULE_DEPTH {
            return Err(self.refuse(expr, too_deep()));
        }
        let (node, of) = self.expression(expr, facts)?;
        self.depth -= 1;
        let shown = self.place(expr).and_then(|place| facts.of(&place).cloned());
        Ok((node, shown.unwrap_or(of)))
    }

    fn expression(&mut self, expr: &IdedExpr, facts: &Facts) -> Checked {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(name) => match self.variable(name) {
                Some((index, of)) => Ok((Node::Variable(index), of)),
                None => Err(self.refuse(expr, format!("refers to {name}; there are only {OLD} and {EVENT}"))),
            },
            Expr::Select(select) => self.select(expr, select, facts),
            Expr::List(list) => {
                let (mut items, mut of) = (Vec::new(), Type::nothing());
                for element in &list.elements {
                    let (item, item_type) = self.check(element, facts)?;
                    items.push(item);
                    of = of.or(item_type);
                }
                Ok((Node::List(items), Kind::List(of).into()))
            }
            Expr::Map(map) => self.map(expr, &map.entries, facts),
            Expr::Call(call) => self.call(expr, call, facts),
            Expr::Struct(_) => Err(self.refuse(expr, "makes a CEL struct; write a map")),
            Expr::Unspecified | Expr::Comprehension(_) => {
                Err(self.refuse(expr, "has an expression that rules do not have"))
            }
        }
    }

    fn variable(&self, name: &str) -> Option<(usize, Type)> {
        let index = self.variables.iter().rposition(|(known, _)| known == name)?;
        Some((index, self.variables[index].1.clone()))
    }

    /// The place that an expression reads, if it is a variable or a chain of fields.
    fn place(&self, expr: &IdedExpr) -> Option<Place> {
        match &expr.expr {
            Expr::Ident(name) => {
                self.variable(name).map(|(variable, _)| Place { variable, fields: Vec::new() })
            }
            Expr::Select(select) if !select.test => {
                let mut place = self.place(&select.operand)?;
                let mut of = self.variables.get(place.variable)?.1.clone();
                for field in &place.fields {
                    of = self.record_of(&of)?.fields.get(*field).map(|field| Type::of(&field.shape))?;
                }
                let record = self.record_of(&of)?;
                place.fields.push(record.fields.iter().position(|field| field.name == select.field)?);
                Some(place)
            }
            _ => None,
        }
    }

    /// The record of a type that is one, or null.
    fn record_of(&self, of: &Type) -> Option<&'c crate::layout::types::Record> {
        match of.retain(|kind| *kind != Kind::Null).only() {
            Some(Kind::Record(index)) => self.layout.records.get(*index),
            _ => None,
        }
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Checked {
        Ok(match literal {
            LiteralValue::Null => (Node::Null, Kind::Null.into()),
            LiteralValue::Boolean(flag) => (Node::Bool(*flag.inner()), Kind::Bool.into()),
            LiteralValue::Int(number) => (Node::Int(*number.inner()), Kind::Int.into()),
            LiteralValue::UInt(number) => {
                let number = i64::try_from(*number.inner());
                let number = number.map_err(|_| self.refuse(expr, "has a number beyond 64 bits"))?;
                (Node::Int(number), Kind::Int.into())
            }
            LiteralValue::Double(number) => (Node::Double(*number.inner()), Kind::Double.into()),
            LiteralValue::String(text) => (Node::Text(text.inner().to_owned()), Kind::Text.into()),
            LiteralValue::Bytes(bytes) => (Node::Bytes(bytes.inner().to_vec()), Kind::Bytes.into()),
        })
    }

    fn select(&mut self, expr: &IdedExpr, select: &SelectExpr, facts: &Facts) -> Checked {
        let (operand, of) = self.check(&select.operand, facts)?;
        self.member(expr, operand, &of, &select.field)
    }

    /// A field of a record, or the value of a map's key.
    pub(super) fn member(&self, expr: &IdedExpr, operand: Node, of: &Type, name: &str) -> Checked {
        match of.only() {
            Some(Kind::Record(index)) => {
                let (index, of) = self.field(expr, *index, name)?;
                Ok((Node::Field(Box::new(operand), index), of))
            }
            Some(Kind::Map(values)) => Ok((Node::Member(Box::new(operand), name.to_owned()), values.clone())),
            Some(Kind::Object(members)) => match members.iter().find(|(key, _)| key == name) {
                Some((_, of)) => Ok((Node::Member(Box::new(operand), name.to_owned()), of.clone())),
                None => Err(self.refuse(expr, format!("reads {name} of a map that does not have it"))),
            },
            _ => Err(self.refuse(expr, format!("reads {name} of {}{}", self.describe(of), guard(of)))),
        }
    }

    pub(super) fn field(&self, expr: &IdedExpr, record: usize, name: &str) -> Result<(usize, Type), Refusal> {
        let record = &self.layout.records[record];
        match record.fields.iter().position(|field| field.name == name) {
            Some(index) => Ok((index, Type::of(&record.fields[index].shape))),
            None => {
                let names: Vec<_> = record.fields.iter().take(20).map(|field| field.name.as_str()).collect();
                let problem = format!(
                    "reads {name}, which {} does not have in the older version; it has {}",
                    record.name.full,
                    names.join(", ")
                );
                Err(self.refuse(expr, problem))
            }
        }
    }

    fn map(
        &mut self,
        expr: &IdedExpr,
        entries: &[cel::common::ast::IdedEntryExpr],
        facts: &Facts,
    ) -> Checked {
        let (mut nodes, mut values, mut members) = (Vec::new(), Type::nothing(), Vec::new());
        for entry in entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(self.refuse(expr, "makes a CEL struct; write a map"));
            };
            let (key, key_type) = self.check(&entry.key, facts)?;
            if !key_type.is(&Kind::Text) {
                let problem =
                    format!("has a map with a key that is {}, not string", self.describe(&key_type));
                return Err(self.refuse(&entry.key, problem));
            }
            let (value, of) = self.check(&entry.value, facts)?;
            if let Node::Text(key) = &key {
                if members.iter().any(|(known, _)| known == key) {
                    return Err(self.refuse(&entry.key, format!("has a map with the key {key:?} twice")));
                }
                members.push((key.clone(), of.clone()));
            }
            values = values.or(of);
            nodes.push((key, value));
        }
        let kind = if members.len() == nodes.len() {
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            nodes.sort_by(|(one, _), (other, _)| match (one, other) {
                (Node::Text(one), Node::Text(other)) => one.cmp(other),
                _ => std::cmp::Ordering::Equal,
            });
            Kind::Object(members)
        } else {
            Kind::Map(values)
        };
        Ok((Node::Map(nodes), kind.into()))
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr, facts: &Facts) -> Checked {
        match (call.func_name.as_str(), &call.args[..]) {
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                let (condition, shown) = self.condition(condition, facts)?;
                let (then, one) = self.check(then, &facts.with(&shown.if_true))?;
                let (otherwise, other) = self.check(otherwise, &facts.with(&shown.if_false))?;
                Ok((Node::Choice(Box::new([condition, then, otherwise])), one.or(other)))
            }
            (
                operators::LOGICAL_AND
                | operators::LOGICAL_OR
                | operators::LOGICAL_NOT
                | operators::EQUALS
                | operators::NOT_EQUALS
                | operators::HAS,
                _,
            ) => self.condition_node(expr, call, facts).map(|(node, _)| (node, Kind::Bool.into())),
            _ => self.operation(expr, call, facts),
        }
    }

    /// A condition, and what it shows.
    pub(super) fn condition(&mut self, expr: &IdedExpr, facts: &Facts) -> Result<(Node, Shown), Refusal> {
        if let Expr::Call(call) = &expr.expr
            && matches!(
                call.func_name.as_str(),
                operators::LOGICAL_AND
                    | operators::LOGICAL_OR
                    | operators::LOGICAL_NOT
                    | operators::EQUALS
                    | operators::NOT_EQUALS
                    | operators::HAS
            )
        {
            self.depth += 1;
            if self.depth > MAX_RULE_DEPTH {
                return Err(self.refuse(expr, too_deep()));
            }
            let condition = self.condition_node(expr, call, facts)?;
            self.depth -= 1;
            return Ok(condition);
        }
        let (node, of) = self.check(expr, facts)?;
        if of.is(&Kind::Bool) {
            Ok((node, Shown::default()))
        } else {
            let problem = format!("needs a bool as a condition, not {}{}", self.describe(&of), guard(&of));
            Err(self.refuse(expr, problem))
        }
    }

    fn condition_node(
        &mut self,
        expr: &IdedExpr,
        call: &CallExpr,
        facts: &Facts,
    ) -> Result<(Node, Shown), Refusal> {
        match (call.func_name.as_str(), &call.args[..]) {
            (operators::LOGICAL_AND, [one, other]) => {
                let (one, first) = self.condition(one, facts)?;
                let (other, second) = self.condition(other, &facts.with(&first.if_true))?;
                let shown =
                    Shown { if_true: first.if_true.with(&second.if_true), if_false: Facts::default() };
                Ok((Node::And(Box::new(one), Box::new(other)), shown))
            }
            (operators::LOGICAL_OR, [one, other]) => {
                let (one, first) = self.condition(one, facts)?;
                let (other, second) = self.condition(other, &facts.with(&first.if_false))?;
                let shown =
                    Shown { if_true: Facts::default(), if_false: first.if_false.with(&second.if_false) };
                Ok((Node::Or(Box::new(one), Box::new(other)), shown))
            }
            (operators::LOGICAL_NOT, [operand]) => {
                let (node, shown) = self.condition(operand, facts)?;
                Ok((Node::Not(Box::new(node)), shown.negated()))
            }
            (operators::EQUALS, [one, other]) => self.equality(expr, one, other, facts),
            (operators::NOT_EQUALS, [one, other]) => {
                let (node, shown) = self.equality(expr, one, other, facts)?;
                let node = match node {
                    Node::Compare(_, operands) => Node::Compare(Comparison::NotEqual, operands),
                    node => Node::Not(Box::new(node)),
                };
                Ok((node, shown.negated()))
            }
            (operators::HAS, [IdedExpr { expr: Expr::Select(select), .. }]) => {
                self.has(expr, &call.args[0], select, facts)
            }
            (operators::HAS, _) => Err(self.refuse(expr, "has needs a field: has(old.x)")),
            (name, _) => Err(self.refuse(expr, format!("calls {name} with a wrong number of arguments"))),
        }
    }

    fn equality(
        &mut self,
        expr: &IdedExpr,
        one: &IdedExpr,
        other: &IdedExpr,
        facts: &Facts,
    ) -> Result<(Node, Shown), Refusal> {
        for (call, name) in [(one, other), (other, one)] {
            if let Some(operand) = argument_of_type(call) {
                return self.is_of_type(operand, name, facts);
            }
        }
        for (null, operand) in [(one, other), (other, one)] {
            if matches!(null.expr, Expr::Literal(LiteralValue::Null)) {
                return self.is_null(expr, operand, facts);
            }
        }
        let (node, of) = self.check(one, facts)?;
        let (other_node, other_type) = self.check(other, facts)?;
        if !comparable(&of, &other_type) {
            return Err(self.unlike(expr, &of, &other_type));
        }
        Ok((Node::Compare(Comparison::Equal, Box::new([node, other_node])), Shown::default()))
    }

    pub(super) fn unlike(&self, expr: &IdedExpr, one: &Type, other: &Type) -> Refusal {
        let text_and_decimal = [one, other].into_iter().any(|of| of.is(&Kind::Decimal))
            && [one, other].into_iter().any(|of| of.is(&Kind::Text));
        let hint = match (guard(one), guard(other)) {
            _ if text_and_decimal => "; make a decimal of the string: decimal('9.00')",
            ("", hint) | (hint, _) => hint,
        };
        let (one, other) = (self.describe(one), self.describe(other));
        self.refuse(expr, format!("compares {one} with {other}{hint}"))
    }

    fn is_null(
        &mut self,
        expr: &IdedExpr,
        operand: &IdedExpr,
        facts: &Facts,
    ) -> Result<(Node, Shown), Refusal> {
        let (node, of) = self.check(operand, facts)?;
        if !of.is_nullable() {
            let problem = format!("compares {}, which is never null, with null", self.describe(&of));
            return Err(self.refuse(expr, problem));
        }
        let shown = self.shown(operand, &of, |kind| *kind == Kind::Null);
        Ok((Node::IsNull(Box::new(node)), shown))
    }

    fn is_of_type(
        &mut self,
        operand: &IdedExpr,
        name: &IdedExpr,
        facts: &Facts,
    ) -> Result<(Node, Shown), Refusal> {
        let Expr::Ident(text) = &name.expr else {
            return Err(self.refuse(name, "compares a type with what is not the name of one"));
        };
        let Some(wanted) = TypeName::parse(text) else {
            return Err(self.refuse(name, format!("names the type {text}, which rules do not have")));
        };
        let (node, of) = self.check(operand, facts)?;
        if !of.kinds().iter().any(|kind| is_named(kind, wanted)) {
            let problem = format!("asks whether {} is {text}, which it never is", self.describe(&of));
            return Err(self.refuse(name, problem));
        }
        let shown = self.shown(operand, &of, |kind| is_named(kind, wanted));
        Ok((Node::IsOfType(Box::new(node), wanted), shown))
    }

    /// Whether a field is not null, or a map has a key.
    fn has(
        &mut self,
        expr: &IdedExpr,
        selection: &IdedExpr,
        select: &SelectExpr,
        facts: &Facts,
    ) -> Result<(Node, Shown), Refusal> {
        let (operand, of) = self.check(&select.operand, facts)?;
        if let Some(Kind::Map(_)) = of.only() {
            return Ok((Node::HasMember(Box::new(operand), select.field.clone()), Shown::default()));
        }
        let (node, declared) = self.member(expr, operand, &of, &select.field)?;
        let of = self.place(selection).and_then(|place| facts.of(&place).cloned()).unwrap_or(declared);
        let shown = self.shown(selection, &of, |kind| *kind != Kind::Null);
        Ok((Node::Not(Box::new(Node::IsNull(Box::new(node)))), shown))
    }

    fn shown(&self, operand: &IdedExpr, of: &Type, if_true: impl Fn(&Kind) -> bool) -> Shown {
        let Some(place) = self.place(operand) else { return Shown::default() };
        Shown {
            if_true: Facts::one(place.clone(), of.retain(&if_true)),
            if_false: Facts::one(place, of.retain(|kind| !if_true(kind))),
        }
    }
}

/// The `x` of `type(x)`.
fn argument_of_type(expr: &IdedExpr) -> Option<&IdedExpr> {
    match &expr.expr {
        Expr::Call(CallExpr { func_name, target: None, args }) if func_name == "type" => match &args[..] {
            [operand] => Some(operand),
            _ => None,
        },
        _ => None,
    }
}

fn is_named(kind: &Kind, name: TypeName) -> bool {
    match kind {
        Kind::Null => name == TypeName::Null,
        Kind::Bool => name == TypeName::Bool,
        Kind::Int => name == TypeName::Int,
        Kind::Double => name == TypeName::Double,
        Kind::Decimal => name == TypeName::Decimal,
        Kind::Text => name == TypeName::Text,
        Kind::Bytes => name == TypeName::Bytes,
        Kind::List(_) => name == TypeName::List,
        Kind::Map(_) | Kind::Record(_) | Kind::Object(_) => name == TypeName::Map,
    }
}

/// What to write around a value that may be null or of several kinds.
pub(super) fn guard(of: &Type) -> &'static str {
    match of.kinds() {
        [] | [_] => "",
        _ if of.is_nullable() => "; use it where it is known not to be null: old.x != null ? … : …",
        _ => "; use it where its type is known: type(old.x) == int ? … : …",
    }
}

/// Whether values of the two types can be equal: of one kind each, or both numbers.
pub(super) fn comparable(one: &Type, other: &Type) -> bool {
    match (one.only(), other.only()) {
        (Some(Kind::Null), _) | (_, Some(Kind::Null)) => false,
        (Some(one), Some(other)) => ordered(one, other) || alike(one, other),
        _ => false,
    }
}

fn alike(one: &Kind, other: &Kind) -> bool {
    let inner = |one: &Type, other: &Type| {
        one == other || one.kinds().is_empty() || other.kinds().is_empty() || comparable(one, other)
    };
    match (one, other) {
        (Kind::List(one), Kind::List(other)) | (Kind::Map(one), Kind::Map(other)) => inner(one, other),
        (Kind::Map(values), Kind::Object(members)) | (Kind::Object(members), Kind::Map(values)) => {
            members.iter().all(|(_, of)| inner(values, of))
        }
        (one, other) => one == other,
    }
}

/// Whether values of the two kinds have an order.
pub(super) fn ordered(one: &Kind, other: &Kind) -> bool {
    matches!(
        (one, other),
        (Kind::Bool, Kind::Bool)
            | (Kind::Text, Kind::Text)
            | (Kind::Bytes, Kind::Bytes)
            | (Kind::Int | Kind::Double, Kind::Int | Kind::Double)
            | (Kind::Int | Kind::Decimal, Kind::Int | Kind::Decimal)
    )
}
