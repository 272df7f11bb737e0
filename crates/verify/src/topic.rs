//! A topic that is compared.

use crate::selection::Selection;

/// Which events go to which topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Its name.
    pub(crate) name: String,
    /// The events it carries.
    pub(crate) selection: Selection,
    /// How many partitions it has.
    pub(crate) partitions: i32,
}
