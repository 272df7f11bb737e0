use super::*;

fn names(lines: &[(&str, &str)]) -> TypeNames {
    lines.iter().copied().collect::<TypeMap>().compile().unwrap()
}

fn resolve(lines: &[(&str, &str)], stored: &str) -> String {
    names(lines).resolve(stored).unwrap().to_string()
}

#[test]
fn a_type_without_a_line_is_called_as_it_is_stored() {
    assert_eq!(resolve(&[], "OrderCreated"), "OrderCreated");
    assert_eq!(resolve(&[], "ticket.opened"), "TicketOpened");
    let clr = names(&[]).resolve("Acme.Orders.OrderPlaced, Acme.Orders").unwrap_err();
    assert!(clr.to_string().contains("add a line for it to the type map"));
    assert_eq!(names(&[]).resolve(&"a".repeat(1025)), Err(TypeError::TooLong));
}

#[test]
fn the_names_of_four_libraries_are_mapped() {
    let lines = [
        ("V{version}.{event}", "{event}"),
        ("{event}.v{version}", "{event}@{version}"),
        ("Acme.Orders.{event}, Acme.Orders", "{event}"),
        ("Acme.Orders.Envelope`1[[Acme.Orders.{event}, *", "{event}Envelope"),
    ];
    assert_eq!(resolve(&lines, "V2.RoomBooked"), "RoomBooked@2");
    assert_eq!(resolve(&lines, "ticket.opened.v1"), "TicketOpened@1");
    assert_eq!(resolve(&lines, "Acme.Orders.OrderPlaced, Acme.Orders"), "OrderPlaced");
    let generic = "Acme.Orders.Envelope`1[[Acme.Orders.PriceChanged, Acme.Orders, Version=1.0.0.0, \
                   Culture=neutral, PublicKeyToken=null]], Acme.Orders, Version=1.0.0.0, Culture=neutral, \
                   PublicKeyToken=null";
    assert_eq!(resolve(&lines, generic), "PriceChangedEnvelope");
    assert_eq!(resolve(&lines, "ProductItemAddedToShoppingCart"), "ProductItemAddedToShoppingCart");
}

#[test]
fn an_exact_name_wins_over_globs() {
    let lines = [("{event}.v{version}", "{event}"), ("a.v1", "Special"), ("b*", "Other")];
    assert_eq!(resolve(&lines, "a.v1"), "Special");
    assert_eq!(resolve(&lines, "a.v2"), "a@2");
}

#[test]
fn there_is_one_step() {
    assert_eq!(resolve(&[("A", "B"), ("B", "C")], "A"), "B");
}

#[test]
fn a_target_may_state_the_version() {
    assert_eq!(resolve(&[("order-created-old", "OrderCreated@1")], "order-created-old"), "OrderCreated@1");
    assert_eq!(resolve(&[("old.{event}", "{event}@1")], "old.placed"), "placed@1");
    assert_eq!(resolve(&[("legacy*", "Legacy.event@3")], "legacy stuff"), "LegacyEvent@3");
}

#[test]
fn two_globs_may_agree_but_not_differ() {
    let lines = [("V{version}.{event}", "{event}"), ("V1.*", "RoomBooked@1"), ("*Cancelled", "Cancelled")];
    assert_eq!(resolve(&lines, "V1.RoomBooked"), "RoomBooked@1");
    let error = names(&lines).resolve("V1.RoomCancelled").unwrap_err();
    let expected = "the stored type \"V1.RoomCancelled\" is RoomCancelled@1 by \"V{version}.{event}\" and \
                    RoomBooked@1 by \"V1.*\": add a line for the exact name to the type map";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_version_in_a_name_is_a_version() {
    let lines = [("{event}.v{version}", "{event}")];
    assert_eq!(resolve(&lines, "a.v007"), "a@7");
    for stored in ["a.v0", "a.v4294967296", "a.v99999999999999999999999"] {
        assert!(matches!(names(&lines).resolve(stored), Err(TypeError::Version { .. })), "{stored}");
    }
}

#[test]
fn a_map_that_cannot_work_is_refused_and_the_line_named() {
    let problem = |lines: &[(&str, &str)]| {
        lines.iter().copied().collect::<TypeMap>().compile().unwrap_err().to_string()
    };
    assert_eq!(problem(&[("A", "B"), ("A", "C")]), "types.\"A\": has two targets, B and C: remove one");
    assert!(problem(&[("a*{event}", "{event}"), ("a**{event}", "{event}@1")]).contains("has two targets"));
    assert!(problem(&[("", "B")]).contains("is empty"));
    assert!(problem(&[("A", "")]).contains("not an event name"));
    assert!(problem(&[("A", "B C")]).contains("not an event name"));
    assert!(problem(&[("A", "B@")]).contains("after @"));
    assert!(problem(&[("A", "B@0")]).contains("after @"));
    assert!(problem(&[("A", "{event}")]).contains("the stored type has not"));
    assert!(problem(&[("A", "B@{version}")]).contains("the stored type has not"));
    assert!(problem(&[("A.v{version}", "A@1")]).contains("both the stored type and the target"));
    assert!(problem(&[("{event}", "{event}{event}")]).contains("twice"));
    assert!(problem(&[("{event}.{event}", "{event}")]).contains("occurs twice"));
    assert!(problem(&[("{event}", "{event} x")]).contains("never makes an event name"));
    assert!(problem(&[(&"a".repeat(1025), "A")]).contains("longer than 1024"));
}

#[test]
fn two_equal_lines_are_one() {
    assert_eq!(resolve(&[("A", "B"), ("A", "B")], "A"), "B");
}

#[test]
fn a_name_with_two_targets_is_seen_in_text() {
    let map: TypeMap = serde_json::from_str(r#"{"A":"B","A":"C"}"#).unwrap();
    assert!(map.compile().unwrap_err().problem.contains("two targets"));
    let problem = serde_json::from_str::<TypeMap>("[]").unwrap_err().to_string();
    assert!(problem.contains("a table of stored types"));
}

#[test]
fn the_cache_gives_what_the_map_gives() {
    let names = names(&[("{event}.v{version}", "{event}")]);
    let mut cache = TypeCache::default();
    for stored in ["a.v1", "a.v1", "Plain", "no name", "a.v0", &"a".repeat(2000)] {
        assert_eq!(cache.resolve(&names, stored), names.resolve(stored), "{stored}");
    }
    assert_eq!(cache.mapped.len(), 4);
}

#[test]
fn the_cache_is_bounded() {
    let names = names(&[("{event}.v{version}", "{event}")]);
    let mut cache = TypeCache::default();
    for n in 0..10_000 {
        cache.resolve(&names, &format!("a{n}.v1")).unwrap();
    }
    assert_eq!(cache.mapped.len(), 4096);
}
