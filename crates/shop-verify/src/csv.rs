//! Physical lines and their fields, by hand: the shop takes a library for it, and where that reads something
//! else into a line than is written here, the figures differ.

use std::borrow::Cow;
use std::io::{self, BufRead, Read as _};

/// Bytes of a line at most, without its end.
const LONGEST: usize = 65_536;

/// What a field says, without its quotes.
pub(crate) type Field<'a> = Cow<'a, [u8]>;

/// A line of the file, without its end.
pub(crate) enum Text<'a> {
    Whole(&'a [u8]),
    TooLong,
}

/// Reads the next line, with `kept` as its place in memory; none at the end of the file.
pub(crate) fn next_line<'a>(input: &mut impl BufRead, kept: &'a mut Vec<u8>) -> io::Result<Option<Text<'a>>> {
    kept.clear();
    // So much that the longest line is there with its end, `\r\n`.
    if input.by_ref().take(LONGEST as u64 + 2).read_until(b'\n', kept)? == 0 {
        return Ok(None);
    }
    if !kept.ends_with(b"\n") {
        // The file ends here, or the line goes on for longer than it may.
        input.skip_until(b'\n')?;
    }
    let line = kept.strip_suffix(b"\n").unwrap_or(kept);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Some(if line.len() > LONGEST { Text::TooLong } else { Text::Whole(line) }))
}

/// The fields of a line; none if a quote is open at its end.
pub(crate) fn fields(line: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(line) = rest {
        let (field, others) = first_field(line)?;
        fields.push(field);
        rest = others;
    }
    Some(fields)
}

/// The first field, and what follows its comma if there is one.
fn first_field(line: &[u8]) -> Option<(Field<'_>, Option<&[u8]>)> {
    let Some(mut rest) = line.strip_prefix(b"\"") else {
        // A quote elsewhere than at the beginning is a character like others.
        let (field, others) = until_comma(line);
        return Some((field.into(), others));
    };
    let mut field = Vec::new();
    loop {
        let quote = rest.iter().position(|byte| *byte == b'"')?;
        field.extend(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix(b"\"") {
            Some(after) => {
                field.push(b'"');
                rest = after;
            }
            None => break,
        }
    }
    // What comes after the closing quote belongs to the field.
    let (appendix, others) = until_comma(rest);
    field.extend(appendix);
    Some((field.into(), others))
}

fn until_comma(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b',') {
        Some(comma) => (&text[..comma], Some(&text[comma + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(line: &str) -> Option<Vec<String>> {
        let fields = fields(line.as_bytes())?;
        Some(fields.into_iter().map(|field| String::from_utf8(field.into_owned()).unwrap()).collect())
    }

    #[test]
    fn quotes_hold_commas_and_doubled_quotes() {
        let cases: [(&str, Option<&[&str]>); 10] = [
            ("a,b", Some(&["a", "b"])),
            (",", Some(&["", ""])),
            ("\"a,b\",\"\"", Some(&["a,b", ""])),
            ("\"a \"\"b\"\"\",c", Some(&["a \"b\"", "c"])),
            ("6\" a,\"b", None),
            ("6\" a,b\"", Some(&["6\" a", "b\""])),
            (" \"a,b\"", Some(&[" \"a", "b\""])),
            ("\"a\"b\"c,d", Some(&["ab\"c", "d"])),
            ("\"a\"\"", None),
            ("\"", None),
        ];
        for (line, fields) in cases {
            let fields = fields.map(|fields| fields.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(strings(line), fields, "{line}");
        }
    }

    #[test]
    fn of_a_line_that_is_too_long_no_more_than_that_is_kept() {
        for end in ["\n", "\r\n"] {
            let lines = [LONGEST, LONGEST + 1, 9 * LONGEST, 1].map(|length| "x".repeat(length));
            let text = lines.join(end);
            let (mut input, mut kept) = (text.as_bytes(), Vec::new());
            let mut lengths = Vec::new();
            while let Some(line) = next_line(&mut input, &mut kept).unwrap() {
                lengths.push(match line {
                    Text::Whole(line) => Some(line.len()),
                    Text::TooLong => None,
                });
                assert!(kept.len() <= LONGEST + 2);
            }
            assert_eq!(lengths, [Some(LONGEST), None, None, Some(1)]);
        }
    }
}
