use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use aqueduct_avro::{Direction, Level, Schema};

use super::answer::Refusal;
use super::journal::{Change, Journal};
use super::schemas::{Identity, Sent};
use crate::error::StartError;

/// Subjects, versions and schemas. A schema has the same id in all subjects.
#[derive(Debug)]
pub(super) struct Store {
    journal: Journal,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    schemas: BTreeMap<u32, Sent>,
    ids: HashMap<Identity, u32>,
    subjects: BTreeMap<String, Subject>,
    level: Option<Level>,
}

#[derive(Debug, Default)]
struct Subject {
    versions: BTreeMap<u32, Version>,
    level: Option<Level>,
    /// The highest version so far: numbers of deleted versions are not reused.
    last: u32,
}

#[derive(Debug, Clone, Copy)]
struct Version {
    id: u32,
    deleted: bool,
}

/// The requested version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Latest,
    Number(u32),
}

/// A version of a subject with its schema.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) version: u32,
    pub(super) id: u32,
    pub(super) sent: &'a Sent,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, StartError> {
        let mut state = State::default();
        let journal = Journal::open(path, |change| state.apply(change))?;
        Ok(Self { journal, state })
    }

    /// Registers the schema under the subject and returns its id: the same one if it is already registered there.
    pub(super) fn register(&mut self, subject: &str, sent: Sent) -> Result<u32, Refusal> {
        let identity = sent.identity()?;
        if let Some((_, version)) = self.state.standing(subject, &identity) {
            return Ok(version.id);
        }
        let complaints = self.complaints(subject, &sent, None)?;
        if !complaints.is_empty() {
            return Err(Refusal::Incompatible {
                subject: subject.to_owned(),
                details: complaints.join("; "),
            });
        }
        let next = self.state.schemas.last_key_value().map_or(1, |(id, _)| id + 1);
        let id = self.state.ids.get(&identity).copied().unwrap_or(next);
        let version = self.state.subjects.get(subject).map_or(0, |subject| subject.last) + 1;
        self.change(Change::Register { subject: subject.to_owned(), version, id, sent })?;
        Ok(id)
    }

    /// The version of this schema in the subject.
    pub(super) fn look_up(&self, subject: &str, sent: &Sent) -> Result<Found<'_>, Refusal> {
        let identity = sent.identity()?;
        self.versions(subject, false)?;
        let (version, Version { id, .. }) =
            self.state.standing(subject, &identity).ok_or(Refusal::NoSchema)?;
        Ok(Found { version, id, sent: self.schema(id)? })
    }

    pub(super) fn subjects(&self, deleted: bool) -> Vec<&str> {
        let shown = |subject: &Subject| subject.versions.values().any(|version| deleted || !version.deleted);
        self.state
            .subjects
            .iter()
            .filter(|(_, subject)| shown(subject))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    pub(super) fn versions(&self, subject: &str, deleted: bool) -> Result<Vec<u32>, Refusal> {
        let versions: Vec<u32> = self.state.versions(subject, deleted).map(|(number, _)| number).collect();
        if versions.is_empty() { Err(Refusal::NoSubject(subject.to_owned())) } else { Ok(versions) }
    }

    pub(super) fn version(&self, subject: &str, which: Which, deleted: bool) -> Result<Found<'_>, Refusal> {
        let numbers = self.versions(subject, deleted)?;
        let number = match which {
            Which::Latest => numbers.last().copied().unwrap_or_default(),
            Which::Number(number) => number,
        };
        let mut versions = self.state.versions(subject, deleted);
        let (version, Version { id, .. }) =
            versions.find(|(other, _)| *other == number).ok_or(Refusal::NoVersion(number))?;
        Ok(Found { version, id, sent: self.schema(id)? })
    }

    pub(super) fn schema(&self, id: u32) -> Result<&Sent, Refusal> {
        self.state.schemas.get(&id).ok_or(Refusal::NoSchema)
    }

    /// The subjects and versions of a schema.
    pub(super) fn usages(&self, id: u32) -> Result<Vec<(&str, u32)>, Refusal> {
        self.schema(id)?;
        let subjects = self.state.subjects.iter();
        let usages = subjects.flat_map(|(name, subject)| {
            let live =
                subject.versions.iter().filter(move |(_, version)| version.id == id && !version.deleted);
            live.map(|(number, _)| (name.as_str(), *number))
        });
        Ok(usages.collect())
    }

    /// Deletes all versions of a subject: they are no longer shown, but their ids can still be read. Permanently
    /// only what has been deleted before.
    pub(super) fn delete_subject(&mut self, subject: &str, permanent: bool) -> Result<Vec<u32>, Refusal> {
        let versions = self.versions(subject, permanent)?;
        if permanent && self.versions(subject, false).is_ok() {
            return Err(Refusal::SubjectNotDeleted(subject.to_owned()));
        }
        for version in &versions {
            self.change(Change::Delete { subject: subject.to_owned(), version: *version, permanent })?;
        }
        Ok(versions)
    }

    pub(super) fn delete_version(
        &mut self,
        subject: &str,
        which: Which,
        permanent: bool,
    ) -> Result<u32, Refusal> {
        let version = self.version(subject, which, permanent)?.version;
        if permanent && self.version(subject, Which::Number(version), false).is_ok() {
            return Err(Refusal::VersionNotDeleted(subject.to_owned(), version));
        }
        self.change(Change::Delete { subject: subject.to_owned(), version, permanent })?;
        Ok(version)
    }

    /// The level of a subject that has its own, or of the registry.
    pub(super) fn level(&self, subject: Option<&str>) -> Option<Level> {
        match subject {
            Some(subject) => self.state.subjects.get(subject).and_then(|subject| subject.level),
            None => Some(self.state.level.unwrap_or(Level::Backward)),
        }
    }

    pub(super) fn set_level(&mut self, subject: Option<&str>, level: Option<Level>) -> Result<(), Refusal> {
        self.change(Change::Level { subject: subject.map(str::to_owned), level })
    }

    /// Why the schema does not fit, under the subject's level: beside one version, or beside those that the level
    /// asks about.
    pub(super) fn complaints(
        &self,
        subject: &str,
        sent: &Sent,
        beside: Option<Which>,
    ) -> Result<Vec<String>, Refusal> {
        let new = self.parse(sent)?;
        let level = self.level(Some(subject)).or(self.level(None)).unwrap_or(Level::None);
        let versions: Vec<u32> = match beside {
            Some(which) => vec![self.version(subject, which, false)?.version],
            None => self.versions(subject, false).unwrap_or_default(),
        };
        let counting = if beside.is_some() { &versions } else { level.counting(&versions) };
        let mut complaints = Vec::new();
        for number in counting {
            let earlier = self.parse(self.version(subject, Which::Number(*number), false)?.sent)?;
            for (direction, found) in level.complaints(&new, &earlier) {
                let problem = match direction {
                    Direction::Backward => "new cannot read old",
                    Direction::Forward => "old cannot read new",
                };
                complaints.push(format!("version {number}: {problem}: {found}"));
            }
        }
        Ok(complaints)
    }

    fn parse(&self, sent: &Sent) -> Result<Schema, Refusal> {
        let mut texts = Vec::new();
        self.collect_referred(sent, &mut texts)?;
        sent.parse(&texts)
    }

    /// The texts of all schemas it refers to, each once. References cannot form a circle: each names a version that
    /// was there before.
    fn collect_referred(&self, sent: &Sent, texts: &mut Vec<String>) -> Result<(), Refusal> {
        for reference in &sent.references {
            let found =
                self.version(&reference.subject, Which::Number(reference.version), true).map_err(|_| {
                    Refusal::InvalidSchema(format!(
                        "the reference {} names version {} of subject {}, which is not registered",
                        reference.name, reference.version, reference.subject
                    ))
                })?;
            if !texts.contains(&found.sent.schema) {
                texts.push(found.sent.schema.clone());
                self.collect_referred(found.sent, texts)?;
            }
        }
        Ok(())
    }

    fn change(&mut self, change: Change) -> Result<(), Refusal> {
        self.journal.append(&change)?;
        self.state.apply(change);
        Ok(())
    }
}

impl State {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Register { subject, version, id, sent } => {
                if let Ok(identity) = sent.identity() {
                    self.ids.insert(identity, id);
                }
                self.schemas.entry(id).or_insert(sent);
                let subject = self.subjects.entry(subject).or_default();
                subject.versions.insert(version, Version { id, deleted: false });
                subject.last = version;
            }
            Change::Delete { subject, version, permanent } => {
                let Some(subject) = self.subjects.get_mut(&subject) else { return };
                if permanent {
                    subject.versions.remove(&version);
                } else if let Some(version) = subject.versions.get_mut(&version) {
                    version.deleted = true;
                }
            }
            Change::Level { subject: None, level } => self.level = level,
            Change::Level { subject: Some(subject), level } => {
                self.subjects.entry(subject).or_default().level = level
            }
        }
    }

    fn versions(&self, subject: &str, deleted: bool) -> impl Iterator<Item = (u32, Version)> {
        let versions = self.subjects.get(subject).into_iter().flat_map(|subject| &subject.versions);
        versions
            .map(|(number, version)| (*number, *version))
            .filter(move |(_, version)| deleted || !version.deleted)
    }

    fn standing(&self, subject: &str, identity: &Identity) -> Option<(u32, Version)> {
        let id = self.ids.get(identity)?;
        self.versions(subject, false).find(|(_, version)| version.id == *id)
    }
}
