//! What a scan has found, without copies.
#![expect(clippy::indexing_slicing, reason = "the walk made the slots and bounded the ranges")]
#![expect(clippy::cast_possible_truncation, reason = "defaults fit their fields' types, which the generator checks")]

use super::cursor::Cursor;
use super::layout::{FieldLayout, Op, StructLayout};
use super::schema::{Field, FieldDef, Initial, StructDef};
use super::walk::{ABSENT, NULL, Slot};
use crate::model::TopicId;
use std::ops::Range;

/// One struct of a scanned message: the top level, an element of an array, a nested struct.
///
/// Handles must be those of this struct. A field that the version does not have, or a tag that was not sent, reads as
/// its default.
#[derive(Copy, Clone)]
pub struct View<'s, 'b> {
    slots: &'s [Slot],
    body: &'b [u8],
    layout: &'static StructLayout,
    base: usize,
    unknown: bool,
}

impl<'s, 'b> View<'s, 'b> {
    /// The top level of a message.
    pub(crate) fn new(slots: &'s [Slot], body: &'b [u8], layout: &'static StructLayout, unknown: bool) -> Self {
        Self { slots, body, layout, base: 0, unknown }
    }

    /// The definition of this struct.
    pub fn def(self) -> &'static StructDef {
        self.layout.def
    }

    /// Whether the field is on the wire: the version has it and, if it is tagged, it was sent.
    pub fn has(self, field: Field) -> bool {
        self.slot(field).is_some()
    }

    /// A boolean.
    pub fn bool(self, field: Field) -> bool {
        match self.fixed::<1>(field) {
            Some([byte]) => byte != 0,
            None => self.initial_int(field) != 0,
        }
    }

    /// An 8-bit number.
    pub fn i8(self, field: Field) -> i8 {
        self.fixed(field).map_or_else(|| self.initial_int(field) as i8, i8::from_be_bytes)
    }

    /// A 16-bit number.
    pub fn i16(self, field: Field) -> i16 {
        self.fixed(field).map_or_else(|| self.initial_int(field) as i16, i16::from_be_bytes)
    }

    /// An unsigned 16-bit number.
    pub fn u16(self, field: Field) -> u16 {
        self.i16(field).cast_unsigned()
    }

    /// A 32-bit number.
    pub fn i32(self, field: Field) -> i32 {
        self.fixed(field).map_or_else(|| self.initial_int(field) as i32, i32::from_be_bytes)
    }

    /// An unsigned 32-bit number.
    pub fn u32(self, field: Field) -> u32 {
        self.i32(field).cast_unsigned()
    }

    /// A 64-bit number.
    pub fn i64(self, field: Field) -> i64 {
        self.fixed(field).map_or_else(|| self.initial_int(field), i64::from_be_bytes)
    }

    /// A floating-point number.
    pub fn f64(self, field: Field) -> f64 {
        self.fixed(field).map_or(0.0, f64::from_be_bytes)
    }

    /// A UUID; all zero if absent.
    pub fn uuid(self, field: Field) -> TopicId {
        TopicId(self.fixed(field).unwrap_or_default())
    }

    /// A string; null reads as empty.
    pub fn str(self, field: Field) -> &'b str {
        self.opt_str(field).unwrap_or_default()
    }

    /// A string, or null.
    pub fn opt_str(self, field: Field) -> Option<&'b str> {
        match self.slot(field) {
            Some(slot) if slot.len == NULL => None,
            // The walk has seen that it is UTF-8.
            Some(slot) => Some(std::str::from_utf8(self.at(slot)).unwrap_or_default()),
            None => match self.spec(field)?.initial {
                Initial::Null => None,
                Initial::Str(text) => Some(text),
                Initial::Zero | Initial::Int(_) => Some(""),
            },
        }
    }

    /// Bytes or records, or null.
    pub fn bytes(self, field: Field) -> Option<&'b [u8]> {
        match self.slot(field) {
            Some(slot) if slot.len == NULL => None,
            Some(slot) => Some(self.at(slot)),
            None => (self.spec(field)?.initial != Initial::Null).then_some(&[]),
        }
    }

    /// Where a number, string, bytes or records lie in the body, without their length; none for null and for absent.
    pub fn range(self, field: Field) -> Option<Range<usize>> {
        let slot = self.slot(field).filter(|slot| slot.len != NULL)?;
        match self.field_layout(field)?.op {
            Op::Fixed(_) | Op::Str | Op::Bytes => Some(slot.at as usize..slot.at as usize + slot.len as usize),
            Op::Struct(_) | Op::Fixeds(_) | Op::Strs | Op::Structs(_) => None,
        }
    }

    /// Where this struct lies in the body, tag section included.
    pub fn range_of_element(self) -> Range<usize> {
        let slot = self.slots[self.base];
        slot.at as usize..slot.at as usize + slot.len as usize
    }

    /// A nested struct; none if it is null or absent.
    pub fn strct(self, field: Field) -> Option<Self> {
        let slot = self.slot(field).filter(|slot| slot.len != NULL)?;
        match self.field_layout(field)?.op {
            Op::Struct(layout) => Some(Self { layout, base: slot.at as usize, ..self }),
            _ => None,
        }
    }

    /// Whether a string, array, struct or bytes is null, on the wire or by default.
    pub fn is_null(self, field: Field) -> bool {
        match self.slot(field) {
            Some(slot) => slot.len == NULL,
            None => self.spec(field).is_some_and(|spec| spec.initial == Initial::Null),
        }
    }

    /// The elements of an array of structs; none if it is null or absent.
    pub fn items(self, field: Field) -> Items<'s, 'b> {
        let found = self.slot(field).filter(|slot| slot.len != NULL).zip(self.field_layout(field));
        match found {
            Some((slot, FieldLayout { op: Op::Structs(layout), .. })) => {
                Items { next: Self { layout, base: slot.at as usize, ..self }, left: slot.len as usize }
            }
            _ => Items { next: self, left: 0 },
        }
    }

    /// The elements of an array of strings; none if it is null or absent.
    pub fn strs(self, field: Field) -> impl ExactSizeIterator<Item = &'b str> + Clone + use<'b> {
        let found = self.slot(field).filter(|slot| slot.len != NULL).zip(self.field_layout(field));
        match found {
            Some((slot, layout)) => {
                Strs { cursor: Cursor::new(self.body, slot.at as usize), layout: Some(layout), left: slot.len as usize }
            }
            None => Strs { cursor: Cursor::new(&[], 0), layout: None, left: 0 },
        }
    }

    /// The elements of an array of 8-bit numbers; none if it is null or absent.
    pub fn i8s(self, field: Field) -> impl ExactSizeIterator<Item = i8> + Clone + use<'b> {
        self.fixeds::<1>(field).iter().map(|bytes| i8::from_be_bytes(*bytes))
    }

    /// The elements of an array of 16-bit numbers; none if it is null or absent.
    pub fn i16s(self, field: Field) -> impl ExactSizeIterator<Item = i16> + Clone + use<'b> {
        self.fixeds::<2>(field).iter().map(|bytes| i16::from_be_bytes(*bytes))
    }

    /// The elements of an array of 32-bit numbers; none if it is null or absent.
    pub fn i32s(self, field: Field) -> impl ExactSizeIterator<Item = i32> + Clone + use<'b> {
        self.fixeds::<4>(field).iter().map(|bytes| i32::from_be_bytes(*bytes))
    }

    /// The elements of an array of 64-bit numbers; none if it is null or absent.
    pub fn i64s(self, field: Field) -> impl ExactSizeIterator<Item = i64> + Clone + use<'b> {
        self.fixeds::<8>(field).iter().map(|bytes| i64::from_be_bytes(*bytes))
    }

    /// The elements of an array of UUIDs; none if it is null or absent.
    pub fn uuids(self, field: Field) -> impl ExactSizeIterator<Item = TopicId> + Clone + use<'b> {
        self.fixeds::<16>(field).iter().map(|bytes| TopicId(*bytes))
    }

    /// Whether any struct of the whole message carries a tag that this version does not know.
    pub fn unknown_tags(self) -> bool {
        self.unknown
    }

    /// What stands on the wire for the field, if anything does.
    pub(crate) fn op(self, field: Field) -> Option<Op> {
        self.slot(field)?;
        Some(self.field_layout(field)?.op)
    }

    fn position(self, field: Field) -> usize {
        debug_assert!(usize::from(field.0) < self.layout.position.len(), "handle of another struct");
        self.layout.position.get(usize::from(field.0)).map_or(0, |position| usize::from(*position))
    }

    #[inline]
    fn slot(self, field: Field) -> Option<Slot> {
        match self.position(field) {
            0 => None,
            position => Some(self.slots[self.base + position]).filter(|slot| slot.at != ABSENT.at),
        }
    }

    fn field_layout(self, field: Field) -> Option<&'static FieldLayout> {
        self.layout.fields.get(self.position(field).checked_sub(1)?)
    }

    fn spec(self, field: Field) -> Option<&'static FieldDef> {
        self.layout.def.field(field)
    }

    fn initial_int(self, field: Field) -> i64 {
        match self.spec(field).map(|spec| spec.initial) {
            Some(Initial::Int(number)) => number,
            _ => 0,
        }
    }

    fn at(self, slot: Slot) -> &'b [u8] {
        &self.body[slot.at as usize..slot.at as usize + slot.len as usize]
    }

    #[inline]
    fn fixed<const N: usize>(self, field: Field) -> Option<[u8; N]> {
        let slot = self.slot(field)?;
        debug_assert_eq!(slot.len as usize, N, "field {:?} of {:?} has another type", self.spec(field), self.def());
        self.body.get(slot.at as usize..)?.first_chunk().copied()
    }

    fn fixeds<const N: usize>(self, field: Field) -> &'b [[u8; N]] {
        match self.slot(field).filter(|slot| slot.len != NULL).zip(self.field_layout(field)) {
            Some((slot, FieldLayout { op: Op::Fixeds(size), .. })) if *size == N => {
                let start = slot.at as usize;
                self.body[start..start + slot.len as usize * N].as_chunks().0
            }
            _ => &[],
        }
    }
}

/// The elements of an array of structs.
#[derive(Clone)]
pub struct Items<'s, 'b> {
    next: View<'s, 'b>,
    left: usize,
}

impl<'s, 'b> Items<'s, 'b> {
    /// The element with this index, from where the iterator stands.
    pub fn at(&self, index: usize) -> Option<View<'s, 'b>> {
        let base = self.next.base + index * self.next.layout.stride();
        (index < self.left).then_some(View { base, ..self.next })
    }

    /// Whether no element is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'s, 'b> Iterator for Items<'s, 'b> {
    type Item = View<'s, 'b>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.at(0)?;
        self.next.base += self.next.layout.stride();
        self.left -= 1;
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_, '_> {}

/// The elements of an array of strings, read again from the bytes that the walk has checked.
#[derive(Clone)]
struct Strs<'b> {
    cursor: Cursor<'b>,
    layout: Option<&'static FieldLayout>,
    left: usize,
}

impl<'b> Iterator for Strs<'b> {
    type Item = &'b str;

    fn next(&mut self) -> Option<&'b str> {
        self.left = self.left.checked_sub(1)?;
        let length = self.cursor.string_length(self.layout?).ok().flatten().unwrap_or_default();
        self.cursor.take(length).ok().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Strs<'_> {}
