//! The audit topic, read from the broker itself: what the proxy wrote, not what this process believes.

use super::News;
use super::actors::{fetch, fetched};
use super::client::{Client, ClientError};
use crate::cluster::records;
use crate::wire::schema::metadata as m;
use crate::wire::{ApiKey, Node};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// The audit topic of a configuration that does not name one.
pub(super) const AUDIT_TOPIC: &str = "kordon.audit";
/// How long is waited for the topic to come into being, and after a failure.
const AGAIN: Duration = Duration::from_millis(100);

/// An event of the audit topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Event(Value);

impl Event {
    /// Reads an event; none if it is not JSON.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self)
    }

    /// A text, by JSON pointer; empty if there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it tells of a decision; then, whether it was allowed.
    pub(super) fn granted(&self) -> Option<bool> {
        self.0.pointer("/data/authorizationInfo/granted").and_then(Value::as_bool)
    }

    /// How many decisions it stands for.
    pub(super) fn count(&self) -> u64 {
        self.0.pointer("/data/aggregation/count").and_then(Value::as_u64).unwrap_or(1)
    }

    /// What was decided about: who, operation, resource.
    pub(super) fn demand(&self) -> [&str; 3] {
        [
            self.text("/data/authenticationInfo/principal"),
            self.text("/data/authorizationInfo/operation"),
            self.text("/subject"),
        ]
    }

    /// Kind and id of the rule that decided.
    pub(super) fn matched(&self) -> Option<(&str, &str)> {
        let rule = self.0.pointer("/data/authorizationInfo/matched/0")?;
        Some((rule.get("kind")?.as_str()?, rule.get("id")?.as_str()?))
    }
}

/// Follows the topic until nobody listens.
pub(super) async fn follow(broker: SocketAddr, news: mpsc::Sender<News>) {
    let mut offsets = Vec::new();
    while !news.is_closed() {
        if let Err(error) = read(broker, &mut offsets, &news).await {
            tracing::debug!(%error, "demo cannot read the audit topic");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn read(broker: SocketAddr, offsets: &mut Vec<(i32, i64)>, news: &mpsc::Sender<News>) -> Result<(), ClientError> {
    let mut client = Client::connect(broker, "kordon-demo").await?;
    if offsets.is_empty() {
        *offsets = partitions(&mut client).await?.map(|partition| (partition, 0)).collect();
    }
    while !offsets.is_empty() && !news.is_closed() {
        let answer = client.ask(ApiKey::FETCH, 12, &fetch(AUDIT_TOPIC, offsets)).await?;
        for (partition, _, batches) in fetched(&answer) {
            let Some((_, offset)) = offsets.iter_mut().find(|(of, _)| *of == partition) else { continue };
            // What cannot be read was not written by the proxy.
            let read = records::read(&batches, *offset).unwrap_or_default();
            for event in read.records.iter().filter_map(|record| Event::read(record.value?)) {
                if news.send(News::Audit(Box::new(event))).await.is_err() {
                    return Ok(());
                }
            }
            *offset = records::end(&batches).unwrap_or(*offset);
        }
    }
    Ok(())
}

/// The partitions of the topic; none while it does not exist.
async fn partitions(client: &mut Client) -> Result<impl Iterator<Item = i32> + use<>, ClientError> {
    use m::request::{ALLOW_AUTO_TOPIC_CREATION, TOPICS, metadata_request_topic as q};
    use m::response::{self as r, metadata_response_topic as t};
    let mut request = Node::request(ApiKey::METADATA).with(ALLOW_AUTO_TOPIC_CREATION, false);
    let row = request.child(TOPICS).with(q::NAME, AUDIT_TOPIC);
    request.push(TOPICS, row);
    let answer = client.ask(ApiKey::METADATA, 9, &request).await?;
    let count = answer.nodes(r::TOPICS).first().map_or(0, |topic| topic.nodes(t::PARTITIONS).len());
    Ok(0..i32::try_from(count).unwrap_or_default())
}
