//! What a release adds to the lock.

use aqueduct_evolution::{Carried, ReleaseError, release};

use crate::support::Project;

const ID: &str = r#"{"name": "id", "type": "string"}"#;
const WITH_NOTE: &str =
    r#"{"name": "id", "type": "string"}, {"name": "note", "type": ["null", "string"], "default": null}"#;

fn carried(versions: &[u32]) -> Carried {
    Carried { topic: "orders".to_owned(), event_type: "Paid".to_owned(), versions: versions.to_vec() }
}

#[test]
fn a_topic_carries_the_latest_version_of_each_release() {
    let project = Project::new(&[ID]);
    project.release();
    assert_eq!(project.lock().carried("orders", "Paid"), [1]);
    project.write(2, WITH_NOTE);
    project.write(3, WITH_NOTE);
    project.release();
    assert_eq!(project.lock().carried("orders", "Paid"), [1, 3]);
    assert_eq!(project.lock().versions.len(), 3);
    let before = project.lock();
    project.release();
    assert_eq!(project.lock(), before, "a release of nothing new changes nothing");
}

#[test]
fn the_first_release_takes_what_topics_carried_before() {
    let project = Project::new(&[ID, WITH_NOTE]);
    let (catalogue, policy, lock) = (project.catalogue(), project.policy(), project.lock());
    let first = release(&catalogue, &policy, &lock, &[carried(&[1])]).unwrap();
    assert_eq!(first.carried("orders", "Paid"), [1, 2]);
    let again = release(&catalogue, &policy, &first, &[carried(&[1])]).unwrap_err();
    assert_eq!(again, ReleaseError::NotTheFirst("orders".to_owned()));
    let unknown = release(&catalogue, &policy, &lock, &[carried(&[3])]).unwrap_err();
    assert_eq!(unknown.to_string(), "orders/Paid v3 has no file");
    let elsewhere = Carried { topic: "users".to_owned(), ..carried(&[1]) };
    let refused = release(&catalogue, &policy, &lock, &[elsewhere]).unwrap_err().to_string();
    assert!(refused.contains("the policy does not allow Paid on topic users"), "{refused}");
}

#[test]
fn a_release_does_not_touch_what_was_released() {
    let project = Project::new(&[ID]);
    project.release();
    let before = project.lock();
    project.write(1, WITH_NOTE);
    project.release();
    assert_eq!(project.lock(), before);
}
