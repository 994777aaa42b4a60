//! One version of a struct, worked out once: what is on the wire, in which order, and how small it can be.
//!
//! Walking, reading and writing all follow this layout, so no version is looked at per field and no two of them can
//! disagree.

use super::schema::{FieldDef, Kind, StructDef};

/// What stands on the wire for a field.
#[derive(Copy, Clone)]
pub(crate) enum Op {
    /// This many bytes.
    Fixed(usize),
    /// A string.
    Str,
    /// Bytes or records.
    Bytes,
    /// A struct.
    Struct(&'static StructLayout),
    /// An array of values of this many bytes.
    Fixeds(usize),
    /// An array of strings.
    Strs,
    /// An array of structs.
    Structs(&'static StructLayout),
}

/// One field in one version.
pub(crate) struct FieldLayout {
    pub(crate) def: &'static FieldDef,
    /// Where it stands in its struct's definition.
    pub(crate) field: u8,
    pub(crate) op: Op,
    pub(crate) nullable: bool,
    /// Whether lengths are varints plus one.
    pub(crate) compact: bool,
    /// The tag, for the fields behind [`StructLayout::plain`]; otherwise 0.
    pub(crate) tag: u32,
}

/// One struct in one version.
pub(crate) struct StructLayout {
    pub(crate) def: &'static StructDef,
    /// The fields of this version: the plain ones in the order of the wire, then the tagged ones in that of their tags.
    pub(crate) fields: Box<[FieldLayout]>,
    /// How many of `fields` are plain.
    pub(crate) plain: usize,
    /// Tags that other versions have.
    pub(crate) foreign: Box<[u32]>,
    /// Whether a tag section ends it.
    pub(crate) flexible: bool,
    /// The least number of bytes it takes, at least 1 so that a count is always bounded.
    pub(crate) least: usize,
    /// By field of the definition: its position in `fields` plus one, 0 if it is not in this version.
    pub(crate) position: Box<[u8]>,
}

impl StructLayout {
    /// Works out one version. The result lives as long as the program: there is one per struct and version.
    pub(crate) fn compile(def: &'static StructDef, version: i16, flexible: bool) -> &'static Self {
        let mut fields = Vec::new();
        let mut tagged = Vec::new();
        let mut foreign = Vec::new();
        for (field, spec) in def.fields() {
            let tag = spec.tag.filter(|(_, versions)| versions.contains(version)).map(|(tag, _)| tag);
            if let (Some((number, _)), None) = (spec.tag, tag) {
                foreign.push(number);
            }
            if !spec.versions.contains(version) {
                continue;
            }
            let layout = FieldLayout {
                def: spec,
                field: field.0,
                op: Self::op(&spec.kind, version, flexible),
                nullable: spec.nullable.contains(version),
                compact: spec.flexible.map_or(flexible, |versions| versions.contains(version)),
                tag: tag.unwrap_or(0),
            };
            if tag.is_some() { tagged.push(layout) } else { fields.push(layout) }
        }
        let plain = fields.len();
        tagged.sort_by_key(|field| field.tag);
        let least = fields.iter().map(FieldLayout::least).sum::<usize>() + usize::from(flexible);
        fields.append(&mut tagged);
        let mut position = vec![0; def.fields.len()];
        for (slot, field) in (1..=u8::MAX).zip(&fields) {
            if let Some(place) = position.get_mut(usize::from(field.field)) {
                *place = slot;
            }
        }
        Box::leak(Box::new(Self {
            def,
            fields: fields.into(),
            plain,
            foreign: foreign.into(),
            flexible,
            least: least.max(1),
            position: position.into(),
        }))
    }

    fn op(kind: &'static Kind, version: i16, flexible: bool) -> Op {
        match kind {
            Kind::Bool | Kind::I8 => Op::Fixed(1),
            Kind::I16 | Kind::U16 => Op::Fixed(2),
            Kind::I32 | Kind::U32 => Op::Fixed(4),
            Kind::I64 | Kind::F64 => Op::Fixed(8),
            Kind::Uuid => Op::Fixed(16),
            Kind::Str => Op::Str,
            Kind::Bytes | Kind::Records => Op::Bytes,
            Kind::Struct(def) => Op::Struct(Self::compile(def, version, flexible)),
            Kind::Array(item) => match Self::op(item, version, flexible) {
                Op::Fixed(size) => Op::Fixeds(size),
                Op::Struct(layout) => Op::Structs(layout),
                // The generator refuses arrays of bytes and of arrays: Kafka has none.
                Op::Str | Op::Bytes | Op::Fixeds(_) | Op::Strs | Op::Structs(_) => Op::Strs,
            },
        }
    }

    /// How many slots an instance takes in a scan: its range and its fields.
    pub(crate) fn stride(&self) -> usize {
        self.fields.len() + 1
    }

    /// The plain fields, in the order of the wire.
    pub(crate) fn plain(&self) -> &[FieldLayout] {
        self.fields.get(..self.plain).unwrap_or_default()
    }

    /// The tagged fields, in the order of their tags.
    pub(crate) fn tagged(&self) -> &[FieldLayout] {
        self.fields.get(self.plain..).unwrap_or_default()
    }
}

impl FieldLayout {
    /// The least number of bytes it takes.
    fn least(&self) -> usize {
        match self.op {
            Op::Fixed(size) => size,
            Op::Struct(layout) => {
                if self.nullable {
                    1
                } else {
                    layout.least
                }
            }
            _ if self.compact => 1,
            Op::Str => 2,
            Op::Bytes | Op::Fixeds(_) | Op::Strs | Op::Structs(_) => 4,
        }
    }
}
