//! The memory that requests take while they come and wait.

use super::*;

/// A Produce request of this many bytes of records and a little more.
fn large_request(bytes: usize) -> Vec<u8> {
    use produce::request::{ACKS, TOPIC_DATA, partition_produce_data, topic_produce_data};
    let mut request = Node::request(ApiKey::PRODUCE).with(ACKS, -1_i16);
    let mut topic = request.child(TOPIC_DATA).with(topic_produce_data::NAME, "open");
    let records = topic
        .child(topic_produce_data::PARTITION_DATA)
        .with(partition_produce_data::RECORDS, Bytes::from(vec![0; bytes]));
    topic.push(topic_produce_data::PARTITION_DATA, records);
    request.push(TOPIC_DATA, topic);
    message::request_frame(ApiKey::PRODUCE, 9, 1, Some("tests"), &request).into_bytes().to_vec()
}

/// Sends as the shell does: never more than there is room for. Returns the sizes of the reads and the most memory held.
fn send(stage: &mut Stage, mut bytes: &[u8]) -> (Vec<usize>, usize) {
    let (mut reads, mut most) = (Vec::new(), 0);
    while !bytes.is_empty() && stage.machine.wants_client() {
        let room = stage.machine.client_room();
        let before = stage.machine.from_client.as_ptr();
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        stage.machine.from_client.extend_from_slice(now);
        assert_eq!(stage.machine.from_client.as_ptr(), before, "there was room for what was asked for");
        (bytes, most) = (later, most.max(stage.machine.from_client.capacity()));
        reads.push(now.len());
        stage.input(Input::Client);
    }
    (reads, most)
}

#[test]
fn an_announced_size_alone_gets_no_memory() {
    let mut stage = Stage::new(OPEN);
    let (_, most) = send(&mut stage, &[0, 0x0f, 0xff, 0xff, 0, 0, 0, 9]);
    stage.machine.client_room();
    assert!(most.max(stage.machine.from_client.capacity()) <= 128 * 1024, "{most}");
}

#[test]
fn a_large_request_is_read_to_its_end_and_memory_follows_what_has_come() {
    let mut stage = Stage::new(OPEN);
    let request = large_request(600_000);
    let two = [request.as_slice(), request.as_slice()].concat();
    let (reads, most) = send(&mut stage, &two);
    assert_eq!(reads.iter().sum::<usize>(), request.len(), "what comes behind it stays in the socket");
    assert!(most < 2 * request.len(), "{most}");
    assert_eq!(drained(&mut stage.machine.to_broker), request);
    stage.input(Input::Tick);
    let (reads, _) = send(&mut stage, &request);
    assert_eq!(reads.len(), 2, "its head, and then all of it: one as large has come before");
    assert_eq!(drained(&mut stage.machine.to_broker), request);
}

#[test]
fn a_client_is_not_read_while_the_broker_does_not_take_what_it_sent() {
    let mut stage = Stage::new(OPEN);
    send(&mut stage, &large_request(600_000));
    assert!(!stage.machine.wants_client());
    drained(&mut stage.machine.to_broker);
    assert!(stage.machine.wants_client());
}

#[test]
fn small_pieces_that_wait_share_the_memory_they_were_read_into() {
    let mut stage = Stage::new(OPEN);
    let request = message::request_frame(ApiKey::PRODUCE, 9, 1, Some("tests"), &produce(&["open"], 0)).into_bytes();
    let (mut rooms, mut sent) = (std::collections::BTreeSet::new(), 0);
    while stage.machine.wants_client() {
        sent += 1;
        assert!(stage.machine.client_room() >= request.len());
        stage.machine.from_client.extend_from_slice(&request);
        rooms.insert(stage.machine.from_client.as_ptr() as usize / (64 * 1024));
        stage.input(Input::Client);
    }
    let waiting = stage.machine.to_broker.len();
    assert!(sent > 1_000 && waiting >= 256 * 1024);
    assert!(rooms.len() < 20, "{} rooms of 64 KiB are held for {waiting} bytes that wait", rooms.len());
}
