//! Folders of schema files.

use std::fs;

use aqueduct_evolution::{Catalogue, Finding, Input, Lock, Policy, check, release};
use aqueduct_schema::{ExamplesReport, SchemaFiles, SchemaSet, check_examples};
use tempfile::TempDir;

/// One event type `orders/Paid` on the topic `orders`.
pub(crate) struct Project {
    pub(crate) folder: TempDir,
    pub(crate) policy: String,
}

impl Project {
    /// With versions of these fields.
    pub(crate) fn new(versions: &[&str]) -> Self {
        let policy = "[topics.orders]\nevents = [\"Paid\"]\n".to_owned();
        let project = Self { folder: tempfile::tempdir().unwrap(), policy };
        versions.iter().enumerate().for_each(|(index, fields)| project.write(index + 1, fields));
        project
    }

    pub(crate) fn write(&self, version: usize, fields: &str) {
        let text =
            format!(r#"{{"type": "record", "name": "Paid", "namespace": "shop", "fields": [{fields}]}}"#);
        let event = self.folder.path().join("orders/Paid");
        fs::create_dir_all(&event).unwrap();
        fs::write(event.join(format!("v{version}.avsc")), text).unwrap();
    }

    pub(crate) fn catalogue(&self) -> Catalogue {
        Catalogue::new(&SchemaSet::load(self.folder.path()).unwrap()).unwrap()
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(&self.policy, "policy.toml".as_ref()).unwrap()
    }

    /// Releases what is there.
    pub(crate) fn release(&self) {
        let lock = Lock::read(self.folder.path()).unwrap();
        release(&self.catalogue(), &self.policy(), &lock, &[]).unwrap().write(self.folder.path()).unwrap();
    }

    pub(crate) fn lock(&self) -> Lock {
        Lock::read(self.folder.path()).unwrap()
    }

    pub(crate) fn check(&self) -> Vec<Finding> {
        self.check_against(None)
    }

    pub(crate) fn check_against(&self, against: Option<&Lock>) -> Vec<Finding> {
        self.check_with(against, &ExamplesReport::default())
    }

    /// With the examples of rules, which the other checks leave out.
    pub(crate) fn check_examples(&self) -> Vec<Finding> {
        let files = SchemaFiles::read(self.folder.path()).unwrap();
        let set = SchemaSet::load(self.folder.path()).unwrap();
        self.check_with(None, &check_examples(&files, &set))
    }

    fn check_with(&self, against: Option<&Lock>, examples: &ExamplesReport) -> Vec<Finding> {
        let (catalogue, policy, lock) = (self.catalogue(), self.policy(), self.lock());
        let today = "2026-12-01".parse().unwrap();
        check(Input { catalogue: &catalogue, policy: &policy, lock: &lock, against, examples, today })
    }

    /// The names of what is found and has no waiver.
    pub(crate) fn found(&self) -> Vec<String> {
        let findings = self.check();
        findings.iter().filter(|it| it.waived.is_none()).map(|it| it.name.to_string()).collect()
    }
}
