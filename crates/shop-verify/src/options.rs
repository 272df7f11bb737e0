//! What to check of the shop, and where it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Addresses and names of the shop's parts, and the input that its run was fed.
#[derive(Clone)]
pub struct Options {
    /// Store, topics, projections and addresses; [`Options::new`] fills in the shop's own names.
    pub check: aqueduct_verify::Options,
    /// The input file, `.gz` or not.
    pub input: PathBuf,
    /// How many of its orders were fed; all if not given.
    pub orders: Option<usize>,
}

impl Options {
    /// The sample shop at these addresses, the whole input.
    pub fn new(store: &str, brokers: &str, registry: &str, postgres: &str, input: PathBuf) -> Self {
        let check = aqueduct_verify::Options {
            topics: default_topics(),
            projections: default_projections(),
            ..aqueduct_verify::Options::new(store, brokers, registry, postgres)
        };
        Self { check, input, orders: None }
    }
}

fn table(rows: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    rows.iter()
        .map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
        .collect()
}

pub(crate) fn default_topics() -> BTreeMap<String, Vec<String>> {
    table(&[
        ("shop.users", &["user"]),
        ("shop.orders", &["order", "return"]),
        ("shop.inventory", &["inventory"]),
    ])
}

pub(crate) fn default_projections() -> BTreeMap<String, Vec<String>> {
    table(&[
        ("customers", &["shop.users"]),
        ("orders", &["shop.orders"]),
        ("stock", &["shop.inventory"]),
        ("revenue", &["shop.orders"]),
        ("inventory", &["shop.orders"]),
    ])
}
