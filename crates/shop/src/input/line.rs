//! One line of the shop's file, parsed or refused.

use std::fmt;
use std::io::{self, BufRead};

use jiff::civil::DateTime;
use rust_decimal::Decimal;

use super::record::{Broken, LINE_BYTES, Record, Records};

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

/// A malformed line. It is counted and reported, and the run continues without it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("line {number}: {problem}; correct the line and run again")]
pub struct Malformed {
    /// Place in the file, the header being line 1.
    pub number: u64,
    /// The field and what is wrong with it.
    pub problem: String,
}

/// The file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The first line is not the expected header.
    #[error("the first line is not the header {}", COLUMNS.join(","))]
    Header,
    /// The file is truncated, not valid gzip, or the disk failed.
    #[error("line {number} cannot be read")]
    Read {
        /// Place in the file.
        number: u64,
        /// Why not.
        source: io::Error,
    },
}

/// Reads all lines, in their order. A malformed line never affects the next one.
pub(super) fn read(input: impl BufRead) -> Result<Vec<Result<Line, Malformed>>, ReadError> {
    let mut records = Records::new(input);
    let mut lines = Vec::new();
    let mut header = true;
    loop {
        match records.next() {
            Ok(Some(Record { fields, .. })) if header => match fields {
                Ok(fields) if fields == COLUMNS.map(str::as_bytes) => header = false,
                _ => return Err(ReadError::Header),
            },
            Ok(Some(Record { number, fields })) => {
                lines.push(parse(number, fields).map_err(|problem| Malformed { number, problem }));
            }
            Ok(None) if header => return Err(ReadError::Header),
            Ok(None) => return Ok(lines),
            Err(source) => return Err(ReadError::Read { number: records.lines() + 1, source }),
        }
    }
}

fn parse(number: u64, fields: Result<Vec<&[u8]>, Broken>) -> Result<Line, String> {
    let fields: [&[u8]; COLUMNS.len()] = fields
        .map_err(describe)?
        .try_into()
        .map_err(|fields: Vec<_>| format!("it has {} columns instead of {}", fields.len(), COLUMNS.len()))?;
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

fn describe(broken: Broken) -> String {
    match broken {
        Broken::TooLong => format!("it is longer than {LINE_BYTES} bytes"),
        Broken::OpenQuote(column) => {
            let name = COLUMNS.get(column).copied().unwrap_or("a column too many");
            format!("{name} begins with a quote that is not closed in the line: close it or take it away")
        }
    }
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
            (2, "two\rlines", "Description has control characters"),
            (2, "\"TEXT", "Description begins with a quote that is not closed in the line"),
            (7, "France,\"", "a column too many begins with a quote that is not closed in the line"),
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

    /// What becomes of each line: its customer, or the error.
    fn customers(text: &str) -> Vec<Result<String, String>> {
        let lines = read(format!("{HEADER}{text}").as_bytes()).unwrap();
        let customer = |line: Result<Line, Malformed>| {
            line.map(|line| format!("{}: {}", line.number, line.customer.unwrap_or_default()))
        };
        lines.into_iter().map(|line| customer(line).map_err(|error| error.to_string())).collect()
    }

    fn line_of(description: &str, customer: &str) -> String {
        format!("536365,85123A,{description},6,2010-12-01 08:26:00,2.55,{customer},UK")
    }

    #[test]
    fn an_unbalanced_quote_swallows_no_following_lines() {
        let lines = [
            line_of("TEXT", "1"),
            line_of("\"WHITE HANGING", "2"),
            line_of("\"HEART, WHITE\"", "3"),
            line_of("\"6\"\" CAKE", "4"),
            line_of("6\" CAKE", "5"),
        ];
        let open = "Description begins with a quote that is not closed in the line: close it or take it away; \
                    correct the line and run again";
        let expected = [
            Ok("2: 1".to_owned()),
            Err(format!("line 3: {open}")),
            Ok("4: 3".to_owned()),
            Err(format!("line 5: {open}")),
            Ok("6: 5".to_owned()),
        ];
        assert_eq!(customers(&lines.join("\n")), expected);
        assert_eq!(customers(&lines.join("\r\n")), expected);
    }

    #[test]
    fn a_field_of_two_lines_is_two_malformed_lines() {
        let [first, second] = &customers(&line_of("\"two\nlines\"", "1"))[..] else { panic!("two lines") };
        assert!(first.as_ref().unwrap_err().starts_with("line 2: Description begins with a quote"));
        assert!(second.as_ref().unwrap_err().starts_with("line 3: it has 6 columns instead of 8"));
    }

    #[test]
    fn empty_lines_are_passed_over_but_numbered() {
        let text = format!("\n\r\n{}\r\n\n{}", line_of("TEXT", "1"), line_of("TEXT", "2"));
        assert_eq!(customers(&text), [Ok("4: 1".to_owned()), Ok("6: 2".to_owned())]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_before_the_header_only() {
        let line = line_of("\"open", "1") + "\n\u{feff}" + &line_of("TEXT", "2");
        let lines = read(format!("\u{feff}{HEADER}{line}").as_bytes()).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].as_ref().unwrap().invoice, "\u{feff}536365");
    }

    #[test]
    fn of_a_line_that_is_too_long_no_more_than_that_is_kept() {
        let long = |bytes: usize| {
            let line = line_of("TEXT", "1");
            format!("{line}{}", " ".repeat(bytes - line.len()))
        };
        let text = [long(LINE_BYTES), long(LINE_BYTES + 1), long(9 * LINE_BYTES), line_of("TEXT", "2")];
        let too_long = |number| {
            Err(format!("line {number}: it is longer than 65536 bytes; correct the line and run again"))
        };
        let expected = [Ok("2: 1".to_owned()), too_long(3), too_long(4), Ok("5: 2".to_owned())];
        assert_eq!(customers(&text.join("\n")), expected);
        assert_eq!(customers(&text.join("\r\n")), expected);
        assert!(matches!(read(&[b'x'; 3 * LINE_BYTES][..]), Err(ReadError::Header)));
    }

    #[test]
    fn a_file_of_another_form_is_refused() {
        assert!(matches!(read("a,b\n1,2\n".as_bytes()), Err(ReadError::Header)));
        assert!(matches!(read("".as_bytes()), Err(ReadError::Header)));
    }
}
