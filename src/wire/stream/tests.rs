use super::*;
use crate::wire::schema::fetch::response as f;
use crate::wire::{Scan, decode, encode};
use bytes::Bytes;

fn fetch_response(version: i16, topics: usize) -> Bytes {
    let mut message = Node::new(&f::THIS).with(f::SESSION_ID, 5);
    for topic in 0..topics {
        let mut response =
            message.child(f::RESPONSES).with(f::fetchable_topic_response::TOPIC, format!("topic-{topic}"));
        for index in 0..2 {
            let mut partition = response
                .child(f::fetchable_topic_response::PARTITIONS)
                .with(f::partition_data::PARTITION_INDEX, index)
                .with(f::partition_data::RECORDS, Bytes::from(vec![0xee; 3000]));
            let aborted = partition.child(f::partition_data::ABORTED_TRANSACTIONS);
            partition.push(f::partition_data::ABORTED_TRANSACTIONS, aborted);
            let leader = partition.child(f::partition_data::CURRENT_LEADER).with(f::leader_id_and_epoch::LEADER_ID, 3);
            partition.set(f::partition_data::CURRENT_LEADER, leader);
            response.push(f::fetchable_topic_response::PARTITIONS, partition);
        }
        message.push(f::RESPONSES, response);
    }
    let endpoint = message.child(f::NODE_ENDPOINTS).with(f::node_endpoint::HOST, "höst");
    message.push(f::NODE_ENDPOINTS, endpoint);
    let mut out = Rope::new();
    encode(&f::MESSAGE_DEF, version, &message, &mut out);
    out.into_bytes()
}

/// Feeds pieces of this size and gives all events.
fn events(def: &'static MessageDef, version: i16, body: &[u8], piece: usize) -> Result<Vec<Event>, WireError> {
    let mut walker = StreamWalker::new(def, version, body.len())?;
    let mut events = Vec::new();
    let pieces: Vec<&[u8]> = if body.is_empty() { vec![body] } else { body.chunks(piece).collect() };
    for mut rest in pieces {
        loop {
            let progress = walker.feed(rest)?;
            rest = &rest[progress.used..];
            match progress.event {
                Some(event) => events.push(event),
                None => break,
            }
        }
        assert!(rest.is_empty());
    }
    assert_eq!(events.last(), Some(&Event::End), "a walker that was fed everything knows");
    Ok(events)
}

#[test]
fn events_do_not_depend_on_how_the_body_is_split() {
    for version in f::MESSAGE_DEF.versions.iter() {
        let body = fetch_response(version, 3);
        let whole = events(&f::MESSAGE_DEF, version, &body, body.len()).unwrap();
        for piece in [1, 2, 3, 7, 100, 1000, 4099] {
            assert_eq!(events(&f::MESSAGE_DEF, version, &body, piece), Ok(whole.clone()));
        }
        let flexible = f::MESSAGE_DEF.flexible.contains(version);
        assert_eq!(whole.iter().filter(|event| matches!(event, Event::Tags { .. })).count(), usize::from(flexible));
        assert_eq!(whole.len(), if flexible { 5 } else { 4 });
    }
}

#[test]
fn elements_can_be_added_where_the_events_say() {
    for version in f::MESSAGE_DEF.versions.iter() {
        let body = fetch_response(version, 130);
        let events = events(&f::MESSAGE_DEF, version, &body, 500).unwrap();
        let (mut changed, mut from) = (Rope::new(), 0);
        let extra = Node::new(&f::fetchable_topic_response::THIS).with(f::fetchable_topic_response::TOPIC, "denied");
        for event in events {
            match event {
                Event::ArrayCount { field, at, count } => {
                    changed.push(&body[from..at.start]);
                    write_count(&f::MESSAGE_DEF, version, field, count.unwrap() + 1, &mut changed);
                    from = at.end;
                }
                Event::ArrayEnd { field, at } => {
                    changed.push(&body[from..at]);
                    write_element(&f::MESSAGE_DEF, version, field, &extra, &mut changed);
                    from = at;
                }
                Event::ArrayStart { .. } | Event::Tags { .. } | Event::End => {}
            }
        }
        changed.push(&body[from..]);
        let mut expected = decode(&f::MESSAGE_DEF, version, &body).unwrap();
        let mut extra = extra;
        if version >= 13 {
            extra.set(f::fetchable_topic_response::TOPIC, "");
        }
        expected.push(f::RESPONSES, extra);
        assert!(decode(&f::MESSAGE_DEF, version, &changed.into_bytes()).unwrap() == expected);
    }
}

#[test]
fn the_walker_refuses_what_a_scan_refuses() {
    let body = fetch_response(17, 2);
    let mut scan = Scan::new();
    let mut refused = 0;
    // Every byte outside the records, changed in three ways; and every length.
    for at in (0..body.len()).filter(|at| body[*at] != 0xee || body[at.saturating_sub(1)] != 0xee) {
        for change in [0x01, 0x80, 0xff] {
            let mut bad = body.to_vec();
            bad[at] ^= change;
            let by_scan = scan.read(&f::MESSAGE_DEF, 17, &bad).map(|_| ());
            let by_stream = events(&f::MESSAGE_DEF, 17, &bad, 64).map(|_| ());
            assert_eq!(by_stream, by_scan, "byte {at} changed by {change}");
            refused += usize::from(by_scan.is_err());
        }
        let by_scan = scan.read(&f::MESSAGE_DEF, 17, &body[..at]).map(|_| ());
        assert_eq!(events(&f::MESSAGE_DEF, 17, &body[..at], 64).map(|_| ()), by_scan, "cut at {at}");
        assert!(by_scan.is_err());
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn nothing_may_follow_the_end() {
    let body = fetch_response(4, 0);
    let mut walker = StreamWalker::new(&f::MESSAGE_DEF, 4, body.len()).unwrap();
    let mut rest = &body[..];
    while let Progress { used, event: Some(_) } = walker.feed(rest).unwrap() {
        rest = &rest[used..];
    }
    assert_eq!(walker.feed(&[0]), Err(WireError::PeerSentTrailingBytes { at: body.len(), count: 1 }));
}
