//! The shapes that the generated tables are made of.

use crate::wire::api::Versions;
use crate::wire::layout::StructLayout;
use std::fmt;
use std::sync::OnceLock;

/// Where the layout of one version of a message is kept once it has been worked out.
pub(crate) type Cell = OnceLock<&'static StructLayout>;

/// A message: a request, a response, a header.
pub struct MessageDef {
    /// The name in Kafka's definitions, `ProduceRequest`.
    pub name: &'static str,
    /// The versions that exist.
    pub versions: Versions,
    /// The versions with compact lengths and tags (KIP-482).
    pub flexible: Versions,
    /// The top level.
    pub root: &'static StructDef,
    layouts: &'static [Cell],
}

impl MessageDef {
    pub(crate) const fn new(
        name: &'static str,
        versions: Versions,
        flexible: Versions,
        root: &'static StructDef,
        layouts: &'static [Cell],
    ) -> Self {
        Self { name, versions, flexible, root, layouts }
    }

    /// The layout of one version; none if the message has no such version.
    pub(crate) fn layout(&self, version: i16) -> Option<&'static StructLayout> {
        if !self.versions.contains(version) {
            return None;
        }
        let cell = self.layouts.get(usize::try_from(version).ok()?)?;
        Some(*cell.get_or_init(|| StructLayout::compile(self.root, version, self.flexible.contains(version))))
    }
}

impl fmt::Debug for MessageDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A struct: the top level of a message, or what an array holds.
pub struct StructDef {
    /// The name in Kafka's definitions, `TopicProduceData`.
    pub name: &'static str,
    /// The fields of all versions, in the order of the wire.
    pub fields: &'static [FieldDef],
}

impl StructDef {
    pub(crate) const fn new(name: &'static str, fields: &'static [FieldDef]) -> Self {
        Self { name, fields }
    }

    /// The definition of a field.
    pub fn field(&self, field: Field) -> Option<&'static FieldDef> {
        self.fields.get(usize::from(field.0))
    }

    /// The handle of the field with this name, `TopicId`.
    pub fn find(&self, name: &str) -> Option<Field> {
        self.fields().find(|(_, def)| def.name == name).map(|(field, _)| field)
    }

    /// Every field with its handle.
    pub fn fields(&self) -> impl Iterator<Item = (Field, &'static FieldDef)> + use<> {
        (0..=u8::MAX).map(Field).zip(self.fields)
    }
}

impl fmt::Debug for StructDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The handle of a field: where it stands in its struct. It means nothing without the struct.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Field(pub u8);

/// A field of a struct.
#[derive(Debug)]
pub struct FieldDef {
    /// The name in Kafka's definitions, `TopicId`.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The versions that have it.
    pub versions: Versions,
    /// The versions in which it may be null.
    pub nullable: Versions,
    /// Its tag and the versions in which it is tagged.
    pub tag: Option<(u32, Versions)>,
    /// What it is where the wire does not carry it.
    pub initial: Initial,
    /// Whether a writer may drop a value that the version cannot carry.
    pub ignorable: bool,
    /// What the value names, as far as Kafka's definitions say.
    pub entity: Entity,
    /// The versions with compact lengths, where they differ from those of the message.
    pub flexible: Option<Versions>,
}

impl FieldDef {
    pub(crate) const fn null(mut self, versions: Versions) -> Self {
        self.nullable = versions;
        self
    }

    pub(crate) const fn tag(mut self, tag: u32, versions: Versions) -> Self {
        self.tag = Some((tag, versions));
        self
    }

    pub(crate) const fn init(mut self, initial: Initial) -> Self {
        self.initial = initial;
        self
    }

    pub(crate) const fn of(mut self, entity: Entity) -> Self {
        self.entity = entity;
        self
    }

    pub(crate) const fn ignorable(mut self) -> Self {
        self.ignorable = true;
        self
    }

    pub(crate) const fn flexible(mut self, versions: Versions) -> Self {
        self.flexible = Some(versions);
        self
    }
}

/// The type of a field.
#[derive(Copy, Clone, Debug)]
pub enum Kind {
    /// One byte; anything but 0 is true.
    Bool,
    /// 8 bits, signed.
    I8,
    /// 16 bits, signed.
    I16,
    /// 16 bits, unsigned.
    U16,
    /// 32 bits, signed.
    I32,
    /// 32 bits, unsigned.
    U32,
    /// 64 bits, signed.
    I64,
    /// 64 bits, IEEE 754.
    F64,
    /// 16 bytes.
    Uuid,
    /// UTF-8, at most 32,767 bytes.
    Str,
    /// Bytes.
    Bytes,
    /// Record batches: bytes on the wire.
    Records,
    /// A struct.
    Struct(&'static StructDef),
    /// An array of anything but arrays.
    Array(&'static Kind),
}

/// The value of a field that the wire does not carry.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Initial {
    /// Zero, false, empty, or a struct of such fields.
    Zero,
    /// Null.
    Null,
    /// This number; booleans are 0 and 1.
    Int(i64),
    /// This string.
    Str(&'static str),
}

/// What a field names, by the `entityType` of Kafka's definitions.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Entity {
    /// The definitions do not say.
    None,
    /// A topic, by name.
    TopicName,
    /// A group.
    GroupId,
    /// A transactional id.
    TransactionalId,
    /// A producer id.
    ProducerId,
    /// A broker id.
    BrokerId,
}

/// No version.
pub(crate) const NEVER: Versions = Versions::NONE;

/// The versions from `min` on.
pub(crate) const fn since(min: i16) -> Versions {
    Versions::new(min, i16::MAX)
}

/// The versions from `min` to `max`.
pub(crate) const fn v(min: i16, max: i16) -> Versions {
    Versions::new(min, max)
}

/// A field without any of the extras.
pub(crate) const fn f(name: &'static str, kind: Kind, versions: Versions) -> FieldDef {
    FieldDef {
        name,
        kind,
        versions,
        nullable: Versions::NONE,
        tag: None,
        initial: Initial::Zero,
        ignorable: false,
        entity: Entity::None,
        flexible: None,
    }
}
