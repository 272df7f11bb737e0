//! Random rules of the types that they must have, on random events.

use bumpalo::Bump;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::load::SchemaFiles;
use crate::mapping::straight;
use crate::set::SchemaSet;
use crate::upcast::budget::{Budget, COSTS, Costs};
use crate::upcast::read::read;

/// The types of the fields that rules are made for, with the type of the newer field.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Type {
    Bool,
    Int,
    Double,
    Decimal,
    Text,
    Ints,
}

const TYPES: [Type; 6] = [Type::Bool, Type::Int, Type::Double, Type::Decimal, Type::Text, Type::Ints];

impl Type {
    fn schema(self) -> Json {
        match self {
            Self::Bool => json!("boolean"),
            Self::Int => json!("long"),
            Self::Double => json!("double"),
            Self::Decimal => json!({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 12}),
            Self::Text => json!("string"),
            Self::Ints => json!({"type": "array", "items": "long"}),
        }
    }
}

fn old_schema() -> Json {
    let money = json!({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2});
    let line = json!({"type": "record", "name": "Line", "fields":
        [{"name": "q", "type": "int"}, {"name": "p", "type": money}]});
    json!({"type": "record", "name": "E", "namespace": "a", "fields": [
        {"name": "n", "type": "long"},
        {"name": "z", "type": ["null", "long"]},
        {"name": "d", "type": "double"},
        {"name": "m", "type": money},
        {"name": "t", "type": "string"},
        {"name": "w", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "l", "type": {"type": "array", "items": "long"}},
        {"name": "r", "type": {"type": "array", "items": line}},
        {"name": "k", "type": {"type": "map", "values": "string"}},
        {"name": "u", "type": ["null", "long", "string"]},
    ]})
}

fn compile(of: Type, rule: &str) -> Result<SchemaSet, String> {
    let new = json!({"type": "record", "name": "E", "namespace": "a", "fields":
        [{"name": "y", "type": of.schema(), "upcast": rule}]});
    let mut files = SchemaFiles::new("schemas");
    files.insert("a", "E", 1, old_schema().to_string());
    files.insert("a", "E", 2, new.to_string());
    SchemaSet::compile(&files).map_err(|error| error.to_string())
}

/// A rule of the type: the parts of `{Type}` in the forms are rules of those types.
fn rule(of: Type) -> BoxedStrategy<String> {
    let leaves: &[&str] = match of {
        Type::Bool => &["true", "(old.n == 0)", "has(old.z)", "('a' in old.k)", "old.l.exists(a, a > 3)"],
        Type::Int => &[
            "old.n",
            "7",
            "-1",
            "size(old.t)",
            "old.l[0]",
            "(old.z == null ? 3 : old.z)",
            "(type(old.u) == int ? old.u : 0)",
            "old.l.filter(a, a > old.n).map(a, a + 1)[1]",
            "size(old.k.map(k, old.k[k]))",
            "json(old.k.a, int)",
        ],
        Type::Double => &["old.d", "1.5", "double('NaN')", "double(old.t)"],
        Type::Decimal => &[
            "old.m",
            "decimal('1.25')",
            "sum(old.l)",
            "sum(old.r.map(a, a.p))",
            "sumProduct(old.r, 'q', 'p')",
            "decimal(old.t)",
        ],
        Type::Text => &[
            "old.t",
            "'a'",
            "old.w",
            "old.k.a",
            "(type(old.u) == string ? old.u : type(old.u) == null_type ? '' : string(old.u))",
        ],
        Type::Ints => &["old.l", "[2]", "([] + old.l)", "[1, old.n]", "old.r.map(a, a.q > 0, a.q)"],
    };
    let forms: &[(&str, &[Type])] = match of {
        Type::Bool => &[
            ("({} && {})", &[Type::Bool, Type::Bool]),
            ("({} || !{})", &[Type::Bool, Type::Bool]),
            ("({} < {})", &[Type::Int, Type::Double]),
            ("({} == {})", &[Type::Decimal, Type::Int]),
            ("({} >= {})", &[Type::Text, Type::Text]),
            ("({} != {})", &[Type::Ints, Type::Ints]),
            ("{}.contains({})", &[Type::Text, Type::Text]),
            ("({} in {})", &[Type::Int, Type::Ints]),
            ("{}.all(a, a < {})", &[Type::Ints, Type::Int]),
            ("{}.exists_one(a, a == {})", &[Type::Ints, Type::Int]),
        ],
        Type::Int => &[
            ("({} + {})", &[Type::Int, Type::Int]),
            ("({} * {})", &[Type::Int, Type::Int]),
            ("({} / {})", &[Type::Int, Type::Int]),
            ("({} % {})", &[Type::Int, Type::Int]),
            ("int({})", &[Type::Double]),
            ("int({})", &[Type::Decimal]),
            ("size({})", &[Type::Text]),
            ("({} ? {} : {})", &[Type::Bool, Type::Int, Type::Int]),
            ("{}[{}]", &[Type::Ints, Type::Int]),
        ],
        Type::Double => &[
            ("({} + {})", &[Type::Double, Type::Double]),
            ("({} / {})", &[Type::Double, Type::Double]),
            ("double({})", &[Type::Int]),
            ("double({})", &[Type::Decimal]),
        ],
        Type::Decimal => &[
            ("({} + {})", &[Type::Decimal, Type::Int]),
            ("({} - {})", &[Type::Decimal, Type::Decimal]),
            ("({} * {})", &[Type::Decimal, Type::Decimal]),
            ("add({}, {})", &[Type::Text, Type::Int]),
            ("minorUnits({})", &[Type::Decimal]),
            ("sum({})", &[Type::Ints]),
        ],
        Type::Text => &[
            ("({} + {})", &[Type::Text, Type::Text]),
            ("string({})", &[Type::Double]),
            ("string({})", &[Type::Decimal]),
            ("string({})", &[Type::Int]),
            ("{}.replace('a', '')", &[Type::Text]),
            ("({} ? {} : {})", &[Type::Bool, Type::Text, Type::Text]),
        ],
        Type::Ints => &[
            ("({} + {})", &[Type::Ints, Type::Ints]),
            ("[{}, {}]", &[Type::Int, Type::Int]),
            ("{}.map(a, a + {})", &[Type::Ints, Type::Int]),
            ("{}.filter(a, a > {})", &[Type::Ints, Type::Int]),
            ("{}.map(a, old.l.map(b, a + b)[0])", &[Type::Ints]),
        ],
    };
    let leaf = prop::sample::select(leaves).prop_map(str::to_owned).boxed();
    let form = prop::sample::select(forms).prop_flat_map(|(form, parts)| {
        let parts: Vec<_> = parts.iter().map(|part| part_of(*part)).collect();
        parts.prop_map(move |parts| {
            parts.iter().fold(form.to_owned(), |form, part| form.replacen("{}", part, 1))
        })
    });
    prop_oneof![1 => leaf, 3 => form].boxed()
}

/// Lazily, so that the strategies do not contain each other without end.
fn part_of(of: Type) -> BoxedStrategy<String> {
    any::<bool>().prop_flat_map(move |deeper| if deeper { rule(of) } else { simple(of) }).boxed()
}

fn simple(of: Type) -> BoxedStrategy<String> {
    let leaf = match of {
        Type::Bool => "(old.d > 1.0)",
        Type::Int => "old.n",
        Type::Double => "old.d",
        Type::Decimal => "old.m",
        Type::Text => "old.t",
        Type::Ints => "old.l",
    };
    Just(leaf.to_owned()).boxed()
}

fn event() -> impl Strategy<Value = Json> {
    let long = prop_oneof![Just(0), Just(i64::MIN), Just(i64::MAX), -9..9_i64];
    let double =
        prop_oneof![Just(json!("NaN")), Just(json!("-Infinity")), (-9..9_i32).prop_map(|n| json!(n))];
    let text = prop_oneof![Just(String::new()), Just("1.50".to_owned()), "[a-cä]{0,200}"];
    let line = (any::<i32>(), -999..999_i32)
        .prop_map(|(q, p)| json!({"q": q, "p": format!("{p}.25").replace("-0", "0")}));
    let parts = (
        long.clone(),
        prop::option::of(long.clone()),
        double,
        text.clone(),
        prop::collection::vec(long.clone(), 0..60),
        prop::collection::vec(line, 0..20),
        prop::collection::btree_map("[ab]", prop_oneof![Just("1".to_owned()), text.clone()], 0..3),
        prop_oneof![Just(Json::Null), (-9..9_i64).prop_map(Json::from), text.prop_map(Json::from)],
    );
    parts.prop_map(|(n, z, d, t, l, r, k, u)| {
        let text = |number: i64| number.to_string();
        let l: Vec<_> = l.into_iter().map(text).collect();
        json!({"n": text(n), "z": z.map(text), "d": d, "m": "-12.50", "t": t, "w": 1_291_191_960_000_i64,
            "l": l, "r": r, "k": k, "u": u})
    })
}

/// The problem, if the event fails; an error where the rule had no right to do what it did.
fn run(set: &SchemaSet, event: &Json, costs: Costs) -> Result<Option<String>, String> {
    let [old, new] = &set.events["E"].versions[..] else { return Err("two versions".to_owned()) };
    let mut avro = Vec::new();
    straight::encode(&old.layout, event.to_string().as_bytes(), &mut avro).ok_or("the event is invalid")?;
    let arena = Bump::new();
    let budget = Budget::with_costs(&arena, costs);
    let event = read(&old.layout, &avro, &budget).map_err(|error| error.to_string())?;
    let step = new.step.as_ref().ok_or("a step")?;
    let problem = step.run(&old.layout, &new.layout, event, &budget).err().map(|error| error.to_string());
    let (spent, done) = budget.spent_and_done();
    if spent < done {
        return Err(format!("{spent} units for {done} operations"));
    }
    // A value has 24 bytes, a byte of text is copied once; an arena has at most twice what was asked for.
    let most = 1024 + 2 * 40 * usize::try_from(done).unwrap_or(usize::MAX);
    if arena.allocated_bytes() > most {
        return Err(format!("{} bytes for {done} operations", arena.allocated_bytes()));
    }
    if problem
        .as_ref()
        .is_some_and(|problem| problem.contains("did not foresee") || problem.starts_with("y: expected"))
    {
        return Err(format!("a wrong type: {problem:?}"));
    }
    Ok(problem)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_rule_of_the_right_types_is_accepted_and_never_fails_by_a_type(
        (of, rule) in prop::sample::select(&TYPES).prop_flat_map(|of| (Just(of), rule(of))),
        events in prop::collection::vec(event(), 1..6),
    ) {
        match compile(of, &rule) {
            Ok(set) => for event in &events {
                if let Err(fault) = run(&set, event, COSTS) {
                    return Err(TestCaseError::fail(format!("{rule}: {fault}")));
                }
            },
            Err(refused) => prop_assert!(
                refused.contains("nested deeper") || refused.contains("longer than 1024 bytes"),
                "{}: {}", rule, refused
            ),
        }
    }

    /// Most are refused. What is accepted is safe too.
    #[test]
    fn a_rule_of_any_types_is_refused_or_never_fails_by_a_type(
        (of, rule) in prop::sample::select(&TYPES).prop_flat_map(|of| {
            (Just(of), prop::sample::select(&TYPES).prop_flat_map(rule))
        }),
        (from, to) in prop::sample::select(vec![("old.n", "old.z"), ("old.t", "old.u"), ("old.l", "old.r"), ("'a'", "1"), ("==", "+")]),
        event in event(),
    ) {
        let rule = rule.replacen(from, to, 1);
        if let Ok(set) = compile(of, &rule)
            && let Err(fault) = run(&set, &event, COSTS)
        {
            return Err(TestCaseError::fail(format!("{rule}: {fault}")));
        }
    }
}

/// The property above notices an operation that costs nothing.
#[test]
fn a_falsified_table_of_costs_is_caught() {
    let event = json!({"n": 1, "z": null, "d": 0.5, "m": "1.00", "t": "t".repeat(4000), "w": 0, "l": vec![1; 500],
        "r": vec![json!({"q": 1, "p": "1.00"}); 50], "k": {}, "u": 1});
    let rules = [
        (Type::Ints, "old.l.map(a, a * a + a)"),
        (Type::Bool, "old.t.contains('x')"),
        (Type::Decimal, "sumProduct(old.r, 'q', 'p') + sum(old.l)"),
    ];
    let falsified = [
        Costs { node: 0, ..COSTS },
        Costs { item: 0, ..COSTS },
        Costs { block: 0, ..COSTS },
        Costs { decimal: 0, ..COSTS },
    ];
    for (of, rule) in rules {
        assert_eq!(run(&compile(of, rule).unwrap(), &event, COSTS), Ok(None), "{rule}");
    }
    for costs in falsified {
        let caught = rules.iter().any(|(of, rule)| run(&compile(*of, rule).unwrap(), &event, costs).is_err());
        assert!(caught, "{costs:?}");
    }
}
