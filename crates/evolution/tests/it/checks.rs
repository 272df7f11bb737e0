//! Faults that are planted in a second version, each with the findings that it must give.

use aqueduct_evolution::FindingName;

use crate::support::Project;

const AMOUNT: &str =
    r#"{"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}"#;
const ID: &str = r#"{"name": "id", "type": "string"}"#;

/// The findings of a change that follows a released version on its topic.
fn found(first: &str, second: &str) -> Vec<String> {
    let project = Project::new(&[first]);
    project.release();
    project.write(2, second);
    project.found()
}

#[test]
fn a_compatible_change_passes() {
    let optional = r#"{"name": "note", "type": ["null", "string"], "default": null}"#;
    assert!(found(ID, &format!("{ID}, {optional}")).is_empty());
    assert!(found(&format!("{ID}, {optional}"), ID).is_empty());
    let documented = r#"{"name": "id", "type": "string", "doc": "of the payment"}"#;
    assert!(found(ID, documented).is_empty());
}

#[test]
fn what_a_registry_refuses_is_found() {
    let backward = ["not-backward-compatible"];
    let forward = ["not-forward-compatible"];
    let ruled = r#"{"name": "currency", "type": "string", "upcast": "'GBP'"}"#;
    assert_eq!(found(ID, &format!("{ID}, {ruled}")), backward, "a rule is no default for consumers");
    assert_eq!(found(&format!("{ID}, {AMOUNT}"), ID), forward, "older readers need the amount");
    let int = r#"{"name": "n", "type": "int"}"#;
    let long = r#"{"name": "n", "type": "long"}"#;
    assert_eq!(found(int, long), forward);
    let ruled = r#"{"name": "n", "type": "int", "upcast": "int(old.n)"}"#;
    assert_eq!(found(long, ruled), backward);
}

#[test]
fn a_level_asks_for_what_it_says_and_of_the_versions_that_it_names() {
    let int = r#"{"name": "n", "type": "int"}"#;
    let long = r#"{"name": "n", "type": "long"}"#;
    let double = r#"{"name": "n", "type": "double"}"#;
    for (level, expected) in [
        ("NONE", &[][..]),
        ("BACKWARD", &[]),
        ("BACKWARD_TRANSITIVE", &[]),
        ("FORWARD", &["v3 v2", "v2 v1"]),
        ("FORWARD_TRANSITIVE", &["v3 v1", "v3 v2", "v2 v1"]),
        ("FULL", &["v3 v2", "v2 v1"]),
        ("FULL_TRANSITIVE", &["v3 v1", "v3 v2", "v2 v1"]),
    ] {
        let mut project = Project::new(&[int]);
        project.policy.push_str(&format!("compatibility = \"{level}\"\n"));
        project.release();
        project.write(2, long);
        project.release();
        project.write(3, double);
        let findings = project.check();
        for pair in expected {
            let (newer, older) = pair.split_once(' ').unwrap();
            let about = |problem: &str| problem.starts_with(&format!("is not read by {older},"));
            let matches = |file: &str| file.ends_with(&format!("{newer}.avsc"));
            assert!(findings.iter().any(|it| about(&it.problem) && matches(&it.file)), "{level}: {pair}");
        }
        let of_level = findings.iter().filter(|it| it.name == FindingName::NotForwardCompatible);
        assert_eq!(of_level.count(), expected.len(), "{level}: {findings:#?}");
    }
}

/// A version that no topic has carried only has to lead to the latest one.
#[test]
fn versions_that_were_only_stored_are_not_judged_by_the_level() {
    let pounds = r#"{"name": "amount", "type": "string"}"#;
    let pence = format!("{}, {}", AMOUNT.trim_end_matches('}'), r#""upcast": "mul(old.amount, 100)"}"#)
        .replace("\"scale\": 2, ", "\"scale\": 2}, ");
    let project = Project::new(&[pounds, &pence]);
    assert!(project.found().is_empty(), "{:#?}", project.check());
    project.release();
    assert!(project.found().is_empty());
    assert_eq!(project.lock().carried("orders", "Paid"), [2]);
}

#[test]
fn what_registries_let_pass_is_found() {
    let optional = |name: &str, more: &str| {
        format!(r#"{{"name": "{name}", "type": ["null", "string"], "default": null{more}}}"#)
    };
    let long = |logical: &str| {
        format!(
            r#"{{"name": "at", "type": {{"type": "long", "logicalType": "{logical}"}}, "upcast": "old.at"}}"#
        )
    };
    let with_default = |default: u32| format!(r#"{{"name": "n", "type": "int", "default": {default}}}"#);
    let symbols = |namespace: &str| {
        format!(
            r#"{{"name": "e", "type": {{"type": "enum", "name": "E", "namespace": "{namespace}", "symbols": ["A"], "aliases": ["shop.E", "other.E"]}}}}"#
        )
    };
    let union = |of: &str| format!(r#"{{"name": "u", "type": {of}}}"#);
    for (first, second, expected) in [
        (AMOUNT.to_owned(), AMOUNT.replace("9", "11"), "changed-precision"),
        (
            AMOUNT.to_owned(),
            AMOUNT.replace("\"scale\": 2}", "\"scale\": 3}, \"upcast\": \"old.amount\""),
            "changed-scale",
        ),
        (
            long("timestamp-millis").replace(", \"upcast\": \"old.at\"", ""),
            long("timestamp-micros"),
            "changed-unit",
        ),
        (
            long("timestamp-millis").replace(", \"upcast\": \"old.at\"", ""),
            long("local-timestamp-millis"),
            "changed-logical-type",
        ),
        (with_default(1), with_default(2), "changed-default"),
        (
            r#"{"name": "t", "type": {"type": "int", "logicalType": "time-millis"}}"#.to_owned(),
            r#"{"name": "t", "type": {"type": "long", "logicalType": "time-micros"}, "upcast": "old.t"}"#
                .to_owned(),
            "changed-unit",
        ),
        (symbols("shop"), symbols("other"), "alias-across-namespaces"),
        (union(r#"["null", "int"]"#), union(r#"["null", "long", "string"]"#), "union-branch-read-as-another"),
        (
            format!("{}, {}", optional("a", ""), optional("b", "")),
            format!("{}, {}", optional("c", r#", "aliases": ["a"]"#), optional("d", r#", "aliases": ["a"]"#)),
            "two-fields-with-one-alias",
        ),
        (union("\"bytes\""), union("\"string\""), "does-not-decode"),
    ] {
        let found = found(&first, &second);
        assert!(found.iter().any(|name| name == expected), "{expected}: {found:?}");
    }
}

#[test]
fn a_field_that_comes_back_is_found_and_so_is_what_it_does_to_values() {
    let note = r#"{"name": "note", "type": ["null", "string"], "default": null}"#;
    let project = Project::new(&[&format!("{ID}, {note}")]);
    project.release();
    project.write(2, ID);
    project.release();
    assert!(project.found().is_empty());
    project.write(3, &format!("{ID}, {note}"));
    assert_eq!(project.found(), ["field-dropped-and-added-again", "steps-differ"]);
}

#[test]
fn a_released_file_that_changed_or_is_gone_is_found() {
    let project = Project::new(&[ID, &format!(r#"{ID}, {{"name": "n", "type": "int", "upcast": "1"}}"#)]);
    project.release();
    assert!(project.found().is_empty());
    project.write(2, &format!(r#"{ID}, {{"name": "n", "type": "int", "upcast": "2"}}"#));
    assert_eq!(project.found(), ["released-rules-changed"]);
    project.write(2, &format!(r#"{ID}, {{"name": "n", "type": "long", "upcast": "1"}}"#));
    assert_eq!(project.found(), ["released-schema-changed"]);
    std::fs::remove_file(project.folder.path().join("orders/Paid/v2.avsc")).unwrap();
    assert_eq!(project.found(), ["released-file-missing"]);
}

/// In the change that corrects a rule, and after it was merged.
#[test]
fn a_rule_is_corrected_under_a_waiver() {
    let rule = |rule: &str| format!(r#"{ID}, {{"name": "n", "type": "int", "upcast": "{rule}"}}"#);
    let mut project = Project::new(&[ID, &rule("1")]);
    project.release();
    let before = project.lock();
    project.write(2, &rule("2"));
    assert_eq!(project.found(), ["released-rules-changed"]);
    project.policy.push_str(
        "[[waivers]]\nfinding = \"released-rules-changed\"\nevent = \"Paid\"\nversion = 2\nreason = \"wrong\"\nexpires = \"2026-12-31\"\n",
    );
    assert!(project.found().is_empty());
    project.release();
    assert!(project.check().is_empty(), "the lock has the new rules");
    let against = project.check_against(Some(&before));
    assert_eq!(against.len(), 1);
    assert_eq!(
        (against[0].name, against[0].waived.as_deref()),
        (FindingName::ReleasedRulesChanged, Some("wrong"))
    );
    assert!(project.check_against(Some(&project.lock())).is_empty());
}

#[test]
fn a_release_is_not_taken_back() {
    let project = Project::new(&[ID]);
    project.release();
    let before = project.lock();
    project.write(1, AMOUNT);
    std::fs::remove_file(project.folder.path().join("released.lock")).unwrap();
    assert!(project.check().is_empty(), "nothing shows it without the revision before");
    let problems: Vec<_> = project.check_against(Some(&before)).into_iter().map(|it| it.problem).collect();
    assert_eq!(
        problems,
        ["orders/Paid v1 was released before", "topic orders has carried orders/Paid v1 before"]
    );
    project.release();
    let problems: Vec<_> = project.check_against(Some(&before)).into_iter().map(|it| it.problem).collect();
    assert_eq!(problems, ["the line of orders/Paid v1 was changed"]);
}

#[test]
fn a_waiver_holds_for_its_finding_until_its_date() {
    let waiver = |finding: &str, expires: &str| {
        format!(
            "[[waivers]]\nfinding = \"{finding}\"\nevent = \"Paid\"\nversion = 2\nreason = \"nobody reads it\"\nexpires = \"{expires}\"\n"
        )
    };
    let mut project = Project::new(&[AMOUNT]);
    project.release();
    project.write(2, &AMOUNT.replace('9', "11"));
    let policy = project.policy.clone();
    project.policy = format!("{policy}{}", waiver("changed-precision", "2026-12-01"));
    assert!(project.found().is_empty());
    assert_eq!(project.check()[0].waived.as_deref(), Some("nobody reads it"));
    project.policy = format!("{policy}{}", waiver("changed-precision", "2026-11-30"));
    assert_eq!(project.found(), ["changed-precision", "waiver-expired"]);
    project.policy = format!("{policy}{}", waiver("changed-scale", "2027-01-01"));
    assert_eq!(project.found(), ["changed-precision"], "of another finding");
    project.policy = format!("{policy}{}", waiver("changed-scale", "2026-11-30"));
    assert_eq!(
        project.found(),
        ["changed-precision", "waiver-expired"],
        "it waives nothing, and is to be removed"
    );
}

/// A name that is misspelt, or a policy that is gone, must not silence what the lock says.
#[test]
fn a_topic_that_the_policy_forgot_is_found() {
    let mut project = Project::new(&[ID]);
    project.release();
    project.policy = "[topics.order]\nevents = [\"Paid\"]\n".to_owned();
    assert_eq!(project.found(), ["topic-forgotten"]);
    project.policy.clear();
    assert_eq!(project.found(), ["topic-forgotten"]);
    project.policy = "[topics.orders]\nevents = []\n".to_owned();
    assert!(project.found().is_empty());
}

#[test]
fn a_topic_of_an_event_type_without_files_is_found() {
    let mut project = Project::new(&[ID]);
    project.policy.push_str("[topics.other]\nevents = [\"Payed\"]\n");
    let findings = project.check();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].problem.ends_with("has no schema files; is Paid meant?"), "{}", findings[0].problem);
}

#[test]
fn a_rule_without_an_example_and_one_that_does_something_else_are_found() {
    let project = Project::new(&[ID, r#"{"name": "length", "type": "int", "upcast": "size(old.id)"}"#]);
    let found = |examples: Option<&str>| {
        let file = project.folder.path().join("orders/Paid/v2.examples.json");
        examples.iter().for_each(|text| std::fs::write(&file, text).unwrap());
        let findings = project.check_examples();
        findings.iter().map(|it| (it.name, it.file.clone(), it.version)).collect::<Vec<_>>()
    };
    let schema = "orders/Paid/v2.avsc".to_owned();
    assert_eq!(found(None), [(FindingName::RuleWithoutExample, schema, Some(2))]);
    assert!(found(Some(r#"[{"input": {"id": "abc"}, "result": {"length": 3}}]"#)).is_empty());
    let examples = "orders/Paid/v2.examples.json".to_owned();
    let wrong = found(Some(r#"[{"input": {"id": "abc"}, "result": {"length": 4}}]"#));
    assert!(wrong.contains(&(FindingName::ExampleFails, examples, Some(2))), "{wrong:?}");
}
