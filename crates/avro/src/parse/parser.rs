//! Reads a schema's JSON into types.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value as Json};

use crate::equality::parts_to_compare;
use crate::name::{Name, qualify, validate};
use crate::parse::attributes::{
    aliases, fixed, float_default, order, other_attributes, primitive, symbols, text,
};
use crate::parse::fits::{Budget, Fits, fits};
use crate::parse::{MAX_ALIASES, Problem};
use crate::schema::{Field, Node, Record, Type, TypeId};

/// How many bytes the full names of a schema may have, with those of its aliases.
const MAX_NAMES: usize = 8 << 20;

/// What was read so far.
#[derive(Default)]
pub(super) struct Parser<'a> {
    pub(super) nodes: Vec<Slot>,
    /// By full name.
    pub(super) named: BTreeMap<String, Named>,
    pub(super) unresolved: Vec<Unresolved>,
    /// The unions, with where they are.
    pub(super) unions: Vec<(TypeId, String)>,
    /// Defaults of types that were not defined yet.
    pub(super) postponed: Vec<Postponed<'a>>,
    pub(super) budget: Budget,
    /// How many bytes the names have.
    names: usize,
    /// Whether a default may be any JSON.
    takes_any_default: bool,
    /// How many aliases types and fields have.
    aliases: usize,
    path: Vec<String>,
}

/// A type that may not be known yet.
pub(super) enum Slot {
    Known(Node),
    Open,
}

/// A named type.
pub(super) struct Named {
    pub(super) id: TypeId,
    /// Its fields were read.
    is_complete: bool,
}

/// A type that was named before it was defined.
pub(super) struct Unresolved {
    pub(super) id: TypeId,
    pub(super) name: String,
    /// Where it was named.
    pub(super) pointer: String,
}

/// A default whose type was not defined yet.
pub(super) struct Postponed<'a> {
    pub(super) field_type: TypeId,
    pub(super) default: &'a Json,
    pub(super) pointer: String,
}

impl<'a> Parser<'a> {
    /// One that takes any JSON as a default.
    pub(super) fn of_writer() -> Self {
        Self { takes_any_default: true, ..<Self as Default>::default() }
    }

    /// A JSON pointer to what is being read.
    pub(super) fn pointer(&self) -> String {
        self.path.iter().map(|part| format!("/{part}")).collect()
    }

    fn add(&mut self, slot: Slot) -> TypeId {
        self.nodes.push(slot);
        // The text is bounded, so that there are fewer types.
        TypeId((self.nodes.len() - 1) as u32)
    }

    fn add_known(&mut self, of: Type, attributes: Map<String, Json>) -> TypeId {
        self.add(Slot::Known(Node { of, attributes }))
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
            Json::String(name) => Ok(self.reference(name, namespace)),
            Json::Array(branches) => self.union(branches, namespace),
            Json::Object(attributes) => self.object(attributes, namespace),
            _ => Err(Problem::NotASchema),
        }
    }

    /// As in the reference, a type is known when its fields were read, and one without a namespace also inside of a namespace.
    fn reference(&mut self, name: &str, namespace: Option<&str>) -> TypeId {
        if let Some(primitive) = primitive(name, &Map::new()) {
            return self.add_known(primitive, Map::new());
        }
        let full = qualify(name, namespace);
        let complete = |name: &str| self.named.get(name).filter(|named| named.is_complete);
        if let Some(named) = complete(&full).or_else(|| complete(name)) {
            return named.id;
        }
        let id = self.add(Slot::Open);
        self.unresolved.push(Unresolved { id, name: full, pointer: self.pointer() });
        id
    }

    fn union(&mut self, branches: &'a [Json], namespace: Option<&str>) -> Result<TypeId, Problem> {
        let mut ids = Vec::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            if branch.is_array() {
                return Err(Problem::NestedUnion);
            }
            ids.push(self.at(index, |parser| parser.schema(branch, namespace))?);
        }
        let id = self.add_known(Type::Union(ids), Map::new());
        self.unions.push((id, self.pointer()));
        Ok(id)
    }

    fn object(
        &mut self,
        attributes: &'a Map<String, Json>,
        namespace: Option<&str>,
    ) -> Result<TypeId, Problem> {
        let word = text(attributes, "type")?;
        let of = match word {
            "record" | "error" | "enum" | "fixed" => return self.named(word, attributes, namespace),
            "array" => Type::Array(self.part("items", attributes, namespace)?),
            "map" => Type::Map(self.part("values", attributes, namespace)?),
            other => primitive(other, attributes).ok_or_else(|| Problem::Unknown(other.to_owned()))?,
        };
        Ok(self.add_known(of, other_attributes(attributes)))
    }

    fn part(
        &mut self,
        name: &'static str,
        attributes: &'a Map<String, Json>,
        namespace: Option<&str>,
    ) -> Result<TypeId, Problem> {
        let part = attributes.get(name).ok_or(Problem::Attribute(name, "schema"))?;
        self.at(name, |parser| parser.schema(part, namespace))
    }

    fn named(
        &mut self,
        word: &str,
        attributes: &'a Map<String, Json>,
        namespace: Option<&str>,
    ) -> Result<TypeId, Problem> {
        let own_namespace = attributes.get("namespace").and_then(Json::as_str).or(namespace);
        let name = Name::new(text(attributes, "name")?, own_namespace)?;
        let aliases = self.type_aliases(attributes, &name)?;
        let full = name.full().to_owned();
        let before = match self.named.get(&full) {
            Some(Named { is_complete: false, .. }) => return Err(Problem::Redefined(full)),
            Some(Named { id, .. }) => Some(*id),
            None => None,
        };
        let id = self.add(Slot::Open);
        if before.is_none() {
            self.named.insert(full.clone(), Named { id, is_complete: false });
        }
        let of = match word {
            "enum" => Type::Enum(symbols(attributes, name, aliases)?),
            "fixed" => Type::Fixed(fixed(attributes, name, aliases)?),
            _ => {
                let fields = self.fields(attributes, name.namespace())?;
                let doc = attributes.get("doc").and_then(Json::as_str).map(str::to_owned);
                Type::Record(Record { name, aliases, doc, fields })
            }
        };
        let mut own = other_attributes(attributes);
        if word == "enum" {
            own.remove("default");
        }
        self.nodes[id.index()] = Slot::Known(Node { of, attributes: own });
        match before {
            Some(before) if self.are_equal(before, id) => Ok(before),
            Some(_) => Err(Problem::Redefined(full)),
            None => {
                self.named.insert(full, Named { id, is_complete: true });
                Ok(id)
            }
        }
    }

    fn type_aliases(&mut self, attributes: &Map<String, Json>, name: &Name) -> Result<Vec<String>, Problem> {
        let mut full = Vec::new();
        for alias in self.aliases(attributes)? {
            let alias = Name::of_alias(alias, name.namespace())?;
            self.names += alias.full().len();
            full.push(alias.full().to_owned());
        }
        self.names += name.full().len();
        if self.names > MAX_NAMES { Err(Problem::TooManyNames) } else { Ok(full) }
    }

    /// The aliases of a type or a field, as they are written.
    fn aliases<'t>(&mut self, attributes: &'t Map<String, Json>) -> Result<Vec<&'t str>, Problem> {
        let aliases = aliases(attributes)?;
        self.aliases += aliases.len();
        if self.aliases > MAX_ALIASES { Err(Problem::TooManyAliases) } else { Ok(aliases) }
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
        let field_type = self.part("type", attributes, namespace)?;
        let order = order(attributes)?;
        let aliases = self.aliases(attributes)?.into_iter().map(str::to_owned).collect();
        let default = match attributes.get("default") {
            Some(default) if self.takes_any_default => Some(default.clone()),
            Some(default) => Some(self.at("default", |parser| parser.default(field_type, default))?),
            None => None,
        };
        let doc = attributes.get("doc").and_then(Json::as_str).map(str::to_owned);
        let mut own = other_attributes(attributes);
        ["default", "order"].iter().for_each(|name| drop(own.remove(*name)));
        Ok(Field { name, aliases, doc, field_type, default, order, attributes: own })
    }

    /// Checks a default, and makes a number of the text of a float.
    fn default(&mut self, field_type: TypeId, default: &'a Json) -> Result<Json, Problem> {
        let expected = match &self.nodes[field_type.index()] {
            Slot::Known(node) => node.of.branch_name().to_owned(),
            Slot::Open => "value of its type".to_owned(),
        };
        if let (Slot::Known(Node { of: Type::Float | Type::Double, .. }), Some(text)) =
            (&self.nodes[field_type.index()], default.as_str())
        {
            return float_default(text).ok_or(Problem::Default(expected));
        }
        let Self { nodes, budget, named, unresolved, .. } = self;
        let lookup = |id: TypeId| match &nodes[id.index()] {
            Slot::Known(node) => Ok(&node.of),
            Slot::Open => {
                // A type is not known either while it is being read: its own default has no end.
                let name = unresolved.iter().rev().find(|open| open.id == id).map(|open| &open.name);
                Err(name.and_then(|name| named.get(name)).is_some_and(|named| !named.is_complete))
            }
        };
        match fits(&lookup, field_type, default, budget)? {
            Fits::Yes => Ok(default.clone()),
            Fits::No => Err(Problem::Default(expected)),
            Fits::WhenDefined => {
                let pointer = self.pointer();
                self.postponed.push(Postponed { field_type, default, pointer });
                Ok(default.clone())
            }
        }
    }

    /// Whether two types that were read are the same. One that is not defined yet is like no other.
    fn are_equal(&self, one: TypeId, other: TypeId) -> bool {
        let mut open = vec![(one, other)];
        while let Some((one, other)) = open.pop() {
            let (Slot::Known(one_node), Slot::Known(other_node)) =
                (&self.nodes[one.index()], &self.nodes[other.index()])
            else {
                return false;
            };
            if one == other {
                continue;
            }
            match parts_to_compare(&one_node.of, &other_node.of) {
                Some(parts) if one_node.attributes == other_node.attributes => open.extend(parts),
                _ => return false,
            }
        }
        true
    }
}
