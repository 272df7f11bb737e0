//! Expressions.

use std::ops::Range;

use crate::sql::paths::names::may_be_function;
use crate::sql::paths::scope::{Scope, Value};
use crate::sql::paths::walker::Walker;

/// Functions that return the first of their arguments that is not null.
const FIRST: [&str; 2] = ["coalesce", "nullif"];
/// Functions that return their argument as JSON.
const SAME: [&str; 3] = ["to_jsonb", "jsonb_strip_nulls", "jsonb_pretty"];
/// Functions that read no field.
const WHOLE: [&str; 9] = [
    "count",
    "jsonb_agg",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "jsonb_typeof",
    "num_nonnulls",
    "num_nulls",
];

impl<'s> Walker<'_, 's> {
    /// All that a range of tokens reads. Its value, if it is one expression that is followed.
    pub(crate) fn expression(&mut self, range: Range<usize>, scope: &Scope<'_, 's>) -> Value<'s> {
        let (mut at, mut values) = (range.start, Vec::new());
        while at < range.end {
            let (value, next) = self.operand(at, range.end, scope);
            values.push(value);
            at = next;
        }
        match values.as_slice() {
            [only] => *only,
            several if several.iter().any(|value| value.has_parts()) => Value::Lost,
            _ => Value::Other,
        }
    }

    /// A name, a call, or what is in parentheses, and the operators behind it that read fields.
    fn operand(&mut self, at: usize, end: usize, scope: &Scope<'_, 's>) -> (Value<'s>, usize) {
        let (mut value, mut at) = self.primary(at, scope);
        while at < end {
            match self.postfix(value, at) {
                Some((read, next)) => (value, at) = (read, next),
                None => break,
            }
        }
        (value, at)
    }

    fn primary(&mut self, at: usize, scope: &Scope<'_, 's>) -> (Value<'s>, usize) {
        if self.tokens.text(at) == "(" {
            return (self.in_parentheses(self.tokens.inside(at), scope), self.tokens.next(at));
        }
        let Some(mut name) = self.tokens.name(at) else { return (Value::Other, at + 1) };
        let (mut qualifier, mut next) = (None, at + 1);
        let mut parts = 1;
        while self.tokens.text(next) == "."
            && let Some(part) = self.tokens.name(next + 1)
        {
            (qualifier, name) = (Some(name), part);
            (parts, next) = (parts + 1, next + 2);
        }
        if self.tokens.text(next) == "(" && (parts > 1 || may_be_function(&name)) {
            return (self.call(&name, next, scope), self.tokens.next(next));
        }
        let value = match (&qualifier, parts) {
            (None, _) => scope.unqualified(&name),
            (Some(relation), 2) => scope.qualified(relation, &name),
            _ => Value::Other,
        };
        (value, next)
    }

    fn in_parentheses(&mut self, inside: Range<usize>, scope: &Scope<'_, 's>) -> Value<'s> {
        if matches!(self.tokens.word(inside.start), "select" | "with" | "values") {
            return self.query(inside, scope).first().map_or(Value::Other, |(_, value)| *value);
        }
        let values: Vec<_> =
            self.tokens.split(inside).into_iter().map(|part| self.expression(part, scope)).collect();
        if let [only] = values.as_slice() { *only } else { Value::Other }
    }

    /// A call of a function, whose arguments begin at a parenthesis.
    pub(crate) fn call(&mut self, function: &str, open: usize, scope: &Scope<'_, 's>) -> Value<'s> {
        let parts = self.tokens.split(self.tokens.inside(open));
        let arguments: Vec<_> = parts.iter().map(|part| self.expression(part.clone(), scope)).collect();
        let first = arguments.first().copied().unwrap_or(Value::Other);
        match function {
            // Which of them it returns is not known.
            _ if FIRST.contains(&function)
                && arguments.iter().filter(|value| value.has_parts()).count() > 1 =>
            {
                Value::Lost
            }
            _ if FIRST.contains(&function) => {
                arguments.into_iter().find(|value| !matches!(value, Value::Other)).unwrap_or(Value::Other)
            }
            _ if SAME.contains(&function) => first,
            _ if WHOLE.contains(&function) => Value::Other,
            "jsonb_array_elements" => self.element(first, open),
            "jsonb_array_elements_text" => match self.element(first, open) {
                Value::Json(place) => Value::Text(place),
                other => other,
            },
            "cast" if arguments.iter().any(|value| value.has_parts()) => Value::Lost,
            _ if arguments.iter().any(|value| value.has_parts()) => {
                self.lose(open, format!("what {function} reads of an event's data is not checked"))
            }
            _ => Value::Other,
        }
    }

    fn element(&mut self, value: Value<'s>, at: usize) -> Value<'s> {
        match value {
            Value::Json(place) => match place.element() {
                Ok(element) => Value::Json(element),
                Err(problem) => self.refuse(at, problem),
            },
            other => other,
        }
    }

    /// An operator behind a value that reads a part of it or casts it; `None` if there is none.
    fn postfix(&mut self, value: Value<'s>, at: usize) -> Option<(Value<'s>, usize)> {
        if self.tokens.has_operator(at, "::") {
            return Some(self.cast(value, at + 2));
        }
        if !value.has_parts() && !matches!(value, Value::Json(_)) {
            return None;
        }
        if self.tokens.text(at) == "[" {
            let inside = self.tokens.inside(at);
            let is_one = inside.len() == 1;
            return Some((self.read(value, if is_one { inside.start } else { at }), self.tokens.next(at)));
        }
        for (operator, is_path, is_text) in
            [("->>", false, true), ("->", false, false), ("#>>", true, true), ("#>", true, false)]
        {
            if self.tokens.has_operator(at, operator) {
                let operand = at + operator.len();
                let (part, next) =
                    if is_path { self.read_path(value, operand) } else { self.read_operand(value, operand) };
                return Some((if is_text { as_text(part) } else { part }, next));
            }
        }
        if matches!(self.tokens.text(at), "?" | "@") && value.has_parts() {
            let problem =
                "an operator that searches in an event's data is not checked: read its fields by -> and ->>";
            return Some((self.lose(at, problem.to_owned()), at + 1));
        }
        None
    }

    /// `::type`
    fn cast(&self, value: Value<'s>, at: usize) -> (Value<'s>, usize) {
        let (mut of, mut next) = (self.tokens.word(at), at + 1);
        while self.tokens.text(next) == "." {
            (of, next) = (self.tokens.word(next + 1), next + 2);
        }
        let cast = match (value, of) {
            (Value::Json(place), "json" | "jsonb") => Value::Json(place),
            (Value::Text(place), "json" | "jsonb") if place.has_parts() => Value::Json(place),
            // A text that is itself JSON, of which the schema says nothing.
            (Value::Text(_), "json" | "jsonb") => Value::Lost,
            (Value::Json(place) | Value::Text(place), "text") => Value::Text(place),
            (Value::Lost, "json" | "jsonb" | "text") => Value::Lost,
            _ => Value::Other,
        };
        if self.tokens.text(next) == "(" {
            next = self.tokens.next(next);
        }
        while self.tokens.text(next) == "[" {
            next = self.tokens.next(next);
        }
        (cast, next)
    }

    /// The operand of `->` or `->>`: the name of a field or the number of an element.
    fn read_operand(&mut self, value: Value<'s>, at: usize) -> (Value<'s>, usize) {
        let is_negative = self.tokens.text(at) == "-";
        let part = self.read(value, at + usize::from(is_negative));
        let is_literal = is_negative || self.is_number(at) || self.tokens.literal(at).is_some();
        if !is_literal {
            return (part, at);
        }
        let next = at + 1 + usize::from(is_negative);
        (part, if self.tokens.has_operator(next, "::") { self.cast(Value::Other, next + 2).1 } else { next })
    }

    /// The field or the element that a literal names.
    fn read(&mut self, value: Value<'s>, at: usize) -> Value<'s> {
        let Value::Json(place) = value else {
            return self
                .lose(at, "it is not known from which part of an event's data this is read".to_owned());
        };
        let part = match self.tokens.literal(at) {
            Some(name) => place.field(&name),
            None if self.is_number(at) => place.element(),
            None => {
                return self.lose(at, "the name of the field is not a literal, and not checked".to_owned());
            }
        };
        part.map_or_else(|problem| self.refuse(at, problem), Value::Json)
    }

    /// The operand of `#>` or `#>>`: `'{lines,0,sku}'` or `array['lines', '0', 'sku']`.
    fn read_path(&mut self, value: Value<'s>, at: usize) -> (Value<'s>, usize) {
        let (names, next) = if self.tokens.word(at) == "array" && self.tokens.text(at + 1) == "[" {
            let parts = self.tokens.split(self.tokens.inside(at + 1));
            let names =
                parts.into_iter().map(|part| self.tokens.literal(part.start).filter(|_| part.len() == 1));
            (names.collect::<Option<Vec<_>>>(), self.tokens.next(at + 1))
        } else {
            (self.tokens.literal(at).as_deref().and_then(path), at + 1)
        };
        let (Value::Json(mut place), Some(names)) = (value, names) else {
            let problem = "the path is not a literal, and not checked";
            return (self.lose(at, problem.to_owned()), at);
        };
        for name in names {
            let is_index = name.parse::<i64>().is_ok();
            let element = place.element().ok().filter(|_| is_index);
            match element.map_or_else(|| place.field(&name), Ok) {
                Ok(part) => place = part,
                Err(problem) => return (self.refuse(at, problem), next),
            }
        }
        (Value::Json(place), next)
    }

    fn is_number(&self, at: usize) -> bool {
        self.tokens.text(at).starts_with(|c: char| c.is_ascii_digit())
    }
}

fn as_text(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Json(place) => Value::Text(place),
        other => other,
    }
}

/// The names in the text of an array: `{lines,0,"sku"}`.
fn path(text: &str) -> Option<Vec<String>> {
    let names = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if names.contains(['\\', '{']) {
        return None;
    }
    if names.trim().is_empty() {
        return Some(Vec::new());
    }
    let name = |name: &str| {
        let name = name.trim();
        name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name).to_owned()
    };
    Some(names.split(',').map(name).collect())
}
