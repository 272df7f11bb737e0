//! A change of a schema, from the first edit to the release, by the commands, in a repository of git.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{BINARY, ROOT};

const CREATED: &str = "schemas/orders/OrderCreated";

/// A repository with the shop's schemas, as they are released.
struct Repository(TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        copy(&Path::new(ROOT).join("schemas"), &repository.path("schemas"));
        fs::write(repository.path("aqueduct.toml"), "").unwrap();
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository.commit();
        repository
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.0.path().join(file)
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@localhost"]).args(arguments);
        let output = command.current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "m"]);
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(BINARY);
        command.arg("schemas").args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The names of what `check` finds.
    #[track_caller]
    fn found(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.run(&[&["check", "--json"], arguments].concat());
        let findings: Vec<Value> =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(output.status.code(), Some(if findings.is_empty() { 0 } else { 1 }));
        findings.iter().map(|finding| finding["name"].as_str().unwrap().to_owned()).collect()
    }

    fn edit(&self, file: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert_eq!(text.matches(old).count(), 1, "{old:?} in\n{text}");
        fs::write(self.path(file), text.replacen(old, new, 1)).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn the_shops_schemas_are_released() {
    let repository = Repository::new();
    assert!(repository.found(&[]).is_empty());
    assert_eq!(repository.succeed(&["release"]), "nothing to release\n");
    let listed: Vec<Value> = serde_json::from_str(&repository.succeed(&["list", "--json"])).unwrap();
    assert!(
        listed.iter().all(|event| event["latest"] == event["released"] && event["topics"][0].is_string())
    );
}

#[test]
fn a_safe_change_is_released_and_an_unsafe_one_is_stopped() {
    let repository = Repository::new();
    let latest = fs::read_dir(repository.path(CREATED)).unwrap().filter_map(Result::ok);
    let is_schema = |name: &str| name.ends_with(".avsc");
    let latest = latest.filter(|file| is_schema(&file.file_name().to_string_lossy())).count();
    let next = format!("{CREATED}/v{}.avsc", latest + 1);
    assert!(repository.succeed(&["new", "orders/OrderCreated"]).contains(&format!("v{}.avsc", latest + 1)));
    let text = fs::read_to_string(repository.path(&next)).unwrap();
    assert!(!text.contains("\"upcast\"") && text.contains("\"doc\""), "{text}");
    let again = repository.run(&["new", "OrderCreated"]);
    // The new version is the latest one now.
    assert!(String::from_utf8_lossy(&again.stdout).contains(&format!("v{}.avsc", latest + 2)), "{again:?}");
    fs::remove_file(repository.path(&format!("{CREATED}/v{}.avsc", latest + 2))).unwrap();

    // Unsafe: pence with two decimals, where readers of the topic expect three.
    repository.edit(&next, "\"name\": \"total\",\n      \"type\": {\"type\": \"bytes\", \"logicalType\": \"decimal\", \"precision\": 18, \"scale\": 3}", "\"name\": \"total\",\n      \"upcast\": \"old.total\", \"type\": {\"type\": \"bytes\", \"logicalType\": \"decimal\", \"precision\": 18, \"scale\": 2}");
    assert_eq!(repository.found(&[]), ["changed-scale", "rule-without-example"]);
    let refused = repository.run(&["release"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stdout).unwrap();
    assert!(
        said.contains("total: had 3 decimals, has 2") && said.ends_with("nothing was released\n"),
        "{said}"
    );
    assert_eq!(said.matches("total: had 3 decimals").count(), 1, "{said}");
    let sarif: Value = serde_json::from_slice(&repository.run(&["check", "--sarif"]).stdout).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"changed-scale".into(), &"error".into()));
    let location = &result["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(location["uri"], next);

    // Safe: the same text with one more optional field.
    fs::write(repository.path(&next), text).unwrap();
    repository.edit(&next, "{\"name\": \"country\", \"type\": \"string\"}", "{\"name\": \"country\", \"type\": \"string\"}, {\"name\": \"note\", \"type\": [\"null\", \"string\"], \"default\": null}");
    assert!(repository.found(&["--against", "main"]).is_empty());
    let (older, newer) = (latest.to_string(), (latest + 1).to_string());
    let difference = repository.succeed(&["diff", "OrderCreated", &older, &newer]);
    assert!(difference.contains("note: new; older records have the default null"), "{difference}");
    assert!(difference.contains(&format!("readers of v{older} read records of v{newer}\n")), "{difference}");
    let released = repository.succeed(&["release"]);
    let expected = format!(
        "released orders/OrderCreated v{newer}\ntopic shop.orders carries orders/OrderCreated v{newer}\n"
    );
    assert_eq!(released, expected);
    repository.commit();

    // What is released does not change, and is not taken back.
    repository.edit(&next, "\"name\": \"note\"", "\"name\": \"remark\"");
    assert_eq!(repository.found(&[]), ["released-schema-changed"]);
    repository.edit(&next, "\"name\": \"remark\"", "\"name\": \"note\"");
    repository.edit(&next, "\"default\": null}", "\"default\": null, \"doc\": \"of the customer\"}");
    assert!(repository.found(&[]).is_empty(), "documentation may change");
    fs::remove_file(repository.path(&next)).unwrap();
    let lock = fs::read_to_string(repository.path("schemas/released.lock")).unwrap();
    let mine = format!("orders/OrderCreated v{newer}");
    let kept: Vec<&str> = lock.lines().filter(|line| !line.contains(&mine)).collect();
    fs::write(repository.path("schemas/released.lock"), kept.join("\n")).unwrap();
    assert!(repository.found(&[]).is_empty(), "without the revision before nothing shows it");
    assert_eq!(repository.found(&["--against", "main"]), ["release-removed", "release-removed"]);
}

#[test]
fn bad_input_is_named() {
    let repository = Repository::new();
    let said = |arguments: &[&str]| {
        let output = repository.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(
        said(&["check", "--against", "v1"]).contains("git has no revision v1: a shallow clone may lack it")
    );
    assert!(said(&["check", "--against=--all"]).contains("git has no revision --all"));
    assert!(said(&["diff", "OrderCreate", "1", "2"]).contains("there are no schemas of OrderCreate"));
    assert!(said(&["diff", "OrderCreated", "1", "20"]).contains("OrderCreated has no version 20"));
    assert!(said(&["new", "users/OrderCreated"]).contains("there are no schemas of users/OrderCreated"));
    let lock = fs::read_to_string(repository.path("schemas/released.lock")).unwrap();
    fs::write(repository.path("schemas/released.lock"), lock.replacen("schema=", "schema=0", 1)).unwrap();
    assert!(said(&["check"]).contains("released.lock, line 3: "));
    fs::write(repository.path("schemas/released.lock"), lock).unwrap();
    fs::write(repository.path("schemas/policy.toml"), "[topics.a]\nevent = []\n").unwrap();
    assert!(said(&["check"]).contains("policy.toml: TOML parse error at line 2"));
    fs::write(repository.path("schemas/policy.toml"), "").unwrap();
    fs::write(repository.path("aqueduct.toml"), "[schemas.contexts]\n'shop.orders' = ['orders']\n").unwrap();
    assert!(said(&["list"]).contains("remove that section, which the policy replaces"));
    fs::remove_file(repository.path("schemas/policy.toml")).unwrap();
    let printed = repository.run(&["policy"]);
    assert!(String::from_utf8_lossy(&printed.stderr).contains("warning: "), "{printed:?}");
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.contains("[topics.\"shop.orders\"]") && printed.contains("\"OrderCreated\""),
        "{printed}"
    );
}

/// The commands of the workflow that teams copy, on a change that is safe and on one that is not.
#[test]
fn the_workflow_for_pull_requests_stops_an_unsafe_change() {
    let workflow = fs::read_to_string(Path::new(ROOT).join("deploy/ci/schemas.yml")).unwrap();
    let workflow: Value = serde_saphyr::from_str(&workflow).unwrap();
    let steps = workflow["jobs"]["check"]["steps"].as_array().unwrap();
    let commands: Vec<&str> =
        steps.iter().filter_map(|step| step["run"].as_str()?.strip_prefix("aqueduct schemas ")).collect();
    assert_eq!(commands.len(), 3, "{workflow}");
    let repository = Repository::new();
    let run = |command: &str| {
        let script = format!("set -e; \"$0\" schemas {command}");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(BINARY).env("TARGET", "main").current_dir(repository.0.path());
        shell.output().unwrap()
    };
    for command in &commands {
        let output = run(command);
        assert!(output.status.success(), "{command}: {output:?}");
    }
    repository.edit(
        "schemas/users/UserRegistered/v1.avsc",
        "\"fields\": [",
        "\"aliases\": [\"Registered\"], \"fields\": [",
    );
    assert_eq!(run(commands[0]).status.code(), Some(1));
    assert!(run(commands[2]).status.success());
    let findings = fs::read_to_string(repository.path("schemas.sarif")).unwrap();
    let findings: Value = serde_json::from_str(&findings).unwrap();
    assert_eq!(findings["runs"][0]["results"][0]["ruleId"], "released-schema-changed");
}
