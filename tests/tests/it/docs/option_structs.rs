//! The option structs and enums as their source declares them: keys, types and doc comments.
//!
//! Reads what rustfmt writes, line by line, and panics at anything else: a parser for all of Rust would be one more
//! build of half of the dependencies.

use std::collections::HashMap;

use crate::support::sources;

/// A struct or enum with its doc comment.
pub(super) struct Definition {
    pub(super) doc: String,
    pub(super) body: Body,
}

pub(super) enum Body {
    /// The fields that serde reads, in the order of the source. Empty for a type with a form of its own.
    Struct(Vec<Field>),
    /// The variants as they are configured, with their doc comments.
    Enum(Vec<(String, String)>),
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) ty: FieldType,
    pub(super) doc: String,
}

/// What a type's path says: `Option<Vec<a::Route>>` is a list of `Route` of the crate `a`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldType {
    pub(super) list: bool,
    pub(super) map: bool,
    /// The crate, where the path names it.
    pub(super) of_crate: Option<String>,
    pub(super) name: String,
}

/// The structs and enums of the crates that declare options, by crate and name.
pub(super) struct Definitions(HashMap<(String, String), Definition>);

impl Definitions {
    pub(super) fn read(crates: &[&str]) -> Self {
        let mut definitions = HashMap::new();
        for name in crates {
            for (_, source) in sources(name) {
                if source.contains("Deserialize") {
                    let found = Items::new(&source).read();
                    definitions.extend(found.map(|(ident, it)| (((*name).to_owned(), ident), it)));
                }
            }
        }
        Self(definitions)
    }

    pub(super) fn get(&self, of_crate: &str, name: &str) -> &Definition {
        let key = (of_crate.to_owned(), name.to_owned());
        self.0.get(&key).unwrap_or_else(|| panic!("no struct or enum {name} in crates/{of_crate}"))
    }
}

/// The lines of a source file. The doc comment and the attributes of the next item are kept until it comes.
struct Items<'s> {
    lines: std::str::Lines<'s>,
    doc: Vec<&'s str>,
    attributes: String,
}

impl<'s> Items<'s> {
    fn new(source: &'s str) -> Self {
        Self { lines: source.lines(), doc: Vec::new(), attributes: String::new() }
    }

    fn read(mut self) -> impl Iterator<Item = (String, Definition)> + use<'s> {
        std::iter::from_fn(move || {
            loop {
                let line = self.next()?;
                let item = line.strip_prefix("pub ").unwrap_or(line);
                let (doc, attributes) = self.take();
                let Some((kind, rest)) = item.split_once(' ') else { continue };
                let is_read = attributes.contains("Deserialize") && rest.ends_with('{');
                let body = match kind {
                    "struct" if is_read => Body::Struct(self.fields()),
                    "struct" => Body::Struct(Vec::new()),
                    "enum" if is_read => Body::Enum(self.variants()),
                    "enum" => Body::Enum(Vec::new()),
                    _ => continue,
                };
                let ident: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                return Some((ident, Definition { doc, body }));
            }
        })
    }

    /// The next line of code that is not of an attribute.
    fn next(&mut self) -> Option<&'s str> {
        loop {
            let line = self.lines.next()?;
            let code = line.trim_start();
            if let Some(doc) = code.strip_prefix("///") {
                self.doc.push(doc.trim());
            } else if code.starts_with("#[") {
                self.attributes.push_str(code);
                while self.attributes.matches('[').count() > self.attributes.matches(']').count() {
                    self.attributes.push_str(self.lines.next()?.trim());
                }
            } else if !code.is_empty() && !code.starts_with("//") {
                return Some(line);
            }
        }
    }

    fn take(&mut self) -> (String, String) {
        (std::mem::take(&mut self.doc).join("\n"), std::mem::take(&mut self.attributes))
    }

    fn fields(&mut self) -> Vec<Field> {
        let mut fields = Vec::new();
        while let Some(line) = self.next().filter(|line| *line != "}") {
            let (doc, attributes) = self.take();
            let (name, ty) = declaration(line);
            let name = match attributes.split_once("rename = \"") {
                Some((_, renamed)) => renamed.split('"').next().unwrap(),
                None => name,
            };
            if !attributes.contains("serde(skip)") {
                fields.push(Field { name: name.to_owned(), ty: field_type(ty), doc });
            }
        }
        fields
    }

    fn variants(&mut self) -> Vec<(String, String)> {
        let mut variants = Vec::new();
        // Those with fields are of no use to the reference.
        while let Some(line) = self.next().filter(|line| *line != "}") {
            let (doc, _) = self.take();
            variants.push((snake_case(line.trim().trim_end_matches(',')), doc));
        }
        variants
    }
}

/// Name and type of a field, from `    pub name: Type,`.
fn declaration(line: &str) -> (&str, &str) {
    let declaration = line.trim().strip_suffix(',').and_then(|line| line.split_once(": "));
    let (name, ty) = declaration.unwrap_or_else(|| panic!("not a field on one line: {line}"));
    (name.rsplit(' ').next().unwrap(), ty)
}

fn field_type(ty: &str) -> FieldType {
    let inner = |list, map| {
        let arguments = ty.split_once('<').unwrap().1.strip_suffix('>').unwrap();
        let ty = if map { arguments.split_once(", ").unwrap().1 } else { arguments };
        let inner = field_type(ty);
        FieldType { list: list || inner.list, map: map || inner.map, ..inner }
    };
    match ty.split('<').next().unwrap() {
        "Option" => inner(false, false),
        "Vec" | "BTreeSet" => inner(true, false),
        "BTreeMap" => inner(false, true),
        path => FieldType {
            list: false,
            map: false,
            of_crate: path.split_once("::").map(|(it, _)| it.trim_start_matches("aqueduct_").to_owned()),
            name: path.rsplit("::").next().unwrap().to_owned(),
        },
    }
}

/// `OffsetGone` as `offset_gone`.
pub(super) fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for (index, c) in name.chars().enumerate() {
        if c.is_uppercase() && index > 0 {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}
