//! Reads a schema's JSON into types.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value as Json};

use crate::name::{Name, qualify, validate};
use crate::parse::Problem;
use crate::parse::attributes::{aliases, fixed, float, is_same, primitive, symbols, text};
use crate::schema::{Field, Record, Type, TypeId};

/// What was read so far.
#[derive(Default)]
pub(super) struct Parser<'a> {
    pub(super) types: Vec<Slot>,
    /// By full name.
    pub(super) named: BTreeMap<String, Named<'a>>,
    pub(super) unresolved: Vec<Unresolved>,
    /// The unions, with where they are.
    pub(super) unions: Vec<(TypeId, String)>,
    path: Vec<String>,
}

/// A type that may not be known yet.
pub(super) enum Slot {
    Type(Type),
    Open,
}

/// A named type.
pub(super) struct Named<'a> {
    pub(super) id: TypeId,
    /// Its definition, to compare with another one of the name; `None` while its fields are read.
    definition: Option<&'a Map<String, Json>>,
}

/// A type that was named before it was defined.
pub(super) struct Unresolved {
    pub(super) id: TypeId,
    pub(super) name: String,
    /// Where it was named.
    pub(super) pointer: String,
}

impl<'a> Parser<'a> {
    /// A JSON pointer to what is being read.
    pub(super) fn pointer(&self) -> String {
        self.path.iter().map(|part| format!("/{part}")).collect()
    }

    fn add(&mut self, slot: Slot) -> TypeId {
        self.types.push(slot);
        // The text is bounded, so that there are fewer types.
        TypeId((self.types.len() - 1) as u32)
    }

    /// Reads a part, whose place an error names.
    fn at<T>(
        &mut self,
        part: impl fmt::Display,
        read: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.path.push(part.to_string());
        let read = read(self)?;
        self.path.pop();
        Ok(read)
    }

    pub(super) fn schema(&mut self, json: &'a Json, namespace: Option<&str>) -> Result<TypeId, Problem> {
        match json {
            Json::String(name) => self.reference(name, namespace),
            Json::Array(branches) => self.union(branches, namespace),
            Json::Object(attributes) => self.object(attributes, namespace),
            _ => Err(Problem::NoSchema),
        }
    }

    fn reference(&mut self, name: &str, namespace: Option<&str>) -> Result<TypeId, Problem> {
        if let Some(primitive) = primitive(name, &Map::new()) {
            return Ok(self.add(Slot::Type(primitive)));
        }
        let full = qualify(name, namespace);
        if let Some(named) = self.named.get(&full) {
            return Ok(named.id);
        }
        // As in the reference: a type without a namespace is found from inside of one, once it is complete.
        if let Some(Named { id, definition: Some(_) }) = self.named.get(name) {
            return Ok(*id);
        }
        let id = self.add(Slot::Open);
        self.unresolved.push(Unresolved { id, name: full, pointer: self.pointer() });
        Ok(id)
    }

    fn union(&mut self, branches: &'a [Json], namespace: Option<&str>) -> Result<TypeId, Problem> {
        let mut ids = Vec::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            if branch.is_array() {
                return Err(Problem::NestedUnion);
            }
            ids.push(self.at(index, |parser| parser.schema(branch, namespace))?);
        }
        let id = self.add(Slot::Type(Type::Union(ids)));
        self.unions.push((id, self.pointer()));
        Ok(id)
    }

    fn object(
        &mut self,
        attributes: &'a Map<String, Json>,
        namespace: Option<&str>,
    ) -> Result<TypeId, Problem> {
        let word = text(attributes, "type")?;
        if let Some(primitive) = primitive(word, attributes) {
            return Ok(self.add(Slot::Type(primitive)));
        }
        match word {
            "array" => {
                let items = attributes.get("items").ok_or(Problem::Attribute("items", "schema"))?;
                let items = self.at("items", |parser| parser.schema(items, namespace))?;
                Ok(self.add(Slot::Type(Type::Array(items))))
            }
            "map" => {
                let values = attributes.get("values").ok_or(Problem::Attribute("values", "schema"))?;
                let values = self.at("values", |parser| parser.schema(values, namespace))?;
                Ok(self.add(Slot::Type(Type::Map(values))))
            }
            "record" | "error" | "enum" | "fixed" => self.named(word, attributes, namespace),
            other => match self.named.get(&qualify(other, namespace)) {
                Some(named) => Ok(named.id),
                None => Err(Problem::Unknown(other.to_owned())),
            },
        }
    }

    fn named(
        &mut self,
        word: &str,
        attributes: &'a Map<String, Json>,
        namespace: Option<&str>,
    ) -> Result<TypeId, Problem> {
        let own_namespace = attributes.get("namespace").and_then(Json::as_str).or(namespace);
        let name = Name::new(text(attributes, "name")?, own_namespace)?;
        let aliases = aliases(attributes)?.into_iter();
        let aliases =
            aliases.map(|alias| Name::of_alias(alias, name.namespace()).map(|alias| alias.full().to_owned()));
        let aliases: Vec<_> = aliases.collect::<Result<_, _>>()?;
        let full = name.full().to_owned();
        let id = match self.named.get(&full) {
            Some(Named { id, definition: Some(known) }) if is_same(known, attributes) => return Ok(*id),
            Some(_) => return Err(Problem::Redefined(full)),
            None => self.add(Slot::Open),
        };
        self.named.insert(full.clone(), Named { id, definition: None });
        let parsed = match word {
            "enum" => Type::Enum(symbols(attributes, name, aliases)?),
            "fixed" => Type::Fixed(fixed(attributes, name, aliases)?),
            _ => {
                let fields = self.fields(attributes, name.namespace())?;
                Type::Record(Record { name, aliases, fields })
            }
        };
        self.types[id.index()] = Slot::Type(parsed);
        self.named.insert(full, Named { id, definition: Some(attributes) });
        Ok(id)
    }

    fn fields(
        &mut self,
        attributes: &'a Map<String, Json>,
        namespace: Option<&str>,
    ) -> Result<Vec<Field>, Problem> {
        let fields = attributes.get("fields").and_then(Json::as_array);
        let fields = fields.ok_or(Problem::Attribute("fields", "list of fields"))?;
        let mut read: Vec<Field> = Vec::with_capacity(fields.len());
        let mut names = BTreeSet::new();
        for (index, field) in fields.iter().enumerate() {
            let field =
                self.at("fields", |parser| parser.at(index, |parser| parser.field(field, namespace)))?;
            if !names.insert(field.name.clone()) {
                return Err(Problem::DuplicateField(field.name));
            }
            read.push(field);
        }
        Ok(read)
    }

    fn field(&mut self, json: &'a Json, namespace: Option<&str>) -> Result<Field, Problem> {
        let attributes = json.as_object().ok_or(Problem::Attribute("name", "text"))?;
        let name = text(attributes, "name")?.to_owned();
        validate(&name)?;
        let field_type = attributes.get("type").ok_or(Problem::Attribute("type", "schema"))?;
        let field_type = self.at("type", |parser| parser.schema(field_type, namespace))?;
        let order = attributes.get("order");
        let is_known = |order: &Json| {
            order
                .as_str()
                .is_some_and(|it| ["ascending", "descending", "ignore"].contains(&it.to_lowercase().as_str()))
        };
        if !order.is_none_or(is_known) {
            return Err(Problem::Order);
        }
        let aliases = aliases(attributes)?.into_iter().map(str::to_owned).collect();
        let default = match attributes.get("default") {
            Some(default) => Some(self.at("default", |parser| parser.default(field_type, default))?),
            None => None,
        };
        Ok(Field { name, aliases, field_type, default })
    }

    /// Checks a default.
    fn default(&self, field_type: TypeId, json: &Json) -> Result<Json, Problem> {
        let is_float = matches!(self.types[field_type.index()], Slot::Type(Type::Float | Type::Double));
        if let (true, Some(text)) = (is_float, json.as_str()) {
            return if float(text).is_some() {
                Ok(json.clone())
            } else {
                Err(Problem::Default("number".to_owned()))
            };
        }
        match self.fits(field_type, json) {
            Some(true) => Ok(json.clone()),
            _ => {
                let expected = match &self.types[field_type.index()] {
                    Slot::Type(expected) => expected.branch_name().to_owned(),
                    Slot::Open => "value of a type that is complete here".to_owned(),
                };
                Err(Problem::Default(expected))
            }
        }
    }

    /// Whether a default has the JSON that a type needs; the reference asks for no more. `None`: the type is not complete.
    fn fits(&self, id: TypeId, json: &Json) -> Option<bool> {
        let Slot::Type(of_type) = &self.types[id.index()] else {
            return if json.is_object() { None } else { Some(false) };
        };
        Some(match of_type {
            Type::Null => json.is_null(),
            Type::Boolean => json.is_boolean(),
            Type::Int(_) => json.as_i64().is_some_and(|it| i32::try_from(it).is_ok()),
            Type::Long(_) => json.as_i64().is_some(),
            Type::Float | Type::Double => json.is_number(),
            Type::Bytes(_) | Type::String(_) | Type::Enum(_) | Type::Fixed(_) => json.is_string(),
            Type::Array(items) => match json.as_array() {
                Some(values) => return self.all_fit(*items, values),
                None => false,
            },
            Type::Map(items) => match json.as_object() {
                Some(values) => return self.all_fit(*items, values.values()),
                None => false,
            },
            Type::Union(branches) => {
                for branch in branches {
                    if self.fits(*branch, json)? {
                        return Some(true);
                    }
                }
                false
            }
            Type::Record(record) => {
                let Some(values) = json.as_object() else { return Some(false) };
                for field in &record.fields {
                    let value = values.get(&field.name).or(field.default.as_ref());
                    let fits = match value {
                        Some(value) => self.fits(field.field_type, value)?,
                        None => false,
                    };
                    if !fits {
                        return Some(false);
                    }
                }
                true
            }
        })
    }

    fn all_fit<'j>(&self, id: TypeId, values: impl IntoIterator<Item = &'j Json>) -> Option<bool> {
        for value in values {
            if !self.fits(id, value)? {
                return Some(false);
            }
        }
        Some(true)
    }
}
