//! Which events a draft is made from, and how they are read.

use std::collections::BTreeSet;

use aqueduct_core::RecordedEvent;
use aqueduct_core::mapping::{Selection, Selector, TypeMap};
use aqueduct_relay::{Options, Route};
use aqueduct_schema::infer::{HistoryRoute, MapLine};

use crate::configuration::Configuration;
use crate::failure::Failure;

/// What the command line selects.
#[derive(Debug, clap::Args)]
pub(super) struct Selected {
    /// Only events that this route selects [default: any route]
    #[arg(long = "route", value_name = "ROUTE")]
    routes: Vec<String>,
    /// Only streams of this category; also where no route selects them yet
    #[arg(long = "category", value_name = "CATEGORY")]
    categories: Vec<String>,
    /// Only events of this stored type, or of types that match it ('Order*'); also where no route selects them yet
    #[arg(long = "event-type", value_name = "TYPE")]
    event_types: Vec<String>,
}

/// The routes, and a selection of their events.
pub(super) struct Source {
    options: Options,
    routes: Vec<Route>,
    narrowed: Option<Selector>,
    /// Whether events that no route selects are read too.
    beyond_routes: bool,
}

impl Source {
    pub(super) fn new(selected: &Selected, configuration: &Configuration) -> Result<Self, Failure> {
        let path = configuration.path.display();
        let options = configuration.relay_options();
        for name in &selected.routes {
            if !options.routes.iter().any(|route| route.name == *name) {
                return Err(
                    format!("{path} has no route \"{name}\": it has {}", names(&options.routes)).into()
                );
            }
        }
        let narrowed = selected.selection().map(|selection| selection.compile()).transpose()?;
        let is_chosen = |route: &&Route| selected.routes.is_empty() || selected.routes.contains(&route.name);
        let routes: Vec<Route> = options.routes.iter().filter(is_chosen).cloned().collect();
        if routes.is_empty() && narrowed.is_none() {
            return Err(format!(
                "{path} has no [[relay.routes]]: add one, or select events with --category or --event-type"
            )
            .into());
        }
        let beyond_routes = selected.routes.is_empty();
        Ok(Self { options, routes, narrowed, beyond_routes })
    }

    /// Reads events as if the type map had these lines too.
    pub(super) fn add_lines(&mut self, lines: &BTreeSet<MapLine>) {
        let lines: TypeMap = lines.iter().map(|line| (line.stored.clone(), line.event.clone())).collect();
        self.options.events.types = lines.or(&self.options.events.types);
    }

    /// The chosen routes, and what the command line selects beyond any route.
    pub(super) fn history_routes(&self) -> Result<Vec<HistoryRoute>, Failure> {
        let mut routes = Vec::new();
        for route in &self.routes {
            routes.push(HistoryRoute {
                selector: route.selection().compile()?,
                mapping: self.options.mapping(route)?,
                json_types: route.json_selector()?,
            });
        }
        if let Some(narrowed) = self.narrowed.as_ref().filter(|_| self.beyond_routes) {
            let mapping = self.options.events.mapping()?;
            routes.push(HistoryRoute { selector: narrowed.clone(), mapping, json_types: None });
        }
        Ok(routes)
    }

    /// Which events are read of which store, and how: another reading has another one.
    pub(super) fn identity(&self, selected: &Selected, store: &str) -> Result<String, serde_json::Error> {
        let routes = serde_json::to_string(&self.routes)?;
        let Options { events, .. } = &self.options;
        Ok(format!("{store} {selected:?} {routes} {events:?}"))
    }

    /// Whether the command line leaves the event in.
    pub(super) fn includes(&self, event: &RecordedEvent) -> bool {
        let narrowed = self.narrowed.as_ref();
        narrowed.is_none_or(|narrowed| narrowed.selects(event.stream.as_str(), &event.event_type))
    }

    /// The routes whose events are all read.
    pub(super) fn whole_routes(&self) -> &[Route] {
        if self.narrowed.is_none() { &self.routes } else { &[] }
    }
}

impl Selected {
    fn selection(&self) -> Option<Selection> {
        let is_any = self.categories.is_empty() && self.event_types.is_empty();
        let of = |values: &[String]| values.iter().cloned().collect();
        (!is_any).then(|| Selection {
            categories: of(&self.categories),
            event_types: of(&self.event_types),
            ..Selection::default()
        })
    }
}

fn names(routes: &[Route]) -> String {
    let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
