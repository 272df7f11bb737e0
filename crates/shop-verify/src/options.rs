//! What to check of the shop, and where it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aqueduct_verify::{Route, Selection};

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
            postgres: Some(postgres.to_owned()),
            ..aqueduct_verify::Options::new(store, brokers, registry)
        };
        Self { check, input, orders: None }
    }
}

pub(crate) fn default_topics() -> BTreeMap<String, Route> {
    let topics: [(&str, &[&str]); 3] = [
        ("shop.users", &["user"]),
        ("shop.orders", &["order", "return"]),
        ("shop.inventory", &["inventory"]),
    ];
    let selection = |categories: &[&str]| Route::from(Selection::of_categories(categories.iter().copied()));
    topics.map(|(name, categories)| (name.to_owned(), selection(categories))).into()
}

pub(crate) fn default_projections() -> BTreeMap<String, Vec<String>> {
    let projections = [
        ("customers", "shop.users"),
        ("orders", "shop.orders"),
        ("stock", "shop.inventory"),
        ("revenue", "shop.orders"),
        ("inventory", "shop.orders"),
    ];
    projections.map(|(name, topic)| (name.to_owned(), vec![topic.to_owned()])).into()
}
