//! A place in the bytes of a peer that cannot leave them.

use super::error::WireError;
use super::layout::FieldLayout;

/// The longest string of Kafka's wire.
pub(crate) const MAX_STRING: usize = 0x7fff;

/// A length that stands for null, or a length.
pub(crate) type Length = Option<usize>;

#[derive(Copy, Clone)]
pub(crate) struct Cursor<'b> {
    body: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    pub(crate) fn new(body: &'b [u8], at: usize) -> Self {
        Self { body, at }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> usize {
        self.body.len().saturating_sub(self.at)
    }

    /// The next `n` bytes; the only way forward.
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> Result<&'b [u8], WireError> {
        match self.body.get(self.at..).and_then(|rest| rest.get(..n)) {
            Some(bytes) => {
                self.at += n;
                Ok(bytes)
            }
            None => Err(WireError::PeerSentTooFewBytes { at: self.at, need: n - self.left() }),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        match self.body.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(WireError::PeerSentTooFewBytes { at: self.at, need: N - self.left() }),
        }
    }

    /// An unsigned varint of at most 32 bits; overlong forms of up to five bytes count, as in Java's
    /// `ByteUtils.readUnsignedVarint`, which ignores bits above 32: these are refused here.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u32, WireError> {
        let start = self.at;
        let [first] = self.array::<1>()?;
        if first < 0x80 {
            return Ok(u32::from(first));
        }
        let mut value = u32::from(first & 0x7f);
        for shift in [7, 14, 21] {
            let [byte] = self.array::<1>()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        let [last] = self.array::<1>()?;
        if last > 0x0f {
            return Err(WireError::PeerSentLongVarint { at: start });
        }
        Ok(value | u32::from(last) << 28)
    }

    /// The length of a string, before its bytes.
    #[inline]
    pub(crate) fn string_length(&mut self, field: &FieldLayout) -> Result<Length, WireError> {
        let start = self.at;
        if field.compact {
            return self.compact_length(field, MAX_STRING);
        }
        match i16::from_be_bytes(self.array()?) {
            -1 => self.null(start, field),
            length => match usize::try_from(length) {
                Ok(length) => Ok(Some(length)),
                Err(_) => Err(WireError::PeerSentLength { at: start, length: i64::from(length) }),
            },
        }
    }

    /// The length of bytes, or the count of an array.
    #[inline]
    pub(crate) fn length(&mut self, field: &FieldLayout) -> Result<Length, WireError> {
        let start = self.at;
        if field.compact {
            return self.compact_length(field, MAX_LENGTH);
        }
        match i32::from_be_bytes(self.array()?) {
            -1 => self.null(start, field),
            length => match usize::try_from(length) {
                Ok(length) => Ok(Some(length)),
                Err(_) => Err(WireError::PeerSentLength { at: start, length: i64::from(length) }),
            },
        }
    }

    #[inline]
    fn compact_length(&mut self, field: &FieldLayout, most: usize) -> Result<Length, WireError> {
        let start = self.at;
        match self.varint()? {
            0 => self.null(start, field),
            plus_one => match usize::try_from(plus_one - 1) {
                Ok(length) if length <= most => Ok(Some(length)),
                _ => Err(WireError::PeerSentLength { at: start, length: i64::from(plus_one) - 1 }),
            },
        }
    }

    fn null(&self, at: usize, field: &FieldLayout) -> Result<Length, WireError> {
        if field.nullable { Ok(None) } else { Err(WireError::PeerSentNull { at, field: field.def.name }) }
    }
}

/// The longest length of bytes and the highest count: Java's `int`.
pub(crate) const MAX_LENGTH: usize = 0x7fff_ffff;
