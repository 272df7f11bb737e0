//! Operators, functions and macros of rules, and the types that they take. The list is frozen: one more makes it the
//! next version of the language.
//!
//! | function | takes | gives |
//! | --- | --- | --- |
//! | `size(x)` | string (in characters), bytes, list, map | int |
//! | `text.contains(t)`, `text.startsWith(t)`, `text.endsWith(t)` | string | bool |
//! | `text.replace(from, to)` | string; `to` not longer than `from` | string |
//! | `int(x)`, `uint(x)` | int, double (without its fraction), string, decimal without a fraction | int |
//! | `double(x)` | int, double, string, decimal | double |
//! | `string(x)` | bool, int, double, decimal, string, bytes in UTF-8 | string |
//! | `bool(x)` | bool, string | bool |
//! | `bytes(x)` | string, bytes | bytes |
//! | `decimal(x)` | string, int, decimal | decimal |
//! | `minorUnits(x)` | decimal, int or string | decimal: × 100 with three decimals |
//! | `add(a, b)`, `sub(a, b)`, `mul(a, b)` | decimals, ints or strings | decimal, exact |
//! | `sum(list)` | list of decimals, ints or strings | decimal; of none 0 |
//! | `sumProduct(list, 'f', 'g')` | list of records with such fields | decimal: Σ f × g |
//! | `type(x) == name` | what may be null or of several types | bool |
//! | `json(text, name)` | string with JSON of a scalar type | that type |

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::check::{Checked, Checker, Refusal, comparable, guard, ordered};
use super::facts::Facts;
use super::node::{Comparison, Function, Loop, LoopKind, Node, Operator, Part, TypeName};
use super::types::{Kind, Type};

impl Checker<'_> {
    /// A call that is not a condition.
    pub(super) fn operation(&mut self, expr: &IdedExpr, call: &CallExpr, facts: &Facts) -> Checked {
        if let Some(target) = &call.target
            && let Some(checked) = self.loop_over(expr, target, call, facts)
        {
            return checked;
        }
        // `x.size()` is `size(x)`.
        let arguments: Vec<&IdedExpr> = call.target.iter().map(AsRef::as_ref).chain(&call.args).collect();
        match (call.func_name.as_str(), &arguments[..]) {
            (operators::NEGATE, [operand]) => {
                let (node, of) = self.check(operand, facts)?;
                match of.only() {
                    Some(Kind::Int | Kind::Double | Kind::Decimal) => Ok((Node::Negate(Box::new(node)), of)),
                    _ => Err(self.refuse(expr, format!("negates {}{}", self.describe(&of), guard(&of)))),
                }
            }
            (operators::INDEX, [operand, index]) => self.index(expr, operand, index, facts),
            (operators::IN, [item, list]) => self.contained(expr, item, list, facts),
            (name, [one, other]) if calculation(name).is_some() || comparison(name).is_some() => {
                self.two(expr, name, one, other, facts)
            }
            ("json", [text, name]) => self.json(expr, text, name, facts),
            ("sumProduct", [list, one, other]) => self.sum_product(expr, list, [one, other], facts),
            ("type", [_]) => {
                Err(self.refuse(expr, "uses a type; it can only be compared: type(old.x) == int"))
            }
            (name, _) => self.function(expr, name, &arguments, call.target.is_some(), facts),
        }
    }

    fn function(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        arguments: &[&IdedExpr],
        is_method: bool,
        facts: &Facts,
    ) -> Checked {
        let Some(signature) = signature(name) else {
            return Err(self.refuse(expr, format!("calls {name}, which is not a function of rules")));
        };
        if arguments.len() != signature.takes.len() || (is_method != signature.is_method && name != "size") {
            return Err(self.refuse(expr, format!("calls {name} not as {}", signature.written)));
        }
        let mut nodes = Vec::new();
        for (argument, takes) in arguments.iter().zip(signature.takes) {
            let (node, of) = self.check(argument, facts)?;
            let fits = !of.kinds().is_empty() && of.kinds().iter().all(takes);
            if !fits {
                let of_null = if of.is_nullable() { guard(&of) } else { "" };
                let problem = format!("calls {name} with {}{of_null}", self.describe(&of));
                return Err(self.refuse(argument, problem));
            }
            nodes.push(node);
        }
        Ok((Node::Call(signature.function, nodes), signature.gives.into()))
    }

    fn two(
        &mut self,
        expr: &IdedExpr,
        name: &str,
        one: &IdedExpr,
        other: &IdedExpr,
        facts: &Facts,
    ) -> Checked {
        let (left, one) = self.check(one, facts)?;
        let (right, other) = self.check(other, facts)?;
        let operands = Box::new([left, right]);
        if let Some(comparison) = comparison(name) {
            return match (one.only(), other.only()) {
                (Some(one), Some(other)) if ordered(one, other) => {
                    Ok((Node::Compare(comparison, operands), Kind::Bool.into()))
                }
                _ => Err(self.unlike(expr, &one, &other)),
            };
        }
        let operator = calculation(name);
        let result = match (one.only(), other.only(), operator) {
            (Some(one), Some(other), Some(operator)) => calculated(one, other, operator),
            _ => None,
        };
        match (result, operator) {
            (Some(of), Some(operator)) => Ok((Node::Calculate(operator, operands), of.into())),
            _ => {
                let hint = match (guard(&one), guard(&other)) {
                    ("", hint) | (hint, _) => hint,
                };
                let (one, other) = (self.describe(&one), self.describe(&other));
                let symbol = name.trim_matches('_');
                Err(self.refuse(expr, format!("calculates {one} {symbol} {other}{hint}")))
            }
        }
    }

    fn index(&mut self, expr: &IdedExpr, operand: &IdedExpr, index: &IdedExpr, facts: &Facts) -> Checked {
        let (node, of) = self.check(operand, facts)?;
        if let (Some(Kind::Record(_) | Kind::Object(_)), Some(name)) = (of.only(), literal_text(index)) {
            return self.member(expr, node, &of, name);
        }
        let (index, index_type) = self.check(index, facts)?;
        match (of.only(), index_type.only()) {
            (Some(Kind::List(items)), Some(Kind::Int)) | (Some(Kind::Map(items)), Some(Kind::Text)) => {
                Ok((Node::Index(Box::new(node), Box::new(index)), items.clone()))
            }
            _ => {
                let hint = guard(&of);
                let (of, index) = (self.describe(&of), self.describe(&index_type));
                Err(self.refuse(expr, format!("reads item {index} of {of}{hint}")))
            }
        }
    }

    fn contained(&mut self, expr: &IdedExpr, item: &IdedExpr, list: &IdedExpr, facts: &Facts) -> Checked {
        let (item, of) = self.check(item, facts)?;
        let (list, list_type) = self.check(list, facts)?;
        let fits = match list_type.only() {
            Some(Kind::List(items)) => items.kinds().is_empty() || comparable(&of, items),
            Some(Kind::Map(_) | Kind::Object(_)) => of.is(&Kind::Text),
            _ => false,
        };
        if fits {
            Ok((Node::In(Box::new([item, list])), Kind::Bool.into()))
        } else {
            let (of, list) = (self.describe(&of), self.describe(&list_type));
            Err(self.refuse(expr, format!("looks for {of} in {list}")))
        }
    }

    fn json(&mut self, expr: &IdedExpr, text: &IdedExpr, name: &IdedExpr, facts: &Facts) -> Checked {
        let (text, of) = self.check(text, facts)?;
        if !of.is(&Kind::Text) {
            let problem = format!("reads JSON from {}{}", self.describe(&of), guard(&of));
            return Err(self.refuse(expr, problem));
        }
        let written = match &name.expr {
            Expr::Ident(name) => Some(name.as_str()),
            _ => literal_text(name),
        };
        let named = written.and_then(TypeName::parse);
        let kind = match named {
            Some(TypeName::Bool) => Kind::Bool,
            Some(TypeName::Int) => Kind::Int,
            Some(TypeName::Double) => Kind::Double,
            Some(TypeName::Decimal) => Kind::Decimal,
            Some(TypeName::Text) => Kind::Text,
            _ => {
                let problem = "json needs the name of a type: bool, int, double, decimal or string";
                return Err(self.refuse(name, problem));
            }
        };
        let named = named.unwrap_or(TypeName::Text);
        Ok((Node::Json(Box::new(text), named), kind.into()))
    }

    fn sum_product(
        &mut self,
        expr: &IdedExpr,
        list: &IdedExpr,
        fields: [&IdedExpr; 2],
        facts: &Facts,
    ) -> Checked {
        let (node, of) = self.check(list, facts)?;
        let Some(Kind::List(items)) = of.only() else {
            let problem = format!("calls sumProduct with {}{}", self.describe(&of), guard(&of));
            return Err(self.refuse(expr, problem));
        };
        let [one, other] = fields;
        let parts = [self.part(one, items)?, self.part(other, items)?];
        Ok((Node::SumProduct(Box::new(node), parts), Kind::Decimal.into()))
    }

    fn part(&self, name: &IdedExpr, items: &Type) -> Result<Part, Refusal> {
        let Some(text) = literal_text(name) else {
            return Err(self.refuse(name, "calls sumProduct with a field's name that is not a text"));
        };
        let (part, of) = match items.only() {
            Some(Kind::Record(record)) => {
                let (index, of) = self.field(name, *record, text)?;
                (Part::Field(index), of)
            }
            _ => {
                let (_, of) = self.member(name, Node::Null, items, text)?;
                (Part::Member(text.to_owned()), of)
            }
        };
        if of.kinds().iter().all(is_amount) {
            Ok(part)
        } else {
            let problem = format!("calls sumProduct with {text}, which is {}", self.describe(&of));
            Err(self.refuse(name, problem))
        }
    }

    /// A macro, if the call is one.
    fn loop_over(
        &mut self,
        expr: &IdedExpr,
        target: &IdedExpr,
        call: &CallExpr,
        facts: &Facts,
    ) -> Option<Checked> {
        let (variable, condition, body) = match (call.func_name.as_str(), &call.args[..]) {
            ("all" | "exists" | "exists_one" | "existsOne" | "map" | "filter", [variable, body]) => {
                (variable, None, body)
            }
            ("map", [variable, condition, body]) => (variable, Some(condition), body),
            _ => return None,
        };
        Some(self.loop_of(expr, target, &call.func_name, (variable, condition, body), facts))
    }

    fn loop_of(
        &mut self,
        expr: &IdedExpr,
        target: &IdedExpr,
        name: &str,
        (variable, condition, body): (&IdedExpr, Option<&IdedExpr>, &IdedExpr),
        facts: &Facts,
    ) -> Checked {
        let (over, of) = self.check(target, facts)?;
        let item = match of.only() {
            Some(Kind::List(items)) => items.clone(),
            Some(Kind::Map(_) | Kind::Object(_)) => Kind::Text.into(),
            _ => {
                return Err(
                    self.refuse(expr, format!("calls {name} of {}{}", self.describe(&of), guard(&of)))
                );
            }
        };
        let Expr::Ident(variable_name) = &variable.expr else {
            return Err(self.refuse(variable, format!("calls {name} without the name of a variable")));
        };
        let variable = self.variables.len();
        self.variables.push((variable_name.clone(), item.clone()));
        let checked = self.body(name, condition, body, facts);
        self.variables.truncate(variable);
        let (kind, body, of) = checked?;
        let gives = match kind {
            LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne => Kind::Bool,
            LoopKind::Filter => Kind::List(item),
            LoopKind::Map | LoopKind::MapWhere(_) => Kind::List(of),
        };
        Ok((Node::Loop(Box::new(Loop { over, variable, kind, body })), gives.into()))
    }

    fn body(
        &mut self,
        name: &str,
        condition: Option<&IdedExpr>,
        body: &IdedExpr,
        facts: &Facts,
    ) -> Result<(LoopKind, Node, Type), Refusal> {
        let kind = match (name, condition) {
            ("map", None) => LoopKind::Map,
            ("map", Some(condition)) => {
                let (condition, shown) = self.condition(condition, facts)?;
                let (body, of) = self.check(body, &facts.with(&shown.if_true))?;
                return Ok((LoopKind::MapWhere(condition), body, of));
            }
            ("all", _) => LoopKind::All,
            ("exists", _) => LoopKind::Exists,
            ("filter", _) => LoopKind::Filter,
            _ => LoopKind::ExistsOne,
        };
        let (body, of) = match kind {
            LoopKind::Map => self.check(body, facts)?,
            _ => (self.condition(body, facts)?.0, Kind::Bool.into()),
        };
        Ok((kind, body, of))
    }
}

/// How a function is called.
struct Signature {
    function: Function,
    /// How to write it, for errors.
    written: &'static str,
    is_method: bool,
    takes: &'static [fn(&Kind) -> bool],
    gives: Kind,
}

fn signature(name: &str) -> Option<Signature> {
    let method =
        |function, written, takes, gives| Signature { function, written, is_method: true, takes, gives };
    let plain =
        |function, written, takes, gives| Signature { function, written, is_method: false, takes, gives };
    const TEXT: fn(&Kind) -> bool = |kind| *kind == Kind::Text;
    Some(match name {
        "size" => plain(Function::Size, "size(x)", &[has_size], Kind::Int),
        "contains" => method(Function::Contains, "text.contains(t)", &[TEXT, TEXT], Kind::Bool),
        "startsWith" => method(Function::StartsWith, "text.startsWith(t)", &[TEXT, TEXT], Kind::Bool),
        "endsWith" => method(Function::EndsWith, "text.endsWith(t)", &[TEXT, TEXT], Kind::Bool),
        "replace" => method(Function::Replace, "text.replace(from, to)", &[TEXT, TEXT, TEXT], Kind::Text),
        "int" => plain(Function::ToInt, "int(x)", &[is_number], Kind::Int),
        "uint" => plain(Function::ToUnsigned, "uint(x)", &[is_number], Kind::Int),
        "double" => plain(Function::ToDouble, "double(x)", &[is_number], Kind::Double),
        "string" => plain(Function::ToText, "string(x)", &[is_scalar], Kind::Text),
        "bool" => {
            plain(Function::ToBool, "bool(x)", &[|kind| matches!(kind, Kind::Bool | Kind::Text)], Kind::Bool)
        }
        "bytes" => plain(
            Function::ToBytes,
            "bytes(x)",
            &[|kind| matches!(kind, Kind::Bytes | Kind::Text)],
            Kind::Bytes,
        ),
        "decimal" => plain(Function::ToDecimal, "decimal(x)", &[is_amount], Kind::Decimal),
        "minorUnits" => plain(Function::MinorUnits, "minorUnits(x)", &[is_amount], Kind::Decimal),
        "add" => plain(Function::Add, "add(a, b)", &[is_amount, is_amount], Kind::Decimal),
        "sub" => plain(Function::Sub, "sub(a, b)", &[is_amount, is_amount], Kind::Decimal),
        "mul" => plain(Function::Mul, "mul(a, b)", &[is_amount, is_amount], Kind::Decimal),
        "sum" => plain(
            Function::Sum,
            "sum(list)",
            &[|kind| matches!(kind, Kind::List(items) if items.kinds().iter().all(is_amount))],
            Kind::Decimal,
        ),
        _ => return None,
    })
}

fn has_size(kind: &Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Bytes | Kind::List(_) | Kind::Map(_) | Kind::Object(_))
}

fn is_number(kind: &Kind) -> bool {
    matches!(kind, Kind::Int | Kind::Double | Kind::Decimal | Kind::Text)
}

fn is_scalar(kind: &Kind) -> bool {
    is_number(kind) || matches!(kind, Kind::Bool | Kind::Bytes)
}

/// What the functions on decimals take.
fn is_amount(kind: &Kind) -> bool {
    matches!(kind, Kind::Decimal | Kind::Int | Kind::Text)
}

fn calculation(name: &str) -> Option<Operator> {
    Some(match name {
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Remainder,
        _ => return None,
    })
}

/// Those that need an order; the equalities are conditions that may show something.
fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// What a calculation gives; `None` where there is none for such operands.
fn calculated(one: &Kind, other: &Kind, operator: Operator) -> Option<Kind> {
    let exact = matches!(operator, Operator::Add | Operator::Subtract | Operator::Multiply);
    let joins = operator == Operator::Add;
    match (one, other) {
        (Kind::Int, Kind::Int) => Some(Kind::Int),
        (Kind::Double, Kind::Double) => (operator != Operator::Remainder).then_some(Kind::Double),
        (Kind::Decimal | Kind::Int, Kind::Decimal | Kind::Int) => exact.then_some(Kind::Decimal),
        (Kind::Text, Kind::Text) => joins.then_some(Kind::Text),
        (Kind::Bytes, Kind::Bytes) => joins.then_some(Kind::Bytes),
        (Kind::List(one), Kind::List(other)) => joins.then(|| Kind::List(one.clone().or(other.clone()))),
        _ => None,
    }
}

fn literal_text(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
