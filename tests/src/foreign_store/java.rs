//! A shipping service in Java: class names as types, Jackson's numbers and times, the version as text.

use super::Written;
use super::random::Random;

const PACKAGE: &str = "com.acme.shipping";

/// `ShipmentBooked` (revisions 1 and 2), `ShipmentDispatched`, `ShipmentDelivered`, each with its package.
pub(super) fn shipment(random: &mut Random, revision: u64) -> Written {
    let version = 1 + u64::from(random.one_in(3));
    // Jackson writes an Instant as decimal seconds.
    let now = random.now_milliseconds();
    let at = format!("{}.{:03}000000", now / 1_000, now % 1_000);
    let (name, version, data) = match revision {
        0 => ("ShipmentBooked", version, booked(random, version, &at)),
        1..4 => {
            let carrier = random.pick(&["10", "20", "\"DHL\""]);
            let data =
                format!(r#"{{"carrier":{carrier},"hub":{},"dispatchedAt":{at}}}"#, random.below(900) + 100);
            ("ShipmentDispatched", 1, data)
        }
        _ => {
            let signed = if random.one_in(2) { r#","signedBy":"O. Nordmann""# } else { "" };
            (
                "ShipmentDelivered",
                1,
                format!(r#"{{"deliveredAt":{at},"damaged":{}{signed}}}"#, random.one_in(50)),
            )
        }
    };
    let metadata = format!(
        r#"{{"revision":"{version}","timestamp":"{}","traceId":"{}","correlationId":"{}","headers":{{}}}}"#,
        random.now_text(),
        random.hex(32),
        random.uuid(),
    );
    let written = Written::json(format!("{PACKAGE}.{name}"), data, metadata);
    if revision >= 4 { written.last() } else { written }
}

fn booked(random: &mut Random, version: u64, at: &str) -> String {
    let (weight, price) = (random.below(30_000), random.money());
    let parcels = 1 + random.below(3);
    let lines: Vec<_> = (0..parcels).map(|n| format!(r#"{{"parcel":{n},"grams":{weight}}}"#)).collect();
    let attributes =
        random.pick(&["{}", r#"{"fragile":"yes"}"#, r#"{"customs-code":"8471.30","fragile":"no"}"#]);
    let insured = if version == 2 { format!(r#","insuredValue":{}"#, random.money()) } else { String::new() };
    let parcels = lines.join(",");
    format!(
        r#"{{"parcels":[{parcels}],"price":{price},"attributes":{attributes},"express":false,"bookedAt":{at}{insured}}}"#
    )
}
