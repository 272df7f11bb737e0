//! Words that are not names where they occur.

/// What may come before a parenthesis and is not a function.
const NOT_FUNCTIONS: [&str; 34] = [
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "conflict",
    "distinct",
    "do",
    "else",
    "exists",
    "filter",
    "from",
    "group",
    "having",
    "ilike",
    "in",
    "insert",
    "is",
    "like",
    "not",
    "on",
    "or",
    "over",
    "returning",
    "select",
    "set",
    "some",
    "then",
    "values",
    "when",
    "where",
];

/// What comes between the relations of `from`.
pub(crate) const JOINS: [&str; 10] =
    ["cross", "full", "inner", "join", "lateral", "left", "natural", "only", "outer", "right"];

/// What comes behind a relation and is not its name.
const NOT_ALIASES: [&str; 20] = [
    "except",
    "fetch",
    "for",
    "group",
    "having",
    "intersect",
    "limit",
    "offset",
    "on",
    "order",
    "returning",
    "set",
    "tablesample",
    "union",
    "using",
    "values",
    "when",
    "where",
    "window",
    "with",
];

pub(crate) fn may_be_function(word: &str) -> bool {
    !NOT_FUNCTIONS.contains(&word)
}

pub(crate) fn may_be_alias(word: &str) -> bool {
    !NOT_ALIASES.contains(&word) && !JOINS.contains(&word)
}
