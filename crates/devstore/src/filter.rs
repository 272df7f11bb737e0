//! Which events of `$all` a reader wants to see.

use regex::Regex;

use crate::event::Record;

#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) on: FilterOn,
    pub(crate) matcher: Matcher,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum FilterOn {
    Stream,
    EventType,
}

#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    Regex(Regex),
    /// Any of them; none at all matches nothing.
    Prefixes(Vec<String>),
}

impl Filter {
    pub(crate) fn matches(&self, record: &Record) -> bool {
        let text: &str = match self.on {
            FilterOn::Stream => &record.stream,
            FilterOn::EventType => &record.kind,
        };
        match &self.matcher {
            Matcher::Regex(regex) => regex.is_match(text),
            Matcher::Prefixes(prefixes) => prefixes.iter().any(|prefix| text.starts_with(prefix)),
        }
    }
}
