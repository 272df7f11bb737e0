//! The relations of `from` and `using`.

use std::ops::Range;

use crate::sql::paths::names::{JOINS, may_be_alias};
use crate::sql::paths::query::renamed;
use crate::sql::paths::scope::{Columns, Relation, Scope, Value};
use crate::sql::paths::walker::Walker;

impl<'s> Walker<'_, 's> {
    /// Adds the relations of a range to a scope.
    pub(crate) fn sources(&mut self, range: Range<usize>, scope: &mut Scope<'_, 's>) {
        let mut at = range.start;
        while at < range.end {
            let word = self.tokens.word(at);
            if self.is_join(at) {
                at += 1;
            } else if word == "on" {
                let end = self.tokens.find(at..range.end, |at| self.is_join(at));
                self.expression(at + 1..end, scope);
                at = end;
            } else if word == "using" && self.tokens.text(at + 1) == "(" {
                at = self.tokens.next(at + 1);
            } else {
                at = self.source(at, range.end, scope).max(at + 1);
            }
        }
    }

    /// Whether a token comes between relations. `left(…)` and `right(…)` are functions.
    fn is_join(&self, at: usize) -> bool {
        let word = self.tokens.word(at);
        let is_function = matches!(word, "left" | "right") && self.tokens.text(at + 1) == "(";
        self.tokens.text(at) == "," || JOINS.contains(&word) && !is_function
    }

    /// One relation with its alias. Returns where it ends.
    fn source(&mut self, at: usize, end: usize, scope: &mut Scope<'_, 's>) -> usize {
        if self.tokens.is_events(at) {
            let columns = vec![("data".to_owned(), Value::Json(self.event))];
            return self.named(at + 1, end, String::new(), Some(columns), Value::Lost, scope);
        }
        if self.tokens.text(at) == "(" {
            let inside = self.tokens.inside(at);
            let behind = self.tokens.next(at);
            if matches!(self.tokens.word(inside.start), "select" | "with" | "values" | "") {
                let columns = self.query(inside, scope);
                let whole = whole(&columns);
                return self.named(behind, end, String::new(), Some(columns), whole, scope);
            }
            self.sources(inside, scope);
            return behind;
        }
        let Some(mut name) = self.tokens.name(at) else { return at + 1 };
        let (mut next, mut is_qualified) = (at + 1, false);
        while self.tokens.text(next) == "."
            && let Some(part) = self.tokens.name(next + 1)
        {
            (name, next, is_qualified) = (part, next + 2, true);
        }
        if self.tokens.text(next) == "(" {
            let value = self.call(&name, next, scope);
            let columns = match value {
                Value::Json(_) | Value::Text(_) => Some(vec![("value".to_owned(), value)]),
                Value::Lost | Value::Other => None,
            };
            return self.named(self.tokens.next(next), end, name, columns, value, scope);
        }
        let columns = scope.part(&name).filter(|_| !is_qualified).cloned();
        let whole = columns.as_ref().map_or(Value::Other, whole);
        self.named(next, end, name, columns, whole, scope)
    }

    /// Adds a relation under the alias that comes next, or its own name.
    fn named(
        &self,
        at: usize,
        end: usize,
        own: String,
        columns: Option<Columns<'s>>,
        whole: Value<'s>,
        scope: &mut Scope<'_, 's>,
    ) -> usize {
        let has_ordinality = self.tokens.word(at) == "with" && self.tokens.word(at + 1) == "ordinality";
        let mut at = at + 2 * usize::from(has_ordinality);
        at += usize::from(self.tokens.word(at) == "as");
        let mut name = own;
        if at < end
            && let Some(alias) = self.tokens.name(at).filter(|alias| may_be_alias(alias))
        {
            name = alias;
            at += 1;
        }
        let names = self.names(at..end);
        if !names.is_empty() {
            at = self.tokens.next(at);
        }
        scope.relations.push(Relation {
            name,
            columns: columns.map(|columns| renamed(columns, names)),
            whole,
        });
        at
    }
}

/// A row as a whole.
fn whole<'s>(columns: &Columns<'s>) -> Value<'s> {
    if columns.iter().any(|(_, value)| value.has_parts()) { Value::Lost } else { Value::Other }
}
