//! Two readers of one file: the shop, which makes the events, and the checker, which judges them, share no code.
//! Whatever a file holds, they must see the same in it, or a run would be called wrong that is right.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use aqueduct_shop::input::{Plan, Step, read};
use aqueduct_shop_verify::Shop;
use aqueduct_verify::System as _;
use proptest::prelude::*;
use serde_json::json;

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

/// A field that is a byte too long.
const LONG: &str = concat!(
    "12345678901234567890123456789012345678901234567890",
    "123456789012345678901234567890123456789012345678901"
);

/// Mostly good fields, few enough that lines meet on invoices, products and customers.
fn field(good: &'static [&'static str], odd: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        12 => prop::sample::select(good).prop_map(str::to_owned),
        1 => prop::sample::select(odd).prop_map(str::to_owned),
    ]
}

/// Quotes, commas and carriage returns wherever they may stand: only the parsers can say how many fields that is.
fn quotes() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&["\"", "\"", ",", "\r", " ", "5"][..]), 0..7)
        .prop_map(|parts| parts.concat())
}

fn line() -> impl Strategy<Value = String> {
    let fields = (
        field(
            &["536365", "536366", "536367", "C536379", "C536380"],
            &["", " 536365", "A563185", "c536379", "C", "5363x", "\"536365\"", "٥٣٦", "\u{feff}536365"],
        ),
        field(
            &["22423", "85123A", "85123a", "POST", "D", "M"],
            &[
                "",
                "m",
                "S",
                "B",
                "AMAZONFEE",
                "gift_0001_20",
                "DCGS0003",
                "PADS",
                "22423 ",
                "2242",
                "22423É",
                "\"22423",
                "ADJUST",
            ],
        ),
        field(
            &["CAKESTAND", "\"HANGING HEART, WHITE\""],
            &[
                "",
                "\"two\nlines\"",
                "two\rlines",
                "a\"b",
                "\"WHITE HANGING",
                "\"6\"\" CAKE",
                "\"6\" CAKE\"",
                "?",
                "a\u{85}b",
                LONG,
            ],
        ),
        field(
            &["1", "6", "-1", "-6", "2"],
            &["", "0", "+3", "1.0", "80995", "1000000", "-1000000", "1000001", "2147483648", "six"],
        ),
        field(
            &["2010-12-01 08:26:00", "2011-01-31 23:59:59", "2011-01-04 10:00:00"],
            &[
                "",
                "2010-12-01",
                "2010-12-01 08:26:60",
                "2010-02-30 08:26:00",
                "2010-12-1 08:26:00",
                "2010-12-01T08:26:00",
            ],
        ),
        field(
            &["2.55", "0", "0.0", "4.25", "18.00"],
            &[
                "",
                "-2.55",
                "0.001",
                "0.000001",
                "0.0000010",
                "1e2",
                "1_0",
                "+1",
                ".5",
                "5.",
                "-0",
                "99999999999999",
                "9999999999999.99999",
                "1000000",
                "999999.99999",
                "1000000.00001",
                "NaN",
            ],
        ),
        field(&["17850", "13047", ""], &[" 17850", "17850.0", "no one", LONG]),
        field(&["United Kingdom", "France"], &["", "EIRE ", "a\tb", "\"EIRE", "EIRE\""]),
    );
    let line = fields.prop_map(|fields| {
        let (a, b, c, d, e, f, g, h) = fields;
        [a, b, c, d, e, f, g, h].join(",")
    });
    prop_oneof![
        40 => line,
        4 => quotes().prop_map(|text| format!("{text},22423,TEXT,1,2010-12-01 08:26:00,1,,France")),
        1 => prop::sample::select(&["", "536365,22423", ",,,,,,,", "a,b,c,d,e,f,g,h,i"][..]).prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_checker_reads_what_the_shop_reads(
        lines in prop::collection::vec(line(), 0..40),
        end in prop::sample::select(&["\n", "\r\n"][..]),
        orders in prop::option::of(1_usize..4),
    ) {
        let mut text = HEADER.to_owned();
        for line in lines {
            write!(text, "{line}{end}").unwrap();
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &text).unwrap();

        let plan = Plan::make(read(file.path()).unwrap(), orders);
        let shop = Shop::from_input(file.path(), orders).unwrap();
        let figures = shop.figures();

        if orders.is_none() {
            let physical = text.split('\n').skip(1).filter(|line| !matches!(*line, "" | "\r")).count();
            prop_assert_eq!(plan.lines.values().sum::<u64>(), physical as u64, "lines of\n{}", text);
        }
        let lines: BTreeMap<_, _> = plan
            .lines
            .iter()
            .map(|(rule, count)| (serde_json::to_value(rule).unwrap().as_str().unwrap().to_owned(), json!(count)))
            .collect();
        let seen = figures["lines"].as_object().unwrap();
        let seen: BTreeMap<_, _> =
            seen.iter().filter(|it| *it.1 != 0).map(|(rule, count)| (rule.clone(), count.clone())).collect();
        prop_assert_eq!(lines, seen, "in\n{}", text);

        let steps = || plan.months.iter().flat_map(|month| &month.steps);
        let count = |wanted: fn(&Step) -> bool| json!(steps().filter(|step| wanted(step)).count());
        prop_assert_eq!(&json!(plan.orders), &figures["orders"], "orders in\n{}", text);
        prop_assert_eq!(count(|it| matches!(it, Step::Order { .. })), json!(plan.orders), "steps of\n{}", text);
        prop_assert_eq!(&count(|it| matches!(it, Step::Return(_))), &figures["returns"], "in\n{}", text);
        prop_assert_eq!(&count(|it| matches!(it, Step::Register(_))), &figures["customers"], "in\n{}", text);
        let malformed: Vec<_> = plan.malformed.iter().map(|it| it.number).collect();
        let named: Vec<_> =
            figures["malformed"].as_array().unwrap().iter().map(|it| it["line"].as_u64().unwrap()).collect();
        prop_assert_eq!(malformed, named, "malformed lines of\n{}", text);
        let deliveries = plan.months.iter().flat_map(|month| &month.deliveries);
        let deliveries: BTreeMap<_, _> = deliveries.map(|it| (it.id.clone(), i64::from(it.quantity))).collect();
        prop_assert_eq!(deliveries, shop.deliveries(), "deliveries of\n{}", text);
    }
}
