//! The configuration reference, `crates/aqueduct/docs/configuration.md`: written from the option structs.

use std::fmt::Write as _;
use std::path::Path;

use aqueduct::Configuration;
use serde_json::{Value, json};

use super::option_structs::{Body, Definition, Definitions, Field, FieldType};
use crate::support::ROOT;

const PAGE: &str = "crates/aqueduct/docs/configuration.md";
/// Above it the page is written by hand.
const MARKER: &str = "<!-- Everything below is generated from the option structs: \
                      UPDATE_DOCS=1 cargo test --workspace --test it -- docs::configuration -->";
const CRATES: [&str; 6] = ["aqueduct", "core", "kafka", "relay", "schema", "service"];

/// Where a type is declared that a section takes from another crate.
const IMPORTED: [(&str, &str); 6] = [
    ("MetadataMapping", "core"),
    ("Exclusions", "core"),
    ("TypeMap", "core"),
    ("TelemetryOptions", "service"),
    ("OnBadEvent", "relay"),
    ("EventsOptions", "relay"),
];

/// Keys that a section's struct has but its section does not: they are taken from elsewhere.
const NOT_IN_SECTION: [&str; 1] = ["relay.replication_factor"];

/// The page's words for types that are not tables.
fn form(ty: &FieldType) -> Option<&'static str> {
    Some(match ty.name.as_str() {
        "String" => "text",
        "bool" => "true or false",
        "NonZeroU32" | "NonZeroUsize" => "integer from 1",
        "u32" | "u64" | "usize" => "integer from 0",
        "i32" => "integer",
        "PathBuf" => "path",
        "SocketAddr" => "address:port",
        "TypeMap" => "table of text",
        "EventPointer" => "pointer",
        "TimePointer" => "pointer or table",
        "TracePointer" => "pointer or table of two",
        _ => return None,
    })
}

/// A table of the configuration file.
struct Table {
    path: String,
    /// Whether there can be several, `[[relay.routes]]`.
    many: bool,
    of_crate: String,
    ty: String,
}

struct Reference {
    definitions: Definitions,
    defaults: Value,
    text: String,
    /// Structs that have their section on the page, by the path under which they were written.
    written: Vec<(String, String)>,
}

impl Reference {
    fn write() -> String {
        let mut page = Self {
            definitions: Definitions::read(&CRATES),
            defaults: defaults(),
            text: String::new(),
            written: Vec::new(),
        };
        let sections = page.tables_of("aqueduct", "Sections", "");
        for section in sections {
            page.table(&section);
        }
        page.pointers();
        page.text
    }

    /// The fields of a struct that are tables of their own.
    fn tables_of(&self, of_crate: &str, ty: &str, path: &str) -> Vec<Table> {
        let Body::Struct(fields) = &self.definitions.get(of_crate, ty).body else { return Vec::new() };
        let nested = fields.iter().filter_map(|field| {
            let (declared_in, definition) = self.nested(of_crate, field)?;
            matches!(&definition.body, Body::Struct(fields) if !fields.is_empty()).then(|| Table {
                path: join(path, &field.name),
                many: field.ty.list,
                of_crate: declared_in,
                ty: field.ty.name.clone(),
            })
        });
        nested.collect()
    }

    /// The struct or enum that a field has for its value.
    fn nested(&self, of_crate: &str, field: &Field) -> Option<(String, &Definition)> {
        if form(&field.ty).is_some() {
            return None;
        }
        let imported =
            IMPORTED.iter().find(|(name, _)| *name == field.ty.name).map(|(_, it)| (*it).to_owned());
        let declared_in = field.ty.of_crate.clone().or(imported).unwrap_or_else(|| of_crate.to_owned());
        let definition = self.definitions.get(&declared_in, &field.ty.name);
        Some((declared_in, definition))
    }

    fn table(&mut self, table: &Table) {
        if self.written.iter().any(|(ty, _)| *ty == table.ty) {
            return;
        }
        self.written.push((table.ty.clone(), table.path.clone()));
        let heading = heading(&table.path, table.many);
        let definition = self.definitions.get(&table.of_crate, &table.ty);
        let Body::Struct(fields) = &definition.body else { return };
        let mut text = format!("\n## `{heading}`\n\n");
        let about = prose(&definition.doc);
        let about = about.trim_start_matches(&format!("`{heading}`")).trim_start_matches(": ");
        if let Some(first) = about.chars().next() {
            writeln!(text, "{}{}\n", first.to_uppercase(), &about[first.len_utf8()..]).unwrap();
        }
        text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for field in fields {
            let path = join(&table.path, &field.name);
            if !NOT_IN_SECTION.contains(&path.as_str()) {
                text.push_str(&self.row(table, field, &path));
            }
        }
        self.text.push_str(&text);
        for nested in self.tables_of(&table.of_crate, &table.ty, &table.path) {
            self.table(&nested);
        }
    }

    fn row(&self, table: &Table, field: &Field, path: &str) -> String {
        let mut meaning = prose(&field.doc);
        let (value, default) = match self.nested(&table.of_crate, field).map(|(_, it)| &it.body) {
            Some(Body::Struct(_)) => {
                let written = self.written.iter().find(|(ty, _)| *ty == field.ty.name);
                let of = written.map_or(path, |(_, path)| path);
                let heading = heading(of, field.ty.list);
                let anchor: String = of.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
                (format!("[`{heading}`](#{anchor})"), "none".to_owned())
            }
            Some(Body::Enum(variants)) => {
                let names: Vec<_> = variants.iter().map(|(name, _)| format!("`{name}`")).collect();
                for (name, doc) in variants {
                    write!(meaning, " `{name}`: {}", prose(doc)).unwrap();
                }
                (names.join(", "), self.default(path))
            }
            None => (value(&field.ty), self.default(path)),
        };
        format!("| `{}` | {value} | {default} | {} |\n", field.name, meaning.replace('|', "\\|"))
    }

    /// What a key is without its line in the file.
    fn default(&self, path: &str) -> String {
        let pointer = format!("/{}", path.replace('.', "/"));
        match self.defaults.pointer(&pointer) {
            None => panic!("{path}: add its default to `defaults` in tests/tests/it/docs/configuration.rs"),
            Some(Value::Null) => "none".to_owned(),
            Some(Value::String(text)) if text == REQUIRED => REQUIRED.to_owned(),
            Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
            Some(Value::Object(table)) if table.is_empty() => "none".to_owned(),
            Some(value) => format!("`{value}`"),
        }
    }

    /// The forms that pointers into an event have.
    fn pointers(&mut self) {
        self.text.push_str("\n## Pointers into an event\n");
        for (title, ty) in
            [("Pointer", "EventPointer"), ("Time", "TimePointer"), ("Trace context", "TracePointer")]
        {
            let definition = self.definitions.get("core", ty);
            write!(self.text, "\n**{title}.** {}\n", prose(&definition.doc)).unwrap();
        }
        let types = &self.definitions.get("core", "TypeMap").doc;
        write!(self.text, "\n## Lines of `[events.types]`\n\n{}\n", prose(types)).unwrap();
    }
}

const REQUIRED: &str = "required";

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn heading(path: &str, many: bool) -> String {
    if many { format!("[[{path}]]") } else { format!("[{path}]") }
}

fn value(ty: &FieldType) -> String {
    let form = form(ty).unwrap_or_else(|| panic!("a word for the type {} is needed in `form`", ty.name));
    let list = format!("list of {}", form.replace("pointer", "pointers").replace("table", "tables"));
    match (ty.list, ty.map) {
        (true, true) => format!("table of: {list}"),
        (true, false) => list,
        (false, true) => format!("table of {form}"),
        (false, false) => form.to_owned(),
    }
}

/// A doc comment as one paragraph of Markdown, without rustdoc's links.
fn prose(doc: &str) -> String {
    let mut text = String::new();
    let mut rest = doc.replace("\n\n", "\n").replace('\n', " ");
    while let Some(start) = rest.find('[') {
        let Some(end) = rest[start..].find(']').map(|it| start + it) else { break };
        let label = rest[start + 1..end].to_owned();
        let after = rest[end + 1..].to_owned();
        text.push_str(&rest[..start]);
        if let Some(target) = after.strip_prefix('(') {
            text.push_str(&label);
            rest = target.split_once(')').map_or(String::new(), |(_, rest)| rest.to_owned());
        } else if label.starts_with('`') && label.ends_with('`') {
            text.push_str(&label);
            rest = after;
        } else {
            write!(text, "[{label}]").unwrap();
            rest = after;
        }
    }
    text + &rest
}

/// The values that the product uses where a configuration says only what it must.
fn defaults() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aqueduct.toml");
    let minimal = "[kafka]\nbrokers = \"k:9092\"\n[postgres]\nurl = \"postgres://p\"\n\
                   [[relay.routes]]\nname = \"orders\"\ntopic = \"shop.orders\"\n";
    std::fs::write(&file, minimal).unwrap();
    let configuration = Configuration::load(&file).unwrap();
    let projection = configuration.projection_options().unwrap();
    let Configuration { eventstore, kafka, schemas, http, events, relay, telemetry, .. } = &configuration;
    let mut route = json!(relay.routes[0]);
    route["name"] = REQUIRED.into();
    route["topic"] = REQUIRED.into();
    json!({
        "eventstore": { "url": null, "source": eventstore.source },
        "kafka": {
            "brokers": null, "prefix": kafka.prefix, "replication": kafka.replication,
            "properties": kafka.properties,
        },
        "registry": { "url": null, "username": null, "password": null, "authority": null },
        "postgres": { "url": null },
        "schemas": {
            "directory": schemas.directory.strip_prefix(folder.path()).unwrap(),
            "contexts": schemas.contexts,
        },
        "http": { "relay": http.relay, "project": http.project, "react": http.react },
        "events": { "metadata": events.metadata, "types": events.types },
        "relay": {
            "on_bad_event": relay.on_bad_event,
            "lanes": relay.lanes,
            "batch_records": relay.batch_records,
            "batch_bytes": relay.batch_bytes,
            "linger_ms": relay.linger_ms,
            "max_record_bytes": relay.max_record_bytes,
            "transaction_timeout_ms": relay.transaction_timeout_ms,
            "session_timeout_ms": relay.session_timeout_ms,
            "idle_checkpoint_ms": relay.idle_checkpoint_ms,
            "retry_ms": relay.retry_ms,
            "halt_retry_ms": relay.halt_retry_ms,
            "known_streams": relay.known_streams,
            "routes": route,
        },
        "projection": {
            "directory": null,
            "topic_prefix": projection.topic_prefix,
            "batch_size": projection.batch_size,
            "batch_wait_ms": projection.batch_wait_ms,
            "concurrency": projection.concurrency,
            "session_timeout_ms": projection.session_timeout_ms,
        },
        "telemetry": { "log": telemetry.log, "json": telemetry.json, "otlp": telemetry.otlp },
    })
}

#[test]
fn the_configuration_reference_agrees_with_the_options() {
    let path = Path::new(ROOT).join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (by_hand, generated) = page.split_once(MARKER).unwrap_or_else(|| panic!("{PAGE}: no line {MARKER}"));
    let expected = format!("\n{}", Reference::write());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{by_hand}{MARKER}{expected}")).unwrap();
        return;
    }
    let differs = generated.lines().zip(expected.lines()).find(|(is, should)| is != should);
    assert!(
        generated == expected,
        "{PAGE} is stale: run UPDATE_DOCS=1 cargo test --workspace --test it -- docs::configuration\nfirst difference: {differs:#?}"
    );
}
