//! Random events are events of their schema.

use std::collections::BTreeSet;
use std::path::Path;

use aqueduct_schema::SchemaSet;
use fastrand::Rng;

fn set(folder: &str) -> SchemaSet {
    SchemaSet::load(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap()
}

#[test]
fn a_sample_is_stored_as_it_is() {
    for folder in ["tests/data/every", "../../schemas"] {
        let set = set(folder);
        let mut random = Rng::with_seed(1);
        for event in set.events() {
            for _ in 0..300 {
                let sample = event.sample(&mut random).unwrap().to_string();
                let stored =
                    set.check(event.event_type(), event.latest(), sample.clone().into_bytes()).unwrap();
                assert_eq!(String::from_utf8_lossy(&stored), sample);
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_samples_and_another_one_others() {
    let set = set("../../schemas");
    let event = set.event("OrderCreated").unwrap();
    let samples = |seed| {
        let mut random = Rng::with_seed(seed);
        (0..5).map(|_| event.sample(&mut random).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(samples(1), samples(1));
    assert_ne!(samples(1), samples(2));
}

#[test]
fn edge_cases_occur() {
    let set = set("../../schemas");
    let mut random = Rng::with_seed(1);
    let event = set.event("OrderCreated").unwrap();
    let samples: Vec<_> = (0..300).map(|_| event.sample(&mut random).unwrap()).collect();
    let totals: BTreeSet<_> = samples.iter().map(|sample| sample["total"].as_str().unwrap()).collect();
    assert!(totals.contains("0.000") && totals.contains("-0.001"), "{totals:?}");
    assert!(totals.iter().any(|total| total.starts_with("999")), "{totals:?}");
    assert!(samples.iter().any(|sample| sample["country"] == ""));
    assert!(samples.iter().any(|sample| sample["lines"].as_array().unwrap().is_empty()));
    assert!(samples.iter().any(|sample| sample["placedAt"] == "1970-01-01T00:00:00.000"));
}
