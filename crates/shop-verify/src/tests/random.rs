//! Random small histories: an honest run of each has no findings, and whatever is done to it is found.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::World;
use aqueduct_verify::Stage;

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

/// An invoice of one to four lines, any of which may be odd.
fn invoice() -> impl Strategy<Value = (bool, u8, u8, Vec<(u8, i32, u8)>)> {
    let line = (0_u8..10, -3..6_i32, 0_u8..4);
    (any::<bool>(), 0_u8..4, 0_u8..60, proptest::collection::vec(line, 1..5))
}

fn history() -> impl Strategy<Value = String> {
    proptest::collection::vec(invoice(), 1..12).prop_map(|mut invoices| {
        invoices.sort_by_key(|(_, _, day, _)| *day);
        let mut csv = HEADER.to_owned();
        for (number, (returned, customer, day, lines)) in invoices.into_iter().enumerate() {
            let id = if returned { format!("C{}", 100 + number) } else { format!("{}", 100 + number) };
            let customer = ["", "17850", "13047", "12583"][usize::from(customer)];
            let at = format!("20{}-{:02}-{:02} 08:26:00", 11, 1 + day / 20, 1 + day % 20);
            let country = if day % 7 == 0 { "EIRE" } else { "United Kingdom" };
            for (code, quantity, price) in lines {
                let code = ["22423", "84406B", "84406b", "PADS", "71053", "21730", "POST", "D", "S", "ODD"]
                    [usize::from(code)];
                let price = ["2.55", "0.001", "0", "11062.06"][usize::from(price)];
                // Mostly with the sign that makes sense.
                let quantity = if returned && quantity > -2 { -quantity - 1 } else { quantity };
                csv += &format!("{id},{code},\"A, {code}\",{quantity},{at},{price},{customer},{country}\n");
            }
        }
        csv
    })
}

/// One thing done to what a run left behind. Each is applied to an element chosen by the index.
#[derive(Debug, Clone, Copy)]
enum Fault {
    EventDropped,
    EventDoubled,
    EventsSwapped,
    EventAltered,
    RecordDropped,
    RecordDoubled,
    RecordsSwapped,
    RecordAltered,
    HeaderAltered,
    RowDropped,
    RowDoubled,
    CellAltered,
    InboxBehind,
    InboxAhead,
    InboxRowDropped,
    OffsetBehind,
}

const FAULTS: [Fault; 16] = [
    Fault::EventDropped,
    Fault::EventDoubled,
    Fault::EventsSwapped,
    Fault::EventAltered,
    Fault::RecordDropped,
    Fault::RecordDoubled,
    Fault::RecordsSwapped,
    Fault::RecordAltered,
    Fault::HeaderAltered,
    Fault::RowDropped,
    Fault::RowDoubled,
    Fault::CellAltered,
    Fault::InboxBehind,
    Fault::InboxAhead,
    Fault::InboxRowDropped,
    Fault::OffsetBehind,
];

/// Changes the n-th leaf of the JSON (counted around), and says whether there was one.
fn alter_leaf(data: &mut Value, at: Index) -> bool {
    fn leaves(value: &mut Value) -> Vec<&mut Value> {
        match value {
            Value::Array(entries) => entries.iter_mut().flat_map(leaves).collect(),
            Value::Object(fields) => fields.values_mut().flat_map(leaves).collect(),
            leaf => vec![leaf],
        }
    }
    let mut leaves = leaves(data);
    if leaves.is_empty() {
        return false;
    }
    let leaf = at.get_mut(&mut leaves);
    **leaf = match &**leaf {
        Value::Number(number) => (number.as_i64().unwrap() + 1).into(),
        Value::String(text) => format!("{text}1").into(),
        _ => "1".into(),
    };
    true
}

/// A day on which nothing was ordered, returned or confirmed: as good as no row.
fn says_nothing(row: &[Option<String>]) -> bool {
    row[2..].iter().all(|cell| cell.as_deref() == Some("0"))
}

/// Does it, and says at which stage it must show; `None` where there is nothing to do it to.
fn commit(world: &mut World, fault: Fault, at: Index) -> Option<Stage> {
    let happenings = &mut world.happenings;
    let topic = world.records.values_mut().filter(|records| !records.is_empty());
    let mut topics: Vec<_> = topic.collect();
    let tables: Vec<_> = world.rows.values_mut().filter(|rows| !rows.is_empty()).collect();
    if happenings.is_empty() || tables.is_empty() {
        return None;
    }
    let records = at.get_mut(&mut topics);
    let mut tables = tables;
    let rows = at.get_mut(&mut tables);
    match fault {
        Fault::EventDropped => drop(happenings.remove(at.index(happenings.len()))),
        Fault::EventDoubled => happenings.push(at.get(happenings).clone()),
        Fault::EventsSwapped => {
            let first = at.index(happenings.len());
            let second = (first + 1 < happenings.len()).then_some(first + 1)?;
            happenings.swap(first, second);
        }
        Fault::EventAltered => {
            let event = &mut at.get_mut(happenings).event;
            let mut data = serde_json::from_slice(&event.data).unwrap();
            alter_leaf(&mut data, at).then_some(())?;
            event.data = serde_json::to_vec(&data).unwrap().into();
        }
        Fault::RecordDropped => drop(records.remove(at.index(records.len()))),
        Fault::RecordDoubled => {
            let again = at.get(records).clone();
            records.push(again);
        }
        Fault::RecordsSwapped => {
            let first = at.index(records.len());
            let key = records[first].key.clone();
            let second = (first + 1..records.len()).find(|second| records[*second].key == key)?;
            records.swap(first, second);
        }
        Fault::RecordAltered => {
            let value = at.get_mut(records).value.as_mut().unwrap();
            // One bit anywhere, in the schema id too: no byte of the value is without a meaning.
            *at.get_mut(value) ^= 2;
        }
        Fault::HeaderAltered => at.get_mut(&mut at.get_mut(records).headers).1.push(b'1'),
        Fault::RowDropped => {
            let row = rows.remove(at.index(rows.len()));
            (!says_nothing(&row)).then_some(())?;
        }
        Fault::RowDoubled => {
            let again = at.get(rows).clone();
            rows.push(again);
        }
        Fault::CellAltered => {
            let row = at.get_mut(rows.as_mut_slice());
            (!says_nothing(row)).then_some(())?;
            let cell = at.get_mut(row);
            *cell = Some(format!("{}1", cell.as_deref().unwrap_or_default()));
        }
        Fault::InboxBehind => at.get_mut(&mut world.inbox.streams).revision -= 1,
        Fault::InboxAhead => at.get_mut(&mut world.inbox.streams).revision += 1,
        Fault::InboxRowDropped => drop(world.inbox.streams.remove(at.index(world.inbox.streams.len()))),
        Fault::OffsetBehind => *at.get_mut(&mut world.inbox.offsets).next.as_mut().unwrap() -= 1,
    }
    Some(match fault {
        Fault::EventDropped | Fault::EventDoubled | Fault::EventsSwapped | Fault::EventAltered => {
            Stage::Store
        }
        Fault::RecordDropped
        | Fault::RecordDoubled
        | Fault::RecordsSwapped
        | Fault::RecordAltered
        | Fault::HeaderAltered => Stage::Topics,
        Fault::RowDropped | Fault::RowDoubled | Fault::CellAltered => Stage::Views,
        Fault::InboxBehind | Fault::InboxAhead | Fault::InboxRowDropped | Fault::OffsetBehind => Stage::Inbox,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_honest_run_passes_and_any_fault_is_found(csv in history(), seed: u64, at: Index) {
        let honest = World::honest(&csv, seed);
        prop_assert_eq!(honest.judge(), []);
        for fault in FAULTS {
            let mut world = honest.clone();
            let Some(stage) = commit(&mut world, fault, at) else { continue };
            prop_assert!(!world.judge_stage(stage).is_empty(), "{:?} is not found", fault);
        }
    }
}
