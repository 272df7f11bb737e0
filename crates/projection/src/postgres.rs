//! Connections to Postgres, migrations, checks of the server, and what an error means.

pub(crate) mod error;
pub(crate) mod migrate;
pub(crate) mod monitor;
pub(crate) mod options;
pub(crate) mod query;
pub(crate) mod text_array;
