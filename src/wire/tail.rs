//! The end of a response, read and written on its own: from one field of the top level on, tag section included.
//!
//! A streamed response is longer than what is held of it, so its end cannot change its length: what gets shorter is
//! filled up with a tag that no Kafka knows (clarifications 4.1; Java and librdkafka skip unknown tags, KIP-482).

use super::error::WireError;
use super::layout::StructLayout;
use super::node::Node;
use super::rope::Rope;
use super::schema::{Field, MessageDef};
use super::walk::Scan;
use super::write;
use bytes::Bytes;

/// Tags for filling up, by how many bytes their number takes. Kafka numbers tags from 0; its highest is below 10.
const FILL_TAGS: [u32; 3] = [0x7f, 0x3fff, 0x1f_ffff];

/// Where the end of a message begins.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// At this plain field of the top level.
    Field(Field),
    /// At the tag section of the top level.
    Tags,
}

impl From {
    fn first(self, layout: &StructLayout) -> usize {
        match self {
            Self::Field(field) => {
                layout.plain().iter().position(|plain| plain.field == field.0).unwrap_or(layout.plain)
            }
            Self::Tags => layout.plain,
        }
    }
}

/// Reads the end of a message, as strictly as a whole one; fields before it have their defaults. Offsets in errors
/// count from the first byte of `tail`.
///
/// # Errors
/// What is wrong with the bytes and where, or [`WireError::NoSuchVersion`].
pub fn read(def: &'static MessageDef, version: i16, from: From, tail: &Bytes) -> Result<Node, WireError> {
    let layout = def.layout(version).ok_or(WireError::NoSuchVersion { message: def.name, version })?;
    let mut scan = Scan::new();
    let view = scan.read_from(layout, from.first(layout), tail)?;
    Ok(Node::read(view, tail))
}

/// Writes the end of a message in exactly `len` bytes, with an unknown tag of zeros where it would be shorter. None if
/// it needs more bytes, if one byte is left over (no tag is that short), or if the version has no tags to fill with.
pub fn write(def: &'static MessageDef, version: i16, from: From, message: &Node, len: usize) -> Option<Bytes> {
    let layout = def.layout(version)?;
    let mut out = Rope::new();
    write::plain(layout, from.first(layout), message, &mut out);
    if !layout.flexible {
        return (out.len() == len).then(|| out.into_bytes());
    }
    let (count, section) = write::known_tags(layout, message);
    let mut unfilled = out.clone();
    write::varint(count, &mut unfilled);
    if unfilled.len() + section.len() == len {
        unfilled.append(section);
        return Some(unfilled.into_bytes());
    }
    write::varint(count + 1, &mut out);
    out.append(section);
    let fill = filling(len.checked_sub(out.len())?)?;
    out.append(fill);
    Some(out.into_bytes())
}

/// A tag of zeros that takes `len` bytes in all; none if `len` is 0 or 1.
fn filling(len: usize) -> Option<Rope> {
    for tag in FILL_TAGS {
        for size_len in 1..=5 {
            let mut head = Rope::new();
            write::varint(tag, &mut head);
            let Some(size) = len.checked_sub(head.len() + size_len) else { continue };
            write::varint(u32::try_from(size).ok()?, &mut head);
            if head.len() + size == len {
                head.push(&vec![0; size]);
                return Some(head);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::schema::{fetch::response as f, share_fetch::response as s};

    fn endpoint(message: &Node, field: Field, host: &str) -> Node {
        message
            .child(field)
            .with(f::node_endpoint::NODE_ID, 1)
            .with(f::node_endpoint::HOST, host)
            .with(f::node_endpoint::PORT, 9092)
    }

    fn with_endpoint(host: &str) -> Node {
        let mut message = Node::new(&f::THIS);
        let node = endpoint(&message, f::NODE_ENDPOINTS, host);
        message.push(f::NODE_ENDPOINTS, node);
        message
    }

    #[test]
    fn every_length_can_be_filled_but_one_byte() {
        assert!(filling(0).is_none() && filling(1).is_none());
        for len in (2..600).chain(16_300..16_500).chain([2_100_000]) {
            assert_eq!(filling(len).unwrap().len(), len);
        }
    }

    #[test]
    fn endpoints_of_a_streamed_fetch_are_replaced_in_the_same_length() {
        let mut original = Rope::new();
        write::tags(f::MESSAGE_DEF.layout(17).unwrap(), &with_endpoint("broker-1.internal"), &mut original);
        let original = original.into_bytes();
        assert_eq!(read(&f::MESSAGE_DEF, 17, From::Tags, &original), Ok(with_endpoint("broker-1.internal")));
        for (host, fits) in [("broker-1.internal", true), ("proxy", true), ("broker-1.interna", false)] {
            let written = write(&f::MESSAGE_DEF, 17, From::Tags, &with_endpoint(host), original.len());
            assert_eq!(written.is_some(), fits, "{host}");
            if let Some(written) = written {
                assert_eq!(written.len(), original.len());
                assert_eq!(read(&f::MESSAGE_DEF, 17, From::Tags, &written), Ok(with_endpoint(host)));
            }
        }
        assert_eq!(
            write(&f::MESSAGE_DEF, 17, From::Tags, &with_endpoint("a-longer-name.example"), original.len()),
            None
        );
        let cleared = write(&f::MESSAGE_DEF, 17, From::Tags, &Node::new(&f::THIS), original.len()).unwrap();
        assert_eq!(cleared.len(), original.len());
        assert!(!cleared.windows(6).any(|w| w == b"broker"));
        assert_eq!(read(&f::MESSAGE_DEF, 17, From::Tags, &cleared), Ok(Node::new(&f::THIS)));
    }

    #[test]
    fn endpoints_that_are_an_ordinary_array_are_replaced_too() {
        let from = From::Field(s::NODE_ENDPOINTS);
        let mut message = Node::new(&s::THIS);
        let node = message
            .child(s::NODE_ENDPOINTS)
            .with(s::node_endpoint::NODE_ID, 1)
            .with(s::node_endpoint::HOST, "broker-1.internal");
        message.push(s::NODE_ENDPOINTS, node);
        let len = (1..100).find(|len| write(&s::MESSAGE_DEF, 1, from, &message, *len).is_some()).unwrap();
        let original = write(&s::MESSAGE_DEF, 1, from, &message, len).unwrap();
        assert_eq!(read(&s::MESSAGE_DEF, 1, from, &original), Ok(message));
        let cleared = write(&s::MESSAGE_DEF, 1, from, &Node::new(&s::THIS), len).unwrap();
        assert_eq!(cleared.len(), len);
        assert_eq!(read(&s::MESSAGE_DEF, 1, from, &cleared), Ok(Node::new(&s::THIS)));
    }
}
