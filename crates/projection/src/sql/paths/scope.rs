//! What the names in a query mean.

use aqueduct_schema::JsonPlace;

/// What an expression holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'s> {
    /// JSON of an event.
    Json(JsonPlace<'s>),
    /// The same as text, which a cast makes JSON again.
    Text(JsonPlace<'s>),
    /// JSON of an event, but which part of it is not known.
    Lost,
    /// Anything else.
    Other,
}

impl Value<'_> {
    /// Whether fields can be read from it.
    pub(crate) fn has_parts(self) -> bool {
        match self {
            Self::Json(place) => place.has_parts(),
            Self::Lost => true,
            Self::Text(_) | Self::Other => false,
        }
    }
}

/// The columns of a query, in order.
pub(crate) type Columns<'s> = Vec<(String, Value<'s>)>;

/// A relation in `from`.
#[derive(Debug, Clone)]
pub(crate) struct Relation<'s> {
    pub(crate) name: String,
    /// `None`: those of a table, which hold no part of an event that is known.
    pub(crate) columns: Option<Columns<'s>>,
    /// What its name alone means.
    pub(crate) whole: Value<'s>,
}

impl Relation<'_> {
    pub(crate) fn table(name: String) -> Self {
        Self { name, columns: None, whole: Value::Other }
    }
}

/// The names of a query and of those around it.
#[derive(Debug, Default)]
pub(crate) struct Scope<'o, 's> {
    outer: Option<&'o Scope<'o, 's>>,
    pub(crate) relations: Vec<Relation<'s>>,
    /// The parts of `with`.
    pub(crate) parts: Vec<(String, Columns<'s>)>,
}

impl<'o, 's> Scope<'o, 's> {
    pub(crate) fn within(outer: &'o Scope<'o, 's>) -> Self {
        Self { outer: Some(outer), relations: Vec::new(), parts: Vec::new() }
    }

    /// The columns of a part of `with`.
    pub(crate) fn part(&self, name: &str) -> Option<&Columns<'s>> {
        let own = self.parts.iter().rev().find(|(part, _)| part == name).map(|(_, columns)| columns);
        own.or_else(|| self.outer?.part(name))
    }

    pub(crate) fn relation(&self, name: &str) -> Option<&Relation<'s>> {
        let own = self.relations.iter().find(|relation| relation.name == name);
        own.or_else(|| self.outer?.relation(name))
    }

    /// `relation.column`
    pub(crate) fn qualified(&self, relation: &str, column: &str) -> Value<'s> {
        let columns = self.relation(relation).and_then(|relation| relation.columns.as_ref());
        columns.and_then(|columns| find(columns, column)).unwrap_or(Value::Other)
    }

    /// A name alone: a column, else a relation.
    pub(crate) fn unqualified(&self, name: &str) -> Value<'s> {
        let known = self.relations.iter().filter_map(|relation| relation.columns.as_ref());
        if let Some(value) = known.into_iter().find_map(|columns| find(columns, name)) {
            return value;
        }
        if let Some(relation) = self.relations.iter().find(|relation| relation.name == name) {
            return relation.whole;
        }
        let outer = self.outer.map_or(Value::Other, |outer| outer.unqualified(name));
        // A table of this query may have a column of this name, which would come before that of the query around it.
        let has_tables = self.relations.iter().any(|relation| relation.columns.is_none());
        if has_tables && outer.has_parts() { Value::Lost } else { outer }
    }
}

fn find<'s>(columns: &Columns<'s>, name: &str) -> Option<Value<'s>> {
    columns.iter().find(|(column, _)| column == name).map(|(_, value)| *value)
}
