//! The hot path: one strict walk over the bytes of a message. It notes where each value lies; [`View`] shows them.
#![expect(clippy::indexing_slicing, reason = "slots are made by the walk itself, ranges are bounded by the cursor")]
#![expect(clippy::cast_possible_truncation, reason = "a body is at most 2^31-1 bytes, checked in `Scan::read`")]

use super::cursor::{Cursor, MAX_LENGTH};
use super::error::WireError;
use super::layout::{FieldLayout, Op, StructLayout};
use super::schema::MessageDef;
use super::view::View;

/// The most slots a scan makes unless told otherwise: structs plus fields of structs in one message.
pub const MAX_SLOTS: usize = 4_000_000;

/// The same for a request, where each string or number in an array counts, too, as much as [`ELEMENT_COST`] slots: an answer
/// has a struct for each, which is hundreds of bytes made of one. A fetch of 100,000 partitions is below it.
const MAX_REQUEST_SLOTS: usize = 1_000_000;
/// See [`MAX_REQUEST_SLOTS`].
const ELEMENT_COST: usize = 8;

/// Slots kept from one message to the next; what a larger message took is given back.
const KEPT_SLOTS: usize = 16_384;

/// Where a value lies: its first byte and its length, or an array: its first element and its count. Of structs, the
/// "first byte" is the slot of the first element.
#[derive(Copy, Clone)]
pub(crate) struct Slot {
    pub(crate) at: u32,
    pub(crate) len: u32,
}

/// The value is not on the wire.
pub(crate) const ABSENT: Slot = Slot { at: u32::MAX, len: 0 };
/// The length of a null.
pub(crate) const NULL: u32 = u32::MAX;

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

    /// Gives back what a large message took, once its view is no longer needed.
    pub fn shrink(&mut self) {
        if self.slots.capacity() > KEPT_SLOTS {
            self.slots.clear();
            self.slots.shrink_to(KEPT_SLOTS);
        }
    }

    /// How many bytes it holds from one message to the next.
    pub fn held(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
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

    /// [`Scan::read`] for a request, with a tighter bound on what a client can make of few bytes.
    ///
    /// # Errors
    /// As [`Scan::read`].
    pub fn read_request<'s, 'b>(
        &'s mut self,
        def: &'static MessageDef,
        version: i16,
        body: &'b [u8],
    ) -> Result<View<'s, 'b>, WireError> {
        let layout = def.layout(version).ok_or(WireError::NoSuchVersion { message: def.name, version })?;
        let (view, end) = self.walk_from(layout, 0, body, Bound { slots: MAX_REQUEST_SLOTS, element: ELEMENT_COST })?;
        nothing_left(body, end)?;
        Ok(view)
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
        self.walk_from(layout, 0, body, Bound { slots: max_slots, element: 0 })
    }

    /// Reads the end of a message, from the plain field at position `first` of the top level on.
    pub(crate) fn read_from<'s, 'b>(
        &'s mut self,
        layout: &'static StructLayout,
        first: usize,
        body: &'b [u8],
    ) -> Result<View<'s, 'b>, WireError> {
        let (view, end) = self.walk_from(layout, first, body, Bound { slots: MAX_SLOTS, element: 0 })?;
        nothing_left(body, end)?;
        Ok(view)
    }

    fn walk_from<'s, 'b>(
        &'s mut self,
        layout: &'static StructLayout,
        first: usize,
        body: &'b [u8],
        bound: Bound,
    ) -> Result<(View<'s, 'b>, usize), WireError> {
        if body.len() > MAX_LENGTH {
            return Err(WireError::PeerSentTrailingBytes { at: MAX_LENGTH, count: body.len() - MAX_LENGTH });
        }
        self.shrink();
        self.slots.clear();
        let mut walker = Walker {
            cursor: Cursor::new(body, 0),
            slots: &mut self.slots,
            bound: Bound { slots: bound.slots.min(MAX_LENGTH), ..bound },
            spent: 0,
            unknown_tags: false,
        };
        let base = walker.reserve(1, layout)?;
        walker.structure(layout, first, base)?;
        let (unknown, end) = (walker.unknown_tags, walker.cursor.at());
        Ok((View::new(&self.slots, body, layout, unknown), end))
    }
}

/// Refuses bytes behind the last field.
fn nothing_left(body: &[u8], end: usize) -> Result<(), WireError> {
    match body.len() - end {
        0 => Ok(()),
        count => Err(WireError::PeerSentTrailingBytes { at: end, count }),
    }
}

/// What one message may hold.
#[derive(Copy, Clone)]
struct Bound {
    /// Slots.
    slots: usize,
    /// How many slots a string or number in an array counts as.
    element: usize,
}

struct Walker<'w, 'b> {
    cursor: Cursor<'b>,
    slots: &'w mut Vec<Slot>,
    bound: Bound,
    /// What elements without slots have counted for.
    spent: usize,
    unknown_tags: bool,
}

impl Walker<'_, '_> {
    /// Makes the slots of `count` instances; the caller has bounded `count` by the bytes that are left.
    #[inline]
    fn reserve(&mut self, count: usize, layout: &StructLayout) -> Result<usize, WireError> {
        let base = self.slots.len();
        let want = count.saturating_mul(layout.stride()).saturating_add(base);
        if want.saturating_add(self.spent) > self.bound.slots {
            return Err(WireError::PeerSentTooManyValues { limit: self.bound.slots });
        }
        self.slots.resize(want, ABSENT);
        Ok(base)
    }

    /// Counts elements that need no slots.
    fn spend(&mut self, elements: usize) -> Result<(), WireError> {
        self.spent = self.spent.saturating_add(elements.saturating_mul(self.bound.element));
        if self.spent.saturating_add(self.slots.len()) > self.bound.slots {
            return Err(WireError::PeerSentTooManyValues { limit: self.bound.slots });
        }
        Ok(())
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
                self.spend(count)?;
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
                self.spend(count)?;
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

#[cfg(test)]
mod tests;
