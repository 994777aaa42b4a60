//! Answers to Fetch: small ones gathered, large ones changed on their way, in any pieces, whole or damaged.

use crate::allocator::peak;
use crate::input::{Input, damage};
use crate::messages::{Style, Subject, message};
use crate::stage::{BROKER_HOST, LIMITS, Stage, TOLD_HOST, drain, frames, tame};
use bytes::Bytes;
use kordon::model::TopicId;
use kordon::wire::schema::fetch::{request as req, response as res};
use kordon::wire::{ApiKey, Node, api, message as frame};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Answers up to this size are gathered; what is larger streams.
const GATHERED: usize = 1 << 20;
/// What the machine holds of an answer beside the piece that arrives: what is gathered, twice while it is made anew.
const HELD: usize = 4 * GATHERED;

/// A full fetch of a topic that may be read, and of one that may not.
fn request(version: i16, denied: bool) -> Node {
    use req::fetch_topic;
    let mut node = Node::request(ApiKey::FETCH).with(req::SESSION_EPOCH, -1);
    for (name, id) in [("open", 1), ("closed", 4)].into_iter().take(1 + usize::from(denied)) {
        let mut topic = node.child(req::TOPICS);
        topic.set(fetch_topic::TOPIC, name);
        topic.set(fetch_topic::TOPIC_ID, if version >= 13 { TopicId([id; 16]) } else { TopicId::ZERO });
        let partition = topic.child(fetch_topic::PARTITIONS);
        topic.push(fetch_topic::PARTITIONS, partition);
        node.push(req::TOPICS, topic);
    }
    node
}

fn answer(version: i16, seed: u64, records: usize) -> Node {
    use res::{fetchable_topic_response, node_endpoint, partition_data};
    let api = api(ApiKey::FETCH).unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut node = message(Subject { api, response: true, version }, Style::Random, seed);
    tame(&mut node, &mut rng);
    let mut topic = node.child(res::RESPONSES);
    let partition = topic.child(fetchable_topic_response::PARTITIONS);
    let partition = partition.with(partition_data::RECORDS, Bytes::from(vec![7; records]));
    topic.push(fetchable_topic_response::PARTITIONS, partition);
    node.push(res::RESPONSES, topic);
    for endpoint in node.nodes_mut(res::NODE_ENDPOINTS) {
        endpoint.set(node_endpoint::HOST, BROKER_HOST);
    }
    node
}

pub(super) fn fetch_answer(data: &[u8]) {
    let mut input = Input(data);
    let versions = api(ApiKey::FETCH).unwrap().versions;
    let version = versions.min + input.below((versions.max - versions.min + 1) as usize) as i16;
    let flags = input.byte();
    let (denied, large) = (flags & 1 != 0, flags & 14 == 14);
    let seed = u64::from(input.u32());
    let mut stage = Stage::new(3, LIMITS);
    let asked = frame::request_frame(ApiKey::FETCH, version, 7, Some("fuzz"), &request(version, denied)).into_bytes();
    stage.client(&asked).expect("well-formed");
    if stage.machine.closing().is_some() || stage.machine.to_broker.is_empty() {
        return;
    }
    let node = answer(version, seed, if large { GATHERED + input.u16() } else { input.below(300) });
    let whole = frame::response_frame(ApiKey::FETCH, version, 7, &node).into_bytes();
    let (mut bytes, harm) = (whole.to_vec(), input.below(5));
    if harm > 0 {
        let mut tail = bytes.split_off(bytes.len().saturating_sub(200).max(4));
        damage(if flags & 16 == 0 { &mut tail } else { &mut bytes }, &mut input, harm);
        bytes.extend(tail);
        if flags & 32 == 0 && bytes.len() > 4 {
            let size = (bytes.len() as i32 - 4).to_be_bytes();
            bytes[..4].copy_from_slice(&size);
        }
    }
    let piece = if large { 60_000 + input.u16() } else { 1 + input.below(500) };
    let mut seen = Vec::new();
    let mut failed = false;
    for part in bytes.chunks(piece) {
        let (result, most) = peak(|| stage.broker(part));
        assert!(most <= HELD + 4 * piece, "{most} bytes were held for pieces of {piece}");
        seen.extend(drain(&mut stage.machine.to_client, usize::MAX));
        if result.is_err() {
            failed = true;
            break;
        }
    }
    if harm > 0 && bytes != whole {
        return;
    }
    assert!(!failed && stage.machine.closing().is_none() && stage.machine.is_idle(), "an honest answer goes through");
    let told = frames(&mut seen);
    assert_eq!((told.len(), seen.len()), (1, 0));
    let (id, got) = frame::decode_response(ApiKey::FETCH, version, &told[0]).expect("what is written can be read");
    assert_eq!(id, 7);
    assert_eq!(got.nodes(res::RESPONSES).len(), node.nodes(res::RESPONSES).len() + usize::from(denied));
    for endpoint in got.nodes(res::NODE_ENDPOINTS) {
        assert_eq!(endpoint.str(res::node_endpoint::HOST), TOLD_HOST, "the broker's address is told");
    }
}
