//! Plays recordings of what Avro's reference implementation and a registry answered.
//!
//! A recording is a file of JSON lines, one case a line: `compat`, `resolve`, `encode`, `valid`, `invalid` or `registry`, with the
//! extension `jsonl`. `tests/golden/README.md` of this crate describes them.

mod cases;
mod rules;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use serde::Serialize;
use serde_json::Value as Json;

pub use rules::Rule;

/// How many differences of a kind are described.
const DESCRIBED: usize = 10;

/// A kind of recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of the files")]
pub enum Kind {
    Compat,
    Resolve,
    Encode,
    Valid,
    Invalid,
    Registry,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Compat, Self::Resolve, Self::Encode, Self::Valid, Self::Invalid, Self::Registry];

    /// Its file's name without the extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compat => "compat",
            Self::Resolve => "resolve",
            Self::Encode => "encode",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Registry => "registry",
        }
    }
}

/// What the cases of a directory gave.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The kinds for which there is a file.
    pub kinds: BTreeMap<Kind, KindReport>,
}

/// What the cases of a kind gave.
#[derive(Debug, Default, Serialize)]
pub struct KindReport {
    /// How many gave what was recorded.
    pub equal: usize,
    /// How many gave something else, which is right by a rule.
    pub departed: BTreeMap<Rule, usize>,
    /// How many gave something else.
    pub wrong: usize,
    /// The first of those.
    pub differences: Vec<Difference>,
}

/// A case that gave something else than was recorded.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Its name.
    pub case: String,
    /// What it gave, and what was recorded.
    pub problem: String,
}

/// What a case gave.
pub(crate) enum Outcome {
    Equal,
    Departed(Rule),
    Wrong(String),
}

/// A directory whose recordings cannot be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingsError {
    /// A file cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A line is not a case of its kind.
    #[error("{}, line {line}: {problem}", path.display())]
    Case {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is missing or wrong.
        problem: String,
    },
    /// There is none of the files.
    #[error("{} has no recordings: compat.jsonl, resolve.jsonl, encode.jsonl, valid.jsonl, invalid.jsonl or registry.jsonl", .0.display())]
    Nothing(PathBuf),
}

/// Plays all recordings of a directory.
///
/// # Errors
/// There are none, or a file is not a recording. A case that gives something else is in the report.
pub fn play(directory: &Path) -> Result<Report, RecordingsError> {
    let mut kinds = BTreeMap::new();
    for kind in Kind::ALL {
        let path = directory.join(kind.name()).with_extension("jsonl");
        match fs::read_to_string(&path) {
            Ok(text) => drop(kinds.insert(kind, play_file(kind, &path, &text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(RecordingsError::Read(path, error)),
        }
    }
    if kinds.is_empty() {
        return Err(RecordingsError::Nothing(directory.to_owned()));
    }
    Ok(Report { kinds })
}

fn play_file(kind: Kind, path: &Path, text: &str) -> Result<KindReport, RecordingsError> {
    let mut report = KindReport::default();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let failed = |problem| RecordingsError::Case { path: path.to_owned(), line, problem };
        let case: Json = serde_json::from_str(text).map_err(|error| failed(error.to_string()))?;
        match cases::judge(kind, &case).map_err(failed)? {
            Outcome::Equal => report.equal += 1,
            Outcome::Departed(rule) => *report.departed.entry(rule).or_default() += 1,
            Outcome::Wrong(problem) => {
                report.wrong += 1;
                if report.differences.len() < DESCRIBED {
                    let case = case["name"].as_str().map_or_else(|| format!("line {line}"), str::to_owned);
                    report.differences.push(Difference { case, problem });
                }
            }
        }
    }
    Ok(report)
}

impl Report {
    /// Whether no case gave something else without a rule.
    pub fn is_clean(&self) -> bool {
        self.kinds.values().all(|kind| kind.wrong == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, report) in &self.kinds {
            let departed: usize = report.departed.values().sum();
            let KindReport { equal, wrong, .. } = report;
            writeln!(f, "{:<10}{equal:>6} equal{wrong:>6} wrong{departed:>6} departed", kind.name())?;
            for (rule, count) in &report.departed {
                writeln!(f, "{:>14} by the rule: {rule}", count)?;
            }
            for Difference { case, problem } in &report.differences {
                writeln!(f, "    {case}: {problem}")?;
            }
        }
        Ok(())
    }
}
