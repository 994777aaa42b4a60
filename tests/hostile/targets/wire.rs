//! Frames, headers, bodies: the strict walk, the tree and the stream read the same bytes alike.

use crate::allocator::within;
use crate::input::{Input, damage};
use crate::messages::{STYLES, Style, Subject, message, subjects};
use bytes::Bytes;
use kordon::wire::frame::{FrameError, request_size, response_size};
use kordon::wire::header::{request_header, response_header, write_request_header};
use kordon::wire::proxy_header::{LARGEST, ProxyHeader, proxy_header};
use kordon::wire::{ApiKey, Node, Rope, Scan, WireError, api, decode};
use std::sync::LazyLock;

/// What one slot of a scan takes; a vector that grows holds up to half as much again that is not used.
const SLOT: usize = 8;
/// The least bytes of a struct on the wire, and the most slots that it takes, are in no worse proportion than this.
const SCAN_PER_BYTE: usize = 64 * SLOT;
/// The same for a tree, whose fields of all versions have a value each.
const TREE_PER_BYTE: usize = 4096;
/// What an empty message of the largest schema takes.
const FLAT: usize = 16 * 1024;

static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let all = subjects();
    for subject in &all {
        // Layouts are worked out at first use and kept: no part of what an input costs.
        let _ = Scan::new().read(subject.def(), subject.version, &[]);
    }
    all
});

/// One of the messages there are.
pub(super) fn subject(input: &mut Input<'_>) -> Subject {
    SUBJECTS[input.u16() % SUBJECTS.len()]
}

pub(super) fn frame(data: &[u8]) {
    let mut input = Input(data);
    let (cap, start) = (input.u16() * 16, input.rest());
    for (least, got) in [(8, request_size(start, cap)), (4, response_size(start, cap))] {
        let size = start.first_chunk().map(|bytes| i64::from(i32::from_be_bytes(*bytes)));
        match (size, got) {
            (None, Ok(None)) => {}
            (Some(size), Ok(Some(got))) => {
                assert!(size == got as i64 && got <= cap && got >= least, "{got} of {size}, cap {cap}");
            }
            (Some(size), Err(FrameError::PeerSentNegativeSize { .. })) => assert!(size < 0),
            (Some(size), Err(FrameError::PeerSentSmallFrame { .. })) => assert!((0..least as i64).contains(&size)),
            (
                Some(size),
                Err(
                    FrameError::PeerSentLargeFrame { .. }
                    | FrameError::PeerSentTlsHello
                    | FrameError::PeerSentProxyHeader
                    | FrameError::PeerSentHttp,
                ),
            ) => assert!(size > cap as i64),
            (size, got) => panic!("size {size:?} was read as {got:?}"),
        }
    }
}

/// A header of a balancer, well-formed and damaged, and whatever follows it.
pub(super) fn proxy(data: &[u8]) {
    let mut input = Input(data);
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    let family = [0x11, 0x21, 0x31, 0x00, 0x12, input.byte()][input.below(6)];
    bytes.extend([0x20 | u8::from(!input.one_in(8)), family, 0, 0]);
    bytes.extend((0..[12, 36, 216, 0][input.below(4)]).map(|_| input.byte()));
    for _ in 0..input.below(4) {
        let value = input.take(usize::from(input.0.first().copied().unwrap_or(0) & 0x1f));
        bytes.extend([[3, 4, 0x20, 0xea][input.below(4)], 0, value.len() as u8]);
        bytes.extend(value);
    }
    let len = (bytes.len() - 16) as u16;
    bytes[14..16].copy_from_slice(&len.to_be_bytes());
    let most = input.below(4);
    damage(&mut bytes, &mut input, most);
    bytes.extend(input.rest());
    for bytes in [&bytes[..], data] {
        let read = within(0, 0, bytes.len(), || proxy_header(bytes));
        match read {
            Ok(ProxyHeader::Needs(n)) => assert!(n > bytes.len() && n <= LARGEST, "{n} of {}", bytes.len()),
            Ok(ProxyHeader::Complete { len, client }) => {
                assert!((16..=bytes.len()).contains(&len));
                assert!(client.is_none() || (bytes[12] == 0x21 && [0x11, 0x21].contains(&bytes[13])));
                // It is read alike without what follows, and by no piece of it is more asked for than it has.
                assert_eq!(proxy_header(&bytes[..len]), read);
                for n in (0..len).rev().take(40) {
                    let part = proxy_header(&bytes[..n]);
                    assert!(matches!(part, Ok(ProxyHeader::Needs(needs)) if needs > n && needs <= len), "{part:?}");
                }
            }
            // What has gone wrong is not mended by more.
            Err(_) => assert!(proxy_header(&[bytes, &[0; 64]].concat()).is_err()),
        }
    }
}

pub(super) fn header(data: &[u8]) {
    let read = within(FLAT, 4, data.len(), || request_header(data));
    match read {
        Ok(header) => {
            assert!(header.len <= data.len());
            assert!(api(header.key).is_some_and(|api| api.versions.contains(header.version)));
            let mut again = Rope::new();
            write_request_header(header.key, header.version, header.correlation_id, header.client_id, &mut again);
            let again = again.into_bytes();
            let reread = request_header(&again).expect("what was written can be read");
            assert_eq!((reread.key, reread.version), (header.key, header.version));
            assert_eq!((reread.correlation_id, reread.client_id), (header.correlation_id, header.client_id));
            assert!(!reread.unknown_tags && reread.len == again.len());
            assert!(header.unknown_tags || header.len >= again.len(), "only overlong numbers make it longer");
        }
        Err(WireError::UnknownApi { key, version, correlation_id }) => {
            let told = [&key.0.to_be_bytes()[..], &version.to_be_bytes(), &correlation_id.to_be_bytes()].concat();
            assert!(data.starts_with(&told));
            assert!(api(key).is_none_or(|api| !api.versions.contains(version)));
        }
        Err(_) => {}
    }
    let mut input = Input(data);
    let (key, version) = (ApiKey(i16::from(input.byte())), i16::from(input.byte()));
    if let Ok((id, len)) = response_header(key, version, input.0) {
        assert!(input.0.starts_with(&id.to_be_bytes()) && len <= input.0.len());
    }
}

/// Any bytes as the body of any message.
pub(super) fn scan(data: &[u8]) {
    let mut input = Input(data);
    let subject = subject(&mut input);
    let piece = 1 + input.below(64);
    read_alike(subject, input.rest(), piece);
}

/// A well-formed message with some damage.
pub(super) fn codec(data: &[u8]) {
    let mut input = Input(data);
    let subject = subject(&mut input);
    let piece = 1 + input.below(64);
    let mut body = well_formed(subject, &mut input).to_vec();
    damage(&mut body, &mut input, 8);
    read_alike(subject, &body, piece);
}

/// A message that Kafka could have written.
fn well_formed(subject: Subject, input: &mut Input<'_>) -> Bytes {
    subject.write(&well_formed_node(subject, input))
}

/// The same as a tree.
pub(super) fn well_formed_node(subject: Subject, input: &mut Input<'_>) -> Node {
    let style = match input.below(8) {
        // Extremes are kilobytes of text: now and then.
        7 if input.one_in(16) => Style::Extremes,
        style @ 0..3 => STYLES[style],
        _ => Style::Random,
    };
    message(subject, style, u64::from(input.u32()))
}

fn read_alike(subject: Subject, body: &[u8], piece: usize) {
    let scanned = within(FLAT, SCAN_PER_BYTE, body.len(), || {
        Scan::new()
            .read(subject.def(), subject.version, body)
            .map(|view| (view.unknown_tags(), view.range_of_element()))
    });
    let outcome = scanned.clone().map(|_| ());
    let stream = within(FLAT, 4, body.len(), || subject.stream(body, piece));
    assert_eq!(stream, outcome, "stream and scan");
    if !subject.response {
        match Scan::new().read_request(subject.def(), subject.version, body).map(|_| ()) {
            Err(WireError::PeerSentTooManyValues { .. }) => assert!(body.len() > 1_000),
            read => assert_eq!(read, outcome, "a request is read alike"),
        }
    }
    let body = Bytes::copy_from_slice(body);
    let node = within(FLAT, TREE_PER_BYTE, body.len(), || decode(subject.def(), subject.version, &body));
    let node = match node {
        Ok(node) => node,
        Err(error) => return assert_eq!(Err(error), outcome, "tree and scan"),
    };
    let (unknown, range) = scanned.expect("what a tree is made of was scanned");
    assert_eq!(range, 0..body.len());
    let written = subject.write(&node);
    let again = decode(subject.def(), subject.version, &written).expect("what was written can be read");
    assert!(same(&again, &node), "{again:?}\nwas\n{node:?}");
    assert_eq!(subject.write(&again), written);
    // Left out: unknown tags, defaults that were sent as tags, overlong numbers.
    assert!(written.len() <= body.len(), "{} bytes became {}, unknown tags: {unknown}", body.len(), written.len());
}

/// Equal, where a number that is none is equal to itself.
fn same(a: &Node, b: &Node) -> bool {
    a == b || format!("{a:?}") == format!("{b:?}")
}
