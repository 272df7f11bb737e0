//! A statement that an SQL file holds.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sql::columns::Column;
use crate::sql::error::DefinitionError;
use crate::sql::events::{EVENTS, EventRows};
use crate::sql::lexer::{Token, Unterminated, tokens};
use crate::sql::statement_kind::{Outline, Verb};
use crate::sql::update::Matches;

/// What a statement may begin with.
const KINDS: [&str; 5] = ["insert", "update", "delete", "merge", "with"];

/// A comment with which a file says that an event may touch no row.
const ANY_ROWS: &str = "rows: any";

/// The statement of an SQL file, with `$events` replaced by a subquery over bound arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) path: PathBuf,
    /// What stands for `$events`.
    pub(crate) rows: EventRows,
    /// As it is sent.
    pub(crate) sql: Arc<str>,
    /// The same, with a `returning` of the events that updated or deleted a row; `None` if the statement cannot have it.
    pub(crate) returning: Option<Arc<str>>,
    /// Of an update, how to ask which rows of its target an event finds.
    pub(crate) matches: Option<Matches>,
    pub(crate) verb: Verb,
    /// Whether a part of `with` writes too.
    pub(crate) writes_within: bool,
    /// Whether an event may touch no row.
    pub(crate) any_rows: bool,
    /// The file's text.
    pub(crate) text: String,
    /// Where `$events` was in it, in bytes.
    events: Vec<Range<usize>>,
}

impl Statement {
    /// Checks the text of a file: one statement that writes rows, and that reads `$events`.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, DefinitionError> {
        let mistake = |at: usize, problem: String| DefinitionError::Statement {
            path: path.to_owned(),
            line: line(text, at),
            problem,
        };
        let tokens = tokens(text).map_err(|Unterminated { what, at }| {
            mistake(at, format!("what begins with {what} has no end"))
        })?;
        let (mut any_rows, mut ended, mut first) = (false, false, None);
        let mut events = Vec::new();
        for (token, place) in &tokens {
            match token {
                Token::LineComment(comment) => {
                    any_rows |= comment.trim() == ANY_ROWS;
                    continue;
                }
                Token::Semicolon => ended = true,
                _ if ended => {
                    return Err(mistake(
                        place.start,
                        "a file holds one statement: move this to another".to_owned(),
                    ));
                }
                Token::Dollar(name) if name == EVENTS => events.push(place.clone()),
                Token::Dollar(name) => {
                    return Err(mistake(place.start, format!("${name} is not known: only $events is")));
                }
                Token::Word(_) | Token::Other => {}
            }
            if first.is_none() && matches!(token, Token::Word(_)) {
                first = Some((token, place));
            }
        }
        match first {
            Some((Token::Word(word), _)) if KINDS.contains(&word.as_str()) => {}
            Some((_, place)) => {
                let word = &text[place.clone()];
                let kinds = KINDS.join(", ");
                return Err(mistake(
                    place.start,
                    format!("a statement begins with {kinds}, not with {word}"),
                ));
            }
            None => return Err(mistake(0, "there is no statement".to_owned())),
        }
        if events.is_empty() {
            return Err(mistake(0, "the statement does not read $events".to_owned()));
        }
        let Outline { verb, alias, writes_within, returns } = Outline::of(text, &tokens);
        let verb = verb.ok_or_else(|| {
            mistake(
                0,
                "the statement writes no row: behind `with` must come insert, update, delete or merge"
                    .to_owned(),
            )
        })?;
        let rows = EventRows::new(Column::read_by(text));
        let sql = replaced(text, &events, &rows.subquery);
        let may_return = matches!(verb, Verb::Update | Verb::Delete) && !returns;
        let end = end_of_statement(&tokens);
        let sent_end = sql.len() - (text.len() - end);
        let returning = alias
            .filter(|_| may_return)
            .map(|alias| format!("{} returning {alias}.ordinal", &sql[..sent_end]));
        let matches = Matches::of(&sql, sent_end).filter(|_| verb == Verb::Update && !returns);
        let (path, text) = (path.to_owned(), text.to_owned());
        Ok(Self {
            path,
            rows,
            sql: sql.into(),
            returning: returning.map(Into::into),
            matches,
            verb,
            writes_within,
            any_rows,
            text,
            events,
        })
    }

    /// The line of the file for a position that Postgres reports: in characters of what was sent, from 1.
    pub(crate) fn line_of(&self, position: usize) -> usize {
        let mut position = position.saturating_sub(1);
        for place in &self.events {
            let before = self.text[..place.start].chars().count();
            if position < before {
                break;
            }
            // A position within the subquery is that of its name.
            let name = self.text[place.clone()].chars().count();
            position = before.max((position + name).saturating_sub(self.rows.subquery.chars().count()));
        }
        let at = self.text.char_indices().nth(position).map_or(self.text.len(), |(at, _)| at);
        line(&self.text, at)
    }
}

/// The end of the last token that is neither a semicolon nor a comment, in bytes.
fn end_of_statement(tokens: &[(Token, Range<usize>)]) -> usize {
    let is_part = |token: &Token| !matches!(token, Token::Semicolon | Token::LineComment(_));
    tokens.iter().rfind(|(token, _)| is_part(token)).map_or(0, |(_, place)| place.end)
}

/// The line of a byte, from 1.
pub(crate) fn line(text: &str, at: usize) -> usize {
    1 + text[..at].bytes().filter(|byte| *byte == b'\n').count()
}

fn replaced(text: &str, events: &[Range<usize>], subquery: &str) -> String {
    let mut sql = String::with_capacity(text.len() + events.len() * subquery.len());
    let mut end = 0;
    for place in events {
        sql.push_str(&text[end..place.start]);
        sql.push_str(subquery);
        end = place.end;
    }
    sql.push_str(&text[end..]);
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: &str = "-- An order was confirmed.\nupdate orders o set state = '$1;'\n  from $events e where o.id = e.stream;";

    fn problem(text: &str) -> String {
        Statement::parse(Path::new("a.sql"), text).unwrap_err().to_string()
    }

    #[test]
    fn events_are_replaced() {
        let statement = Statement::parse(Path::new("a.sql"), UPDATE).unwrap();
        let subquery = EventRows::new(vec![Column::Stream]).subquery;
        assert_eq!(*statement.sql, UPDATE.replace("$events", &subquery));
        let returning = UPDATE.replace("$events", &subquery).replace("stream;", "stream returning e.ordinal");
        assert_eq!(statement.returning.as_deref(), Some(&*returning));
        let delete = "delete from t using $events e where t.a = e.stream; -- end";
        let returning = Statement::parse(Path::new("a.sql"), delete).unwrap().returning;
        let expected = delete.replace("$events", &subquery).replace("; -- end", " returning e.ordinal");
        assert_eq!(returning.as_deref(), Some(&*expected));
        assert!(!statement.any_rows);
        assert!(Statement::parse(Path::new("a.sql"), &format!("-- rows: any\n{UPDATE}")).unwrap().any_rows);
    }

    #[test]
    fn what_is_not_one_statement_about_events_is_refused_with_its_line() {
        for (text, expected) in [
            ("-- nothing", "a.sql, line 1: there is no statement"),
            ("\nselect * from $events", "a.sql, line 2: a statement begins with"),
            ("\n\nset search_path = x", "a.sql, line 3: a statement begins with"),
            ("delete from t", "a.sql, line 1: the statement does not read $events"),
            ("delete from t using $events e\nwhere t.a = $1", "a.sql, line 2: $1 is not known"),
            ("delete from t using $events e;\ndrop table t", "a.sql, line 2: a file holds one statement"),
            ("update t set a =\n'x", "a.sql, line 2: what begins with ' has no end"),
        ] {
            let problem = problem(text);
            assert!(problem.starts_with(expected), "{text}: {problem}");
        }
        assert!(Statement::parse(Path::new("a.sql"), "delete from t using $events e; -- end\n").is_ok());
    }

    #[test]
    fn a_position_in_what_was_sent_is_a_line_of_the_file() {
        let statement = Statement::parse(Path::new("a.sql"), UPDATE).unwrap();
        for (part, line) in [("update", 2), ("from $events", 3), ("unnest", 3), ("where", 3)] {
            let sent = part.replace("$events", &statement.rows.subquery);
            let position = statement.sql.find(&sent).unwrap() + 1;
            assert_eq!(statement.line_of(position), line, "{part}");
        }
        assert_eq!(statement.line_of(1), 1);
        assert_eq!(statement.line_of(100_000), 3);
    }
}
