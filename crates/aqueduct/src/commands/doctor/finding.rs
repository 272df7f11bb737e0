//! What a check found.

use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It could not be told.
    Unknown,
    /// It works, but may not for long, or not as meant.
    Warning,
    /// It keeps the system from working.
    Error,
}

/// A fact, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// `configuration`, `eventstore`, `kafka`, `topics`, `registry`, `postgres`,
    /// `projections`, `routes`.
    pub(super) area: &'static str,
    pub(super) level: Level,
    pub(super) finding: String,
    /// What to do; only where it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Unknown => "unknown",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        write!(f, "{level:<8} {:<14} {}", self.area, self.finding)?;
        match &self.action {
            Some(action) => write!(f, "\n{:<24}{action}", ""),
            None => Ok(()),
        }
    }
}

/// The findings of one area.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, area: &'static str, finding: impl Into<String>) {
        self.add(area, Level::Ok, finding.into(), None);
    }

    pub(super) fn unknown(&mut self, area: &'static str, finding: impl Into<String>) {
        self.add(area, Level::Unknown, finding.into(), None);
    }

    pub(super) fn warning(
        &mut self,
        area: &'static str,
        finding: impl Into<String>,
        action: impl Into<String>,
    ) {
        self.add(area, Level::Warning, finding.into(), Some(action.into()));
    }

    pub(super) fn error(
        &mut self,
        area: &'static str,
        finding: impl Into<String>,
        action: impl Into<String>,
    ) {
        self.add(area, Level::Error, finding.into(), Some(action.into()));
    }

    fn add(&mut self, area: &'static str, level: Level, finding: String, action: Option<String>) {
        self.0.push(Finding { area, level, finding, action });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_action_below() {
        let mut findings = Findings::default();
        findings.ok("kafka", "3 brokers");
        findings.error("kafka", "topic a is missing", "run `setup`");
        let lines: Vec<_> = findings.into_vec().iter().map(ToString::to_string).collect();
        assert_eq!(lines[0], "ok       kafka          3 brokers");
        assert_eq!(
            lines[1],
            "error    kafka          topic a is missing\n                        run `setup`"
        );
    }
}
