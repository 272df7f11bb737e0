//! The columns of `$events` that a statement reads.

use crate::sql::token_view::TokenView;

/// A column of `$events` besides `ordinal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Type,
    Version,
    EventId,
    Source,
    Topic,
    Stream,
    Revision,
    Position,
    Time,
    CorrelationId,
    CausationId,
    Data,
}

impl Column {
    pub(crate) const ALL: [Self; 12] = [
        Self::Type,
        Self::Version,
        Self::EventId,
        Self::Source,
        Self::Topic,
        Self::Stream,
        Self::Revision,
        Self::Position,
        Self::Time,
        Self::CorrelationId,
        Self::CausationId,
        Self::Data,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Version => "version",
            Self::EventId => "event_id",
            Self::Source => "source",
            Self::Topic => "topic",
            Self::Stream => "stream",
            Self::Revision => "revision",
            Self::Position => "position",
            Self::Time => "time",
            Self::CorrelationId => "correlation_id",
            Self::CausationId => "causation_id",
            Self::Data => "data",
        }
    }

    /// The type of its parameter.
    pub(crate) fn array(self) -> &'static str {
        match self {
            Self::Version | Self::Revision | Self::Position => "bigint[]",
            _ => "text[]",
        }
    }

    /// How it is selected from its parameter.
    pub(crate) fn selected(self) -> &'static str {
        match self {
            Self::Time => "time::timestamptz as time",
            Self::Data => "data::jsonb as data",
            _ => self.name(),
        }
    }

    /// The columns that a statement reads, at least one: those whose names occur in it, or all where it may read a row as a
    /// whole. Postgres makes a row of arrays for each event, whatever of it is read.
    pub(crate) fn read_by(sql: &str) -> Vec<Self> {
        let Some(tokens) = TokenView::new(sql).filter(|tokens| !may_read_rows(tokens)) else {
            return Self::ALL.to_vec();
        };
        let is_named = |column: &Self| {
            (0..tokens.len()).any(|at| tokens.name(at).is_some_and(|name| name == column.name()))
        };
        let named: Vec<_> = Self::ALL.into_iter().filter(is_named).collect();
        if named.is_empty() { vec![Self::Stream] } else { named }
    }
}

/// Whether a statement may read events without naming their columns: by a star, by the name of the row, by a join that compares
/// what has the same name, under other names, or under names with escapes.
pub(crate) fn may_read_rows(tokens: &TokenView<'_>) -> bool {
    let events: Vec<usize> = (0..tokens.len()).filter(|at| tokens.is_events(*at)).collect();
    if !events.iter().all(|at| is_source(tokens, *at)) {
        return true;
    }
    let aliases: Vec<Option<(usize, String)>> = events.iter().map(|at| alias(tokens, *at)).collect();
    (0..tokens.len()).any(|at| {
        let is_row = aliases.iter().flatten().any(|(declared, alias)| {
            at != *declared && tokens.name(at).as_ref() == Some(alias) && !is_before_column(tokens, at)
        });
        is_row || is_star(tokens, at) || tokens.word(at) == "natural" || is_escaped(tokens, at)
    }) || aliases.iter().any(Option::is_none)
}

/// Whether it is a source of the statement, or of a query in it: none that is named together with others, as in `(a join b) c`.
fn is_source(tokens: &TokenView<'_>, events: usize) -> bool {
    const BEFORE_SOURCE: [&str; 4] = ["from", "using", "join", "lateral"];
    const QUERIES: [&str; 6] = ["select", "with", "insert", "update", "delete", "merge"];
    let before = events.checked_sub(1);
    let is_listed =
        before.is_some_and(|at| BEFORE_SOURCE.contains(&tokens.word(at)) || tokens.text(at) == ",");
    let around = (0..events).rfind(|at| tokens.text(*at) == "(" && tokens.inside(*at).contains(&events));
    is_listed && around.is_none_or(|open| QUERIES.contains(&tokens.word(open + 1)))
}

/// Whether a name is followed by that of a column: `e.to_jsonb` is a function of the row.
fn is_before_column(tokens: &TokenView<'_>, at: usize) -> bool {
    let is_column =
        |name: String| name == "ordinal" || Column::ALL.iter().any(|column| column.name() == name);
    tokens.text(at + 1) == "." && tokens.name(at + 2).is_some_and(is_column)
}

/// The name that `$events` has, with the name's place. `None` if it has none, or names its columns too.
fn alias(tokens: &TokenView<'_>, events: usize) -> Option<(usize, String)> {
    let at = if tokens.word(events + 1) == "as" { events + 2 } else { events + 1 };
    let name = tokens.name(at)?;
    (tokens.text(at + 1) != "(").then_some((at, name))
}

/// A star that is neither that of `count(*)` nor between two values.
fn is_star(tokens: &TokenView<'_>, at: usize) -> bool {
    const BEFORE_LIST: [&str; 4] = ["select", "distinct", "all", "returning"];
    if tokens.text(at) != "*" || at == 0 {
        return false;
    }
    let before = tokens.text(at - 1);
    let is_count = before == "(" && tokens.text(at + 1) == ")";
    let is_value = before.starts_with(|c: char| c.is_alphanumeric() || c == '\'')
        && !BEFORE_LIST.contains(&tokens.word(at - 1));
    !is_count && !is_value
}

/// `U&"d\0061ta"`
fn is_escaped(tokens: &TokenView<'_>, at: usize) -> bool {
    tokens.word(at) == "u" && tokens.text(at + 1) == "&" && tokens.text(at + 2).starts_with('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> Vec<&'static str> {
        Column::read_by(sql).into_iter().map(Column::name).collect()
    }

    #[test]
    fn columns_are_read_by_their_names() {
        for (sql, expected) in [
            ("insert into t select e.revision, e.data->>'type' from $events e", vec!["revision", "data"]),
            ("insert into t select \"data\", DATA, 2 * e.version from $events as e", vec!["version", "data"]),
            ("insert into t select count(*) from $events e group by stream", vec!["stream"]),
            ("insert into t select 'data' from $events e -- time", vec!["stream"]),
            ("insert into t select (select max(e.time) from u, $events e), 1 from $events f", vec!["time"]),
            (
                "with n as (select time from $events e) delete from t using n, $events f where t.a = f.topic",
                vec!["topic", "time"],
            ),
        ] {
            assert_eq!(names(sql), expected, "{sql}");
        }
    }

    #[test]
    fn all_columns_are_read_where_a_row_may_be() {
        for sql in [
            "insert into t select * from $events e",
            "insert into t select e.* from $events e",
            "insert into t select distinct on (e.stream) * from $events e",
            "insert into t select 1, * from $events e",
            "insert into t select to_jsonb(e) from $events e",
            "insert into t select to_jsonb(\"E\") from $events \"E\"",
            "insert into t select a from $events as e (a, b)",
            "insert into t select 1 from $events e natural join u",
            "insert into t select U&\"d\\0061ta\" from $events e",
            "insert into t select stream from $events",
            "insert into t select e.to_jsonb from $events e",
            "insert into t $events on conflict do nothing",
            "with n as $events insert into u select n.stream, to_jsonb(n) from n",
            "with n as materialized (table $events) insert into u select to_jsonb(n) from n",
            "insert into t select to_jsonb(j) from ($events e join u on u.a = e.stream) j",
            "insert into t select to_jsonb(j) from (u join $events e on u.a = e.stream) j",
            "delete from t where ('a', 1) in $events",
            "delete from t using $events e where t.a = e.stream returning *",
            "insert into t select (1 from $events e",
        ] {
            assert_eq!(names(sql).len(), Column::ALL.len(), "{sql}");
        }
    }
}
