//! JSON with its numbers as they are written: `0.10` has two decimals, and 29 digits are 29 digits.

use std::borrow::Cow;
use std::fmt;

use crate::limits::{MAX_DEPTH, MAX_EVENT_BYTES};

/// A JSON value that keeps the text of its numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Boolean,
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    /// In the order of the text. No key is there twice.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Why a text is not JSON that could become a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses a whole text (RFC 8259). A byte order mark is skipped; a lone surrogate escape and a key that is in an
/// object twice are refused, because the encoder refuses them too.
pub(super) fn parse(bytes: &[u8]) -> Result<Json<'_>, Malformed> {
    if bytes.len() > MAX_EVENT_BYTES {
        return Err(Malformed(format!("larger than {MAX_EVENT_BYTES} bytes")));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Malformed("empty".to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("not UTF-8".to_owned()))?;
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.skip_blanks();
    if parser.at == text.len() { Ok(value) } else { Err(parser.error("unexpected text after the value")) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, problem: &str) -> Malformed {
        Malformed(format!("not JSON: {problem} at byte {}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.take(byte) { Ok(()) } else { Err(self.error(&format!("expected {:?}", char::from(byte)))) }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, Malformed> {
        if depth >= MAX_DEPTH {
            return Err(Malformed(format!("nested deeper than {MAX_DEPTH}")));
        }
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.literal("null", Json::Null),
            Some(b't') => self.literal("true", Json::Boolean),
            Some(b'f') => self.literal("false", Json::Boolean),
            _ => Err(self.error("expected a value")),
        }
    }

    fn literal(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, Malformed> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.error("expected a value"))
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, Malformed> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_blanks();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_blanks();
            if !self.take(b',') {
                self.expect(b']')?;
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, Malformed> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_blanks();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key"));
            }
            let key = self.string()?;
            self.skip_blanks();
            self.expect(b':')?;
            members.push((key, self.value(depth + 1)?));
            self.skip_blanks();
            if !self.take(b',') {
                self.expect(b'}')?;
                return self.unique(members);
            }
        }
    }

    fn unique(&self, members: Vec<(Cow<'a, str>, Json<'a>)>) -> Result<Json<'a>, Malformed> {
        let mut keys: Vec<&str> = members.iter().map(|(key, _)| &**key).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Malformed(format!("a key is twice in the object that ends at byte {}", self.at)));
        }
        Ok(Json::Object(members))
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at > start
    }

    fn number(&mut self) -> Result<Json<'a>, Malformed> {
        let start = self.at;
        self.take(b'-');
        let whole = self.at;
        let mut valid = self.digits();
        valid &= self.at == whole + 1 || self.text.as_bytes().get(whole) != Some(&b'0');
        if self.take(b'.') {
            valid &= self.digits();
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'-') {
                self.take(b'+');
            }
            valid &= self.digits();
        }
        if valid { Ok(Json::Number(&self.text[start..self.at])) } else { Err(self.error("a bad number")) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.at += 1;
        let start = self.at;
        let mut unescaped: Option<String> = None;
        let mut plain_from = start;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let rest = &self.text[plain_from..self.at];
                    self.at += 1;
                    return Ok(match unescaped {
                        None => Cow::Borrowed(rest),
                        Some(mut text) => {
                            text.push_str(rest);
                            Cow::Owned(text)
                        }
                    });
                }
                Some(b'\\') => {
                    let text = unescaped.get_or_insert_with(String::new);
                    text.push_str(&self.text[plain_from..self.at]);
                    self.at += 1;
                    let character = self.escape()?;
                    unescaped.get_or_insert_with(String::new).push(character);
                    plain_from = self.at;
                }
                Some(0..=0x1f) => return Err(self.error("a control character in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.error("a string without an end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let escaped = self.peek();
        self.at += 1;
        Ok(match escaped {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("a bad escape")),
        })
    }

    fn unicode(&mut self) -> Result<char, Malformed> {
        let first = self.hex()?;
        let lone = |parser: &Self| parser.error("a lone surrogate escape");
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| lone(self));
        }
        if first >= 0xdc00 || !(self.take(b'\\') && self.take(b'u')) {
            return Err(lone(self));
        }
        let second = self.hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone(self));
        }
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(code).ok_or_else(|| lone(self))
    }

    fn hex(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let code = text.and_then(|text| u32::from_str_radix(text, 16).ok());
        let code = code.ok_or_else(|| self.error("a bad escape"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_text() {
        let json = parse(b"\xef\xbb\xbf [0.10, -1E-07, 79228162514264337593543950335.0]").unwrap();
        let number = Json::Number;
        let expected = vec![number("0.10"), number("-1E-07"), number("79228162514264337593543950335.0")];
        assert_eq!(json, Json::Array(expected));
    }

    #[test]
    fn escapes_are_read() {
        let json = parse(br#"{"a\u002Bb": "\ud83D\ude00 \"x\"\n/\/"}"#).unwrap();
        let expected = Json::Object(vec![("a+b".into(), Json::Text("\u{1f600} \"x\"\n//".into()))]);
        assert_eq!(json, expected);
    }

    #[test]
    fn agrees_with_serde_json_on_what_is_json() {
        for text in [
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "nul",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "[1 2]",
            "\"\t\"",
            "\"a",
            "[",
            "{",
            "1 2",
            "\"\\x\"",
            "\"\\u12\"",
            "-0",
            "0.0",
            "1e+5",
            "[[]]",
            "{}",
            " true ",
            "\"\\u0041\"",
        ] {
            let expected = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(parse(text.as_bytes()).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_the_encoder_refuses_is_refused() {
        for (text, problem) in [
            ("", "empty"),
            (" \n", "empty"),
            (r#""\ud83d""#, "not JSON: a lone surrogate escape at byte 7"),
            (r#"{"a":1,"\u0061":2}"#, "a key is twice in the object that ends at byte 18"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), problem, "{text}");
        }
        assert_eq!(parse(b"\"\xff\"").unwrap_err().to_string(), "not UTF-8");
        let deep = "[".repeat(100_000);
        assert_eq!(parse(deep.as_bytes()).unwrap_err().to_string(), "nested deeper than 128");
    }
}
