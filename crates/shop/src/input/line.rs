//! One line of the shop's file, parsed or refused.

use std::fmt;
use std::io::Read;

use csv::{ByteRecord, ReaderBuilder};
use jiff::civil::DateTime;
use rust_decimal::Decimal;

/// The columns, in the order in which they stand in the file.
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

/// Decimal places that a price in pounds may have: minor units carry three, a hundredth of a pound two more.
const PRICE_PLACES: usize = 5;
/// Digits before the point that a price may have: with the quantities below, a line's amount fits the schemas'
/// decimals. The highest price of the real file has five.
const PRICE_DIGITS: usize = 6;
/// Most pieces of a line. The real file has 74,215 at most.
const PIECES: u32 = 1_000_000;

/// The longest field. The longest of the real file has 35 bytes; names of streams, and events of a thousand lines,
/// must stay within their bounds.
const TEXT_BYTES: usize = 100;

/// A line that could be parsed. Whether it makes sense is for the rules to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Place in the file, the header being line 1.
    pub number: u64,
    /// Invoice number, as written.
    pub invoice: String,
    /// Product or charge code as written.
    pub stock_code: String,
    /// The code upper-cased, which is what counts: 90 codes of the real file differ only in case.
    pub code: String,
    /// Free text, may be empty.
    pub description: String,
    /// Pieces; negative for what comes back or is written off.
    pub quantity: i32,
    /// Local time of the invoice.
    pub at: DateTime,
    /// Pounds for a piece.
    pub price: Decimal,
    /// Who bought; none for guests.
    pub customer: Option<String>,
    /// Where to.
    pub country: String,
}

/// A line that is not of the file's form. It is counted and shown; the run goes on without it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("line {number}: {problem}; correct the line and run again")]
pub struct Malformed {
    /// Place in the file, the header being line 1.
    pub number: u64,
    /// The field and what is wrong with it.
    pub problem: String,
}

/// The file can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no file of this form.
    #[error("the first line is not the header {}", COLUMNS.join(","))]
    Header,
    /// It breaks off, is no valid gzip, or the disk failed.
    #[error("line {number} can't be read")]
    Read {
        /// Place in the file.
        number: u64,
        /// Why not.
        source: csv::Error,
    },
}

/// Reads all lines, in their order.
pub(super) fn read(input: impl Read) -> Result<Vec<Result<Line, Malformed>>, ReadError> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let mut record = ByteRecord::new();
    let mut number = 1;
    let mut next = |record: &mut ByteRecord, number| {
        reader.read_byte_record(record).map_err(|source| ReadError::Read { number, source })
    };
    if !next(&mut record, number)? || record.iter().ne(COLUMNS.map(str::as_bytes)) {
        return Err(ReadError::Header);
    }
    let mut lines = Vec::new();
    while next(&mut record, number + 1)? {
        number = record.position().map_or(number + 1, csv::Position::line);
        lines.push(parse(number, &record).map_err(|problem| Malformed { number, problem }));
    }
    Ok(lines)
}

fn parse(number: u64, record: &ByteRecord) -> Result<Line, String> {
    let fields: [&[u8]; COLUMNS.len()] =
        record.iter().collect::<Vec<_>>().try_into().map_err(|fields: Vec<_>| {
            format!("it has {} columns instead of {}", fields.len(), COLUMNS.len())
        })?;
    let text = |column: usize| {
        let name = COLUMNS[column];
        let text = std::str::from_utf8(fields[column]).map_err(|_| format!("{name} is not UTF-8"))?.trim();
        match text.len() {
            _ if text.chars().any(char::is_control) => Err(format!("{name} has control characters")),
            ..=TEXT_BYTES => Ok(text),
            length => Err(format!("{name} is {length} bytes long, at most {TEXT_BYTES} are taken")),
        }
    };
    let filled = |column: usize| match text(column)? {
        "" => Err(format!("{} is empty", COLUMNS[column])),
        text => Ok(text),
    };
    let stock_code = filled(1)?.to_owned();
    Ok(Line {
        number,
        invoice: filled(0)?.to_owned(),
        code: stock_code.to_uppercase(),
        stock_code,
        description: text(2)?.to_owned(),
        quantity: parsed("Quantity", text(3)?, "a whole number up to a million", parse_quantity)?,
        at: parsed("InvoiceDate", text(4)?, "a time such as 2010-12-01 08:26:00", parse_time)?,
        price: parsed(
            "UnitPrice",
            text(5)?,
            "a decimal with at most 5 places and 6 digits before",
            parse_price,
        )?,
        customer: Some(text(6)?).filter(|text| !text.is_empty()).map(str::to_owned),
        country: text(7)?.to_owned(),
    })
}

fn parsed<T>(
    column: &str,
    text: &str,
    form: impl fmt::Display,
    f: impl Fn(&str) -> Option<T>,
) -> Result<T, String> {
    f(text).ok_or_else(|| format!("{column} is {text:?}, not {form}"))
}

fn parse_quantity(text: &str) -> Option<i32> {
    text.parse().ok().filter(|pieces: &i32| pieces.unsigned_abs() <= PIECES)
}

fn parse_time(text: &str) -> Option<DateTime> {
    const FORM: &str = "%Y-%m-%d %H:%M:%S";
    // Exactly one form: jiff alone would also take numbers of one digit, and a sixtieth second.
    DateTime::strptime(FORM, text).ok().filter(|at| at.strftime(FORM).to_string() == text)
}

fn parse_price(text: &str) -> Option<Decimal> {
    // Decimal alone would also take underscores, a plus sign, and a point with nothing before or after it.
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
    let number =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = number(whole, PRICE_DIGITS) && number(places, PRICE_PLACES);
    fits.then(|| Decimal::from_str_exact(text).ok()).flatten().map(|price| price.normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    fn one(line: &str) -> Result<Line, String> {
        let lines = read(format!("{HEADER}{line}\n").as_bytes()).unwrap();
        assert_eq!(lines.len(), 1);
        lines.into_iter().next().unwrap().map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_of_the_real_file() {
        let line =
            one("536365,85123a,\"HANGING HEART, WHITE\",6,2010-12-01 08:26:00,2.55,17850,United Kingdom");
        let line = line.unwrap();
        assert_eq!((line.number, line.code.as_str(), line.quantity), (2, "85123A", 6));
        assert_eq!((line.description.as_str(), line.price), ("HANGING HEART, WHITE", Decimal::new(255, 2)));
        assert_eq!(line.at, jiff::civil::datetime(2010, 12, 1, 8, 26, 0, 0));
        assert_eq!(line.customer.as_deref(), Some("17850"));
    }

    #[test]
    fn malformed_lines_name_the_line_and_the_field() {
        let good = ["536365", "85123A", "TEXT", "6", "2010-12-01 08:26:00", "2.55", "17850", "France"];
        for (column, bad, problem) in [
            (0, "", "InvoiceNo is empty"),
            (1, " ", "StockCode is empty"),
            (2, "\"two\nlines\"", "Description has control characters"),
            (6, &"7".repeat(101), "CustomerID is 101 bytes long, at most 100 are taken"),
            (3, "six", "Quantity is \"six\", not a whole number up to a million"),
            (3, "99999999999", "Quantity is \"99999999999\""),
            (3, "-1000001", "Quantity is \"-1000001\""),
            (4, "2010-02-30 08:26:00", "InvoiceDate is \"2010-02-30 08:26:00\""),
            (4, "2010-12-01", "InvoiceDate is \"2010-12-01\""),
            (4, "2010-12-01 08:26:60", "InvoiceDate is \"2010-12-01 08:26:60\""),
            (5, "1e3", "UnitPrice is \"1e3\""),
            (5, "1_0", "UnitPrice is \"1_0\""),
            (5, ".5", "UnitPrice is \".5\""),
            (5, "0.000001", "UnitPrice is \"0.000001\""),
            (5, "1000000", "UnitPrice is \"1000000\""),
        ] {
            let mut fields = good;
            fields[column] = bad;
            let error = one(&fields.join(",")).unwrap_err();
            assert!(error.starts_with(&format!("line 2: {problem}")), "{error}");
        }
        assert!(one("536365,85123A,TEXT").unwrap_err().contains("it has 3 columns instead of 8"));
    }

    #[test]
    fn a_file_of_another_form_is_refused() {
        assert!(matches!(read("a,b\n1,2\n".as_bytes()), Err(ReadError::Header)));
        assert!(matches!(read("".as_bytes()), Err(ReadError::Header)));
    }
}
