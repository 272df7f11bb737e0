//! JSON text to [`Json`].
//!
//! A parser of its own, because decimals need the digits of numbers, and a key that occurs twice must be seen.
//! serde_json gives the one only with a feature that slows every user of it down, and the other not at all.

use std::borrow::Cow;
use std::fmt;

use crate::limits::{MAX_DEPTH, MAX_VALUES};
use crate::mapping::json::number::{Number, number_length};
use crate::mapping::json::{Json, Member};

/// A byte order mark, which some writers put before their JSON.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a text is not JSON that can be read, and where.
#[derive(Debug)]
pub(crate) struct JsonError {
    problem: Cow<'static, str>,
    /// In bytes.
    offset: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.problem, self.offset)
    }
}

/// Parses one JSON value, with a byte order mark before it or not.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json<'_>, JsonError> {
    let mut parser = Parser::new(bytes)?;
    let value = parser.value()?;
    parser.end()?;
    Ok(value)
}

/// Reads a text from its beginning to its end: whole values, or objects and arrays member by member.
pub(crate) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    values: usize,
}

impl<'a> Parser<'a> {
    /// Before the first value, with a byte order mark before it or not.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let text = std::str::from_utf8(bytes).map_err(|error| JsonError {
            problem: "the text is not UTF-8".into(),
            offset: error.valid_up_to(),
        })?;
        Ok(Self { text, at, depth: 0, values: 0 })
    }

    /// Refuses text after the value.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        match self.next_byte() {
            Some(_) => Err(self.error("more text after the end of the value")),
            None => Ok(()),
        }
    }

    /// The first byte after white space.
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        self.skip_whitespace();
        self.peek()
    }

    fn error(&self, problem: impl Into<Cow<'static, str>>) -> JsonError {
        JsonError { problem: problem.into(), offset: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn unexpected(&self, wanted: &str) -> JsonError {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => self.error(format!("expected {wanted}, found {found:?}")),
            None => self.error(format!("expected {wanted}, found the end of the text")),
        }
    }

    // The depth of the recursion is bounded by MAX_DEPTH.
    pub(crate) fn value(&mut self) -> Result<Json<'a>, JsonError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(self.error(format!("more than {MAX_VALUES} values")));
        }
        match self.next_byte() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Json::Bool(true)),
            Some(b'f') => self.literal("false", Json::Bool(false)),
            Some(b'n') => self.literal("null", Json::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Enters the object or array that begins here.
    pub(crate) fn enter(&mut self) -> Result<(), JsonError> {
        self.depth += 1;
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!("nested {MAX_DEPTH} levels deep or deeper")));
        }
        self.at += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Goes to the next item of the array that was entered; `false` at its end, which leaves the array.
    pub(crate) fn next_item(&mut self, is_first: bool) -> Result<bool, JsonError> {
        match self.next_byte() {
            Some(b']') => {
                self.leave();
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                Ok(true)
            }
            _ if is_first => Ok(true),
            _ => Err(self.unexpected("a comma or the end of the array")),
        }
    }

    /// The key of the next member of the object that was entered, whose value follows; `None` at its end, which leaves
    /// the object.
    pub(crate) fn next_key(&mut self, is_first: bool) -> Result<Option<Cow<'a, str>>, JsonError> {
        match self.next_byte() {
            Some(b'}') => {
                self.leave();
                return Ok(None);
            }
            Some(b',') if !is_first => self.at += 1,
            _ if is_first => {}
            _ => return Err(self.unexpected("a comma or the end of the object")),
        }
        if self.next_byte() != Some(b'"') {
            return Err(self.unexpected("a key"));
        }
        let key = self.string()?;
        if self.next_byte() != Some(b':') {
            return Err(self.unexpected("a colon"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    fn literal(&mut self, literal: &str, value: Json<'a>) -> Result<Json<'a>, JsonError> {
        if !self.text[self.at..].starts_with(literal) {
            return Err(self.unexpected("a value"));
        }
        self.at += literal.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let rest = &self.text[self.at..];
        let length = number_length(rest.as_bytes()).ok_or_else(|| self.unexpected("a number"))?;
        let text = &rest[..length];
        self.at += length;
        let number = match text.parse() {
            Ok(whole) if text != "-0" => Number::Whole(whole),
            _ => Number::Text(text.into()),
        };
        Ok(Json::Number(number))
    }

    fn array(&mut self) -> Result<Json<'a>, JsonError> {
        self.enter()?;
        let mut items = Vec::new();
        while self.next_item(items.is_empty())? {
            items.push(self.value()?);
        }
        Ok(Json::Array(items))
    }

    fn object(&mut self) -> Result<Json<'a>, JsonError> {
        let offset = self.at;
        self.enter()?;
        let mut members: Vec<Member<'a>> = Vec::new();
        while let Some(key) = self.next_key(members.is_empty())? {
            members.push((key, self.value()?));
        }
        match repeated_key(&members) {
            Some(key) => {
                let shown: String = key.chars().take(64).collect();
                let problem = format!("the key {shown:?} occurs twice in the object").into();
                Err(JsonError { problem, offset })
            }
            None => Ok(Json::Object(members)),
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let plain = self.plain_text()?;
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(plain.into());
        }
        self.at = start;
        self.escaped_string().map(Cow::Owned)
    }

    /// The text up to the next quote or escape.
    fn plain_text(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        self.at = start + length.unwrap_or(rest.len());
        match self.peek() {
            Some(b'"' | b'\\') => Ok(&self.text[start..self.at]),
            Some(_) => Err(self.error("a control character in a string is not escaped")),
            None => Err(self.error("the string has no end")),
        }
    }

    fn escaped_string(&mut self) -> Result<String, JsonError> {
        let mut string = String::new();
        loop {
            string.push_str(self.plain_text()?);
            let ends = self.peek() == Some(b'"');
            self.at += 1;
            if ends {
                return Ok(string);
            }
            string.push(self.escape()?);
        }
    }

    /// What is after a backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let character = match self.peek() {
            Some(plain @ (b'"' | b'\\' | b'/')) => plain.into(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(character)
    }

    /// `u` and four digits, or a pair of them for a character beyond 16 bits.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let first = self.code_unit()?;
        let mut units = [first, 0];
        let mut length = 1;
        if (0xd800..0xdc00).contains(&first) && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            self.at += 1;
            units[1] = self.code_unit()?;
            length = 2;
        }
        match char::decode_utf16(units.into_iter().take(length)).next() {
            Some(Ok(character)) => Ok(character),
            _ => Err(JsonError {
                problem: format!("a lone surrogate escape (\\u{first:04x}), which is not a character").into(),
                offset: start - 1,
            }),
        }
    }

    fn code_unit(&mut self) -> Result<u16, JsonError> {
        let digits = self.text.get(self.at + 1..self.at + 5);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.error("an escape \\u without four hexadecimal digits"))?;
        self.at += 5;
        Ok(unit)
    }
}

/// Few keys are compared pair by pair, many are sorted first.
fn repeated_key<'m>(members: &'m [Member<'_>]) -> Option<&'m str> {
    const FEW: usize = 16;
    if members.len() <= FEW {
        let mut keys = members.iter().enumerate();
        return keys.find_map(|(n, (key, _))| {
            members[..n].iter().any(|(before, _)| before == key).then_some(key.as_ref())
        });
    }
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}
