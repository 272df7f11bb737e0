//! What a projection does with its events: views, deltas, projectors, reactors.

pub(crate) mod cells;
pub(crate) mod change_statements;
pub(crate) mod column_array;
pub(crate) mod column_type;
pub(crate) mod deltas;
pub(crate) mod error;
pub(crate) mod exact_sum;
pub(crate) mod handler;
pub(crate) mod key;
pub(crate) mod projector;
pub(crate) mod reactor;
pub(crate) mod row_cache;
pub(crate) mod serialize_cells;
pub(crate) mod statements;
pub(crate) mod table;
pub(crate) mod table_change;
mod table_values;
pub(crate) mod table_version;
pub(crate) mod view;
pub(crate) mod view_rows;
