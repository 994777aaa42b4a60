//! Writes trees, after the same layouts that the walk reads.

use super::cursor::MAX_STRING;
use super::layout::{FieldLayout, Op, StructLayout};
use super::node::Node;
use super::rope::Rope;
use super::schema::{Field, Kind};
use super::value::{Value, initial, suits, zero};

/// Writes one struct.
pub(crate) fn structure(layout: &StructLayout, node: &Node, out: &mut Rope) {
    plain(layout, 0, node, out);
    if layout.flexible {
        tags(layout, node, out);
    }
}

/// Writes the plain fields of one struct from the one at position `first` on.
pub(crate) fn plain(layout: &StructLayout, first: usize, node: &Node, out: &mut Rope) {
    for field in layout.plain().iter().skip(first) {
        value(field, node.value(Field(field.field)), out);
    }
}

/// Writes the tag section of one struct.
pub(crate) fn tags(layout: &StructLayout, node: &Node, out: &mut Rope) {
    let (count, section) = known_tags(layout, node);
    varint(count, out);
    out.append(section);
}

/// The tagged fields that differ from their defaults, as Kafka sends them: how many, and the section without its count.
pub(crate) fn known_tags(layout: &StructLayout, node: &Node) -> (u32, Rope) {
    let mut count = 0;
    let mut section = Rope::new();
    for field in layout.tagged() {
        let held = node.value(Field(field.field));
        let unsendable = *held == Value::Null && !field.nullable;
        if unsendable || *held == initial(field.def) {
            continue;
        }
        let mut body = Rope::new();
        value(field, held, &mut body);
        varint(field.tag, &mut section);
        length(body.len(), 0, &mut section);
        section.append(body);
        count += 1;
    }
    (count, section)
}

/// Writes an unsigned varint.
pub(crate) fn varint(mut number: u32, out: &mut Rope) {
    let mut bytes = [0; 5];
    let mut used = 0;
    for byte in &mut bytes {
        used += 1;
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            *byte = low & 0x7f;
            break;
        }
        *byte = low | 0x80;
    }
    out.push(bytes.get(..used).unwrap_or_default());
}

/// Writes `length + plus` as a varint. Lengths of what we hold are far below 2^31: they come from frames.
fn length(length: usize, plus: u32, out: &mut Rope) {
    varint(u32::try_from(length).unwrap_or(u32::MAX - 1).saturating_add(plus), out);
}

fn value(field: &FieldLayout, held: &Value, out: &mut Rope) {
    let default;
    let held = match held {
        Value::Null if field.nullable => return null(field, out),
        Value::Null => {
            default = zero(&field.def.kind);
            &default
        }
        held if suits_shallow(&field.def.kind, held) => held,
        _ => {
            debug_assert!(false, "field `{}` cannot be {held:?}", field.def.name);
            default = zero(&field.def.kind);
            &default
        }
    };
    match (field.op, held) {
        (Op::Str, Value::Str(text)) => string(field, text, out),
        (Op::Bytes, Value::Bytes(bytes)) => {
            count(field, bytes.len(), out);
            out.push_bytes(bytes);
        }
        (Op::Struct(layout), Value::Struct(node)) => {
            if field.nullable {
                out.push(&[1]);
            }
            structure(layout, node, out);
        }
        (Op::Structs(layout), Value::Nodes(nodes)) => {
            count(field, nodes.len(), out);
            nodes.iter().for_each(|node| structure(layout, node, out));
        }
        (Op::Fixeds(size), Value::Ints(numbers)) => {
            count(field, numbers.len(), out);
            numbers.iter().for_each(|number| int(*number, size, out));
        }
        (Op::Fixeds(size), Value::Array(values)) => {
            count(field, values.len(), out);
            values.iter().for_each(|value| fixed(value, size, out));
        }
        (Op::Strs, Value::Array(values)) => {
            count(field, values.len(), out);
            for value in values {
                string(field, if let Value::Str(text) = value { text } else { "" }, out);
            }
        }
        (Op::Fixed(size), held) => fixed(held, size, out),
        _ => debug_assert!(false, "field `{}` is {held:?}", field.def.name),
    }
}

/// As [`suits`], without a look into structs and their arrays: those were checked when they were set.
fn suits_shallow(kind: &'static Kind, held: &Value) -> bool {
    match (kind, held) {
        (Kind::Struct(_), Value::Struct(_)) | (Kind::Array(Kind::Struct(_)), Value::Nodes(_)) => true,
        _ => suits(kind, held),
    }
}

fn null(field: &FieldLayout, out: &mut Rope) {
    match (field.op, field.compact) {
        (Op::Struct(_), _) => out.push(&[0xff]),
        (_, true) => out.push(&[0]),
        (Op::Str, false) => out.push(&(-1_i16).to_be_bytes()),
        (_, false) => out.push(&(-1_i32).to_be_bytes()),
    }
}

/// Writes the length of bytes or the count of an array.
pub(crate) fn count(field: &FieldLayout, count: usize, out: &mut Rope) {
    if field.compact {
        length(count, 1, out);
    } else {
        out.push(&i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes());
    }
}

/// A string; Kafka's wire carries 32,767 bytes at most, the rest is cut off.
fn string(field: &FieldLayout, text: &str, out: &mut Rope) {
    let bytes = text.as_bytes().get(..text.floor_char_boundary(MAX_STRING)).unwrap_or_default();
    if field.compact {
        length(bytes.len(), 1, out);
    } else {
        out.push(&i16::try_from(bytes.len()).unwrap_or(i16::MAX).to_be_bytes());
    }
    out.push(bytes);
}

fn fixed(held: &Value, size: usize, out: &mut Rope) {
    match held {
        Value::Bool(value) => out.push(&[u8::from(*value)]),
        Value::F64(value) => out.push(&value.to_be_bytes()),
        Value::Uuid(id) => out.push(&id.0),
        Value::Int(number) => int(*number, size, out),
        _ => debug_assert!(false, "{held:?} is no number"),
    }
}

/// The low bytes of a number: what does not fit is cut off, as Kafka's unsigned fields want.
fn int(number: i64, size: usize, out: &mut Rope) {
    let bytes = number.to_be_bytes();
    out.push(bytes.get(bytes.len().saturating_sub(size)..).unwrap_or_default());
}
