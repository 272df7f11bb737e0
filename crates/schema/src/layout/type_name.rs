//! The names of a type.

/// Full name and the full names it was known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName {
    pub(crate) full: String,
    pub(crate) aliases: Vec<String>,
}

impl TypeName {
    /// The name without its namespace.
    pub(crate) fn simple(&self) -> &str {
        self.full.rsplit('.').next().unwrap_or(&self.full)
    }

    /// Whether an older version's type of that name is this type.
    pub(crate) fn matches(&self, older: &Self) -> bool {
        self.full == older.full || self.aliases.contains(&older.full)
    }
}
