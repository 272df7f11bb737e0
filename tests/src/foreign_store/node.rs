//! A catalogue service in Node: products with the version in the metadata, reviews with the version in the type.

use super::Written;
use super::random::Random;

/// `ProductCreated` (versions 1 and 2), `ProductPriceChanged`, `ProductRetired`.
pub(super) fn product(random: &mut Random, revision: u64) -> Written {
    let time = random.now_text();
    let (event_type, version, data) = if revision == 0 {
        let version = 1 + random.below(2);
        ("ProductCreated", version, created(random, version))
    } else if random.one_in(12) {
        let reason = if random.one_in(2) { r#","reason":"sold out""# } else { "" };
        ("ProductRetired", 1, format!(r#"{{"retiredAt":"{time}"{reason}}}"#))
    } else {
        // Money is a number, and a text since somebody met 0.1 + 0.2.
        let price = random.money();
        let price = if random.one_in(2) { price } else { format!("\"{price}\"") };
        ("ProductPriceChanged", 1, format!(r#"{{"price":{price},"changedAt":"{time}"}}"#))
    };
    let metadata = format!(
        r#"{{"eventVersion":{version},"timestamp":"{time}","correlationId":"{}","user":{{"id":{}}}}}"#,
        random.hex(24),
        random.below(5_000),
    );
    let written = Written::json(event_type, data, metadata);
    if event_type == "ProductRetired" { written.last() } else { written }
}

fn created(random: &mut Random, version: u64) -> String {
    let id = random.uuid();
    let price = random.money();
    let name = random.pick(&["Lantern", "Kaffe & te", "Teppich \\\"Größe L\\\"", "山田"]);
    // JSON.stringify leaves undefined fields out and keeps null.
    let extra =
        random.pick(&["", r#","ean":null"#, r#","ean":"4006381333931""#, r#","tags":["new","sale"]"#]);
    if version == 1 {
        format!(r#"{{"productId":"{id}","name":"{name}","price":{price}{extra}}}"#)
    } else {
        format!(r#"{{"productId":"{id}","name":"{name}","price":"{price}","currency":"EUR"{extra}}}"#)
    }
}

/// `review.posted.v1` and `review.posted.v2`, without metadata or with a trace only.
pub(super) fn review(random: &mut Random) -> Written {
    let at = random.now_milliseconds();
    let stars = 1 + random.below(5);
    let text = random.pick(&["fine", "", "broke after a week \\uD83D\\uDE00"]);
    let (event_type, data) = if random.one_in(3) {
        (
            "review.posted.v2",
            format!(r#"{{"stars":{stars},"text":"{text}","verified":true,"postedAt":{at}}}"#),
        )
    } else {
        ("review.posted.v1", format!(r#"{{"stars":{stars},"text":"{text}","postedAt":{at}}}"#))
    };
    let metadata = match random.below(4) {
        0 => format!(r#"{{"$traceId":"{}","$spanId":"{}"}}"#, random.hex(32), random.hex(16)),
        1 => "{}".to_owned(),
        _ => String::new(),
    };
    let written = Written::json(event_type, data, metadata);
    if random.one_in(4) { written.last() } else { written }
}
