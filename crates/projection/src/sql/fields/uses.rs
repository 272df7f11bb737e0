//! Where a statement names `data`.

use std::collections::BTreeMap;

use crate::sql::columns::{Column, may_read_rows};
use crate::sql::fields::Part;
use crate::sql::token_view::TokenView;

/// What may be before an operand of `->` so that this is its whole left side: of the operators before it, only comparisons bind
/// looser. `'a' || data->>'b'` means `('a' || data)->>'b'`.
const WORDS_BEFORE: [&str; 20] = [
    "all",
    "and",
    "between",
    "by",
    "case",
    "distinct",
    "else",
    "from",
    "having",
    "ilike",
    "like",
    "not",
    "on",
    "or",
    "returning",
    "select",
    "then",
    "when",
    "where",
    "any",
];
const COMPARISONS: [&str; 7] = ["=", "<", ">", "<=", ">=", "<>", "!="];

/// What may be behind a literal so that it is the whole right side of `->`: arithmetic, casts and these words bind tighter.
const OPERATORS_BEHIND: [&str; 5] = ["->", "->>", "#>", "#>>", "||"];
const NOT_BEHIND: [&str; 4] = ["at", "collate", "operator", "uescape"];

/// The fields of `data` that a statement reads, if each time that it names `data` it reads one of its fields by a literal. What
/// else is called `data` only adds to them. `None`: it may read any field.
pub(super) fn uses(sql: &str) -> Option<BTreeMap<String, Part>> {
    // With `standard_conforming_strings` off, a backslash would be an escape, and a string end elsewhere.
    let tokens = TokenView::new(sql).filter(|tokens| !sql.contains('\\') && !may_read_rows(tokens))?;
    let mut uses = BTreeMap::new();
    for at in 0..tokens.len() {
        if tokens.name(at).is_some_and(|name| name == Column::Data.name()) {
            let (field, part) = field(&tokens, at)?;
            let known = uses.entry(field).or_insert(part);
            *known = part.max(*known);
        }
    }
    Some(uses)
}

/// The field in `data -> 'field'`, and how much of it is read.
fn field(tokens: &TokenView<'_>, data: usize) -> Option<(String, Part)> {
    let operator = tokens.operator(data + 1);
    if !matches!(operator, "->" | "->>") {
        return None;
    }
    let literal = data + 1 + operator.len();
    let (field, behind) = (tokens.literal(literal)?, literal + 1);
    let begin = operand(tokens, data);
    let before = begin.checked_sub(1)?;
    let is_argument = tokens.text(before) == "(" && tokens.text(behind) == ")";
    if is_argument && operator == "->" && is_length(tokens, before) {
        return Some((field, Part::Length));
    }
    let begins = matches!(tokens.text(before), "(" | "[" | ",")
        || WORDS_BEFORE.contains(&tokens.word(before))
        || COMPARISONS.contains(&tokens.operator_before(begin));
    let ends = matches!(tokens.text(behind), "" | ")" | "]" | ",")
        || OPERATORS_BEHIND.contains(&tokens.operator(behind))
        || COMPARISONS.contains(&tokens.operator(behind))
        || tokens.name(behind).is_some_and(|name| !NOT_BEHIND.contains(&&*name));
    (begins && ends).then_some((field, Part::Whole))
}

/// Where a name begins with its qualifiers.
fn operand(tokens: &TokenView<'_>, mut name: usize) -> usize {
    while let Some(qualifier) = name.checked_sub(2)
        && tokens.text(qualifier + 1) == "."
        && tokens.name(qualifier).is_some()
    {
        name = qualifier;
    }
    name
}

/// Whether a parenthesis is that of `jsonb_array_length`, in whatever schema Postgres finds it.
fn is_length(tokens: &TokenView<'_>, open: usize) -> bool {
    let is_qualified = open.checked_sub(2).is_some_and(|at| tokens.text(at) == ".");
    open.checked_sub(1).is_some_and(|at| tokens.word(at) == "jsonb_array_length") && !is_qualified
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> Option<String> {
        let mark = |part: Part| if part == Part::Length { "#" } else { "" };
        Some(uses(sql)?.iter().map(|(name, part)| format!("{name}{} ", mark(*part))).collect())
    }

    #[test]
    fn fields_are_found_by_their_literals() {
        for (sql, expected) in [
            ("insert into t select e.data->>'a', data -> 'it''s' ->> 'c' from $events e", "a it's "),
            (
                "insert into t select (e.\"data\"->>'a')::numeric from $events e where e.DATA->>'b' <> ''",
                "a b ",
            ),
            ("update t set a = e.data->>'a' from $events e where t.b =e.data->>'b'", "a b "),
            ("insert into t select coalesce(e.data->>'a', 'x') || (e.data->>'b') from $events e", "a b "),
            ("insert into t select jsonb_array_length(e.data->'a'), e.data->'b' x from $events e", "a# b "),
            (
                "insert into t select jsonb_array_length(data->'a') from $events e where data->'a' is null",
                "a ",
            ),
            ("insert into t select pg_catalog.jsonb_array_length(e.data->'a') from $events e", "a "),
            ("insert into t select jsonb_array_length(e.data->'a'->'b') from $events e", "a "),
            ("insert into t select l->>'x' from $events e, jsonb_array_elements(e.data->'a') l", "a "),
            ("insert into t select e.stream, '{data}' from $events e -- data", ""),
            (
                "insert into t select case when d.data->>'a' is distinct from e.data->>'b' then 1 end from $events e, d",
                "a b ",
            ),
        ] {
            assert_eq!(names(sql).as_deref(), Some(expected), "{sql}");
        }
    }

    #[test]
    fn any_other_use_may_read_all() {
        for selected in [
            "e.data",
            "data",
            "e.data ? 'a'",
            "e.data->>e.type",
            "e.data->E'a'",
            "e.data->n'a'",
            "e.data->'a'\n'b'",
            "e.data->'a'::char(1)",
            "e.data->'a' collate \"C\"",
            "e.data->'a' + 1",
            "e.data->-1",
            "e.data->>>'a'",
            "e.data-/**/>'a'",
            "e.data->'a\\'",
            "e.data#>'{a}'",
            "e.data['a']",
            "e.data - 'a'",
            "e.data::text",
            "'x' || e.data->>'a'",
            "d.data || e.data->'a'",
            "- e.data->'a'",
            "!!e.data->'a'",
            "'{}' @> e.data->'a'",
            "x <-e.data->'a'",
            "x at time zone e.data->>'a'",
            "(e.data)->>'a'",
            "(e).data->>'a'",
            "e.data->'a', jsonb_each(e.data)",
            "f(e.data)",
            "data.data->>'a'",
            "to_jsonb(e)",
            "e.*",
            "U&\"d!0061ta\" UESCAPE '!' ->> 'a'",
        ] {
            let sql = format!("insert into t select {selected} from $events e");
            assert_eq!(names(&sql), None, "{sql}");
        }
        for sql in [
            "insert into t select * from $events e",
            "with n as (select e.data as d from $events e) insert into t select d->>'a' from n",
            "insert into t select data->>'a' from $events e (data, b)",
            "insert into t select 1 from $events e join t using (data)",
            "insert into t (data) select e.data->'a' from $events e",
        ] {
            assert_eq!(names(sql), None, "{sql}");
        }
    }
}
