//! Connections to Postgres, migrations, and what an error means.

pub(crate) mod error;
pub(crate) mod migrate;
pub(crate) mod options;
pub(crate) mod query;
