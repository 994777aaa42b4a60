use super::*;
use crate::model::TopicId;
use crate::wire::schema::{api_versions, fetch, metadata, produce};
use crate::wire::{Node, Rope, decode, encode};
use bytes::Bytes;

fn produce_request(version: i16) -> Bytes {
    use produce::request as p;
    let mut request = Node::new(&p::THIS).with(p::ACKS, -1_i16).with(p::TRANSACTIONAL_ID, "tx");
    for name in ["orders", "payments"] {
        let mut topic = request.child(p::TOPIC_DATA).with(p::topic_produce_data::NAME, name);
        topic.set(p::topic_produce_data::TOPIC_ID, TopicId([7; 16]));
        for index in 0..2 {
            let partition = topic
                .child(p::topic_produce_data::PARTITION_DATA)
                .with(p::partition_produce_data::INDEX, index)
                .with(p::partition_produce_data::RECORDS, Bytes::from(vec![9; 10]));
            topic.push(p::topic_produce_data::PARTITION_DATA, partition);
        }
        request.push(p::TOPIC_DATA, topic);
    }
    let mut out = Rope::new();
    encode(&p::MESSAGE_DEF, version, &request, &mut out);
    out.into_bytes()
}

#[test]
fn a_view_shows_what_was_written() {
    use produce::request as p;
    let mut scan = Scan::new();
    for version in p::MESSAGE_DEF.versions.iter() {
        let body = produce_request(version);
        let view = scan.read(&p::MESSAGE_DEF, version, &body).unwrap();
        assert_eq!((view.i16(p::ACKS), view.opt_str(p::TRANSACTIONAL_ID)), (-1, Some("tx")));
        let topics = view.items(p::TOPIC_DATA);
        assert_eq!(topics.len(), 2);
        for (topic, name) in topics.zip(["orders", "payments"]) {
            assert_eq!(topic.has(p::topic_produce_data::NAME), version < 13);
            assert_eq!(topic.str(p::topic_produce_data::NAME), if version < 13 { name } else { "" });
            let id = if version < 13 { TopicId::ZERO } else { TopicId([7; 16]) };
            assert_eq!(topic.uuid(p::topic_produce_data::TOPIC_ID), id);
            let partitions = topic.items(p::topic_produce_data::PARTITION_DATA);
            let second = partitions.at(1).unwrap();
            assert_eq!(second.i32(p::partition_produce_data::INDEX), 1);
            assert_eq!(second.bytes(p::partition_produce_data::RECORDS), Some(&[9; 10][..]));
            let range = second.range(p::partition_produce_data::RECORDS).unwrap();
            assert_eq!(&body[range.clone()], [9; 10]);
            assert!(second.range_of_element().start < range.start && range.end <= second.range_of_element().end);
            assert!(partitions.at(2).is_none());
        }
        assert_eq!(view.range_of_element(), 0..body.len());
        assert!(!view.unknown_tags());
    }
}

/// A Metadata v12 request for no topics, with this tag section.
fn with_tags(section: &[u8]) -> Vec<u8> {
    let mut body = vec![1, 0, 0];
    body.extend_from_slice(section);
    body
}

fn read(def: &'static MessageDef, version: i16, body: &[u8]) -> Result<bool, WireError> {
    let tree = decode(def, version, &Bytes::copy_from_slice(body)).map(|_| ());
    let scan = Scan::new().read(def, version, body).map(|view| view.unknown_tags());
    assert_eq!(tree.err(), scan.clone().err(), "scan and decode must agree");
    scan
}

fn metadata(section: &[u8]) -> Result<bool, WireError> {
    read(&metadata::request::MESSAGE_DEF, 12, &with_tags(section))
}

#[test]
fn unknown_tags_are_reported() {
    assert_eq!(metadata(&[0]), Ok(false));
    assert_eq!(metadata(&[2, 5, 1, 0xff, 6, 0]), Ok(true));
}

#[test]
fn duplicate_tags_are_refused() {
    let error = WireError::PeerSentDuplicateTag { at: 6, tag: 5 };
    assert_eq!(metadata(&[2, 5, 0, 5, 0]), Err(error));
}

#[test]
fn descending_tags_are_refused() {
    let error = WireError::PeerSentDescendingTag { at: 6, tag: 4 };
    assert_eq!(metadata(&[2, 5, 0, 4, 0]), Err(error));
}

#[test]
fn trailing_bytes_are_refused() {
    assert_eq!(metadata(&[0, 0]), Err(WireError::PeerSentTrailingBytes { at: 4, count: 1 }));
}

#[test]
fn tags_longer_than_the_message_are_refused() {
    assert_eq!(metadata(&[1, 5, 3, 0, 0]), Err(WireError::PeerSentTooFewBytes { at: 6, need: 1 }));
    assert_eq!(metadata(&[9, 5, 0]), Err(WireError::PeerSentCount { at: 3, count: 9 }));
}

#[test]
fn a_known_tag_must_be_as_long_as_it_says() {
    use fetch::request as f;
    // Max wait, min bytes, max bytes, isolation, session id and epoch, no topics, none forgotten, no rack; then tags.
    let mut body = vec![0; 21];
    body.extend([1, 1, 1]);
    let section = body.len();
    let with = |tags: &[u8]| [&body, tags].concat();
    assert_eq!(read(&f::MESSAGE_DEF, 17, &with(&[1, 0, 3, 3, b'i', b'd'])), Ok(false));
    assert_eq!(
        read(&f::MESSAGE_DEF, 17, &with(&[1, 0, 4, 3, b'i', b'd', 0])),
        Err(WireError::PeerSentTagSize { at: section + 3, tag: 0, size: 4, used: 3 })
    );
    assert_eq!(
        read(&f::MESSAGE_DEF, 17, &with(&[1, 0, 2, 3, b'i', b'd'])),
        Err(WireError::PeerSentTagSize { at: section + 3, tag: 0, size: 2, used: 3 })
    );
}

#[test]
fn a_count_beyond_the_message_takes_no_memory() {
    let mut scan = Scan::new();
    let body = [0x7f, 0xff, 0xff, 0xff, 0];
    let error = scan.read(&metadata::request::MESSAGE_DEF, 1, &body).err();
    assert_eq!(error, Some(WireError::PeerSentCount { at: 0, count: 0x7fff_ffff }));
    assert!(scan.slots.capacity() < 16);
    let error = scan.read(&metadata::request::MESSAGE_DEF, 12, &[0xff, 0xff, 0xff, 0xff, 0x07, 0]).err();
    assert_eq!(error, Some(WireError::PeerSentCount { at: 0, count: 0x7fff_fffe }));
    assert!(scan.slots.capacity() < 16);
}

#[test]
fn slots_have_a_bound_and_are_given_back() {
    let mut body = 100_000_i32.to_be_bytes().to_vec();
    body.extend(vec![0; 200_000]);
    body.push(1);
    let mut scan = Scan::new();
    let def = &metadata::request::MESSAGE_DEF;
    assert_eq!(scan.read_up_to(def, 4, &body, 1000).err(), Some(WireError::PeerSentTooManyValues { limit: 1000 }));
    assert_eq!(scan.read(def, 4, &body).unwrap().items(metadata::request::TOPICS).len(), 100_000);
    assert!(scan.slots.capacity() > KEPT_SLOTS);
    assert!(scan.read(def, 4, &[0, 0, 0, 0, 1]).is_ok());
    assert!(scan.slots.capacity() <= KEPT_SLOTS);
}

#[test]
fn a_request_of_few_bytes_makes_no_large_tree() {
    use crate::wire::schema::describe_groups::request::MESSAGE_DEF;
    let groups = |count: u32| {
        let mut body = count.to_be_bytes().to_vec();
        body.resize(4 + 2 * count as usize, 0);
        body
    };
    let mut scan = Scan::new();
    let most = (MAX_REQUEST_SLOTS / ELEMENT_COST - 1) as u32;
    assert!(scan.read_request(&MESSAGE_DEF, 0, &groups(most)).is_ok());
    let limit = MAX_REQUEST_SLOTS;
    let error = scan.read_request(&MESSAGE_DEF, 0, &groups(most + 1)).err();
    assert_eq!(error, Some(WireError::PeerSentTooManyValues { limit }));
    assert!(scan.read(&MESSAGE_DEF, 0, &groups(most + 1)).is_ok(), "answers have another bound");
}

#[test]
fn overlong_varints_have_one_reading_up_to_32_bits() {
    let body = |count: &[u8]| [count, &[0, 0, 0][..]].concat();
    let def = &metadata::request::MESSAGE_DEF;
    assert_eq!(read(def, 12, &body(&[0x81, 0])), Ok(false));
    assert_eq!(read(def, 12, &body(&[0x81, 0x80, 0x80, 0x80, 0])), Ok(false));
    let error = WireError::PeerSentLongVarint { at: 0 };
    assert_eq!(read(def, 12, &body(&[0x81, 0x80, 0x80, 0x80, 0x10])), Err(error.clone()));
    assert_eq!(read(def, 12, &body(&[0x81, 0x80, 0x80, 0x80, 0x80, 0])), Err(error));
}

#[test]
fn any_boolean_but_zero_is_true() {
    let body = [1, 2, 0, 0];
    assert_eq!(read(&metadata::request::MESSAGE_DEF, 12, &body), Ok(false));
    let mut scan = Scan::new();
    let view = scan.read(&metadata::request::MESSAGE_DEF, 12, &body).unwrap();
    assert!(view.bool(metadata::request::ALLOW_AUTO_TOPIC_CREATION));
}

#[test]
fn strings_must_be_utf8() {
    let error = WireError::PeerSentInvalidUtf8 { at: 6 };
    assert_eq!(read(&metadata::request::MESSAGE_DEF, 1, &[0, 0, 0, 1, 0, 2, 0xc3, 0x28]), Err(error));
}

#[test]
fn null_is_refused_where_it_may_not_be() {
    let error = WireError::PeerSentNull { at: 4, field: "Name" };
    assert_eq!(read(&metadata::request::MESSAGE_DEF, 1, &[0, 0, 0, 1, 0xff, 0xff]), Err(error));
    let error = WireError::PeerSentNull { at: 0, field: "Topics" };
    assert_eq!(read(&metadata::request::MESSAGE_DEF, 0, &[0xff; 4]), Err(error));
    assert_eq!(read(&metadata::request::MESSAGE_DEF, 1, &[0xff; 4]), Ok(false));
    let error = WireError::PeerSentLength { at: 0, length: -2 };
    assert_eq!(read(&metadata::request::MESSAGE_DEF, 1, &[0xff, 0xff, 0xff, 0xfe]), Err(error));
}

#[test]
fn strings_have_javas_bound() {
    let mut body = vec![0x82, 0x80, 0x02];
    body.extend(vec![b'a'; 0x8000]);
    body.extend([1, 0]);
    let error = WireError::PeerSentLength { at: 0, length: 0x8001 };
    assert_eq!(read(&api_versions::request::MESSAGE_DEF, 3, &body), Err(error));
}

#[test]
fn a_version_that_does_not_exist_is_no_panic() {
    let error = WireError::NoSuchVersion { message: "MetadataRequest", version: 99 };
    assert_eq!(read(&metadata::request::MESSAGE_DEF, 99, &[]), Err(error));
    assert!(read(&metadata::request::MESSAGE_DEF, -1, &[]).is_err());
}

#[test]
fn no_element_of_an_array_can_be_empty() {
    fn check(layout: &StructLayout) {
        for field in &layout.fields {
            if let Op::Structs(inner) | Op::Struct(inner) = field.op {
                assert!(inner.flexible || inner.plain > 0, "{:?}", inner.def);
                check(inner);
            }
        }
    }
    for api in crate::wire::apis() {
        for version in api.versions.iter() {
            check(api.request.layout(version).unwrap());
            check(api.response.layout(version).unwrap());
        }
    }
}
