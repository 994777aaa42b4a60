//! The values of a tree's fields.

use super::node::Node;
use super::schema::{FieldDef, Initial, Kind};
use crate::model::TopicId;
use bytes::Bytes;
use std::fmt;
use std::ops::Deref;

/// A string that may be a slice of a frame.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text(pub(super) Bytes);

impl Text {
    /// The string.
    pub fn as_str(&self) -> &str {
        // Made from strings, and from bytes that a scan has checked.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

/// The value of a field.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number of any width.
    Int(i64),
    /// A floating-point number.
    F64(f64),
    /// A UUID.
    Uuid(TopicId),
    /// A string.
    Str(Text),
    /// Bytes or records.
    Bytes(Bytes),
    /// A struct.
    Struct(Box<Node>),
    /// An array of structs.
    Nodes(Vec<Node>),
    /// An array of numbers.
    Ints(Vec<i64>),
    /// An array of strings or UUIDs.
    Array(Vec<Value>),
}

/// What a field that does not exist holds.
pub(super) static NULL: Value = Value::Null;

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::F64(value) => write!(f, "{value}"),
            Self::Uuid(value) => write!(f, "{value}"),
            Self::Str(value) => write!(f, "{value:?}"),
            // May be records or a secret.
            Self::Bytes(value) => write!(f, "{} bytes", value.len()),
            Self::Struct(value) => value.fmt(f),
            Self::Nodes(values) => values.fmt(f),
            Self::Ints(values) => values.fmt(f),
            Self::Array(values) => values.fmt(f),
        }
    }
}

macro_rules! from_int {
    ($($int:ty),*) => {$(
        impl From<$int> for Value {
            fn from(value: $int) -> Self {
                Self::Int(i64::from(value))
            }
        }
        impl From<Vec<$int>> for Value {
            fn from(values: Vec<$int>) -> Self {
                Self::Ints(values.into_iter().map(i64::from).collect())
            }
        }
    )*};
}
from_int!(i8, i16, u16, i32, u32, i64);

macro_rules! from_value {
    ($($from:ty => $value:ident => $to:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )*};
}
from_value! {
    bool => value => Self::Bool(value);
    f64 => value => Self::F64(value);
    TopicId => value => Self::Uuid(value);
    &str => value => Self::Str(value.into());
    String => value => Self::Str(value.into());
    Text => value => Self::Str(value);
    Bytes => value => Self::Bytes(value);
    Node => value => Self::Struct(Box::new(value));
    Vec<Node> => values => Self::Nodes(values);
    Vec<Value> => values => Self::Array(values);
    Vec<String> => values => Self::Array(values.into_iter().map(Self::from).collect());
    Vec<&str> => values => Self::Array(values.into_iter().map(Self::from).collect());
    Vec<TopicId> => values => Self::Array(values.into_iter().map(Self::from).collect());
    super::ErrorCode => code => Self::Int(i64::from(code.0));
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The default of a field.
pub(crate) fn initial(def: &'static FieldDef) -> Value {
    match (def.initial, &def.kind) {
        (Initial::Null, _) => Value::Null,
        (Initial::Int(number), Kind::Bool) => Value::Bool(number != 0),
        (Initial::Int(number), _) => Value::Int(number),
        (Initial::Str(text), _) => Value::Str(Text(Bytes::from_static(text.as_bytes()))),
        (Initial::Zero, kind) => zero(kind),
    }
}

/// Zero, false, empty.
pub(crate) fn zero(kind: &'static Kind) -> Value {
    match kind {
        Kind::Bool => Value::Bool(false),
        Kind::I8 | Kind::I16 | Kind::U16 | Kind::I32 | Kind::U32 | Kind::I64 => Value::Int(0),
        Kind::F64 => Value::F64(0.0),
        Kind::Uuid => Value::Uuid(TopicId::ZERO),
        Kind::Str => Value::Str(Text::default()),
        Kind::Bytes | Kind::Records => Value::Bytes(Bytes::new()),
        Kind::Struct(def) => Value::Struct(Box::new(Node::new(def))),
        Kind::Array(Kind::Struct(_)) => Value::Nodes(Vec::new()),
        Kind::Array(Kind::Str | Kind::Uuid) => Value::Array(Vec::new()),
        Kind::Array(_) => Value::Ints(Vec::new()),
    }
}

/// Whether a field of this kind can hold the value. Null suits every field: what the version cannot send as null is
/// sent as zero.
pub(crate) fn suits(kind: &Kind, value: &Value) -> bool {
    match (kind, value) {
        (_, Value::Null)
        | (Kind::Bool, Value::Bool(_))
        | (Kind::I8 | Kind::I16 | Kind::U16 | Kind::I32 | Kind::U32 | Kind::I64, Value::Int(_))
        | (Kind::F64, Value::F64(_))
        | (Kind::Uuid, Value::Uuid(_))
        | (Kind::Str, Value::Str(_))
        | (Kind::Bytes | Kind::Records, Value::Bytes(_))
        | (Kind::Array(Kind::I8 | Kind::I16 | Kind::U16 | Kind::I32 | Kind::U32 | Kind::I64), Value::Ints(_)) => true,
        (Kind::Struct(def), Value::Struct(node)) => std::ptr::eq(*def, node.def()),
        (Kind::Array(Kind::Struct(def)), Value::Nodes(nodes)) => {
            nodes.iter().all(|node| std::ptr::eq(*def, node.def()))
        }
        (Kind::Array(kind), Value::Array(values)) => values.iter().all(|v| *v != Value::Null && suits(kind, v)),
        _ => false,
    }
}
