//! The hot path: one strict walk over the bytes of a message, and a view of what was found.
#![expect(clippy::indexing_slicing, reason = "slots are made by the walk itself, ranges are bounded by the cursor")]
#![expect(clippy::cast_possible_truncation, reason = "a body is at most 2^31-1 bytes, checked in `Scan::read`")]

use super::cursor::{Cursor, MAX_LENGTH};
use super::error::WireError;
use super::layout::{FieldLayout, Op, StructLayout};
use super::schema::{Field, FieldDef, Initial, MessageDef, StructDef};
use crate::model::TopicId;
use std::ops::Range;

/// The most slots a scan makes unless told otherwise: structs plus fields of structs in one message.
pub const MAX_SLOTS: usize = 4_000_000;

/// Slots kept from one message to the next; what a larger message took is given back.
const KEPT_SLOTS: usize = 16_384;

/// Where a value lies: its first byte and its length, or an array: its first element and its count. Of structs, the
/// "first byte" is the slot of the first element.
#[derive(Copy, Clone)]
struct Slot {
    at: u32,
    len: u32,
}

/// The value is not on the wire.
const ABSENT: Slot = Slot { at: u32::MAX, len: 0 };
/// The length of a null.
const NULL: u32 = u32::MAX;

/// Reads messages one after the other, using the same memory.
#[derive(Default)]
pub struct Scan {
    slots: Vec<Slot>,
}

impl Scan {
    /// A scan without memory; it takes what the first messages need.
    pub fn new() -> Self {
        Self::default()
    }

    /// Walks a body once: bounds, counts, nullability, UTF-8, order and sizes of tags, no byte left over.
    ///
    /// # Errors
    /// What is wrong with the bytes and where; [`WireError::NoSuchVersion`] if the message has no such version.
    pub fn read<'s, 'b>(
        &'s mut self,
        def: &'static MessageDef,
        version: i16,
        body: &'b [u8],
    ) -> Result<View<'s, 'b>, WireError> {
        self.read_up_to(def, version, body, MAX_SLOTS)
    }

    /// [`Scan::read`] with another bound than [`MAX_SLOTS`].
    ///
    /// # Errors
    /// As [`Scan::read`].
    pub fn read_up_to<'s, 'b>(
        &'s mut self,
        def: &'static MessageDef,
        version: i16,
        body: &'b [u8],
        max_slots: usize,
    ) -> Result<View<'s, 'b>, WireError> {
        let (view, end) = self.walk(def, version, body, max_slots)?;
        nothing_left(body, end)?;
        Ok(view)
    }

    /// Walks a message that other bytes follow, and says where it ends.
    pub(crate) fn walk<'s, 'b>(
        &'s mut self,
        def: &'static MessageDef,
        version: i16,
        body: &'b [u8],
        max_slots: usize,
    ) -> Result<(View<'s, 'b>, usize), WireError> {
        let layout = def.layout(version).ok_or(WireError::NoSuchVersion { message: def.name, version })?;
        self.walk_from(layout, 0, body, max_slots)
    }

    /// Reads the end of a message, from the plain field at position `first` of the top level on.
    pub(crate) fn read_from<'s, 'b>(
        &'s mut self,
        layout: &'static StructLayout,
        first: usize,
        body: &'b [u8],
    ) -> Result<View<'s, 'b>, WireError> {
        let (view, end) = self.walk_from(layout, first, body, MAX_SLOTS)?;
        nothing_left(body, end)?;
        Ok(view)
    }

    fn walk_from<'s, 'b>(
        &'s mut self,
        layout: &'static StructLayout,
        first: usize,
        body: &'b [u8],
        max_slots: usize,
    ) -> Result<(View<'s, 'b>, usize), WireError> {
        if body.len() > MAX_LENGTH {
            return Err(WireError::PeerSentTrailingBytes { at: MAX_LENGTH, count: body.len() - MAX_LENGTH });
        }
        self.slots.clear();
        if self.slots.capacity() > KEPT_SLOTS {
            self.slots.shrink_to(KEPT_SLOTS);
        }
        let mut walker = Walker {
            cursor: Cursor::new(body, 0),
            slots: &mut self.slots,
            max_slots: max_slots.min(MAX_LENGTH),
            unknown_tags: false,
        };
        let base = walker.reserve(1, layout)?;
        walker.structure(layout, first, base)?;
        let (unknown, end) = (walker.unknown_tags, walker.cursor.at());
        Ok((View { slots: &self.slots, body, layout, base: 0, unknown }, end))
    }
}

/// Refuses bytes behind the last field.
fn nothing_left(body: &[u8], end: usize) -> Result<(), WireError> {
    match body.len() - end {
        0 => Ok(()),
        count => Err(WireError::PeerSentTrailingBytes { at: end, count }),
    }
}

struct Walker<'w, 'b> {
    cursor: Cursor<'b>,
    slots: &'w mut Vec<Slot>,
    max_slots: usize,
    unknown_tags: bool,
}

impl Walker<'_, '_> {
    /// Makes the slots of `count` instances; the caller has bounded `count` by the bytes that are left.
    #[inline]
    fn reserve(&mut self, count: usize, layout: &StructLayout) -> Result<usize, WireError> {
        let base = self.slots.len();
        let want = count.saturating_mul(layout.stride()).saturating_add(base);
        if want > self.max_slots {
            return Err(WireError::PeerSentTooManyValues { limit: self.max_slots });
        }
        self.slots.resize(want, ABSENT);
        Ok(base)
    }

    /// A struct from its plain field `first` on; 0 unless only the end of a message is read.
    #[inline]
    fn structure(&mut self, layout: &'static StructLayout, first: usize, base: usize) -> Result<(), WireError> {
        let start = self.cursor.at();
        let mut slot = base + first;
        for field in &layout.plain()[first..] {
            slot += 1;
            self.slots[slot] = self.value(field)?;
        }
        if layout.flexible {
            self.tags(layout, slot)?;
        }
        self.slots[base] = Slot { at: start as u32, len: (self.cursor.at() - start) as u32 };
        Ok(())
    }

    #[inline]
    fn value(&mut self, field: &'static FieldLayout) -> Result<Slot, WireError> {
        let start = self.cursor.at();
        match field.op {
            Op::Fixed(size) => {
                self.cursor.take(size)?;
                Ok(Slot { at: start as u32, len: size as u32 })
            }
            Op::Str => match self.cursor.string_length(field)? {
                None => Ok(Slot { at: start as u32, len: NULL }),
                Some(length) => self.text(length),
            },
            Op::Bytes => match self.cursor.length(field)? {
                None => Ok(Slot { at: start as u32, len: NULL }),
                Some(length) => {
                    let at = self.cursor.at();
                    self.cursor.take(length)?;
                    Ok(Slot { at: at as u32, len: length as u32 })
                }
            },
            Op::Struct(layout) => {
                if field.nullable {
                    let [marker] = self.cursor.array::<1>()?;
                    if marker > 0x7f {
                        return Ok(Slot { at: start as u32, len: NULL });
                    }
                }
                let base = self.reserve(1, layout)?;
                self.structure(layout, 0, base)?;
                Ok(Slot { at: base as u32, len: 1 })
            }
            Op::Fixeds(_) | Op::Strs | Op::Structs(_) => self.array(field),
        }
    }

    fn array(&mut self, field: &'static FieldLayout) -> Result<Slot, WireError> {
        let start = self.cursor.at();
        let Some(count) = self.cursor.length(field)? else {
            return Ok(Slot { at: start as u32, len: NULL });
        };
        let at = self.cursor.at();
        let least = match field.op {
            Op::Fixeds(size) => size,
            Op::Structs(layout) => layout.least,
            _ => least_string(field),
        };
        if count > self.cursor.left() / least {
            return Err(WireError::PeerSentCount { at: start, count });
        }
        match field.op {
            Op::Fixeds(size) => {
                self.cursor.take(count * size)?;
            }
            Op::Structs(layout) => {
                let base = self.reserve(count, layout)?;
                for index in 0..count {
                    self.structure(layout, 0, base + index * layout.stride())?;
                }
                return Ok(Slot { at: base as u32, len: count as u32 });
            }
            _ => {
                for _ in 0..count {
                    let at = self.cursor.at();
                    let length = self.cursor.string_length(field)?;
                    let length = length.ok_or(WireError::PeerSentNull { at, field: field.def.name })?;
                    self.text(length)?;
                }
            }
        }
        Ok(Slot { at: at as u32, len: count as u32 })
    }

    #[inline]
    fn text(&mut self, length: usize) -> Result<Slot, WireError> {
        let at = self.cursor.at();
        let bytes = self.cursor.take(length)?;
        if std::str::from_utf8(bytes).is_err() {
            return Err(WireError::PeerSentInvalidUtf8 { at });
        }
        Ok(Slot { at: at as u32, len: length as u32 })
    }

    /// A tag section. `last` is the slot of the last plain field; those of the tagged ones follow.
    fn tags(&mut self, layout: &'static StructLayout, last: usize) -> Result<(), WireError> {
        let start = self.cursor.at();
        let count = self.cursor.varint()?;
        if count == 0 {
            return Ok(());
        }
        if count as usize > self.cursor.left() / 2 {
            return Err(WireError::PeerSentCount { at: start, count: count as usize });
        }
        let mut previous = None;
        for _ in 0..count {
            let at = self.cursor.at();
            let tag = self.cursor.varint()?;
            check_tag(previous, tag, at)?;
            previous = Some(tag);
            let size = self.cursor.varint()? as usize;
            let value = self.cursor.at();
            if size > self.cursor.left() {
                return Err(WireError::PeerSentTooFewBytes { at: value, need: size - self.cursor.left() });
            }
            match layout.tagged().iter().position(|field| field.tag == tag) {
                Some(index) => {
                    let found = self.value(&layout.tagged()[index])?;
                    self.slots[last + 1 + index] = found;
                    let used = self.cursor.at() - value;
                    if used != size {
                        return Err(WireError::PeerSentTagSize { at: value, tag, size, used });
                    }
                }
                None if layout.foreign.contains(&tag) => {
                    return Err(WireError::PeerSentTagOfOtherVersion { at, tag });
                }
                None => {
                    self.unknown_tags = true;
                    self.cursor.take(size)?;
                }
            }
        }
        Ok(())
    }
}

/// Refuses a tag that does not stand behind a lower one.
pub(crate) fn check_tag(previous: Option<u32>, tag: u32, at: usize) -> Result<(), WireError> {
    match previous {
        Some(last) if last == tag => Err(WireError::PeerSentDuplicateTag { at, tag }),
        Some(last) if last > tag => Err(WireError::PeerSentDescendingTag { at, tag }),
        _ => Ok(()),
    }
}

/// The least size of a string as an element of the array `field`.
pub(crate) fn least_string(field: &FieldLayout) -> usize {
    if field.compact { 1 } else { 2 }
}

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

#[cfg(test)]
mod tests;
