//! Keys of rows.

use serde_json::Value;

/// Values of a row's key columns, in the order of the view's [`KEY`](crate::View::KEY).
///
/// ```
/// # use aqueduct_projection::Key;
/// let order: Key = ["536365"].into();
/// let revenue: Key = [serde_json::json!("2010-12-01"), serde_json::json!("France")].into();
/// # assert_ne!(order, revenue);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Key(Vec<Value>);

impl Key {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values)
    }

    /// The values, in the order of the key columns.
    pub fn values(&self) -> &[Value] {
        &self.0
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Key {
    fn from(values: [T; N]) -> Self {
        Self(values.into_iter().map(Into::into).collect())
    }
}
