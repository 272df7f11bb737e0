//! Queries and statements.

use std::ops::Range;

use crate::sql::paths::names::may_be_alias;
use crate::sql::paths::scope::{Columns, Relation, Scope, Value};
use crate::sql::paths::walker::Walker;

/// What ends the relations of a `select`.
const BEHIND_FROM: [&str; 9] =
    ["where", "group", "having", "window", "order", "limit", "offset", "fetch", "for"];

impl<'s> Walker<'_, 's> {
    /// A query or a statement. Returns its columns.
    pub(crate) fn query(&mut self, range: Range<usize>, outer: &Scope<'_, 's>) -> Columns<'s> {
        let mut scope = Scope::within(outer);
        let mut start = range.start;
        if self.tokens.word(start) == "with" {
            start = self.with(start + 1..range.end, &mut scope);
        }
        if start >= range.end {
            return Vec::new();
        }
        let next = self.tokens.find_word(start..range.end, &["union", "intersect", "except"]);
        let columns = match self.tokens.word(start) {
            "select" => self.select(start + 1..next, &scope),
            "insert" => return self.insert(start..range.end, &scope),
            "update" => return self.write(start..range.end, "set", "from", &scope),
            "delete" => return self.write(start..range.end, "using", "using", &scope),
            "merge" => return self.merge(start..range.end, &scope),
            _ if self.tokens.text(start) == "(" => self.query(self.tokens.inside(start), &scope),
            _ => {
                self.expression(start..next, &scope);
                Vec::new()
            }
        };
        if next < range.end {
            let is_all = matches!(self.tokens.word(next + 1), "all" | "distinct");
            self.query(next + 1 + usize::from(is_all)..range.end, &scope);
        }
        columns
    }

    /// The parts of `with`. Returns where the query behind them begins.
    fn with(&mut self, range: Range<usize>, scope: &mut Scope<'_, 's>) -> usize {
        let mut at = range.start + usize::from(self.tokens.word(range.start) == "recursive");
        loop {
            let name = self.tokens.name(at).unwrap_or_default();
            let body = self.tokens.find_word(at + 1..range.end, &["as"]);
            let names = self.names(at + 1..body);
            let open = self.tokens.find(body..range.end, |at| self.tokens.text(at) == "(");
            if open == range.end {
                return range.end;
            }
            let columns = self.query(self.tokens.inside(open), scope);
            scope.parts.push((name, renamed(columns, names)));
            at = self.tokens.next(open);
            if self.tokens.text(at) != "," {
                return at;
            }
            at += 1;
        }
    }

    fn select(&mut self, range: Range<usize>, outer: &Scope<'_, 's>) -> Columns<'s> {
        let mut scope = Scope::within(outer);
        let behind = self.tokens.find_word(range.clone(), &BEHIND_FROM);
        let from = self.tokens.find_word(range.start..behind, &["from"]);
        if from < behind {
            self.sources(from + 1..behind, &mut scope);
        }
        let mut start =
            range.start + usize::from(matches!(self.tokens.word(range.start), "all" | "distinct"));
        if self.tokens.word(start) == "on" {
            self.expression(self.tokens.inside(start + 1), &scope);
            start = self.tokens.next(start + 1);
        }
        let columns = self.items(start..from, &scope);
        self.expression(behind..range.end, &scope);
        columns
    }

    /// The expressions of `select` or `returning`, with their names.
    fn items(&mut self, range: Range<usize>, scope: &Scope<'_, 's>) -> Columns<'s> {
        let mut columns = Vec::new();
        for item in self.tokens.split(range) {
            if item.end > item.start && self.tokens.text(item.end - 1) == "*" {
                let relation = self.tokens.name(item.start).and_then(|name| scope.relation(&name));
                let all = scope.relations.iter().filter(|_| item.len() == 1).chain(relation);
                columns.extend(all.filter_map(|relation| relation.columns.clone()).flatten());
                continue;
            }
            let (expression, alias) = self.alias(item);
            let value = self.expression(expression.clone(), scope);
            columns.push((alias.or_else(|| self.own_name(expression)).unwrap_or_default(), value));
        }
        columns
    }

    /// Cuts the name off an item.
    fn alias(&self, item: Range<usize>) -> (Range<usize>, Option<String>) {
        let Some(last) = item.end.checked_sub(1).filter(|last| *last > item.start) else {
            return (item, None);
        };
        let Some(name) = self.tokens.name(last) else { return (item, None) };
        if self.tokens.word(last - 1) == "as" {
            return (item.start..last - 1, Some(name));
        }
        let before = self.tokens.text(last - 1);
        let ends_operand =
            before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ')' | ']' | '\'' | '"'));
        if ends_operand { (item.start..last, Some(name)) } else { (item, None) }
    }

    /// The name that Postgres gives an expression: that of its column or function.
    fn own_name(&self, expression: Range<usize>) -> Option<String> {
        let is_cast = |at: usize| self.tokens.has_operator(at, "::");
        let end = self.tokens.find(expression.clone(), is_cast);
        let end = self.tokens.find(expression.start..end, |at| self.tokens.text(at) == "(");
        self.tokens.name(end.checked_sub(1)?).filter(|_| (end - expression.start) % 2 == 1)
    }

    fn insert(&mut self, range: Range<usize>, outer: &Scope<'_, 's>) -> Columns<'s> {
        let is_conflict = |at: usize| self.tokens.word(at) == "on" && self.tokens.word(at + 1) == "conflict";
        let is_end = |at: usize| is_conflict(at) || self.tokens.word(at) == "returning";
        let end = self.tokens.find(range.clone(), is_end);
        let is_query = |at: usize| {
            matches!(self.tokens.word(at), "select" | "values" | "with")
                || self.tokens.text(at) == "("
                    && matches!(self.tokens.word(at + 1), "select" | "values" | "with")
        };
        let query = self.tokens.find(range.start + 1..end, is_query);
        self.query(query..end, outer);
        let mut scope = Scope::within(outer);
        scope.relations = vec![self.target(range.start + 2..query), Relation::table("excluded".to_owned())];
        self.returning(end..range.end, &scope)
    }

    /// `update` and `delete`, with the word behind the target and that before other relations.
    fn write(
        &mut self,
        range: Range<usize>,
        behind_target: &str,
        from: &str,
        outer: &Scope<'_, 's>,
    ) -> Columns<'s> {
        let mut scope = Scope::within(outer);
        let target_end = self.tokens.find_word(range.clone(), &[behind_target, "where", "returning"]);
        let target_start = range.start + 1 + usize::from(self.tokens.word(range.start) == "delete");
        scope.relations.push(self.target(target_start..target_end));
        let behind = self.tokens.find_word(range.clone(), &["where", "returning"]);
        let from = self.tokens.find_word(target_end..behind, &[from]);
        self.sources(from + 1..behind, &mut scope);
        for assignment in self.tokens.split(target_end + 1..from) {
            // What is before the sign is the target's, whatever its columns are called.
            let sign = self.tokens.find(assignment.clone(), |at| self.tokens.text(at) == "=");
            self.expression(sign..assignment.end, &scope);
        }
        self.returning(behind..range.end, &scope)
    }

    fn merge(&mut self, range: Range<usize>, outer: &Scope<'_, 's>) -> Columns<'s> {
        let mut scope = Scope::within(outer);
        let using = self.tokens.find_word(range.clone(), &["using"]);
        let when = self.tokens.find_word(range.clone(), &["when"]);
        scope.relations.push(self.target(range.start + 2..using));
        self.sources(using + 1..when, &mut scope);
        self.returning(when..range.end, &scope)
    }

    /// The rest of a statement, with the columns of its `returning`.
    fn returning(&mut self, range: Range<usize>, scope: &Scope<'_, 's>) -> Columns<'s> {
        let returning = self.tokens.find_word(range.clone(), &["returning"]);
        self.expression(range.start..returning, scope);
        self.items(returning + 1..range.end, scope)
    }

    /// The table that is written, under its alias or its name.
    fn target(&self, range: Range<usize>) -> Relation<'s> {
        let end = self.tokens.find(range.clone(), |at| self.tokens.text(at) == "(");
        let mut names = (range.start..end).rev().filter_map(|at| self.tokens.name(at));
        let name = names.find(|name| may_be_alias(name) && name != "overriding");
        Relation::table(name.unwrap_or_default())
    }

    /// The names in parentheses at the begin of a range: `(a, b)`, or `(a text, b int)`.
    pub(crate) fn names(&self, range: Range<usize>) -> Vec<String> {
        if range.is_empty() || self.tokens.text(range.start) != "(" {
            return Vec::new();
        }
        let parts = self.tokens.split(self.tokens.inside(range.start));
        parts.into_iter().map(|part| self.tokens.name(part.start).unwrap_or_default()).collect()
    }
}

/// The columns under other names; those without one keep theirs.
pub(crate) fn renamed<'s>(columns: Columns<'s>, names: Vec<String>) -> Columns<'s> {
    let names = names.into_iter().map(Some).chain(std::iter::repeat(None));
    let rename = |((own, value), name): ((String, Value<'s>), Option<String>)| (name.unwrap_or(own), value);
    columns.into_iter().zip(names).map(rename).collect()
}
