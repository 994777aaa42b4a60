use super::*;
use crate::wire::schema::{describe_topic_partitions, join_group, metadata, produce};
use crate::wire::{ErrorCode, message};

#[test]
fn a_new_tree_has_kafkas_defaults() {
    use metadata::response as m;
    let response = Node::response(ApiKey::METADATA);
    assert_eq!(response.int(m::CONTROLLER_ID), -1);
    assert!(response.is_null(m::CLUSTER_ID));
    let topic = response.child(m::TOPICS);
    assert_eq!(topic.int(m::metadata_response_topic::TOPIC_AUTHORIZED_OPERATIONS), i64::from(i32::MIN));
    assert_eq!(topic.opt_str(m::metadata_response_topic::NAME), Some(""));
    assert_eq!(format!("{response:?}"), "MetadataResponse");
}

#[test]
fn values_are_set_and_read() {
    use metadata::response as m;
    let mut response = Node::new(&m::THIS).with(m::CLUSTER_ID, Some("abc")).with(m::THROTTLE_TIME_MS, 5);
    response.set(m::TOPICS, Value::Null);
    let topic = response
        .child(m::TOPICS)
        .with(m::metadata_response_topic::ERROR_CODE, ErrorCode::TOPIC_AUTHORIZATION_FAILED)
        .with(m::metadata_response_topic::IS_INTERNAL, true)
        .with(m::metadata_response_topic::TOPIC_ID, TopicId([1; 16]));
    response.push(m::TOPICS, topic);
    response.nodes_mut(m::TOPICS)[0].set(m::metadata_response_topic::NAME, None::<&str>);
    let topic = &response.nodes(m::TOPICS)[0];
    assert_eq!(
        (topic.i16(m::metadata_response_topic::ERROR_CODE), topic.int(m::metadata_response_topic::ERROR_CODE)),
        (29, 29)
    );
    assert!(topic.bool(m::metadata_response_topic::IS_INTERNAL) && topic.is_null(m::metadata_response_topic::NAME));
    assert_eq!(topic.uuid(m::metadata_response_topic::TOPIC_ID), TopicId([1; 16]));
    assert_eq!((response.str(m::CLUSTER_ID), response.i32(m::THROTTLE_TIME_MS)), ("abc", 5));
    let replicas = topic
        .child(m::metadata_response_topic::PARTITIONS)
        .with(m::metadata_response_partition::REPLICA_NODES, vec![1, 2]);
    assert_eq!(replicas.ints(m::metadata_response_partition::REPLICA_NODES), [1, 2]);
    // An empty list is an empty array whatever its elements would be.
    let empty = replicas.with(m::metadata_response_partition::REPLICA_NODES, Vec::<Value>::new());
    assert_eq!(*empty.value(m::metadata_response_partition::REPLICA_NODES), Value::Ints(Vec::new()));
    assert_eq!(
        format!("{response:?}"),
        "MetadataResponse { ThrottleTimeMs: 5, ClusterId: \"abc\", Topics: [MetadataResponseTopic { ErrorCode: 29, \
         Name: null, TopicId: 01010101-0101-0101-0101-010101010101, IsInternal: true }] }"
    );
}

#[test]
fn nested_structs_may_be_null() {
    use describe_topic_partitions::response as d;
    let mut response = Node::new(&d::THIS);
    assert!(response.strct(d::NEXT_CURSOR).is_none() && response.strct_mut(d::NEXT_CURSOR).is_none());
    response.set(d::NEXT_CURSOR, response.child(d::NEXT_CURSOR).with(d::cursor::TOPIC_NAME, "t"));
    if let Some(cursor) = response.strct_mut(d::NEXT_CURSOR) {
        cursor.set(d::cursor::PARTITION_INDEX, 4);
    }
    assert_eq!(response.strct(d::NEXT_CURSOR).map(|cursor| cursor.i32(d::cursor::PARTITION_INDEX)), Some(4));
}

fn written(def: &'static MessageDef, version: i16, node: &Node) -> Bytes {
    let mut out = Rope::new();
    encode(def, version, node, &mut out);
    out.into_bytes()
}

#[test]
fn null_is_written_as_empty_where_the_version_has_no_null() {
    use metadata::request as m;
    let all = Node::new(&m::THIS).with(m::TOPICS, Value::Null);
    assert_eq!(&written(&m::MESSAGE_DEF, 0, &all)[..], [0, 0, 0, 0]);
    assert_eq!(&written(&m::MESSAGE_DEF, 1, &all)[..], [0xff; 4]);
}

#[test]
fn strings_are_cut_at_kafkas_bound_between_characters() {
    use metadata::request as m;
    let long = "é".repeat(20_000);
    let topic = Node::new(&m::metadata_request_topic::THIS).with(m::metadata_request_topic::NAME, long.as_str());
    let bytes = written(&m::MESSAGE_DEF, 1, &Node::new(&m::THIS).with(m::TOPICS, vec![topic]));
    let read = decode(&m::MESSAGE_DEF, 1, &bytes).unwrap();
    assert_eq!(read.nodes(m::TOPICS)[0].str(m::metadata_request_topic::NAME), &long[..32_766]);
}

#[test]
fn strings_and_records_of_a_frame_are_not_copied() {
    use produce::request as p;
    let records = Bytes::from(vec![3; 2000]);
    let mut topic = Node::new(&p::topic_produce_data::THIS).with(p::topic_produce_data::NAME, "orders");
    let partition =
        topic.child(p::topic_produce_data::PARTITION_DATA).with(p::partition_produce_data::RECORDS, records);
    topic.push(p::topic_produce_data::PARTITION_DATA, partition);
    let body = written(&p::MESSAGE_DEF, 9, &Node::new(&p::THIS).with(p::TOPIC_DATA, vec![topic]));
    let read = decode(&p::MESSAGE_DEF, 9, &body).unwrap();
    let topic = &read.nodes(p::TOPIC_DATA)[0];
    let partition = &topic.nodes(p::topic_produce_data::PARTITION_DATA)[0];
    let inside = |slice: &[u8]| body.as_ptr_range().contains(&slice.as_ptr());
    assert!(inside(topic.str(p::topic_produce_data::NAME).as_bytes()));
    let records = partition.bytes(p::partition_produce_data::RECORDS).unwrap();
    assert!(inside(records));
    let mut out = Rope::new();
    encode(&p::MESSAGE_DEF, 9, &read, &mut out);
    assert!(out.into_chunks().any(|chunk| chunk.as_ptr() == records.as_ptr()));
}

#[test]
fn what_is_debugged_shows_no_bytes() {
    use join_group::request as j;
    let protocol = Node::new(&j::join_group_request_protocol::THIS)
        .with(j::join_group_request_protocol::METADATA, Bytes::from_static(b"secret"));
    assert_eq!(format!("{protocol:?}"), "JoinGroupRequestProtocol { Metadata: 6 bytes }");
}

#[test]
fn frames_carry_size_header_and_body() {
    let request = Node::request(ApiKey::METADATA);
    let frame = message::request_frame(ApiKey::METADATA, 1, 9, Some("me"), &request).into_bytes();
    assert_eq!(&frame[..], [0, 0, 0, 16, 0, 3, 0, 1, 0, 0, 0, 9, 0, 2, b'm', b'e', 0, 0, 0, 0]);
    let unsized_frame = frame.slice(4..);
    let (header, read) = message::decode_request(&unsized_frame).unwrap();
    assert_eq!((header.correlation_id, header.client_id, read), (9, Some("me"), request));
    let response = Node::response(ApiKey::METADATA);
    let frame = message::response_frame(ApiKey::METADATA, 9, 9, &response).into_bytes();
    assert_eq!(message::decode_response(ApiKey::METADATA, 9, &frame.slice(4..)), Ok((9, response)));
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    use crate::wire::schema::api_versions::response as a;
    let response = Node::new(&a::THIS).with(a::ERROR_CODE, ErrorCode::UNSUPPORTED_VERSION);
    let frame = message::response_frame(ApiKey::API_VERSIONS, 0, 1, &response).into_bytes();
    assert_eq!(message::decode_response(ApiKey::API_VERSIONS, 4, &frame.slice(4..)), Ok((1, response)));
}
