//! Places in the plain JSON of a schema.

use crate::layout::json_kind::JsonKind;
use crate::layout::shape::Shape;
use crate::layout::types::Layout;

/// The event's own record.
static EVENT: Shape = Shape::Record(Layout::EVENT);

/// A place in the plain JSON of a schema: the event, a field of it, an element of an array.
#[derive(Debug, Clone, Copy)]
pub struct JsonPlace<'s> {
    layout: &'s Layout,
    shape: &'s Shape,
}

impl<'s> JsonPlace<'s> {
    pub(crate) fn event(layout: &'s Layout) -> Self {
        Self { layout, shape: &EVENT }
    }

    /// Whether it is an object or an array.
    pub fn has_parts(self) -> bool {
        self.branch(JsonKind::Object).or(self.branch(JsonKind::Array)).is_some()
    }

    /// A field of a record, or a value of a map. An error says what is here instead.
    pub fn field(self, name: &str) -> Result<Self, String> {
        match self.branch(JsonKind::Object) {
            Some(Shape::Map(values)) => Ok(Self { shape: values, ..self }),
            Some(Shape::Record(index)) => {
                let record = &self.layout.records[*index];
                let field = record.fields.iter().find(|field| field.name == name);
                let field = field.ok_or_else(|| {
                    let names: Vec<_> = record.fields.iter().map(|field| field.name.as_str()).collect();
                    format!("{} has no field {name:?}, it has {}", record.name.full, names.join(", "))
                })?;
                Ok(Self { shape: &field.shape, ..self })
            }
            _ => Err(format!("there is no field {name:?} in {}", self.shape.describe())),
        }
    }

    /// An element of an array. An error says what is here instead.
    pub fn element(self) -> Result<Self, String> {
        match self.branch(JsonKind::Array) {
            Some(Shape::Array(items)) => Ok(Self { shape: items, ..self }),
            _ => Err(format!("{} is not an array", self.shape.describe())),
        }
    }

    /// The type of the values that are written as this kind.
    fn branch(self, kind: JsonKind) -> Option<&'s Shape> {
        let branches = match self.shape {
            Shape::Union(union) => union.branches.as_slice(),
            shape => std::slice::from_ref(shape),
        };
        branches.iter().find(|branch| branch.kind() == Some(kind))
    }
}
