//! A value of a schema.

/// A value. What it means, its schema says: a record's fields, an enum's symbol and a union's branch are numbers in it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are those of Avro's types")]
pub enum Value {
    Null,
    Boolean(bool),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Bytes(Vec<u8>),
    String(String),
    Array(Vec<Value>),
    /// Without a key twice, in the order in which they were written.
    Map(Vec<(String, Value)>),
    /// The fields, in the order of the schema.
    Record(Vec<Value>),
    /// The number of the symbol.
    Enum(usize),
    Fixed(Vec<u8>),
    /// The number of the branch, and its value.
    Union(usize, Box<Value>),
}

impl Value {
    /// About how many bytes of memory it takes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Bytes(bytes) | Self::Fixed(bytes) => bytes.len(),
                Self::String(text) => text.len(),
                Self::Array(values) | Self::Record(values) => values.iter().map(Self::size).sum(),
                Self::Map(values) => {
                    values.iter().map(|(key, value)| size_of::<String>() + key.len() + value.size()).sum()
                }
                Self::Union(_, value) => value.size(),
                _ => 0,
            }
    }
}

/// Numbers are equal if their bits are, so that NaN is itself. Maps are equal in any order.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(one), Self::Boolean(other)) => one == other,
            (Self::Int(one), Self::Int(other)) => one == other,
            (Self::Long(one), Self::Long(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one.to_bits() == other.to_bits(),
            (Self::Double(one), Self::Double(other)) => one.to_bits() == other.to_bits(),
            (Self::Bytes(one), Self::Bytes(other)) | (Self::Fixed(one), Self::Fixed(other)) => one == other,
            (Self::String(one), Self::String(other)) => one == other,
            (Self::Array(one), Self::Array(other)) | (Self::Record(one), Self::Record(other)) => one == other,
            (Self::Map(one), Self::Map(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(key, value)| {
                        other.iter().any(|(other_key, other)| key == other_key && value == other)
                    })
            }
            (Self::Enum(one), Self::Enum(other)) => one == other,
            (Self::Union(branch, one), Self::Union(other_branch, other)) => {
                branch == other_branch && one == other
            }
            _ => false,
        }
    }
}
