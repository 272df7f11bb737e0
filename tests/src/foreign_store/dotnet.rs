//! An invoicing service in .NET: Eventuous' names, decimals with their scale, and CLR names from an older part.

use super::Written;
use super::random::Random;

/// `V1.InvoiceIssued`, `V2.InvoiceIssued`, `V1.InvoicePaid`, `V1.InvoiceCancelled` and
/// `Acme.Billing.CreditNoteIssued, Acme.Billing`.
pub(super) fn invoice(random: &mut Random, revision: u64) -> Written {
    let at = random.now_dotnet();
    let metadata = metadata(random);
    if revision == 0 {
        return issued(random, &at, metadata);
    }
    match random.below(10) {
        0 => {
            let data = format!(r#"{{"cancelledBy":"system","comment":null,"cancelledAt":"{at}"}}"#);
            Written::json("V1.InvoiceCancelled", data, metadata).last()
        }
        1 | 2 => credit_note(random),
        _ => {
            let data = format!(
                r#"{{"paymentId":"{}","amount":{},"paidAt":"{at}","payer":{{"name":"\u00C5se","iban":null}}}}"#,
                random.uuid(),
                random.money(),
            );
            Written::json("V1.InvoicePaid", data, metadata)
        }
    }
}

fn issued(random: &mut Random, at: &str, metadata: String) -> Written {
    let (id, amount, due) = (random.uuid(), random.money(), random.today());
    if random.one_in(3) {
        let data = format!(
            r#"{{"invoiceId":"{id}","total":{{"amount":{amount},"currency":"NOK"}},"dueDate":"{due}","issuedAt":"{at}","note":null}}"#
        );
        Written::json("V2.InvoiceIssued", data, metadata)
    } else {
        let data = format!(
            r#"{{"invoiceId":"{id}","total":{{"amount":{amount},"currency":"NOK"}},"dueDate":"{due}","issuedAt":"{at}"}}"#
        );
        Written::json("V1.InvoiceIssued", data, metadata)
    }
}

/// Newtonsoft with `TypeNameHandling.Objects`: PascalCase, `$type` in the data, the version there too.
fn credit_note(random: &mut Random) -> Written {
    const CLR_NAME: &str = "Acme.Billing.CreditNoteIssued, Acme.Billing";
    let reason = random.pick(&["null", "\"Returned goods\""]);
    let data = format!(
        r#"{{"$type":"{CLR_NAME}","CreditNoteId":"{}","Amount":{}0,"Reason":{reason},"SchemaVersion":1}}"#,
        random.uuid(),
        random.money(),
    );
    let metadata = match random.below(3) {
        0 => "null".to_owned(),
        1 => r#"["imported"]"#.to_owned(),
        _ => format!(r#"{{"CorrelationId":"{}"}}"#, random.uuid()),
    };
    Written::json(CLR_NAME, data, metadata)
}

fn metadata(random: &mut Random) -> String {
    if random.one_in(5) {
        return String::new();
    }
    let (correlation, trace, span) = (random.uuid(), random.hex(32), random.hex(16));
    let pair = format!(r#""$traceId":"{trace}","$spanId":"{span}""#);
    // The client adds the pair again where the metadata was copied from another event.
    let twice = if random.one_in(10) {
        format!(r#","$traceId":"{}","$spanId":"{}""#, random.hex(32), random.hex(16))
    } else {
        String::new()
    };
    format!(r#"{{"eventuous.correlation-id":"{correlation}","tenantId":42,{pair}{twice}}}"#)
}
