//! The fields of `data` that a statement reads, compared with a schema.
//!
//! A statement is followed as far as that takes: the names of `$events`, of parts of `with`, subqueries and functions in `from`;
//! casts, `coalesce` and arrows with literals. What else Postgres finds in a statement is its own business: it plans each before.

mod expression;
mod names;
mod query;
mod scope;
mod sources;
mod walker;

use aqueduct_schema::JsonPlace;

use crate::sql::paths::walker::Walker;
use crate::sql::statement::Statement;

/// What was found in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathProblem {
    /// Where, in bytes of the file.
    pub(crate) at: usize,
    pub(crate) problem: String,
    /// A field does not exist. Otherwise it is not known which fields are read.
    pub(crate) is_error: bool,
}

/// Compares the fields that a statement reads with the schema of its events. In the order of their places.
pub(crate) fn check(statement: &Statement, event: JsonPlace<'_>) -> Vec<PathProblem> {
    let mut problems = Walker::walk(&statement.text, event);
    problems.sort_by_key(|problem| problem.at);
    problems
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use aqueduct_schema::{ReaderSchema, SchemaSet, TopicSchemas};
    use proptest::prelude::*;

    use super::*;

    const SCHEMA: &str = r#"{"type": "record", "name": "Placed", "namespace": "shop", "fields": [
        {"name": "id", "type": "string"}, {"name": "lines", "type": {"type": "array", "items": "string"}}]}"#;

    const WORDS: [&str; 44] = [
        "select",
        "from",
        "$events",
        "e",
        "data",
        "->",
        "->>",
        "#>>",
        "'id'",
        "'{lines,0}'",
        "(",
        ")",
        "[",
        "]",
        "with",
        "as",
        ",",
        "insert",
        "into",
        "t",
        "on",
        "conflict",
        "update",
        "set",
        "where",
        "union",
        "all",
        "jsonb_array_elements",
        "::",
        "jsonb",
        "distinct",
        "lateral",
        "left",
        "join",
        "using",
        "merge",
        "delete",
        "when",
        "returning",
        "*",
        ".",
        "1",
        "\"x\"",
        "values",
    ];

    fn schema() -> ReaderSchema {
        let directory = tempfile::tempdir().unwrap();
        let placed = directory.path().join("shop/Placed");
        fs::create_dir_all(&placed).unwrap();
        fs::write(placed.join("v1.avsc"), SCHEMA).unwrap();
        let files = Some(Arc::new(SchemaSet::load(directory.path()).unwrap()));
        let schemas = TopicSchemas { files, ..TopicSchemas::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(schemas.version(&[], "Placed", 1)).unwrap()
    }

    /// Statements are walked before Postgres has seen them.
    #[test]
    fn any_text_is_walked_to_its_end() {
        let schema = schema();
        let texts = prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..60);
        proptest!(|(words in texts)| {
            let text = words.join(" ");
            for problem in Walker::walk(&text, schema.event()) {
                prop_assert!(problem.at <= text.len());
            }
        });
    }
}
