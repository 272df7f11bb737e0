//! The tokens of a statement, by their index.

use std::ops::Range;

use crate::sql::lexer::{Token, tokens};

/// How deep parentheses may be nested in a statement that is followed.
const MAX_DEPTH: usize = 64;

/// The tokens of a statement without its comments.
pub(crate) struct TokenView<'t> {
    text: &'t str,
    tokens: Vec<(Token, Range<usize>)>,
    /// Of an opening parenthesis or bracket, the index of its end.
    ends: Vec<usize>,
}

impl<'t> TokenView<'t> {
    /// `None` if parentheses do not match or are nested too deep.
    pub(crate) fn new(text: &'t str) -> Option<Self> {
        let is_comment = |token: &Token, place: &Range<usize>| {
            matches!(token, Token::LineComment(_)) || text[place.clone()].starts_with("/*")
        };
        let mut tokens = tokens(text).ok()?;
        tokens.retain(|(token, place)| !is_comment(token, place) && *token != Token::Semicolon);
        let mut ends = vec![0; tokens.len()];
        let mut open = Vec::new();
        for (at, (_, place)) in tokens.iter().enumerate() {
            match &text[place.clone()] {
                "(" | "[" => open.push(at),
                ")" | "]" => ends[open.pop()?] = at,
                _ => {}
            }
            if open.len() > MAX_DEPTH {
                return None;
            }
        }
        open.is_empty().then_some(Self { text, tokens, ends })
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The text of a token; empty behind the last.
    pub(crate) fn text(&self, at: usize) -> &'t str {
        self.tokens.get(at).map_or("", |(_, place)| &self.text[place.clone()])
    }

    /// Where a token begins, in bytes.
    pub(crate) fn byte(&self, at: usize) -> usize {
        self.tokens.get(at).map_or(self.text.len(), |(_, place)| place.start)
    }

    /// A keyword or name without quotes, in lower case; empty for any other token.
    pub(crate) fn word(&self, at: usize) -> &str {
        match self.tokens.get(at) {
            Some((Token::Word(word), _)) => word,
            _ => "",
        }
    }

    /// `$events`
    pub(crate) fn is_events(&self, at: usize) -> bool {
        matches!(self.tokens.get(at), Some((Token::Dollar(_), _)))
    }

    /// A name, as Postgres compares it.
    pub(crate) fn name(&self, at: usize) -> Option<String> {
        match self.tokens.get(at)? {
            (Token::Word(word), _) => Some(word.clone()),
            _ => Some(self.text(at).strip_prefix('"')?.strip_suffix('"')?.replace("\"\"", "\"")),
        }
    }

    /// The value of a string literal, without escapes.
    pub(crate) fn literal(&self, at: usize) -> Option<String> {
        Some(self.text(at).strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'"))
    }

    /// Whether operators of one character follow one another.
    pub(crate) fn has_operator(&self, at: usize, operator: &str) -> bool {
        operator.char_indices().all(|(n, c)| self.text(at + n).starts_with(c) && self.text(at + n).len() == 1)
    }

    /// The operator that begins at a token, as Postgres cuts it but for signs at its end; empty if there is none.
    pub(crate) fn operator(&self, at: usize) -> &'t str {
        let mut end = at;
        while self.is_operator(end) && (end == at || self.is_adjacent(end)) {
            end += 1;
        }
        self.between(at..end)
    }

    /// The operator that ends before a token.
    pub(crate) fn operator_before(&self, at: usize) -> &'t str {
        let mut begin = at;
        while begin > 0 && self.is_operator(begin - 1) && (begin == at || self.is_adjacent(begin)) {
            begin -= 1;
        }
        self.between(begin..at)
    }

    fn is_operator(&self, at: usize) -> bool {
        let text = self.text(at);
        text.len() == 1 && "+-*/<>=~!@#%^&|`?".contains(text)
    }

    /// Whether nothing is between a token and the one before it.
    fn is_adjacent(&self, at: usize) -> bool {
        self.tokens[at - 1].1.end == self.tokens[at].1.start
    }

    fn between(&self, range: Range<usize>) -> &'t str {
        if range.is_empty() {
            return "";
        }
        &self.text[self.tokens[range.start].1.start..self.tokens[range.end - 1].1.end]
    }

    /// What is between an opening parenthesis or bracket and its end.
    pub(crate) fn inside(&self, open: usize) -> Range<usize> {
        open + 1..self.ends.get(open).copied().unwrap_or_default()
    }

    /// The next token, where all in parentheses is one.
    pub(crate) fn next(&self, at: usize) -> usize {
        if matches!(self.text(at), "(" | "[") { self.ends[at] + 1 } else { at + 1 }
    }

    /// The first place in a range, outside of parentheses, that meets a condition; else its end.
    pub(crate) fn find(&self, range: Range<usize>, is_wanted: impl Fn(usize) -> bool) -> usize {
        let mut at = range.start;
        while at < range.end && !is_wanted(at) {
            at = self.next(at);
        }
        at.min(range.end)
    }

    /// The first of these words in a range, outside of parentheses; else the range's end. `is distinct from` is none.
    pub(crate) fn find_word(&self, range: Range<usize>, words: &[&str]) -> usize {
        self.find(range, |at| {
            let is_operator = self.word(at) == "from" && at > 0 && self.word(at - 1) == "distinct";
            words.contains(&self.word(at)) && !is_operator
        })
    }

    /// The parts of a range between commas.
    pub(crate) fn split(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let end = self.find(start..range.end, |at| self.text(at) == ",");
            parts.push(start..end);
            start = end + 1;
        }
        parts
    }
}
