//! What a Read call asks for.

use std::sync::Arc;

use regex::Regex;
use tonic::Status;

use super::{
    errors::invalid,
    names::{IdFormat, stream_name},
    proto::event_store::client::streams::{
        ReadReq,
        read_req::{
            Options,
            options::{
                AllOptions, CountOption, FilterOption, FilterOptions, ReadDirection, StreamOption,
                StreamOptions, all_options::AllOption, filter_options, stream_options::RevisionOption,
                uuid_option,
            },
        },
    },
};
use crate::filter::{Filter, FilterOn, Matcher};
use crate::storage::Direction;

/// The window of a filter that gives none, as on the real server.
const DEFAULT_WINDOW: u32 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Beginning,
    /// A revision or a position. Reads include it, subscriptions start behind it.
    At(u64),
    End,
}

#[derive(Debug)]
pub(super) enum Query {
    ReadStream { stream: Arc<str>, start: Start, direction: Direction, count: u64, announces_ends: bool },
    ReadAll { start: Start, direction: Direction, count: u64, filter: Option<Filter> },
    SubscribeStream { stream: Arc<str>, start: Start },
    SubscribeAll { start: Start, filter: Option<CheckpointedFilter> },
}

/// A filter and how many events it considers between two checkpoints.
#[derive(Debug)]
pub(super) struct CheckpointedFilter {
    pub(super) filter: Filter,
    pub(super) interval: u64,
}

/// How events are to be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) ids: IdFormat,
    pub(super) resolves_links: bool,
}

pub(super) fn parse(request: ReadReq) -> Result<(Query, View), Status> {
    let options = request.options.ok_or_else(|| invalid("a read has options"))?;
    let ids = match options.uuid_option.as_ref().and_then(|option| option.content.as_ref()) {
        Some(uuid_option::Content::String(_)) => IdFormat::String,
        Some(uuid_option::Content::Structured(_)) => IdFormat::Structured,
        None => return Err(invalid("a read says how it wants its ids: uuid_option is missing")),
    };
    let view = View { ids, resolves_links: options.resolve_links };
    Ok((query(options)?, view))
}

fn query(options: Options) -> Result<Query, Status> {
    let direction = match ReadDirection::try_from(options.read_direction) {
        Ok(ReadDirection::Forwards) => Direction::Forwards,
        Ok(ReadDirection::Backwards) => Direction::Backwards,
        Err(_) => return Err(invalid(format!("{} is no read direction", options.read_direction))),
    };
    let announces_ends = options.control_option.is_some_and(|control| control.compatibility >= 1);
    let source = options.stream_option.ok_or_else(|| invalid("a read is of a stream or of $all"))?;
    let amount = options.count_option.ok_or_else(|| invalid("a read has a count or is a subscription"))?;
    let filter = options.filter_option.ok_or_else(|| invalid("a read has a filter or no_filter"))?;
    match (source, amount, direction, filter) {
        (StreamOption::Stream(source), CountOption::Count(count), direction, FilterOption::NoFilter(_)) => {
            let (stream, start) = stream_start(source)?;
            if count == 0 {
                return Err(invalid("a read of no events"));
            }
            if (direction, start) == (Direction::Forwards, Start::End) {
                return Err(invalid("a stream cannot be read forwards from its end"));
            }
            Ok(Query::ReadStream { stream, start, direction, count, announces_ends })
        }
        (StreamOption::All(source), CountOption::Count(count), direction, filter) => {
            let start = all_start(source)?;
            if count == 0 {
                return Err(invalid("a read of no events"));
            }
            let filter = match filter {
                FilterOption::Filter(options) => Some(parse_filter(options)?.0),
                FilterOption::NoFilter(_) => None,
            };
            Ok(Query::ReadAll { start, direction, count, filter })
        }
        (
            StreamOption::Stream(source),
            CountOption::Subscription(_),
            Direction::Forwards,
            FilterOption::NoFilter(_),
        ) => {
            let (stream, start) = stream_start(source)?;
            Ok(Query::SubscribeStream { stream, start })
        }
        (StreamOption::All(source), CountOption::Subscription(_), Direction::Forwards, filter) => {
            let start = all_start(source)?;
            let filter = match filter {
                FilterOption::NoFilter(_) => None,
                FilterOption::Filter(options) => {
                    let (filter, window, multiplier) = parse_filter(options)?;
                    let interval = u64::from(window) * u64::from(multiplier);
                    if interval == 0 {
                        return Err(invalid("checkpointIntervalMultiplier is 0"));
                    }
                    Some(CheckpointedFilter { filter, interval })
                }
            };
            Ok(Query::SubscribeAll { start, filter })
        }
        (_, CountOption::Subscription(_), Direction::Backwards, _) => {
            Err(invalid("subscriptions go forwards"))
        }
        (StreamOption::Stream(_), _, _, FilterOption::Filter(_)) => Err(invalid("only $all can be filtered")),
    }
}

fn stream_start(options: StreamOptions) -> Result<(Arc<str>, Start), Status> {
    let stream = stream_name(options.stream_identifier)?;
    let start = match options.revision_option.ok_or_else(|| invalid("a read of a stream has a start"))? {
        RevisionOption::Start(_) => Start::Beginning,
        RevisionOption::End(_) | RevisionOption::Revision(u64::MAX) => Start::End,
        RevisionOption::Revision(revision) if i64::try_from(revision).is_ok() => Start::At(revision),
        RevisionOption::Revision(revision) => {
            return Err(invalid(format!("the revision {revision} is out of range")));
        }
    };
    Ok((stream, start))
}

fn all_start(options: AllOptions) -> Result<Start, Status> {
    match options.all_option.ok_or_else(|| invalid("a read of $all has a start"))? {
        AllOption::Start(_) => Ok(Start::Beginning),
        AllOption::End(_) => Ok(Start::End),
        AllOption::Position(position) => match (position.commit_position, position.prepare_position) {
            (u64::MAX, u64::MAX) => Ok(Start::End),
            (commit, prepare) if commit < prepare => {
                Err(invalid(format!("the commit position {commit} is before the prepare position {prepare}")))
            }
            (commit, _) if i64::try_from(commit).is_err() => {
                Err(invalid(format!("the position {commit} is out of range")))
            }
            (commit, _) => Ok(Start::At(commit)),
        },
    }
}

/// The filter, its window and its multiplier.
fn parse_filter(options: FilterOptions) -> Result<(Filter, u32, u32), Status> {
    let (on, expression) = match options.filter.ok_or_else(|| invalid("a filter without an expression"))? {
        filter_options::Filter::StreamIdentifier(expression) => (FilterOn::Stream, expression),
        filter_options::Filter::EventType(expression) => (FilterOn::EventType, expression),
    };
    let matcher = if expression.regex.is_empty() {
        Matcher::Prefixes(expression.prefix)
    } else {
        let regex = Regex::new(&expression.regex)
            .map_err(|error| invalid(format!("the filter's regular expression: {error}")))?;
        Matcher::Regex(regex)
    };
    let window = match options.window.ok_or_else(|| invalid("a filter without a window"))? {
        filter_options::Window::Max(0) => return Err(invalid("a filter whose window is 0")),
        filter_options::Window::Max(max) => max,
        filter_options::Window::Count(_) => DEFAULT_WINDOW,
    };
    Ok((Filter { on, matcher }, window, options.checkpoint_interval_multiplier))
}
