//! For any events: what does not fit the draft is counted as dirt, or the type has no file.

use proptest::prelude::*;

use super::*;

/// Values as JSON texts: forms that decide types, and forms that are close to them.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        (0_i64..1_000).prop_map(|number| number.to_string()),
        prop::sample::select(vec![
            "0.10",
            "-1575.300",
            "1.0",
            "1E-07",
            "5E-324",
            "0.30000000000000004",
            "18446744073709551615",
            "79228162514264337593543950335.0",
            "1677657678113",
            "-0",
            "-0.0",
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "",
            "12",
            "007",
            "12.50",
            "-0",
            "NaN",
            "x",
            "2022-04-01",
            "2022-04-01T00:00:00",
            "2022-04-01T00:00:00Z",
            "2022-04-01T00:00:00.1234567+02:00",
            "0001-01-01T00:00:00Z",
            "f113dfcc-0925-450a-b875-979e9ce730c9",
            "F113DFCC-0925-450A-B875-979E9CE730C9",
            "9999-12-31T23:59:59.9999999Z",
            "0000-01-01",
        ])
        .prop_map(|text| format!("{text:?}")),
    ]
}

fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        let key = prop::sample::select(vec!["a", "b", "A", "$type", "A/B", "c-d", "$value"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_does_not_fit_is_dirt(
        values in prop::collection::vec((1_u32..4, value()), 1..8), repeat in 1_usize..6,
    ) {
        let events: Vec<(u32, String)> =
            values.iter().map(|(version, value)| (*version, format!("{{\"v\":{value}}}"))).collect();
        let events: Vec<&(u32, String)> = (0..repeat).flat_map(|_| &events).collect();
        let observed: Vec<(Option<u32>, &str)> =
            events.iter().map(|(version, event)| (Some(*version), &**event)).collect();
        let report = drafted(&observed_events(&observed));
        if report.types[0].problem.is_some() {
            prop_assert!(report.files.is_empty());
            return Ok(());
        }
        let schemas = loaded(&report);
        let mut check = Check::new(&schemas);
        for (revision, (version, event)) in observed.iter().enumerate() {
            check.event("OrderPlaced", *version, &format!("{revision}@order-1"), event.as_bytes());
        }
        let checked = check.report();
        let dirt: u64 = report.types[0].dirt.iter().map(|dirt| dirt.events).sum();
        prop_assert!(checked.refused_events() <= dirt, "{checked}{report}");
    }
}

fn observed_events(events: &[(Option<u32>, &str)]) -> Evidence {
    observed(events)
}
