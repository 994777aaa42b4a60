//! What the proxy asks Metadata for on its own account, before it can judge or answer: nothing of it reaches a client.

use super::judge::Judge;
use super::rule::{Complete, Completed};
use crate::model::TopicId;
use crate::policy::Permit;
use crate::wire::schema::metadata::request::{self as req, metadata_request_topic as topic};
use crate::wire::schema::metadata::response::{self as res, metadata_response_topic as known};
use crate::wire::{ApiKey, Node, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Names of topics that were looked up.
pub(super) type Names = HashMap<TopicId, Arc<str>>;

/// The version asked for, where the broker has it: ids have no names in requests before 12, and what is named is not
/// created from 4 on.
const VERSION: i16 = 12;

/// Which topics are asked for.
pub(super) enum Topics<'n> {
    /// All there are.
    All,
    /// These, whether they exist or not.
    Named(Vec<&'n str>),
    /// Those with these ids.
    WithIds(Vec<TopicId>),
}

/// The version and body of the request.
pub(super) fn metadata(judge: &Judge<'_>, topics: &Topics<'_>) -> (i16, Node) {
    let version = judge.broker_versions(ApiKey::METADATA).map_or(VERSION, |served| served.max.min(VERSION));
    let mut body = Node::request(ApiKey::METADATA).with(req::ALLOW_AUTO_TOPIC_CREATION, false);
    match topics {
        Topics::All => body.set(req::TOPICS, Value::Null),
        Topics::Named(names) => {
            let of = |name: &&str| Node::new(&topic::THIS).with(topic::NAME, *name);
            body.set(req::TOPICS, names.iter().map(of).collect::<Vec<_>>());
        }
        Topics::WithIds(ids) => {
            let of = |id: &TopicId| Node::new(&topic::THIS).with(topic::TOPIC_ID, *id).with(topic::NAME, Value::Null);
            body.set(req::TOPICS, ids.iter().map(of).collect::<Vec<_>>());
        }
    }
    (version, body)
}

/// The names of the topics that an answer knows.
pub(super) fn names(answer: &Node) -> Names {
    let known = answer.nodes(res::TOPICS).iter().filter(|topic| topic.int(known::ERROR_CODE) == 0);
    known.map(|topic| (topic.uuid(known::TOPIC_ID), topic.str(known::NAME).into())).collect()
}

/// Asks for the names of these topics before an answer goes on.
pub(super) fn ask_names(
    mut ids: Vec<TopicId>,
    permit: Permit,
    judge: &Judge<'_>,
    then: Box<dyn Complete>,
) -> Completed {
    ids.sort_unstable();
    ids.dedup();
    let (version, body) = metadata(judge, &Topics::WithIds(ids));
    Completed::Ask { permit, key: ApiKey::METADATA, version, body, then }
}
