//! Reads the text of a schema.

mod attributes;
mod fits;
mod link;
mod parser;

use std::fmt;

use serde_json::Value as Json;

use crate::json_text::without_comments;
use crate::name::NameError;
use crate::parse::attributes::LARGEST_FIXED;
use crate::parse::parser::Parser;
use crate::schema::Schema;

/// The longest text: 1 MiB.
const MAX_BYTES: usize = 1 << 20;
/// The longest chain of types, each a part of the one before: what reads a schema goes along it.
pub(crate) const MAX_DEPTH: usize = 500;

/// The most aliases of types and fields in all. Those of one field are compared with all fields of another schema.
const MAX_ALIASES: usize = 10_000;

/// A text that is not a schema.
#[derive(Debug)]
pub struct ParseError {
    /// A JSON pointer to the part that is wrong.
    pub pointer: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => write!(f, "{}", self.problem),
            pointer => write!(f, "{pointer}: {}", self.problem),
        }
    }
}

impl std::error::Error for ParseError {}

/// What is wrong with a schema.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Problem {
    #[error("the text has {0} bytes, more than 1 MiB")]
    TooLong(usize),
    #[error("it is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a schema is a text, an object or an array")]
    NotASchema,
    #[error("{0} is missing, or is not a {1}")]
    Attribute(&'static str, &'static str),
    #[error("there is no type {0:?}")]
    Unknown(String),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("{0} is defined twice, differently")]
    Redefined(String),
    #[error("the record has two fields {0:?}")]
    DuplicateField(String),
    #[error("the enum has the symbol {0:?} twice")]
    DuplicateSymbol(String),
    #[error("the default {0:?} is not a symbol of the enum")]
    DefaultSymbol(String),
    #[error("the union has the branch {0:?} twice")]
    DuplicateBranch(String),
    #[error("a union must not be a branch of a union")]
    NestedUnion,
    #[error("the default is not a {0}")]
    Default(String),
    #[error("a default of a record that has a default of the same record has no end")]
    EndlessDefault,
    #[error("the defaults have more than a million values, or are nested more than 200 levels")]
    LargeDefaults,
    #[error("the names of its types have more than 8 MiB, with their namespaces and aliases")]
    TooManyNames,
    #[error("types and fields have more than {MAX_ALIASES} aliases")]
    TooManyAliases,
    #[error("types lead to types in a chain of more than {MAX_DEPTH}")]
    TooDeep,
    #[error("order must be ascending, descending or ignore")]
    Order,
    #[error("size must be a number from 0 to {LARGEST_FIXED}")]
    Size,
}

impl Schema {
    /// Reads the text of a schema, whoever wrote it: as Avro's reference does, with letters of all scripts in names.
    ///
    /// # Errors
    /// The reference would refuse it; or it is longer than 1 MiB, nested more than about 100 levels, or has names, aliases,
    /// defaults or chains of types beyond the limits that the error names. A default of `-0` for an int, and numbers beyond the
    /// range of a double, are refused too, which the reference reads.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &[])
    }

    /// The same of a schema that values were written with: its defaults may be any JSON, since only a reader's defaults count.
    ///
    /// # Errors
    /// See [`parse`](Self::parse), but for the defaults of fields.
    pub fn parse_writer(text: &str) -> Result<Self, ParseError> {
        Parser::of_writer().parse(&[], &read(text)?)
    }

    /// The same of a schema that may name the types of others, which may name each other's.
    ///
    /// # Errors
    /// See [`parse`](Self::parse), for each of the texts.
    pub fn parse_with(text: &str, others: &[String]) -> Result<Self, ParseError> {
        let others = others.iter().map(|other| read(other)).collect::<Result<Vec<_>, _>>()?;
        let json = read(text)?;
        Parser::default().parse(&others, &json)
    }

    /// The same of a schema that is JSON already.
    ///
    /// # Errors
    /// See [`parse`](Self::parse).
    pub fn from_json(json: &Json) -> Result<Self, ParseError> {
        Parser::default().parse(&[], json)
    }
}

impl<'a> Parser<'a> {
    fn parse(mut self, others: &'a [Json], json: &'a Json) -> Result<Schema, ParseError> {
        let read = others.iter().try_for_each(|other| self.schema(other, None).map(drop));
        match read.and_then(|()| self.schema(json, None)) {
            Ok(root) => self.link(root),
            Err(problem) => Err(ParseError { pointer: self.pointer(), problem }),
        }
    }
}

fn read(text: &str) -> Result<Json, ParseError> {
    let failed = |problem| ParseError { pointer: String::new(), problem };
    if text.len() > MAX_BYTES {
        return Err(failed(Problem::TooLong(text.len())));
    }
    serde_json::from_str(&without_comments(text)).map_err(|error| failed(error.into()))
}
