//! JSON as it is stored: numbers with all their digits, and keys that occur twice.

use std::collections::HashSet;
use std::fmt;

/// Values nested deeper than this are checked and not kept.
const LEVELS: usize = 127;

/// A text; none where it contains a lone surrogate, which no text of Unicode can.
pub(crate) type Text = Option<String>;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(Text),
    Array(Vec<Json>),
    /// In the order of the text.
    Object(Vec<(Text, Json)>),
    /// An array or object below more than [`LEVELS`] others.
    TooDeep,
}

impl Json {
    /// Parses one value, with a byte order mark before it or not. None if it is not JSON.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut parser = Parser { text: str::from_utf8(bytes).ok()?, at: 0 };
        let value = parser.value(0)?;
        parser.space();
        (parser.at == parser.text.len()).then_some(value)
    }

    /// What a name means in this object or array, null included. The last counts of those that occur twice.
    pub(crate) fn at(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => {
                let found = fields.iter().rev().find(|(key, _)| key.as_deref() == Some(name));
                found.map(|(_, value)| value)
            }
            Self::Array(items) => {
                let is_index = name == "0" || !name.starts_with(['0', '+']);
                items.get(name.parse::<usize>().ok().filter(|_| is_index)?)
            }
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.as_deref(),
            _ => None,
        }
    }

    /// What the data of an event may not contain, or nothing.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        const SURROGATE: &str = "contains a lone surrogate";
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(Some(_)) => None,
            Self::Text(None) => Some(SURROGATE),
            Self::TooDeep => Some("is nested too deeply"),
            Self::Array(items) => items.iter().find_map(Self::fault),
            Self::Object(fields) => {
                let mut keys = HashSet::with_capacity(fields.len());
                fields.iter().find_map(|(key, value)| match key {
                    None => Some(SURROGATE),
                    Some(key) if !keys.insert(key.as_str()) => Some("has a key that occurs twice"),
                    Some(_) => value.fault(),
                })
            }
        }
    }
}

/// Compact, with the digits of numbers as they were.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &Text| serde_json::Value::from(text.as_deref().unwrap_or("\u{fffd}"));
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(digits) => f.write_str(digits),
            Self::Text(text) => quoted(text).fmt(f),
            Self::Array(items) => {
                f.write_str("[")?;
                for (n, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if n == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (n, (key, value)) in fields.iter().enumerate() {
                    write!(f, "{}{}:{value}", if n == 0 { "" } else { "," }, quoted(key))?;
                }
                f.write_str("}")
            }
            Self::TooDeep => f.write_str("…"),
        }
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::Text(Some(text.clone())),
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Self::Object(fields.iter().map(|(key, value)| (Some(key.clone()), value.into())).collect())
            }
        }
    }
}

/// Whether the text is a number in JSON's grammar.
pub(crate) fn is_number(text: &str) -> bool {
    let mut parser = Parser { text, at: 0 };
    parser.number().is_some() && parser.at == text.len()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A value below `level` others. The recursion is bounded by [`LEVELS`].
    fn value(&mut self, level: usize) -> Option<Json> {
        self.space();
        match self.peek()? {
            b'{' | b'[' if level == LEVELS => self.skip().map(|()| Json::TooDeep),
            b'{' => self.object(level),
            b'[' => self.array(level),
            _ => self.scalar(),
        }
    }

    fn array(&mut self, level: usize) -> Option<Json> {
        let mut items = Vec::new();
        self.take(b'[')?;
        self.space();
        if self.take(b']').is_some() {
            return Some(Json::Array(items));
        }
        loop {
            items.push(self.value(level + 1)?);
            self.space();
            if self.take(b']').is_some() {
                return Some(Json::Array(items));
            }
            self.take(b',')?;
        }
    }

    fn object(&mut self, level: usize) -> Option<Json> {
        let mut fields = Vec::new();
        self.take(b'{')?;
        self.space();
        if self.take(b'}').is_some() {
            return Some(Json::Object(fields));
        }
        loop {
            let key = self.key()?;
            fields.push((key, self.value(level + 1)?));
            self.space();
            if self.take(b'}').is_some() {
                return Some(Json::Object(fields));
            }
            self.take(b',')?;
        }
    }

    /// A key with its colon.
    fn key(&mut self) -> Option<Text> {
        self.space();
        let key = self.string()?;
        self.space();
        self.take(b':')?;
        Some(key)
    }

    fn scalar(&mut self) -> Option<Json> {
        for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))]
        {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Some(value);
            }
        }
        if self.peek()? == b'"' { self.string().map(Json::Text) } else { self.number() }
    }

    fn number(&mut self) -> Option<Json> {
        let begin = self.at;
        let _sign = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            let _sign = self.take(b'+').or_else(|| self.take(b'-'));
            self.digits()?;
        }
        Some(Json::Number(self.text[begin..self.at].to_owned()))
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }

    fn string(&mut self) -> Option<Text> {
        self.take(b'"')?;
        let mut text = String::new();
        let mut is_text = true;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|it: char| it == '"' || it == '\\' || it < ' ')?;
            text.push_str(&rest[..plain]);
            self.at += plain;
            if self.take(b'"').is_some() {
                return Some(is_text.then_some(text));
            }
            self.take(b'\\')?;
            match self.escaped()? {
                Some(character) => text.push(character),
                None => is_text = false,
            }
        }
    }

    /// What is behind a backslash; `Some(None)` for a lone surrogate.
    fn escaped(&mut self) -> Option<Option<char>> {
        let kind = self.peek()?;
        self.at += 1;
        let character = match kind {
            b'"' | b'\\' | b'/' => kind.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        };
        Some(Some(character))
    }

    fn unicode(&mut self) -> Option<Option<char>> {
        let first = self.hexadecimal()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Some(char::from_u32(first));
        }
        let behind = self.at;
        if self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&second) {
                return Some(char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
            }
            self.at = behind;
        }
        Some(None)
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)
    }

    /// Checks an array or object of any depth without recursion.
    fn skip(&mut self) -> Option<()> {
        let mut open = Vec::new();
        loop {
            self.space();
            let begins = self.peek()?;
            if begins == b'{' || begins == b'[' {
                self.at += 1;
                self.space();
                let closing = begins + 2;
                if self.take(closing).is_none() {
                    open.push(closing);
                    if begins == b'{' {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.scalar()?;
            }
            // A value has ended, and with it perhaps those around it.
            loop {
                let Some(closing) = open.last().copied() else { return Some(()) };
                self.space();
                if self.take(closing).is_some() {
                    open.pop();
                    continue;
                }
                self.take(b',')?;
                if closing == b'}' {
                    self.key()?;
                }
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn parse(text: &str) -> Option<Json> {
        Json::parse(text.as_bytes())
    }

    #[test]
    fn what_is_json_is_kept_as_it_is_written() {
        for text in ["1.50", "-0", "1E+07", "12345678901234567890.123", r#"{"a":[1,{"b":null}],"c":"x"}"#] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(parse("\u{feff} [ ] ").unwrap(), Json::Array(Vec::new()));
        assert_eq!(parse(r#""\u0041\n\ud83d\ude00""#).unwrap(), Json::Text(Some("A\n😀".to_owned())));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "nul",
            "1 2",
            "'a'",
            "\"\t\"",
            r#""\x""#,
            r#""\u12g4""#,
            r#""\u+123""#,
            "{1:2}",
            "[1",
            "\"",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(Json::parse(b"\"\xff\""), None);
    }

    #[test]
    fn the_last_of_a_key_that_occurs_twice_counts() {
        let json = parse(r#"{"a":1,"b":[5,6],"a":null}"#).unwrap();
        assert_eq!(json.at("a"), Some(&Json::Null));
        assert_eq!(json.at("b").unwrap().at("1"), Some(&Json::Number("6".to_owned())));
        for name in ["01", "+1", "-", "2"] {
            assert_eq!(json.at("b").unwrap().at(name), None);
        }
        assert_eq!(json.fault(), Some("has a key that occurs twice"));
    }

    #[test]
    fn lone_surrogates_and_deep_values_are_faults_of_data_only() {
        let lone = parse(r#"{"\ud83d":1,"b":"\ude00\u0041"}"#).unwrap();
        assert_eq!(lone.at("b"), Some(&Json::Text(None)));
        assert_eq!(lone.fault(), Some("contains a lone surrogate"));
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(parse(&nested(127)).unwrap().fault(), None);
        assert_eq!(parse(&nested(128)).unwrap().fault(), Some("is nested too deeply"));
        let deep = format!(r#"{{"x":{},"a":1}}"#, nested(100_000));
        assert_eq!(parse(&deep).unwrap().at("a"), Some(&Json::Number("1".to_owned())));
        assert_eq!(parse(&format!("{}1", "[".repeat(100_000))), None);
        assert_eq!(parse(&format!("{}{{\"a\":}}{}", "[".repeat(200), "]".repeat(200))), None);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a\"\\\\\u{1}é\u{1F600}]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab\"]{0,2}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_values(value in value()) {
            prop_assert_eq!(parse(&value.to_string()), Some(Json::from(&value)));
        }

        #[test]
        fn agrees_with_serde_json_on_what_is_json(
            text in r#"([\[\]{},:" ]|"a"|"\\u00(4g|41)"|1|-|\.|e|0|null|tru?e){0,9}"#,
        ) {
            prop_assert_eq!(parse(&text).is_some(), serde_json::from_str::<Value>(&text).is_ok());
        }
    }
}
