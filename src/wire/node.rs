//! The editable tree of a message: for answers made here, and for messages that must change.
//!
//! A node holds the fields of all versions; writing leaves out what the version does not have. Strings, bytes and
//! records of a message that was read stay slices of its frame.

use super::api::ApiKey;
use super::error::WireError;
use super::layout::{Op, StructLayout};
use super::rope::Rope;
use super::schema::{Field, Kind, MessageDef, StructDef};
use super::value::{NULL, Text, Value, initial, suits};
use super::view::View;
use super::walk::Scan;
use super::write;
use crate::model::TopicId;
use bytes::Bytes;
use std::fmt;
use std::ops::Range;

/// The most slots that reading into a tree makes; what a peer sends is bounded before by the size of its frame.
const MAX_SLOTS: usize = 64_000_000;

/// A struct and the values of its fields.
#[derive(Clone)]
pub struct Node {
    def: &'static StructDef,
    values: Vec<Value>,
}

impl Node {
    /// A struct with the defaults of Kafka's definitions.
    pub fn new(def: &'static StructDef) -> Self {
        Self { def, values: def.fields.iter().map(initial).collect() }
    }

    /// A request with defaults; a struct without fields if there is no such API.
    pub fn request(key: ApiKey) -> Self {
        Self::new(super::api(key).map_or(&NO_FIELDS, |api| api.request.root))
    }

    /// A response with defaults; a struct without fields if there is no such API.
    pub fn response(key: ApiKey) -> Self {
        Self::new(super::api(key).map_or(&NO_FIELDS, |api| api.response.root))
    }

    /// A copy of one struct of a scanned message; `body` is what was scanned, and strings and bytes remain slices of it.
    pub fn read(view: View<'_, '_>, body: &Bytes) -> Self {
        let def = view.def();
        let values = def.fields().map(|(field, spec)| match view.op(field) {
            Some(op) => read_value(view, field, op, &spec.kind, body),
            None => initial(spec),
        });
        Self { def, values: values.collect() }
    }

    /// The definition of the struct.
    pub fn def(&self) -> &'static StructDef {
        self.def
    }

    /// The same with another value of one field.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<Value>) -> Self {
        self.set(field, value);
        self
    }

    /// Changes the value of a field. A value of another type than the field's is a mistake in our code: debug builds
    /// stop, release builds send the default.
    pub fn set(&mut self, field: Field, value: impl Into<Value>) {
        let value = match (value.into(), self.def.field(field).map(|def| &def.kind)) {
            // An empty array, whose elements say nothing about their type.
            (Value::Array(values), Some(Kind::Array(Kind::Struct(_)))) if values.is_empty() => Value::Nodes(Vec::new()),
            (Value::Array(values), Some(Kind::Array(kind)))
                if values.is_empty() && !matches!(kind, Kind::Str | Kind::Uuid) =>
            {
                Value::Ints(Vec::new())
            }
            (value, _) => value,
        };
        debug_assert!(
            self.def.field(field).is_some_and(|def| suits(&def.kind, &value)),
            "field {field:?} of {:?} cannot be {value:?}",
            self.def
        );
        self.put(field, value);
    }

    /// A new element with defaults for the struct or array of structs `field`.
    pub fn child(&self, field: Field) -> Self {
        let def = match self.def.field(field).map(|def| &def.kind) {
            Some(Kind::Struct(def) | Kind::Array(Kind::Struct(def))) => def,
            _ => &NO_FIELDS,
        };
        debug_assert!(!std::ptr::eq(def, &raw const NO_FIELDS), "field {field:?} of {:?} holds no structs", self.def);
        Self::new(def)
    }

    /// The value of a field.
    pub fn value(&self, field: Field) -> &Value {
        debug_assert!(self.def.field(field).is_some(), "{:?} has no field {field:?}", self.def);
        self.values.get(usize::from(field.0)).unwrap_or(&NULL)
    }

    /// A number of any width; 0 if the field is none.
    pub fn int(&self, field: Field) -> i64 {
        match self.value(field) {
            Value::Int(value) => *value,
            Value::Bool(value) => i64::from(*value),
            _ => 0,
        }
    }

    /// A number of 32 bits or less.
    pub fn i32(&self, field: Field) -> i32 {
        i32::try_from(self.int(field)).unwrap_or_default()
    }

    /// A number of 16 bits or less.
    pub fn i16(&self, field: Field) -> i16 {
        i16::try_from(self.int(field)).unwrap_or_default()
    }

    /// A boolean.
    pub fn bool(&self, field: Field) -> bool {
        matches!(self.value(field), Value::Bool(true))
    }

    /// A floating-point number.
    pub fn f64(&self, field: Field) -> f64 {
        match self.value(field) {
            Value::F64(value) => *value,
            _ => 0.0,
        }
    }

    /// A UUID.
    pub fn uuid(&self, field: Field) -> TopicId {
        match self.value(field) {
            Value::Uuid(value) => *value,
            _ => TopicId::ZERO,
        }
    }

    /// A string; null reads as empty.
    pub fn str(&self, field: Field) -> &str {
        self.opt_str(field).unwrap_or_default()
    }

    /// A string, or null.
    pub fn opt_str(&self, field: Field) -> Option<&str> {
        match self.value(field) {
            Value::Str(value) => Some(value),
            _ => None,
        }
    }

    /// Bytes or records, or null.
    pub fn bytes(&self, field: Field) -> Option<&Bytes> {
        match self.value(field) {
            Value::Bytes(value) => Some(value),
            _ => None,
        }
    }

    /// Whether the field is null.
    pub fn is_null(&self, field: Field) -> bool {
        matches!(self.value(field), Value::Null)
    }

    /// The elements of an array of structs; none if it is null.
    pub fn nodes(&self, field: Field) -> &[Self] {
        match self.value(field) {
            Value::Nodes(nodes) => nodes,
            _ => &[],
        }
    }

    /// The elements of an array of structs, to change; null becomes empty.
    pub fn nodes_mut(&mut self, field: Field) -> &mut Vec<Self> {
        let position = usize::from(field.0);
        debug_assert!(position < self.values.len(), "{:?} has no field {field:?}", self.def);
        if !matches!(self.values.get(position), Some(Value::Nodes(_))) {
            self.values.resize(self.values.len().max(position + 1), Value::Null);
            self.put(field, Value::Nodes(Vec::new()));
        }
        match self.values.get_mut(position) {
            Some(Value::Nodes(nodes)) => nodes,
            _ => unreachable!("made above"),
        }
    }

    /// Takes the elements out of an array of structs and leaves it empty.
    pub fn take_nodes(&mut self, field: Field) -> Vec<Self> {
        std::mem::take(self.nodes_mut(field))
    }

    /// Adds an element to an array of structs; null counts as empty.
    pub fn push(&mut self, field: Field, node: Self) {
        self.nodes_mut(field).push(node);
    }

    /// The elements of an array of strings or UUIDs; none if it is null.
    pub fn values(&self, field: Field) -> &[Value] {
        match self.value(field) {
            Value::Array(values) => values,
            _ => &[],
        }
    }

    /// The elements of an array of numbers; none if it is null.
    pub fn ints(&self, field: Field) -> &[i64] {
        match self.value(field) {
            Value::Ints(values) => values,
            _ => &[],
        }
    }

    /// The elements of an array of strings; none if it is null.
    pub fn strs(&self, field: Field) -> impl Iterator<Item = &str> {
        self.values(field).iter().filter_map(|value| match value {
            Value::Str(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The elements of an array of UUIDs; none if it is null.
    pub fn uuids(&self, field: Field) -> impl Iterator<Item = TopicId> {
        self.values(field).iter().filter_map(|value| match value {
            Value::Uuid(id) => Some(*id),
            _ => None,
        })
    }

    /// A nested struct; none if it is null.
    pub fn strct(&self, field: Field) -> Option<&Self> {
        match self.value(field) {
            Value::Struct(node) => Some(node),
            _ => None,
        }
    }

    /// A nested struct, to change; none if it is null.
    pub fn strct_mut(&mut self, field: Field) -> Option<&mut Self> {
        match self.values.get_mut(usize::from(field.0)) {
            Some(Value::Struct(node)) => Some(node),
            _ => None,
        }
    }

    fn put(&mut self, field: Field, value: Value) {
        if let Some(place) = self.values.get_mut(usize::from(field.0)) {
            *place = value;
        }
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.def, other.def) && self.values == other.values
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct(self.def.name);
        for (def, value) in self.def.fields.iter().zip(&self.values) {
            if *value != initial(def) {
                out.field(def.name, value);
            }
        }
        out.finish()
    }
}

static NO_FIELDS: StructDef = StructDef::new("NoSuchApi", &[]);

fn slice(body: &Bytes, range: Option<Range<usize>>) -> Option<Bytes> {
    range.filter(|range| range.end <= body.len()).map(|range| body.slice(range))
}

/// The value of a field that is on the wire.
fn read_value(view: View<'_, '_>, field: Field, op: Op, kind: &Kind, body: &Bytes) -> Value {
    if view.is_null(field) {
        return Value::Null;
    }
    match (op, kind) {
        (Op::Fixed(_), Kind::Bool) => view.bool(field).into(),
        (Op::Fixed(_), Kind::U16) => view.u16(field).into(),
        (Op::Fixed(_), Kind::U32) => view.u32(field).into(),
        (Op::Fixed(_), Kind::F64) => view.f64(field).into(),
        (Op::Fixed(1), _) => view.i8(field).into(),
        (Op::Fixed(2), _) => view.i16(field).into(),
        (Op::Fixed(4), _) => view.i32(field).into(),
        (Op::Fixed(8), _) => view.i64(field).into(),
        (Op::Fixed(_), _) => view.uuid(field).into(),
        (Op::Str, _) => slice(body, view.range(field)).map(Text).into(),
        (Op::Bytes, _) => slice(body, view.range(field)).into(),
        (Op::Struct(_), _) => view.strct(field).map(|inner| Node::read(inner, body)).into(),
        (Op::Structs(_), _) => Value::Nodes(view.items(field).map(|item| Node::read(item, body)).collect()),
        (Op::Strs, _) => Value::Array(view.strs(field).map(|text| Value::Str(text_of(text, body))).collect()),
        (Op::Fixeds(1), _) => Value::Ints(view.i8s(field).map(i64::from).collect()),
        (Op::Fixeds(2), _) => Value::Ints(view.i16s(field).map(i64::from).collect()),
        (Op::Fixeds(4), _) => Value::Ints(view.i32s(field).map(i64::from).collect()),
        (Op::Fixeds(8), _) => Value::Ints(view.i64s(field).collect()),
        (Op::Fixeds(_), _) => Value::Array(view.uuids(field).map(Value::Uuid).collect()),
    }
}

/// The string as a slice of `body` where it is one.
fn text_of(text: &str, body: &Bytes) -> Text {
    let start = (text.as_ptr() as usize).wrapping_sub(body.as_ptr() as usize);
    match start.checked_add(text.len()) {
        Some(end) if end <= body.len() && !text.is_empty() => Text(body.slice(start..end)),
        _ => Text::from(text),
    }
}

/// Reads a body into a tree, as strictly as [`Scan::read`]; unknown tags are dropped.
///
/// # Errors
/// What is wrong with the bytes and where; [`WireError::NoSuchVersion`] if the message has no such version.
pub fn decode(def: &'static MessageDef, version: i16, body: &Bytes) -> Result<Node, WireError> {
    let mut scan = Scan::new();
    let view = scan.read_up_to(def, version, body, MAX_SLOTS)?;
    Ok(Node::read(view, body))
}

/// Writes a body: fields that the version does not have are left out, null is written as zero where it may not be null.
/// Nothing is written if the message has no such version.
pub fn encode(def: &'static MessageDef, version: i16, node: &Node, out: &mut Rope) {
    let layout: Option<&'static StructLayout> = def.layout(version);
    debug_assert!(layout.is_some(), "{def:?} has no version {version}");
    debug_assert!(std::ptr::eq(node.def, def.root), "{def:?} written from {:?}", node.def);
    if let Some(layout) = layout {
        write::structure(layout, node, out);
    }
}

#[cfg(test)]
mod tests;
