//! The report for people.

use std::fmt;

use crate::report::{Failure, PropertyReport, Report, RowDifference, Verdict};

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotJudged => "not judged",
        })
    }
}

/// A line, and what shows a failure.
impl fmt::Display for PropertyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, verdict, strikes, seconds, limitation, failure } = self;
        write!(f, "{verdict:<11}{property:<22}{strikes:>5} strikes {seconds:>6.1} s")?;
        if let Some(limitation) = limitation {
            write!(f, "\n    {limitation}")?;
        }
        match failure {
            Some(failure) => write!(f, "\n{failure}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problem, rows, records, log } = self;
        write!(f, "    {problem}")?;
        if !rows.is_empty() {
            write!(f, "\n    rows: - is missing, + should not be there")?;
        }
        for RowDifference { table, is_expected, row } in rows {
            let sign = if *is_expected { '-' } else { '+' };
            write!(f, "\n      {sign} {table} {row}")?;
        }
        if !records.is_empty() {
            write!(f, "\n    records of these streams, as they were sent:")?;
        }
        for record in records {
            write!(f, "\n      {record}")?;
        }
        if !log.is_empty() {
            write!(f, "\n    end of the log:")?;
        }
        for line in log.lines() {
            write!(f, "\n      {line}")?;
        }
        Ok(())
    }
}

/// Without the properties: they are shown when their trials end.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |verdict| self.properties.iter().filter(|it| it.verdict == verdict).count();
        write!(f, "{} passed, {} failed", count(Verdict::Passed), count(Verdict::Failed))?;
        match count(Verdict::NotJudged) {
            0 => {}
            number => write!(f, ", {number} not judged")?,
        }
        write!(f, " (seed {}, {} events)", self.seed, self.events)?;
        if !self.excluded_columns.is_empty() {
            write!(f, "\nnot compared: {}", self.excluded_columns.join(", "))?;
        }
        write!(f, "\nnot tested:")?;
        for subject in self.not_tested {
            write!(f, "\n    {subject}")?;
        }
        Ok(())
    }
}
