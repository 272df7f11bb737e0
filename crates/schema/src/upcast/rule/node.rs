//! A checked rule, as it is evaluated: names are resolved to places.

/// An expression of which the checker knows that its operands have the types that it needs.
#[derive(Debug)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// The enclosing record, the event, or a variable of a macro.
    Variable(usize),
    /// A field of a record, by its position.
    Field(Box<Node>, usize),
    /// The value of a key that is known.
    Member(Box<Node>, String),
    /// Whether a map has a key.
    HasMember(Box<Node>, String),
    IsNull(Box<Node>),
    IsOfType(Box<Node>, TypeName),
    Index(Box<Node>, Box<Node>),
    List(Vec<Node>),
    /// Keys and values. The keys are texts.
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    /// The condition, then, else.
    Choice(Box<[Node; 3]>),
    Negate(Box<Node>),
    Calculate(Operator, Box<[Node; 2]>),
    Compare(Comparison, Box<[Node; 2]>),
    /// Whether a list has an item, or a map a key.
    In(Box<[Node; 2]>),
    Call(Function, Vec<Node>),
    Json(Box<Node>, TypeName),
    SumProduct(Box<Node>, [Part; 2]),
    Loop(Box<Loop>),
}

/// A macro over the items of a list, or the keys of a map in their order.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) over: Node,
    /// The variable that has the item.
    pub(crate) variable: usize,
    pub(crate) kind: LoopKind,
    /// What is decided for each item: the condition, or what `map` makes of it.
    pub(crate) body: Node,
}

#[derive(Debug)]
pub(crate) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    /// `map` of the items for which the condition is true.
    MapWhere(Node),
}

/// A field of the items of a list.
#[derive(Debug)]
pub(crate) enum Part {
    Field(usize),
    Member(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A function on the values of its arguments. [`functions`](super::functions) has the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Replace,
    ToInt,
    ToUnsigned,
    ToDouble,
    ToText,
    ToBool,
    ToBytes,
    ToDecimal,
    MinorUnits,
    Add,
    Sub,
    Mul,
    Sum,
}

/// A type as rules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeName {
    Null,
    Bool,
    Int,
    Double,
    Decimal,
    Text,
    Bytes,
    List,
    /// Records are maps too.
    Map,
}

impl TypeName {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "null_type" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "double" => Self::Double,
            "decimal" => Self::Decimal,
            "string" => Self::Text,
            "bytes" => Self::Bytes,
            "list" => Self::List,
            "map" => Self::Map,
            _ => return None,
        })
    }
}
