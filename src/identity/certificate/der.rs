//! DER (X.690), as far as a certificate needs it: one element after the other, each within its parent.

/// A sequence.
pub(super) const SEQUENCE: u8 = 0x30;
/// A set.
pub(super) const SET: u8 = 0x31;
/// An object identifier.
pub(super) const OID: u8 = 0x06;
/// A whole number.
pub(super) const INTEGER: u8 = 0x02;
/// An octet string.
pub(super) const OCTETS: u8 = 0x04;

/// The bytes are no DER, or not that of a certificate.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no X.509 certificate")]
pub struct Malformed;

/// One element.
#[derive(Copy, Clone, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    /// What is in it.
    pub(super) value: &'a [u8],
    /// Tag, length and value.
    pub(super) whole: &'a [u8],
}

/// What is left of the elements of a parent.
#[derive(Copy, Clone, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub(super) fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Result<Element<'a>, Malformed> {
        let (tag, rest) = self.0.split_first().ok_or(Malformed)?;
        // Tags of more than one byte stand in no certificate.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (first, mut rest) = rest.split_first().ok_or(Malformed)?;
        let length = match first {
            short @ 0..=0x7f => usize::from(*short),
            0x81..=0x84 => {
                let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(Malformed)?;
                rest = after;
                bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte))
            }
            _ => return Err(Malformed),
        };
        let (value, after) = rest.split_at_checked(length).ok_or(Malformed)?;
        let whole = self.0.get(..self.0.len() - after.len()).ok_or(Malformed)?;
        self.0 = after;
        Ok(Element { tag: *tag, value, whole })
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        self.next().and_then(|element| if element.tag == tag { Ok(element) } else { Err(Malformed) })
    }
}

/// An object identifier with dots.
pub(super) fn dotted(bytes: &[u8]) -> Result<String, Malformed> {
    let mut arcs: Vec<u64> = Vec::new();
    let (mut arc, mut open) = (0_u64, false);
    for byte in bytes {
        // More than 2^56 stands in no certificate.
        if arc >> 49 != 0 {
            return Err(Malformed);
        }
        arc = (arc << 7) | u64::from(byte & 0x7f);
        open = byte & 0x80 != 0;
        if !open {
            arcs.push(std::mem::take(&mut arc));
        }
    }
    let (Some(first), false) = (arcs.first().copied(), open) else { return Err(Malformed) };
    let (root, second) = match first {
        0..40 => (0, first),
        40..80 => (1, first - 40),
        _ => (2, first - 80),
    };
    let mut text = format!("{root}.{second}");
    for arc in arcs.iter().skip(1) {
        text.push_str(&format!(".{arc}"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_does_not_reach_beyond_its_parent() {
        for bad in [&[][..], &[0x30], &[0x30, 0x01], &[0x30, 0x80], &[0x30, 0x85, 0, 0, 0, 0, 0], &[0x3f, 0x01, 0x00]] {
            assert_eq!(Reader(bad).next().map(|_| ()), Err(Malformed), "{bad:x?}");
        }
        let mut reader = Reader(&[0x30, 0x01, 0xaa, 0x04, 0x81, 0x01, 0xbb]);
        assert_eq!(reader.next().unwrap().value, [0xaa]);
        let last = reader.expect(OCTETS).unwrap();
        assert_eq!((last.value, last.whole), (&[0xbb][..], &[0x04, 0x81, 0x01, 0xbb][..]));
        assert!(reader.is_empty());
    }

    #[test]
    fn identifiers_are_shown_with_dots() {
        assert_eq!(dotted(&[0x55, 0x04, 0x03]).unwrap(), "2.5.4.3");
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]).unwrap(), "1.2.840.113549.1.9.1");
        for bad in [&[][..], &[0x80], &[0xff; 12]] {
            assert_eq!(dotted(bad), Err(Malformed), "{bad:x?}");
        }
    }
}
