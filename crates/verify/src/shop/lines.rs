//! The input file, line by line.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::decimal::scaled;

/// Prices are whole numbers of 10^-5 pounds, which is a thousandth of a penny.
pub(super) const PRICE_PLACES: u32 = 5;

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
pub(super) struct Line {
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
    pub(super) fn product(&self) -> String {
        self.code.to_uppercase()
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    Line(Line),
    /// The number of the line and the field that can't be read.
    Malformed(u64, &'static str),
}

/// The input can't be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// No such file, or it can't be read or unpacked.
    #[error("input {path} can't be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It isn't CSV.
    #[error("input {path} is no csv file")]
    Csv {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: csv::Error,
    },
    /// It is some other file.
    #[error(
        "input {path} begins with other columns than InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    )]
    Header {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the file, unpacking it if it begins as gzip does.
pub(super) fn read_file(path: &Path) -> Result<Vec<Entry>, InputError> {
    let unreadable = |source| InputError::Read { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(unreadable)?);
    match reader.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]) {
        true => read(MultiGzDecoder::new(reader), path),
        false => read(reader, path),
    }
}

/// Reads CSV with a header; `path` is for messages only.
pub(super) fn read(input: impl Read, path: &Path) -> Result<Vec<Entry>, InputError> {
    let csv_error = |source: csv::Error| match source.into_kind() {
        csv::ErrorKind::Io(source) => InputError::Read { path: path.to_owned(), source },
        kind => InputError::Csv {
            path: path.to_owned(),
            source: std::io::Error::other(format!("{kind:?}")).into(),
        },
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    if reader.byte_headers().map_err(csv_error)? != COLUMNS[..] {
        return Err(InputError::Header { path: path.to_owned() });
    }
    let mut entries = Vec::new();
    let mut record = csv::ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(csv_error)? {
        let number = record.position().map_or(0, csv::Position::line);
        entries.push(match parse(number, &record) {
            Ok(line) => Entry::Line(line),
            Err(field) => Entry::Malformed(number, field),
        });
    }
    Ok(entries)
}

/// The line, or what can't be read of it.
fn parse(number: u64, record: &csv::ByteRecord) -> Result<Line, &'static str> {
    if record.len() != COLUMNS.len() {
        return Err("number of columns");
    }
    let field = |n: usize| {
        let text = str::from_utf8(&record[n]).map_err(|_| COLUMNS[n])?.trim();
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
            ("1,22423,\"two\nlines\",1,2010-12-01 08:26:00,1,,UK", "Description"),
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

    #[test]
    fn another_file_is_refused() {
        let error = read(&b"a,b\n1,2\n"[..], Path::new("x.csv")).unwrap_err();
        assert!(matches!(error, InputError::Header { .. }));
    }
}
