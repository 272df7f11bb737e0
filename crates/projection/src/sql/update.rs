//! The parts of an `update`, to ask how many rows an event finds.

use std::ops::Range;

use crate::sql::lexer::{Token, tokens};

/// An update's target, and the query that makes a row of each event and each row of the target that it finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matches {
    /// The target's name as the file has it.
    pub(crate) target: String,
    /// An event that finds no row makes one too. Where Postgres can prove by a unique index that an event finds at most one
    /// row, it leaves the join out of the plan: nothing of the target is selected.
    pub(crate) query: String,
}

/// Where the parts begin and end, in bytes.
#[derive(Debug, Default)]
struct Parts {
    update: Option<Range<usize>>,
    set: Option<Range<usize>>,
    from: Option<Range<usize>>,
    condition: Option<Range<usize>>,
}

impl Matches {
    /// Of a text up to its end. `None` if it is not of the form `update table set … from … where …` without a comma in
    /// `from`, or if what it means is in doubt.
    pub(crate) fn of(text: &str, end: usize) -> Option<Self> {
        let tokens = &tokens(text).ok()?;
        let parts = Parts::of(text, tokens, end)?;
        let (update, set) = (parts.update?, parts.set?);
        let (from, condition) = (parts.from?, parts.condition?);
        if set.start < update.end || from.start < set.end || condition.start < from.end {
            return None;
        }
        let target = target(text, tokens, update.end..set.start)?;
        let query = format!(
            "{}select from {} left join {} on ({}\n)",
            &text[..update.start],
            &text[from.end..condition.start],
            &text[update.end..set.start],
            &text[condition.end..end]
        );
        Some(Self { target, query })
    }
}

impl Parts {
    /// Only what is outside of parentheses counts. These words are reserved, except for `set`, of which the first one counts.
    fn of(text: &str, tokens: &[(Token, Range<usize>)], end: usize) -> Option<Self> {
        let mut parts = Self::default();
        let mut depth = 0_usize;
        let mut before = "";
        for (token, place) in tokens.iter().filter(|(_, place)| place.end <= end) {
            match (token, &text[place.clone()]) {
                (Token::LineComment(_), _) => continue,
                (_, "(") => depth += 1,
                (_, ")") => depth = depth.checked_sub(1)?,
                (_, ",") if depth == 0 && parts.from.is_some() => return None,
                (Token::Word(word), _) if depth == 0 => {
                    let part = match word.as_str() {
                        "update" => &mut parts.update,
                        "set" if parts.set.is_none() => &mut parts.set,
                        "from" if before != "distinct" => &mut parts.from,
                        "where" => &mut parts.condition,
                        _ => {
                            before = word;
                            continue;
                        }
                    };
                    if part.replace(place.clone()).is_some() {
                        return None;
                    }
                }
                _ => {}
            }
            before = "";
        }
        Some(parts)
    }
}

/// The name of a table: what comes before an alias.
fn target(text: &str, tokens: &[(Token, Range<usize>)], within: Range<usize>) -> Option<String> {
    let mut name = String::new();
    for (token, place) in tokens.iter().filter(|(_, place)| within.contains(&place.start)) {
        let part = &text[place.clone()];
        let is_name = matches!(token, Token::Word(_)) || part.starts_with('"');
        if part == "." {
            name.push('.');
        } else if is_name && (name.is_empty() || name.ends_with('.')) {
            name.push_str(part);
        } else {
            break;
        }
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(text: &str) -> Option<Matches> {
        Matches::of(text, text.len())
    }

    #[test]
    fn the_query_joins_the_events_with_the_target() {
        for (update, target, expected) in [
            (
                "update shop.\"O\" as o set a = (select b from c where d), e = x is distinct from y from $events e where o.i = e.i",
                "shop.\"O\"",
                "select from  $events e  left join  shop.\"O\" as o  on ( o.i = e.i\n)",
            ),
            (
                "with n as (select 1 from t where a) update t set a = 1 from $events e where -- from\n t.a = 1",
                "t",
                "with n as (select 1 from t where a) select from  $events e  left join  t  on ( -- from\n t.a = 1\n)",
            ),
        ] {
            let expected = Matches { target: target.to_owned(), query: expected.to_owned() };
            assert_eq!(matches(update), Some(expected));
        }
    }

    #[test]
    fn a_form_that_is_in_doubt_has_none() {
        for update in [
            "update t set a = 1 from $events e",
            "update t set a = 1 from $events e, u where t.a = e.a",
            "update t set a = (select 1 from $events e where e.a = 1)",
            "update only t set a = 1 from $events e where true where true",
            "update (t) set a = 1 from $events e where t.a = 1",
            "with set as (select 1) update t a = 1 from $events e where t.a = e.a",
            "delete from t using $events e where t.a = 1",
        ] {
            assert_eq!(matches(update), None, "{update}");
        }
        let only = "update only t set a = 1 from $events e where t.a = e.a";
        assert_eq!(matches(only).unwrap().target, "only", "which names no table");
    }
}
