//! The clients of the demo: stubborn ones, which go on asking whatever they are told.

use super::News;
use super::client::{Client, ClientError};
use super::files::{Layout, Person};
use crate::clock::now;
use crate::cluster::batch::{Builder, Record, Stamp};
use crate::cluster::records;
use crate::wire::schema::{create_topics as ct, fetch as f, metadata as m, produce as p};
use crate::wire::{ApiKey, ErrorCode, Node};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a client waits before it asks again.
const EVERY: Duration = Duration::from_secs(3);
/// How long a fetch waits for records.
const FETCH_MS: i32 = 2000;

/// The topics of the demo.
const TOPICS: [&str; 3] = ["orders", "payments", "pii.people"];

/// What a client does.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    Produce,
    Consume,
}

/// A client.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    person: Person,
    doing: Doing,
    topic: &'static str,
    port: u16,
}

/// What a client met; told when it is not what it met before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) who: &'static str,
    pub(super) doing: Doing,
    pub(super) topic: &'static str,
    pub(super) outcome: Result<(), String>,
}

/// Who does what.
pub(super) fn cast(layout: &Layout) -> Vec<Actor> {
    let actor =
        |person: Person, doing: Doing, topic: &'static str| Actor { person, doing, topic, port: layout.port(person) };
    vec![
        actor(Person::Alice, Doing::Produce, "orders"),
        actor(Person::Alice, Doing::Consume, "orders"),
        actor(Person::Bob, Doing::Produce, "payments"),
        actor(Person::Bob, Doing::Consume, "pii.people"),
        // What the temporary grant is about.
        actor(Person::Bob, Doing::Produce, "orders"),
    ]
}

/// Makes the topics, at the broker itself.
pub(super) async fn make_topics(broker: SocketAddr) -> io::Result<()> {
    use ct::request::{TOPICS as FIELD, creatable_topic as t};
    let mut request = Node::request(ApiKey::CREATE_TOPICS);
    for topic in TOPICS {
        let row = request.child(FIELD).with(t::NAME, topic).with(t::NUM_PARTITIONS, 1);
        request.push(FIELD, row.with(t::REPLICATION_FACTOR, 1));
    }
    let made = async { Client::connect(broker, "kordon-demo").await?.ask(ApiKey::CREATE_TOPICS, 7, &request).await };
    made.await.map(|_| ()).map_err(|error: ClientError| io::Error::other(error.to_string()))
}

/// Acts until it is stopped.
pub(super) async fn act(actor: Actor, news: mpsc::Sender<News>) {
    let mut last = None;
    let mut state = State::default();
    loop {
        let outcome = match state.ask(&actor).await {
            Ok(ErrorCode::NONE) => Ok(()),
            Ok(code) => Err(code.name().to_owned()),
            Err(error) => {
                state = State::default();
                Err(error.to_string())
            }
        };
        if last.as_ref() != Some(&outcome) {
            last = Some(outcome.clone());
            let met = Met { who: actor.person.name(), doing: actor.doing, topic: actor.topic, outcome };
            if news.send(News::Client(met)).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Connections that last as long as they can, and the offset to read from.
#[derive(Default)]
struct State {
    /// Kept until the leader is known: who is refused asks again on the same connection.
    bootstrap: Option<Client>,
    leader: Option<Client>,
    offset: i64,
}

impl State {
    /// Asks once, and tells how it ended.
    async fn ask(&mut self, actor: &Actor) -> Result<ErrorCode, ClientError> {
        if let Some(leader) = &mut self.leader {
            return match actor.doing {
                Doing::Produce => produce(leader, actor).await,
                Doing::Consume => consume(leader, actor.topic, &mut self.offset).await,
            };
        }
        let mut bootstrap = match self.bootstrap.take() {
            Some(client) => client,
            None => Client::connect(("127.0.0.1", actor.port), &actor.client_id()).await?,
        };
        match leader(&mut bootstrap, actor).await? {
            Ok(client) => self.leader = Some(client),
            Err(code) => {
                self.bootstrap = Some(bootstrap);
                return Ok(code);
            }
        }
        Box::pin(self.ask(actor)).await
    }
}

impl Actor {
    fn client_id(&self) -> String {
        let doing = match self.doing {
            Doing::Produce => "producer",
            Doing::Consume => "consumer",
        };
        format!("demo-{}-{doing}", self.person.name())
    }
}

/// Asks, as clients do, who leads the topic's partition, and connects to that address.
async fn leader(bootstrap: &mut Client, actor: &Actor) -> Result<Result<Client, ErrorCode>, ClientError> {
    use m::request::{ALLOW_AUTO_TOPIC_CREATION, TOPICS, metadata_request_topic as q};
    use m::response::{self as r, metadata_response_broker as b, metadata_response_topic as t};
    let mut request = Node::request(ApiKey::METADATA).with(ALLOW_AUTO_TOPIC_CREATION, false);
    let row = request.child(TOPICS).with(q::NAME, actor.topic);
    request.push(TOPICS, row);
    let answer = bootstrap.ask(ApiKey::METADATA, 9, &request).await?;
    let code = answer.nodes(r::TOPICS).first().map_or(ErrorCode::NONE, |t| ErrorCode(t.i16(t::ERROR_CODE)));
    if !code.is_none() {
        return Ok(Err(code));
    }
    let Some(broker) = answer.nodes(r::BROKERS).first() else { return Ok(Err(ErrorCode::BROKER_NOT_AVAILABLE)) };
    let port = u16::try_from(broker.i32(b::PORT)).unwrap_or_default();
    Ok(Ok(Client::connect((broker.str(b::HOST), port), &actor.client_id()).await?))
}

async fn produce(client: &mut Client, actor: &Actor) -> Result<ErrorCode, ClientError> {
    use p::request::{self as q, partition_produce_data as part, topic_produce_data as t};
    use p::response::{self as r, partition_produce_response as answered, topic_produce_response as topic};
    let timestamp = now().0;
    let value = format!("an order of {}", actor.person.name());
    let mut batch = Builder::default();
    batch.push(Record { timestamp, key: None, value: Some(value.as_bytes()), headers: &[] });
    let batch = batch.finish(Stamp { producer: -1, epoch: -1, sequence: -1 });
    let mut request = Node::request(ApiKey::PRODUCE).with(q::ACKS, -1).with(q::TIMEOUT_MS, 10_000);
    let mut row = request.child(q::TOPIC_DATA).with(t::NAME, actor.topic);
    let data = row.child(t::PARTITION_DATA).with(part::RECORDS, Bytes::from(batch));
    row.push(t::PARTITION_DATA, data);
    request.push(q::TOPIC_DATA, row);
    let answer = client.ask(ApiKey::PRODUCE, 9, &request).await?;
    let row = answer.nodes(r::RESPONSES).first().and_then(|row| row.nodes(topic::PARTITION_RESPONSES).first());
    Ok(row.map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |row| ErrorCode(row.i16(answered::ERROR_CODE))))
}

async fn consume(client: &mut Client, topic: &str, offset: &mut i64) -> Result<ErrorCode, ClientError> {
    let answer = client.ask(ApiKey::FETCH, 12, &fetch(topic, &[(0, *offset)])).await?;
    let Some((_, code, records)) = fetched(&answer).next() else { return Ok(ErrorCode::NONE) };
    // Whatever somebody wrote there.
    if let Some(next) = records::end(&records) {
        *offset = next;
    }
    Ok(code)
}

/// A fetch without a session, of partitions and offsets.
pub(super) fn fetch(topic: &str, partitions: &[(i32, i64)]) -> Node {
    use f::request::{self as q, fetch_partition as part, fetch_topic as t};
    let mut request = Node::request(ApiKey::FETCH).with(q::MAX_WAIT_MS, FETCH_MS).with(q::MIN_BYTES, 1);
    let mut row = request.child(q::TOPICS).with(t::TOPIC, topic);
    for (partition, offset) in partitions {
        let wanted = row.child(t::PARTITIONS).with(part::PARTITION, *partition).with(part::FETCH_OFFSET, *offset);
        row.push(t::PARTITIONS, wanted.with(part::PARTITION_MAX_BYTES, 1 << 20));
    }
    request.push(q::TOPICS, row);
    request
}

/// Partition, error and records of the partitions of an answer.
pub(super) fn fetched(answer: &Node) -> impl Iterator<Item = (i32, ErrorCode, Bytes)> {
    use f::response::{self as r, fetchable_topic_response as t, partition_data as p};
    answer.nodes(r::RESPONSES).iter().flat_map(|topic| topic.nodes(t::PARTITIONS)).map(|row| {
        let records = row.bytes(p::RECORDS).cloned().unwrap_or_default();
        (row.i32(p::PARTITION_INDEX), ErrorCode(row.i16(p::ERROR_CODE)), records)
    })
}
