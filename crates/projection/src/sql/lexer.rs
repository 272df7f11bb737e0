//! The parts of an SQL text that matter for finding names in it.

use std::ops::Range;

/// A part of an SQL text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A keyword or a name without quotes, in lower case.
    Word(String),
    /// `$name`: a dollar sign and what follows of letters, digits and underscores.
    Dollar(String),
    Semicolon,
    /// From `--` to the end of the line, without the dashes.
    LineComment(String),
    /// A string, a quoted name, a number, an operator, a comment in `/* */`.
    Other,
}

/// A string, a quoted name or a comment has no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unterminated {
    /// What it begins with.
    pub(crate) what: &'static str,
    /// Where it begins, in bytes.
    pub(crate) at: usize,
}

/// The tokens of an SQL text with their places in bytes, as PostgreSQL cuts it ("Lexical Structure" in its manual): strings
/// with doubled quotes, with escapes (`E''`) and between dollar signs, quoted names, nested comments. White space is left out.
pub(crate) fn tokens(sql: &str) -> Result<Vec<(Token, Range<usize>)>, Unterminated> {
    let mut lexer = Lexer { sql, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.take_while(char::is_whitespace);
        let start = lexer.at;
        let Some(token) = lexer.next()? else { return Ok(tokens) };
        tokens.push((token, start..lexer.at));
    }
}

struct Lexer<'s> {
    sql: &'s str,
    /// The next byte.
    at: usize,
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.sql[self.at..]
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !accepts(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn next(&mut self) -> Result<Option<Token>, Unterminated> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(None) };
        Ok(Some(match first {
            ';' => self.skip(1, Token::Semicolon),
            '\'' => self.quoted("'", "'", false)?,
            '"' => self.quoted("\"", "\"", false)?,
            '-' if rest.starts_with("--") => {
                let comment = self.take_while(|c| c != '\n');
                Token::LineComment(comment["--".len()..].to_owned())
            }
            '/' if rest.starts_with("/*") => self.comment()?,
            '$' => self.dollar()?,
            'e' | 'E' if rest[1..].starts_with('\'') => {
                self.at += 1;
                self.quoted("E'", "'", true)?
            }
            first if is_name(first) => self.word(),
            first => self.skip(first.len_utf8(), Token::Other),
        }))
    }

    fn skip(&mut self, bytes: usize, token: Token) -> Token {
        self.at += bytes;
        token
    }

    /// A word may contain dollar signs. A number is cut like one.
    fn word(&mut self) -> Token {
        let word = self.take_while(|c| is_name(c) || c == '$');
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            Token::Other
        } else {
            Token::Word(word.to_lowercase())
        }
    }

    /// From a quote to the next one that is neither doubled nor, with `escapes`, behind a backslash.
    fn quoted(
        &mut self,
        what: &'static str,
        quote: &'static str,
        escapes: bool,
    ) -> Result<Token, Unterminated> {
        let at = self.at;
        self.at += quote.len();
        loop {
            let rest = self.rest();
            let end = rest.find(|c| quote.starts_with(c) || (escapes && c == '\\'));
            let end = end.ok_or(Unterminated { what, at })?;
            self.at += end + 1;
            if rest[end..].starts_with('\\') {
                let escaped = self.rest().chars().next().ok_or(Unterminated { what, at })?;
                self.at += escaped.len_utf8();
            } else if self.rest().starts_with(quote) {
                self.at += quote.len();
            } else {
                return Ok(Token::Other);
            }
        }
    }

    /// Comments of this form can be nested.
    fn comment(&mut self) -> Result<Token, Unterminated> {
        let at = self.at;
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
            } else {
                let next = rest.chars().next().ok_or(Unterminated { what: "/*", at })?;
                self.at += next.len_utf8();
            }
            if depth == 0 {
                return Ok(Token::Other);
            }
        }
    }

    /// `$tag$ … $tag$`, or a dollar sign with a name.
    fn dollar(&mut self) -> Result<Token, Unterminated> {
        let at = self.at;
        self.at += 1;
        let name = self.take_while(is_name);
        let is_parameter = name.starts_with(|c: char| c.is_ascii_digit());
        if is_parameter || !self.rest().starts_with('$') {
            return Ok(Token::Dollar(name.to_owned()));
        }
        self.at += 1;
        let tag = &self.sql[at..self.at];
        let end = self.rest().find(tag).ok_or(Unterminated { what: "$", at })?;
        self.at += end + tag.len();
        Ok(Token::Other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(sql: &str) -> Vec<Token> {
        tokens(sql).unwrap().into_iter().map(|(token, _)| token).collect()
    }

    fn word(word: &str) -> Token {
        Token::Word(word.to_owned())
    }

    #[test]
    fn names_are_found_where_they_are_names_only() {
        let events = || Token::Dollar("events".to_owned());
        let other = Token::Other;
        assert_eq!(kinds("FROM $events"), [word("from"), events()]);
        for hidden in [
            "'$events;'",
            "'it''s $events'",
            r"E'\'$events'",
            "\"$events\"\"\"",
            "$$ $events ; ' $$",
            "$tag$ $$ $events $tag$",
            "/* $events /* ; */ $events */",
        ] {
            assert_eq!(kinds(hidden), std::slice::from_ref(&other), "{hidden}");
        }
        assert_eq!(kinds("-- $events\nx"), [Token::LineComment(" $events".to_owned()), word("x")]);
        assert_eq!(
            kinds("a$events 1 $1;"),
            [word("a$events"), other, Token::Dollar("1".to_owned()), Token::Semicolon]
        );
        assert_eq!(kinds(r"'a\' $events"), [Token::Other, events()], "a backslash is one without E");
    }

    #[test]
    fn what_has_no_end_is_named() {
        for (sql, what, at) in [
            ("x 'a''", "'", 2),
            ("\"a", "\"", 0),
            ("/* /* */", "/*", 0),
            ("a $t$ $$", "$", 2),
            (r"E'\'", "E'", 1),
        ] {
            assert_eq!(tokens(sql), Err(Unterminated { what, at }), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_tokens_in_order_or_an_error(sql in r#"[a-z'"$;*/\-\\ \n€eE0-9]{0,40}"#) {
            if let Ok(tokens) = tokens(&sql) {
                let mut end = 0;
                for (_, place) in tokens {
                    prop_assert!(end <= place.start && place.start < place.end);
                    end = place.end;
                }
                prop_assert!(end <= sql.len());
            }
        }
    }
}
