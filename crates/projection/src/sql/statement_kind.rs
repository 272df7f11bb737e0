//! What a statement does, and how it shows which events had an effect.

use std::ops::Range;

use crate::sql::lexer::Token;

/// The main part of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Insert,
    Update,
    Delete,
    Merge,
}

impl Verb {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "insert" => Self::Insert,
            "update" => Self::Update,
            "delete" => Self::Delete,
            "merge" => Self::Merge,
            _ => return None,
        })
    }
}

/// What the tokens outside of parentheses say of a statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// The first word, or the one behind the parts of `with`.
    pub(crate) verb: Option<Verb>,
    /// Whether there is a verb within parentheses: a part of `with` writes too.
    pub(crate) writes_within: bool,
    /// The name that the statement gives `$events`, outside of parentheses.
    pub(crate) alias: Option<String>,
    /// Whether it has a `returning` of its own.
    pub(crate) returns: bool,
}

impl Outline {
    pub(crate) fn of(text: &str, tokens: &[(Token, Range<usize>)]) -> Self {
        let mut outline = Self::default();
        let mut depth = 0_usize;
        // A part of `with` may be called like a verb.
        let mut begins = true;
        let mut words = tokens.iter().filter(|(token, _)| !matches!(token, Token::LineComment(_))).peekable();
        while let Some((token, place)) = words.next() {
            match (token, &text[place.clone()]) {
                (Token::Other, "(") => depth += 1,
                (Token::Other, ")") => depth = depth.saturating_sub(1),
                (Token::Word(word), _) if depth > 0 => outline.writes_within |= Verb::of(word).is_some(),
                (Token::Word(word), _) => {
                    if begins {
                        outline.verb = outline.verb.or(Verb::of(word));
                    }
                    outline.returns |= word == "returning";
                }
                (Token::Dollar(_), _) if depth == 0 => {
                    words.next_if(|(token, _)| *token == Token::Word("as".to_owned()));
                    if let Some((Token::Word(alias), _)) = words.peek() {
                        outline.alias.get_or_insert_with(|| alias.clone());
                    }
                }
                _ => {}
            }
            begins = &text[place.clone()] == ")";
        }
        outline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::tokens;

    fn outline(sql: &str) -> Outline {
        Outline::of(sql, &tokens(sql).unwrap())
    }

    #[test]
    fn the_main_part_and_the_name_of_the_events_are_found() {
        let expected = |sql: &str, verb, alias: Option<&str>| Outline {
            verb: Some(verb),
            alias: alias.map(str::to_owned),
            writes_within: sql.contains("(delete"),
            returns: false,
        };
        for (sql, verb, alias) in [
            ("update t set a = 1 from $events e where t.b = e.stream", Verb::Update, Some("e")),
            ("delete from t using $events as ev where true", Verb::Delete, Some("ev")),
            ("insert into t select f(e.data) from $events e", Verb::Insert, Some("e")),
            ("with n as (select * from $events e) update t set a = 1 from n", Verb::Update, None),
            (
                "with n as (delete from t using $events e returning *) insert into u select * from n",
                Verb::Insert,
                None,
            ),
            ("with insert as (select 1) update t set a = 1 from $events e", Verb::Update, Some("e")),
            ("merge into t using $events e on true when matched then delete", Verb::Merge, Some("e")),
        ] {
            assert_eq!(outline(sql), expected(sql, verb, alias), "{sql}");
        }
        assert!(outline("delete from t using $events e returning t.id").returns);
        assert_eq!(outline("with n as (delete from t) select 1").verb, None);
    }
}
