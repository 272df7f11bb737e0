//! What a check finds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::version::VersionId;

/// Something about a version that breaks somebody, or is likely a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which kind it is; a waiver names it.
    pub name: FindingName,
    /// The file in the folder of the schemas.
    pub file: String,
    /// The event type, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The version, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// What is wrong, and where in the file.
    pub problem: String,
    /// Who breaks.
    pub affected: Vec<Affected>,
    /// What can be done about it.
    pub remedy: String,
    /// The reason of the waiver that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}

/// The kinds of findings. Their names are part of the format of policies: they do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingName {
    /// A version does not read what an earlier one on the topic wrote, and the topic's level asks for that.
    NotBackwardCompatible,
    /// An earlier version on the topic does not read what a version wrote, and the topic's level asks for that.
    NotForwardCompatible,
    /// A value has another logical type, or none: readers of the other version take its number or bytes for something else.
    ChangedLogicalType,
    /// A time has another unit.
    ChangedUnit,
    /// A decimal has another number of decimals.
    ChangedScale,
    /// A decimal has another number of digits.
    ChangedPrecision,
    /// A field, or an enum, has another default.
    ChangedDefault,
    /// A type is read as one of another namespace, which only some libraries do.
    AliasAcrossNamespaces,
    /// A value of one branch of a union is read as another branch.
    UnionBranchReadAsAnother,
    /// Two fields of a record have an alias in common.
    TwoFieldsWithOneAlias,
    /// A field has the name of one that was dropped before.
    FieldDroppedAndAddedAgain,
    /// A value that an earlier version may write is not read, although the schemas say so.
    DoesNotDecode,
    /// A value is read differently through the versions between than directly.
    StepsDiffer,
    /// A released version has another schema than when it was released.
    ReleasedSchemaChanged,
    /// A released version has other upcast rules than when it was released.
    ReleasedRulesChanged,
    /// The file of a released version is missing.
    ReleasedFileMissing,
    /// The lock lacks a line that it has at the revision that it is compared with.
    ReleaseRemoved,
    /// An example of an upcast rule does not give its result, or cannot be read.
    ExampleFails,
    /// No example runs an upcast rule.
    RuleWithoutExample,
    /// A topic that has carried versions is not in the policy.
    TopicForgotten,
    /// A topic of the policy carries an event type without schema files.
    UnknownEventType,
    /// A waiver is not valid any more.
    WaiverExpired,
}

/// Who is affected by a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Affected {
    /// Consumers that were written for an earlier version.
    OlderReaders,
    /// Consumers that are written for the new version, where they read records of an earlier one.
    NewerReaders,
    /// The relay and aggregates, which bring older events to the latest version.
    Relay,
    /// Who maintains the schemas.
    Maintainers,
}

impl Finding {
    pub(crate) fn of_version(id: &VersionId, name: FindingName, problem: String) -> Self {
        Self {
            name,
            file: id.file(),
            event_type: Some(id.event_type.clone()),
            version: Some(id.version),
            problem,
            affected: Vec::new(),
            remedy: String::new(),
            waived: None,
        }
    }

    pub(crate) fn of_file(file: &str, name: FindingName, problem: String) -> Self {
        Self {
            name,
            file: file.to_owned(),
            event_type: None,
            version: None,
            problem,
            affected: Vec::new(),
            remedy: String::new(),
            waived: None,
        }
    }

    pub(crate) fn breaks(mut self, affected: &[Affected]) -> Self {
        self.affected = affected.to_vec();
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for FindingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Affected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OlderReaders => "readers of an earlier version",
            Self::NewerReaders => "readers of this version, when they read earlier records",
            Self::Relay => "the relay and aggregates, when they read earlier events",
            Self::Maintainers => "who maintains the schemas",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, file, problem, affected, remedy, waived, .. } = self;
        writeln!(f, "{file}: {name}: {problem}")?;
        if !affected.is_empty() {
            let affected: Vec<String> = affected.iter().map(Affected::to_string).collect();
            writeln!(f, "  breaks: {}", affected.join("; "))?;
        }
        writeln!(f, "  to do: {remedy}")?;
        waived.iter().try_for_each(|reason| writeln!(f, "  waived: {reason}"))
    }
}
