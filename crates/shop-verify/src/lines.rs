//! The input file, line by line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::csv::{Text, fields, next_line};
use aqueduct_verify::scaled;

/// Prices are whole numbers of 10^-5 pounds, which is a thousandth of a penny.
pub(crate) const PRICE_PLACES: u32 = 5;

/// Pieces of a line at most; as many can come back.
const MILLION: i32 = 1_000_000;

/// Bytes of a field at most.
const LONGEST: usize = 100;

const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

/// A well-formed line. White space around a field is not part of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Number of the line in the file, the header is 1.
    pub number: u64,
    pub invoice: Box<str>,
    /// As written in the file, in whichever case.
    pub code: Box<str>,
    pub description: Box<str>,
    pub quantity: i32,
    /// `2010-12-01 08:26:00`, local time.
    pub at: Box<str>,
    pub price: i64,
    pub customer: Option<Box<str>>,
    pub country: Box<str>,
}

impl Line {
    /// The code by which the shop tells products and charges apart: in upper case.
    pub(crate) fn product(&self) -> String {
        self.code.to_uppercase()
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Line(Line),
    /// The number of the line and the field that cannot be read, or what is wrong with the whole.
    Malformed(u64, &'static str),
}

/// The input cannot be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// No such file, or it cannot be read or unpacked.
    #[error("input {path} cannot be read")]
    Read {
        /// Path of the input file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is some other file.
    #[error(
        "input {path} begins with other columns than InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    )]
    Header {
        /// Path of the input file.
        path: PathBuf,
    },
}

/// Reads the file, unpacking it if it begins as gzip does.
pub(crate) fn read_file(path: &Path) -> Result<Vec<Entry>, InputError> {
    let unreadable = |source| InputError::Read { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    match reader.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]) {
        true => read(BufReader::new(MultiGzDecoder::new(reader)), path),
        false => read(reader, path),
    }
}

/// Reads CSV with a header, each line by itself; `path` is for messages only.
pub(crate) fn read(mut input: impl BufRead, path: &Path) -> Result<Vec<Entry>, InputError> {
    let mut entries = Vec::new();
    let mut kept = Vec::new();
    let mut number = 0;
    let mut header = false;
    let unreadable = |source| InputError::Read { path: path.to_owned(), source };
    while let Some(line) = next_line(&mut input, &mut kept).map_err(unreadable)? {
        number += 1;
        match line {
            Text::Whole(b"") => {}
            Text::Whole(line) if !header && is_header(line) => header = true,
            _ if !header => break,
            Text::Whole(line) => entries.push(match parse(number, line) {
                Ok(line) => Entry::Line(line),
                Err(field) => Entry::Malformed(number, field),
            }),
            Text::TooLong => entries.push(Entry::Malformed(number, "length of the line")),
        }
    }
    if header { Ok(entries) } else { Err(InputError::Header { path: path.to_owned() }) }
}

fn is_header(line: &[u8]) -> bool {
    // A byte order mark may come before it.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    fields(line).is_some_and(|fields| fields == COLUMNS.map(str::as_bytes))
}

/// The line, or what cannot be read of it.
fn parse(number: u64, line: &[u8]) -> Result<Line, &'static str> {
    let fields = fields(line).ok_or("a quote that is not closed")?;
    if fields.len() != COLUMNS.len() {
        return Err("number of columns");
    }
    let field = |n: usize| {
        let text = str::from_utf8(&fields[n]).map_err(|_| COLUMNS[n])?.trim();
        let good = text.len() <= LONGEST && !text.chars().any(char::is_control);
        if good { Ok(text) } else { Err(COLUMNS[n]) }
    };
    let required =
        |n: usize| field(n).and_then(|text| if text.is_empty() { Err(COLUMNS[n]) } else { Ok(text) });
    let line = Line {
        number,
        invoice: required(0)?.into(),
        code: required(1)?.into(),
        description: field(2)?.into(),
        quantity: field(3)?.parse().ok().filter(|it| (-MILLION..=MILLION).contains(it)).ok_or(COLUMNS[3])?,
        at: date_time(field(4)?).ok_or(COLUMNS[4])?.into(),
        price: price(field(5)?).ok_or(COLUMNS[5])?,
        customer: Some(field(6)?).filter(|id| !id.is_empty()).map(Into::into),
        country: field(7)?.into(),
    };
    Ok(line)
}

/// `YYYY-MM-DD HH:MM:SS` and a real date and time, or nothing.
fn date_time(text: &str) -> Option<&str> {
    let shape = text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    if !shape.eq(*b"0000-00-00 00:00:00") {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i8>().ok();
    jiff::civil::DateTime::new(
        text[..4].parse().ok()?,
        number(5, 7)?,
        number(8, 10)?,
        number(11, 13)?,
        number(14, 16)?,
        number(17, 19)?,
        0,
    )
    .ok()?;
    Some(text)
}

/// At most 6 digits before the point and 5 after it.
fn price(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.trim_start_matches('-').len() > 6 || fraction.len() > PRICE_PLACES as usize {
        return None;
    }
    scaled(text, PRICE_PLACES)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Entry {
        let text = format!("{}\n{line}\n", COLUMNS.join(","));
        let mut entries = read(text.as_bytes(), Path::new("test.csv")).unwrap();
        assert_eq!(entries.len(), 1);
        entries.remove(0)
    }

    #[test]
    fn a_malformed_line_is_named_with_its_field() {
        let cases = [
            ("1,2,3", "number of columns"),
            ("1,22423,d,1,2010-12-01 08:26:00,1,,UK,more", "number of columns"),
            (",22423,d,1,2010-12-01 08:26:00,1,,UK", "InvoiceNo"),
            ("1,,d,1,2010-12-01 08:26:00,1,,UK", "StockCode"),
            ("1,22423,two\rlines,1,2010-12-01 08:26:00,1,,UK", "Description"),
            ("1,22423,\"open,1,2010-12-01 08:26:00,1,,UK", "a quote that is not closed"),
            ("1,22423,d,1.5,2010-12-01 08:26:00,1,,UK", "Quantity"),
            ("1,22423,d,1000001,2010-12-01 08:26:00,1,,UK", "Quantity"),
            ("1,22423,d,1,2011-02-29 08:26:00,1,,UK", "InvoiceDate"),
            ("1,22423,d,1,01.12.2010 08:26,1,,UK", "InvoiceDate"),
            ("1,22423,d,1,2010-12-01 08:26:61,1,,UK", "InvoiceDate"),
            ("1,22423,d,1,2010-12-01 08:26:00,1.234567,,UK", "UnitPrice"),
            ("1,22423,d,1,2010-12-01 08:26:00,1234567,,UK", "UnitPrice"),
            ("1,22423,d,1,2010-12-01 08:26:00,,,UK", "UnitPrice"),
        ];
        for (line, field) in cases {
            assert_eq!(one(line), Entry::Malformed(2, field), "{line}");
        }
    }

    #[test]
    fn a_line_is_kept_as_written() {
        let Entry::Line(line) = one("C1, 84406b ,\"a, \"\"b\"\"\",-2,2010-12-01 08:26:00,0.001,17850,EIRE")
        else {
            panic!("well-formed")
        };
        assert_eq!((&*line.code, line.product().as_str()), ("84406b", "84406B"));
        assert_eq!((&*line.description, line.quantity, line.price), ("a, \"b\"", -2, 100));
        assert_eq!((line.customer.as_deref(), &*line.country), (Some("17850"), "EIRE"));
    }

    /// What becomes of each line: its number, and its customer or the error.
    fn all(text: &str) -> Vec<(u64, String)> {
        let text = format!("{}\n{text}", COLUMNS.join(","));
        let entries = read(text.as_bytes(), Path::new("test.csv")).unwrap().into_iter();
        let brief = |entry| match entry {
            Entry::Line(line) => (line.number, line.customer.unwrap_or_default().into()),
            Entry::Malformed(number, field) => (number, field.to_owned()),
        };
        entries.map(brief).collect()
    }

    fn line_of(description: &str, customer: &str) -> String {
        format!("1,22423,{description},1,2010-12-01 08:26:00,1,{customer},UK")
    }

    #[test]
    fn an_unbalanced_quote_swallows_no_following_lines() {
        let lines = [
            line_of("d", "1"),
            line_of("\"d", "2"),
            line_of("\"d, d\"", "3"),
            line_of("\"two\nlines\"", "4"),
            line_of("6\" d", "5"),
        ];
        let expected = [
            (2, "1".to_owned()),
            (3, "a quote that is not closed".to_owned()),
            (4, "3".to_owned()),
            (5, "a quote that is not closed".to_owned()),
            (6, "number of columns".to_owned()),
            (7, "5".to_owned()),
        ];
        assert_eq!(all(&lines.join("\n")), expected);
        assert_eq!(all(&lines.join("\r\n")), expected);
    }

    #[test]
    fn empty_lines_count_as_places_only_and_long_ones_as_malformed() {
        let long = format!("{}{}", line_of("d", "2"), " ".repeat(100_000));
        let text = format!("\n\r\n{}\n{long}\n\n{}", line_of("d", "1"), line_of("d", "3"));
        let expected = [(4, "1".to_owned()), (5, "length of the line".to_owned()), (7, "3".to_owned())];
        assert_eq!(all(&text), expected);
    }

    #[test]
    fn a_byte_order_mark_may_stand_before_the_header() {
        let text = format!("\u{feff}{}\r\n{}\r\n", COLUMNS.join(","), line_of("d", "1"));
        assert_eq!(read(text.as_bytes(), Path::new("test.csv")).unwrap().len(), 1);
    }

    #[test]
    fn another_file_is_refused() {
        let error = read(&b"a,b\n1,2\n"[..], Path::new("x.csv")).unwrap_err();
        assert!(matches!(error, InputError::Header { .. }));
        assert!(read(&b""[..], Path::new("x.csv")).is_err());
    }
}
