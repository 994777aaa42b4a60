//! A response that is too large to be held: walked as it arrives, in pieces of any size.
//!
//! The walker checks what [`Scan`](super::walk::Scan) checks, after the same layouts, against the length that the frame
//! announced. It holds at most one string. Records and numbers are skipped without being looked at. It stops where the
//! session may want to change the top level: before and after the count of an array of structs, behind the last element,
//! and before the tag section.

use super::cursor::{Cursor, Length};
use super::error::WireError;
use super::layout::{FieldLayout, Op, StructLayout};
use super::node::Node;
use super::rope::Rope;
use super::schema::{Field, MessageDef};
use super::walk::{check_tag, least_string};
use super::write;
use std::ops::Range;

/// A place at the top level. Offsets count from the first byte of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The count of an array of structs begins here: it has not been consumed.
    ArrayStart {
        /// The array.
        field: Field,
        /// Where its count begins.
        at: usize,
    },
    /// The count has been consumed; the elements follow.
    ArrayCount {
        /// The array.
        field: Field,
        /// Where its count stands.
        at: Range<usize>,
        /// How many elements follow; none if it is null.
        count: Option<usize>,
    },
    /// The last element has been consumed.
    ArrayEnd {
        /// The array.
        field: Field,
        /// Where the byte behind it stands.
        at: usize,
    },
    /// The tag section of the top level begins here: it has not been consumed. Only in flexible versions.
    Tags {
        /// Where its count begins.
        at: usize,
    },
    /// The body is complete and nothing may follow.
    End,
}

/// How far a piece was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of the piece were consumed; all, unless there is an event.
    pub used: usize,
    /// Why the walker stopped before the end of the piece: feed it the rest.
    pub event: Option<Event>,
}

/// Walks one body that arrives in pieces.
pub struct StreamWalker {
    stack: Vec<Step>,
    atom: Atom,
    at: usize,
    len: usize,
    event: Option<Event>,
    ended: bool,
}

/// What is open, innermost last.
enum Step {
    /// A struct, before its plain field `next`; `announced` says that the event before it has been given.
    Struct { layout: &'static StructLayout, next: usize, top: bool, announced: bool },
    /// A tag section with this many tags to come.
    Tags { layout: &'static StructLayout, left: u32, previous: Option<u32> },
    /// The value of a known tag, to end where its size says.
    Tag { tag: u32, value: usize, size: usize },
    /// An array of structs with this many to come; `top` if it is a plain field of the top level.
    Structs { layout: &'static StructLayout, left: usize, top: Option<Field> },
    /// An array of strings with this many to come.
    Strs { field: &'static FieldLayout, left: usize },
}

/// What is being read and may be incomplete.
enum Atom {
    /// Nothing: the stack says what comes.
    None,
    /// Bytes that are not looked at.
    Skip(usize),
    /// A string of this length and what there is of it.
    Text { length: usize, start: usize, carry: Vec<u8> },
    /// A number that decides what comes.
    Number { goal: Goal, start: usize, bytes: [u8; 5], got: usize },
}

/// What a number is for.
#[derive(Copy, Clone)]
enum Goal {
    Str(&'static FieldLayout),
    Element(&'static FieldLayout),
    Bytes(&'static FieldLayout),
    Array { field: &'static FieldLayout, top: bool },
    Marker(&'static StructLayout),
    TagCount(&'static StructLayout),
    Tag,
    TagSize { tag: u32, at: usize },
}

impl StreamWalker {
    /// A walker before the first byte of a body of `len` bytes (without the header).
    ///
    /// # Errors
    /// [`WireError::NoSuchVersion`].
    pub fn new(def: &'static MessageDef, version: i16, len: usize) -> Result<Self, WireError> {
        let layout = def.layout(version).ok_or(WireError::NoSuchVersion { message: def.name, version })?;
        Ok(Self {
            stack: vec![Step::Struct { layout, next: 0, top: true, announced: false }],
            atom: Atom::None,
            at: 0,
            len,
            event: None,
            ended: false,
        })
    }

    /// How many bytes were consumed so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Reads on. Call again with the rest of the piece after an event; [`Event::End`] comes once, after the last byte.
    ///
    /// # Errors
    /// What is wrong with the bytes and where; nothing may be fed after that.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress, WireError> {
        let mut rest = bytes;
        loop {
            if let Some(event) = self.event.take() {
                return Ok(Progress { used: bytes.len() - rest.len(), event: Some(event) });
            }
            match &self.atom {
                Atom::None if self.ended => {
                    return match rest.len() {
                        0 => Ok(Progress { used: bytes.len(), event: None }),
                        count => Err(WireError::PeerSentTrailingBytes { at: self.at, count }),
                    };
                }
                Atom::None => self.next()?,
                _ if rest.is_empty() => return Ok(Progress { used: bytes.len(), event: None }),
                _ => self.read(&mut rest)?,
            }
        }
    }

    fn left(&self) -> usize {
        self.len.saturating_sub(self.at)
    }

    /// Makes sure that the body can hold `n` bytes more.
    fn need(&self, n: usize) -> Result<(), WireError> {
        match n.checked_sub(self.left()) {
            None | Some(0) => Ok(()),
            Some(need) => Err(WireError::PeerSentTooFewBytes { at: self.at, need }),
        }
    }

    /// Takes bytes for the atom that is being read.
    fn read(&mut self, rest: &mut &[u8]) -> Result<(), WireError> {
        match std::mem::replace(&mut self.atom, Atom::None) {
            Atom::None => Ok(()),
            Atom::Skip(left) => {
                let taken = self.take(rest, left).len();
                if taken < left {
                    self.atom = Atom::Skip(left - taken);
                }
                Ok(())
            }
            Atom::Text { length, start, mut carry } => {
                let taken = self.take(rest, length - carry.len());
                if taken.len() == length {
                    return text(taken, start);
                }
                carry.extend_from_slice(taken);
                if carry.len() == length {
                    return text(&carry, start);
                }
                self.atom = Atom::Text { length, start, carry };
                Ok(())
            }
            Atom::Number { goal, start, mut bytes, mut got } => {
                let taken = self.take(rest, 1);
                for (place, byte) in bytes.iter_mut().skip(got).zip(taken) {
                    *place = *byte;
                    got += 1;
                }
                let last = taken.first().is_some_and(|byte| *byte < 0x80);
                let complete = match goal.width() {
                    Some(width) => got == width,
                    None => last || got == bytes.len(),
                };
                if complete {
                    return self.number(goal, start, bytes);
                }
                self.need(1)?;
                self.atom = Atom::Number { goal, start, bytes, got };
                Ok(())
            }
        }
    }

    fn take<'b>(&mut self, rest: &mut &'b [u8], most: usize) -> &'b [u8] {
        let (taken, left) = rest.split_at(most.min(rest.len()));
        *rest = left;
        self.at += taken.len();
        taken
    }

    /// Begins the next atom, or closes what is complete.
    fn next(&mut self) -> Result<(), WireError> {
        match self.stack.last_mut() {
            None => {
                self.ended = true;
                if self.at < self.len {
                    return Err(WireError::PeerSentTrailingBytes { at: self.at, count: self.len - self.at });
                }
                self.event = Some(Event::End);
                Ok(())
            }
            Some(Step::Struct { layout, next, top, announced }) => {
                let layout = *layout;
                match layout.plain().get(*next) {
                    Some(field) => {
                        if *top && !*announced && matches!(field.op, Op::Structs(_)) {
                            *announced = true;
                            self.event = Some(Event::ArrayStart { field: Field(field.field), at: self.at });
                            return Ok(());
                        }
                        *next += 1;
                        *announced = false;
                        let top = *top;
                        self.value(field, top)
                    }
                    None if *top && layout.flexible && !*announced => {
                        *announced = true;
                        self.event = Some(Event::Tags { at: self.at });
                        Ok(())
                    }
                    None => {
                        self.stack.pop();
                        if layout.flexible { self.expect(Goal::TagCount(layout)) } else { Ok(()) }
                    }
                }
            }
            Some(Step::Tags { left: 0, .. }) => {
                self.stack.pop();
                Ok(())
            }
            Some(Step::Tags { left, .. }) => {
                *left -= 1;
                self.expect(Goal::Tag)
            }
            Some(Step::Tag { tag, value, size }) => {
                let (tag, at, size, used) = (*tag, *value, *size, self.at - *value);
                self.stack.pop();
                if used == size { Ok(()) } else { Err(WireError::PeerSentTagSize { at, tag, size, used }) }
            }
            Some(Step::Structs { left: 0, top, .. }) => {
                self.event = top.map(|field| Event::ArrayEnd { field, at: self.at });
                self.stack.pop();
                Ok(())
            }
            Some(Step::Structs { layout, left, .. }) => {
                *left -= 1;
                let layout = *layout;
                self.open(layout);
                Ok(())
            }
            Some(Step::Strs { left: 0, .. }) => {
                self.stack.pop();
                Ok(())
            }
            Some(Step::Strs { field, left }) => {
                *left -= 1;
                let goal = Goal::Element(field);
                self.expect(goal)
            }
        }
    }

    fn open(&mut self, layout: &'static StructLayout) {
        self.stack.push(Step::Struct { layout, next: 0, top: false, announced: false });
    }

    fn expect(&mut self, goal: Goal) -> Result<(), WireError> {
        let width = goal.width().unwrap_or(1);
        self.need(width)?;
        self.atom = Atom::Number { goal, start: self.at, bytes: [0; 5], got: 0 };
        Ok(())
    }

    fn skip(&mut self, n: usize) -> Result<(), WireError> {
        self.need(n)?;
        self.atom = if n == 0 { Atom::None } else { Atom::Skip(n) };
        Ok(())
    }

    /// Begins a value.
    fn value(&mut self, field: &'static FieldLayout, top: bool) -> Result<(), WireError> {
        match field.op {
            Op::Fixed(size) => self.skip(size),
            Op::Str => self.expect(Goal::Str(field)),
            Op::Bytes => self.expect(Goal::Bytes(field)),
            Op::Struct(layout) if field.nullable => self.expect(Goal::Marker(layout)),
            Op::Struct(layout) => {
                self.open(layout);
                Ok(())
            }
            Op::Fixeds(_) | Op::Strs | Op::Structs(_) => self.expect(Goal::Array { field, top }),
        }
    }

    /// Acts on a number that has been read.
    fn number(&mut self, goal: Goal, start: usize, bytes: [u8; 5]) -> Result<(), WireError> {
        let mut cursor = Cursor::new(&bytes, 0);
        let shift = |error: WireError| error.shifted(start);
        match goal {
            Goal::Str(field) => match cursor.string_length(field).map_err(shift)? {
                Some(length) => self.text(length),
                None => Ok(()),
            },
            Goal::Element(field) => match cursor.string_length(field).map_err(shift)? {
                Some(length) => self.text(length),
                None => Err(WireError::PeerSentNull { at: start, field: field.def.name }),
            },
            Goal::Bytes(field) => match cursor.length(field).map_err(shift)? {
                Some(length) => self.skip(length),
                None => Ok(()),
            },
            Goal::Array { field, top } => {
                let count = cursor.length(field).map_err(shift)?;
                self.array(field, top, start, count)
            }
            Goal::Marker(layout) => {
                if bytes.first().is_some_and(|marker| *marker < 0x80) {
                    self.open(layout);
                }
                Ok(())
            }
            Goal::TagCount(layout) => {
                let left = cursor.varint().map_err(shift)?;
                let count = left as usize;
                if count > self.left() / 2 {
                    return Err(WireError::PeerSentCount { at: start, count });
                }
                self.stack.push(Step::Tags { layout, left, previous: None });
                Ok(())
            }
            Goal::Tag => {
                let tag = cursor.varint().map_err(shift)?;
                if let Some(Step::Tags { previous, .. }) = self.stack.last_mut() {
                    check_tag(*previous, tag, start)?;
                    *previous = Some(tag);
                }
                self.expect(Goal::TagSize { tag, at: start })
            }
            Goal::TagSize { tag, at } => {
                let size = cursor.varint().map_err(shift)? as usize;
                self.need(size)?;
                self.tag(tag, at, size)
            }
        }
    }

    fn text(&mut self, length: usize) -> Result<(), WireError> {
        self.need(length)?;
        if length > 0 {
            self.atom = Atom::Text { length, start: self.at, carry: Vec::new() };
        }
        Ok(())
    }

    fn array(&mut self, field: &'static FieldLayout, top: bool, start: usize, count: Length) -> Result<(), WireError> {
        let left = count.unwrap_or(0);
        let least = match field.op {
            Op::Fixeds(size) => size,
            Op::Structs(layout) => layout.least,
            _ => least_string(field),
        };
        if left > self.left() / least {
            return Err(WireError::PeerSentCount { at: start, count: left });
        }
        match field.op {
            Op::Fixeds(size) => self.skip(left * size),
            Op::Structs(layout) => {
                let handle = Field(field.field);
                let top = top.then_some(handle);
                self.event = top.map(|field| Event::ArrayCount { field, at: start..self.at, count });
                self.stack.push(Step::Structs { layout, left, top });
                Ok(())
            }
            _ => {
                self.stack.push(Step::Strs { field, left });
                Ok(())
            }
        }
    }

    fn tag(&mut self, tag: u32, at: usize, size: usize) -> Result<(), WireError> {
        let Some(Step::Tags { layout, .. }) = self.stack.last() else {
            return Ok(());
        };
        let layout = *layout;
        match layout.tagged().iter().find(|field| field.tag == tag) {
            Some(field) => {
                self.stack.push(Step::Tag { tag, value: self.at, size });
                self.value(field, false)
            }
            None if layout.foreign.contains(&tag) => Err(WireError::PeerSentTagOfOtherVersion { at, tag }),
            None => self.skip(size),
        }
    }
}

impl Goal {
    /// How many bytes the number has; none for a varint.
    fn width(self) -> Option<usize> {
        match self {
            Self::Str(field) | Self::Element(field) => (!field.compact).then_some(2),
            Self::Bytes(field) | Self::Array { field, .. } => (!field.compact).then_some(4),
            Self::Marker(_) => Some(1),
            Self::TagCount(_) | Self::Tag | Self::TagSize { .. } => None,
        }
    }
}

fn text(bytes: &[u8], at: usize) -> Result<(), WireError> {
    std::str::from_utf8(bytes).map(|_| ()).map_err(|_| WireError::PeerSentInvalidUtf8 { at })
}

/// Writes a count as the array of structs `field` of the top level has it, to stand in place of another.
pub fn write_count(def: &'static MessageDef, version: i16, field: Field, count: usize, out: &mut Rope) {
    if let Some((field, _)) = array(def, version, field) {
        write::count(field, count, out);
    }
}

/// Writes one element of the array of structs `field` of the top level.
pub fn write_element(def: &'static MessageDef, version: i16, field: Field, element: &Node, out: &mut Rope) {
    if let Some((_, layout)) = array(def, version, field) {
        debug_assert!(std::ptr::eq(layout.def, element.def()), "{:?} is no element of {def:?}", element.def());
        write::structure(layout, element, out);
    }
}

fn array(
    def: &'static MessageDef,
    version: i16,
    field: Field,
) -> Option<(&'static FieldLayout, &'static StructLayout)> {
    let layout = def.layout(version)?;
    let found = layout.fields.iter().find(|layout| layout.field == field.0)?;
    match found.op {
        Op::Structs(element) => Some((found, element)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
