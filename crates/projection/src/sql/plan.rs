//! What Postgres's plan of a statement shows.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{PgConnection, Row as _};

use crate::sql::events::{EventRows, SCAN};
use crate::sql::lexer::{Token, tokens};
use crate::sql::statement_kind::Verb;

/// What comes before a statement that is only planned. Postgres checks tables, columns and rights all the same.
pub(crate) const EXPLAIN: &str = "explain (format json, verbose) ";

/// Nodes that make at most one row of a row.
const ROW_BY_ROW: [&str; 4] = ["ModifyTable", "Subquery Scan", "Result", "Sort"];

/// The plans of a statement: several, or none, if a table has rules.
pub(crate) struct Plan(Value);

/// The table that a plan writes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'p> {
    pub(crate) schema: &'p str,
    pub(crate) table: &'p str,
    alias: &'p str,
}

impl Plan {
    pub(crate) async fn of(
        sql: &str,
        rows: &EventRows,
        connection: &mut PgConnection,
    ) -> Result<Self, sqlx::Error> {
        let sql = format!("{EXPLAIN}{sql}").into();
        Ok(Self(rows.bind(&sql, &[]).fetch_one(connection).await?.try_get(0)?))
    }

    fn root(&self) -> Option<&Value> {
        match self.0.as_array().map(Vec::as_slice) {
            Some([only]) => only.get("Plan"),
            _ => None,
        }
    }

    /// The table that is written. `None` if a rule makes another statement of it.
    pub(crate) fn target(&self, verb: Verb) -> Option<Target<'_>> {
        let root = self.root()?;
        let operation = match verb {
            Verb::Insert => "Insert",
            Verb::Update => "Update",
            Verb::Delete => "Delete",
            Verb::Merge => "Merge",
        };
        if text(root, "Operation") != operation {
            return None;
        }
        let (schema, table, alias) = (text(root, "Schema"), text(root, "Relation Name"), text(root, "Alias"));
        (!table.is_empty()).then_some(Target { schema, table, alias })
    }

    /// Whether each event makes at most one row: no node joins, and none returns a set.
    pub(crate) fn is_row_by_row(&self) -> bool {
        self.root().is_some_and(is_row_by_row)
    }

    /// The tables that are read, as `schema.table`, without the rows of the target that are written.
    pub(crate) fn reads(&self, target: &Target<'_>) -> BTreeSet<String> {
        let mut scans = Vec::new();
        self.root().into_iter().for_each(|root| add_scans(root, &mut scans));
        let is_target = |scan: &&Value| {
            let found = Target {
                schema: text(scan, "Schema"),
                table: text(scan, "Relation Name"),
                alias: text(scan, "Alias"),
            };
            found == *target
        };
        let own = scans.iter().position(is_target);
        let others = scans.iter().enumerate().filter(|(at, _)| Some(*at) != own);
        others.map(|(_, scan)| format!("{}.{}", text(scan, "Schema"), text(scan, "Relation Name"))).collect()
    }

    /// What may be a function in the plan's expressions: those of views, defaults and policies too.
    pub(crate) fn functions(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        add_functions(&self.0, &mut names);
        names
    }
}

fn text<'p>(node: &'p Value, key: &str) -> &'p str {
    node[key].as_str().unwrap_or_default()
}

fn children(node: &Value) -> &[Value] {
    node["Plans"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_row_by_row(node: &Value) -> bool {
    let kind = text(node, "Node Type");
    match children(node) {
        [] => kind == "Function Scan" && text(node, "Alias") == SCAN,
        [only] => {
            let is_input = !matches!(text(only, "Parent Relationship"), "InitPlan" | "SubPlan");
            is_input && ROW_BY_ROW.contains(&kind) && is_row_by_row(only)
        }
        _ => false,
    }
}

fn add_scans<'p>(node: &'p Value, scans: &mut Vec<&'p Value>) {
    if text(node, "Node Type") != "ModifyTable" && !text(node, "Relation Name").is_empty() {
        scans.push(node);
    }
    children(node).iter().for_each(|child| add_scans(child, scans));
}

fn add_functions(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(expression) => names.extend(called(expression)),
        Value::Array(values) => values.iter().for_each(|value| add_functions(value, names)),
        Value::Object(fields) => fields.values().for_each(|value| add_functions(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The names before a parenthesis: functions, and some that are not.
pub(crate) fn called(sql: &str) -> BTreeSet<String> {
    let Ok(tokens) = tokens(sql) else { return BTreeSet::new() };
    let tokens: Vec<_> = tokens
        .iter()
        .filter(|(_, place)| !sql[place.clone()].starts_with("/*"))
        .filter(|(token, _)| !matches!(token, Token::LineComment(_)))
        .collect();
    let pairs = tokens.windows(2).filter(|pair| sql[pair[1].1.clone()] == *"(");
    let name = |(token, place): &(Token, std::ops::Range<usize>)| match token {
        Token::Word(word) => Some(word.clone()),
        _ => sql[place.clone()].strip_prefix('"')?.strip_suffix('"').map(|name| name.replace("\"\"", "\"")),
    };
    pairs.filter_map(|pair| name(pair[0])).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(node: Value) -> Plan {
        Plan(json!([{ "Plan": node }]))
    }

    fn events() -> Value {
        json!({ "Node Type": "Function Scan", "Alias": SCAN })
    }

    #[test]
    fn only_a_chain_of_nodes_that_ends_at_the_events_is_row_by_row() {
        let insert = |child: Value| plan(json!({ "Node Type": "ModifyTable", "Plans": [child] }));
        assert!(insert(events()).is_row_by_row());
        assert!(insert(json!({ "Node Type": "Result", "Plans": [events()] })).is_row_by_row());
        for other in [
            json!({ "Node Type": "Function Scan", "Alias": "part" }),
            json!({ "Node Type": "ProjectSet", "Plans": [events()] }),
            json!({ "Node Type": "Result" }),
            json!({ "Node Type": "Result", "Plans": [events(), events()] }),
            json!({ "Node Type": "Result", "Plans": [
                { "Node Type": "Function Scan", "Alias": SCAN, "Parent Relationship": "InitPlan" }] }),
        ] {
            assert!(!insert(other.clone()).is_row_by_row(), "{other}");
        }
        let two = json!([{ "Plan": events() }, { "Plan": events() }]);
        assert!(!Plan(two).is_row_by_row(), "a rule adds a second statement");
    }

    #[test]
    fn the_target_is_not_among_what_is_read_unless_it_is_read_twice() {
        let scan = |alias: &str| json!({ "Node Type": "Seq Scan", "Schema": "s", "Relation Name": "t", "Alias": alias });
        let update = |children: Vec<Value>| {
            let (kind, operation) = ("ModifyTable", "Update");
            plan(
                json!({ "Node Type": kind, "Operation": operation, "Schema": "s", "Relation Name": "t", "Alias": "a",
                         "Plans": children }),
            )
        };
        for (children, reads) in
            [(vec![scan("a")], 0), (vec![scan("a"), scan("a_1")], 1), (vec![scan("b")], 1)]
        {
            let update = update(children);
            let target = update.target(Verb::Update).unwrap();
            assert_eq!(update.reads(&target).len(), reads);
        }
        assert_eq!(update(Vec::new()).target(Verb::Delete), None, "a rule makes another statement of it");
    }

    #[test]
    fn names_of_functions_are_found() {
        let called: Vec<_> =
            called("f(a), s.g /* x */ (b) || \"H\"\"i\" (c), 'j(k)', l -- m\n (n)").into_iter().collect();
        assert_eq!(called, ["H\"i", "f", "g", "l"]);
    }
}
