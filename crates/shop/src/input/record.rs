//! The records of a CSV file in which each physical line is one.
//!
//! A CSV reader that takes the whole file lets a quoted field run on over the end of its line: one quote too many
//! swallows all lines up to the next one. Here a newline always ends the record.

use std::io::{self, BufRead, Read as _};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

/// The longest line, without its end: what a file that has no newlines can make us keep.
pub(super) const LINE_BYTES: usize = 64 * 1024;
/// Bytes of the longest end of a line, `\r\n`.
const END_BYTES: usize = 2;

/// A line that is not a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is longer than [`LINE_BYTES`].
    TooLong,
    /// The field at this place, counted from 0, begins with a quote that nothing closes.
    OpenQuote(usize),
}

/// A line of the file.
pub(super) struct Record<'a> {
    /// Its number, the first line of the file being 1.
    pub(super) number: u64,
    pub(super) fields: Result<Vec<&'a [u8]>, Broken>,
}

/// Splits a file into lines, and these into fields. Empty lines are passed over, but numbered.
pub(super) struct Records<R> {
    input: R,
    lines: u64,
    line: Vec<u8>,
    parser: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R) -> Self {
        // A carriage return that ends no line is a control character like others. The parser passes over a byte
        // order mark before its first record only, which is why it is never reset.
        let parser = ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build();
        Self { input, lines: 0, line: Vec::new(), parser, text: Vec::new(), ends: Vec::new() }
    }

    /// How many lines were read, empty ones too.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The next line that is not empty; none at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        while self.next_line()? {
            let number = self.lines;
            match self.line.len() {
                0 => {}
                1..=LINE_BYTES => return Ok(Some(Record { number, fields: self.fields() })),
                _ => return Ok(Some(Record { number, fields: Err(Broken::TooLong) })),
            }
        }
        Ok(None)
    }

    /// Reads a line without its end, and of one that is too long no more than shows it; says whether there was one.
    fn next_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let most = (LINE_BYTES + END_BYTES) as u64;
        if self.input.by_ref().take(most).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(false);
        }
        self.lines += 1;
        if self.line.pop_if(|last| *last == b'\n').is_none() {
            self.input.skip_until(b'\n')?;
        }
        self.line.pop_if(|last| *last == b'\r');
        Ok(true)
    }

    fn fields(&mut self) -> Result<Vec<&[u8]>, Broken> {
        self.line.push(b'\n');
        // A line has no more bytes of text, and hardly more fields, than bytes.
        let room = self.line.len() + 1;
        self.text.resize(room, 0);
        self.ends.resize(room, 0);
        let (result, _, _, fields) = self.parser.read_record(&self.line, &mut self.text, &mut self.ends);
        if result != ReadRecordResult::Record {
            // The newline went into a quoted field. Closing it there makes the parser ready for the next line.
            self.parser.read_record(b"\"\n", &mut self.text, &mut self.ends);
            return Err(Broken::OpenQuote(fields));
        }
        let ends = &self.ends[..fields];
        let begins = [0].iter().chain(ends);
        Ok(begins.zip(ends).map(|(begin, end)| &self.text[*begin..*end]).collect())
    }
}
