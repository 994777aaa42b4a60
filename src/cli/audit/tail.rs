//! `kordon audit tail`: follows the audit topic, with the login of the proxy's own traffic or at given brokers.

use super::super::{ConfigFile, Failure, online};
use super::{login, text};
use crate::cluster::link::Link;
use crate::cluster::{AskError, Cluster, records};
use crate::config::{self, HostPort};
use crate::model::shown;
use crate::wire::schema::fetch::request as fetch;
use crate::wire::schema::fetch::response as fetched;
use crate::wire::schema::list_offsets::request as list;
use crate::wire::schema::list_offsets::response as listed;
use crate::wire::{ApiKey, ErrorCode, Node};
use clap::Args;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinSet;

/// Newer versions of Fetch name topics by id.
const BY_NAME: i16 = 12;
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;
/// How long brokers may wait for the next event.
const WAIT_MS: i32 = 500;
const PIECE: i32 = 4 << 20;

/// Arguments of `kordon audit tail`.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Begin with the oldest event that the topic still has.
    #[arg(long)]
    from_beginning: bool,
    /// Stop at what is the end now.
    #[arg(long)]
    until_end: bool,
    /// Denied decisions only.
    #[arg(long)]
    denied: bool,
    /// Decisions about this principal only, as in `User:alice`.
    #[arg(long)]
    principal: Option<String>,
    /// Whole events, one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Another topic than the configuration's.
    #[arg(long)]
    topic: Option<String>,
    /// Brokers, or a proxy, to read from as any client, in place of the configuration's; repeatable.
    #[arg(long = "bootstrap-server", value_name = "HOST:PORT")]
    bootstrap: Vec<String>,
    /// The login for them: a properties file, as Apache's tools take it.
    #[arg(long = "command-config", value_name = "FILE", requires = "bootstrap")]
    command_config: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Tail {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Failure> {
        let (cluster, topic) = self.source()?;
        online::run(self.follow(&cluster, &topic, out, err))
    }

    fn source(&self) -> Result<(config::Cluster, String), Failure> {
        if self.bootstrap.is_empty() {
            let config = self.config.load()?;
            let topic = self.topic.clone().unwrap_or(config.audit.topic);
            return Ok((config.cluster, topic));
        }
        let parse = |text: &String| {
            let advice = || Failure::Bad(format!("`{text}` is no host and port: write them as in `kafka-1:9092`"));
            text.parse::<HostPort>().map_err(|_| advice())
        };
        let bootstrap = self.bootstrap.iter().map(parse).collect::<Result<_, _>>()?;
        let topic = self.topic.clone().unwrap_or_else(|| config::Audit::default().topic);
        let access = self.command_config.as_deref().map(login::read).transpose()?.unwrap_or_default();
        let plain = config::Cluster::plain("bootstrap-server", bootstrap);
        Ok((config::Cluster { tls: access.tls, sasl: access.sasl, ..plain }, topic))
    }

    async fn follow(
        &self,
        config: &config::Cluster,
        topic: &str,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<(), Failure> {
        let cluster = online::reach(config).await?;
        let mut leaders = leaders(&cluster, topic).await?;
        let ends = offsets(&leaders, topic, LATEST).await?;
        let mut at = if self.from_beginning { offsets(&leaders, topic, EARLIEST).await? } else { ends.clone() };
        loop {
            if self.until_end && ends.iter().all(|(partition, end)| at.get(partition).is_none_or(|at| at >= end)) {
                return Ok(());
            }
            let (answers, mut stale) = ask(&leaders, topic, &at).await;
            for answer in answers {
                for part in pieces(&answer) {
                    match ErrorCode(part.i16(fetched::partition_data::ERROR_CODE)) {
                        ErrorCode::NONE => self.print(part, &mut at, out)?,
                        ErrorCode::OFFSET_OUT_OF_RANGE => {
                            let partition = part.i32(fetched::partition_data::PARTITION_INDEX);
                            let start = offsets(&leaders, topic, EARLIEST).await?;
                            writeln!(err, "partition {partition}: events were removed before they could be read")?;
                            at.extend(start.into_iter().filter(|(p, _)| *p == partition));
                        }
                        refused @ (ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::GROUP_AUTHORIZATION_FAILED) => {
                            return Err(Failure::Failed(format!("cannot read topic `{topic}`: {}", refused.name())));
                        }
                        // A leader moved, or is on its way.
                        _ => stale = true,
                    }
                }
            }
            out.flush()?;
            if stale {
                tokio::time::sleep(Duration::from_millis(250)).await;
                leaders = self::leaders(&cluster, topic).await.unwrap_or(leaders);
            }
        }
    }

    /// Prints what a partition's piece holds and moves on behind it.
    fn print(&self, part: &Node, at: &mut BTreeMap<i32, i64>, out: &mut dyn Write) -> Result<(), Failure> {
        let partition = part.i32(fetched::partition_data::PARTITION_INDEX);
        let Some(bytes) = part.bytes(fetched::partition_data::RECORDS) else { return Ok(()) };
        let Some(position) = at.get_mut(&partition) else { return Ok(()) };
        let records = records::read(bytes, *position)
            .map_err(|cause| Failure::Failed(format!("partition {partition}: {cause}")))?;
        for value in records.records.into_iter().filter_map(|record| record.value) {
            let Ok(event) = serde_json::from_slice::<Value>(value) else {
                // Somebody else wrote to the topic: worth seeing, unless something else is looked for.
                if self.wants(&Value::Null) {
                    writeln!(out, "no event: {}", shown(&String::from_utf8_lossy(value)))?;
                }
                continue;
            };
            if !self.wants(&event) {
                continue;
            }
            if self.json && !value.contains(&b'\n') {
                // The very bytes: what was signed or hashed can be checked.
                out.write_all(value)?;
                writeln!(out)?;
            } else if self.json {
                writeln!(out, "{event}")?;
            } else {
                writeln!(out, "{}", text::line(&event))?;
            }
        }
        *position = records.next.unwrap_or(*position);
        Ok(())
    }

    fn wants(&self, event: &Value) -> bool {
        let principal = event.pointer("/data/authenticationInfo/principal").and_then(Value::as_str);
        let granted = event.pointer("/data/authorizationInfo/granted").and_then(Value::as_bool);
        (!self.denied || granted == Some(false))
            && self.principal.as_deref().is_none_or(|wanted| principal == Some(wanted))
    }
}

/// The partitions of a topic by the connection to their leader.
struct Leader {
    link: Link,
    partitions: Vec<i32>,
}

async fn leaders(cluster: &Cluster, topic: &str) -> Result<Vec<Leader>, Failure> {
    let refused = |cause: AskError| Failure::Failed(format!("cannot read topic `{topic}`: {cause}"));
    let mut by_broker: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (partition, leader) in (0..).zip(cluster.leaders(topic).await.map_err(refused)?) {
        if let Some(leader) = leader {
            by_broker.entry(leader).or_default().push(partition);
        }
    }
    let leaders: Vec<Leader> = by_broker
        .into_iter()
        .filter_map(|(broker, partitions)| Some(Leader { link: cluster.link(broker)?, partitions }))
        .collect();
    if leaders.is_empty() {
        Err(Failure::Failed(format!("no leader of topic `{topic}` can be reached")))
    } else {
        Ok(leaders)
    }
}

/// The offset of each partition at a time, [`EARLIEST`] or [`LATEST`].
async fn offsets(leaders: &[Leader], topic: &str, time: i64) -> Result<BTreeMap<i32, i64>, Failure> {
    let mut found = BTreeMap::new();
    for Leader { link, partitions } in leaders {
        let mut request = Node::request(ApiKey::LIST_OFFSETS).with(list::REPLICA_ID, -1);
        let mut asked = request.child(list::TOPICS).with(list::list_offsets_topic::NAME, topic);
        for partition in partitions {
            let one = asked
                .child(list::list_offsets_topic::PARTITIONS)
                .with(list::list_offsets_partition::PARTITION_INDEX, *partition)
                .with(list::list_offsets_partition::TIMESTAMP, time);
            asked.push(list::list_offsets_topic::PARTITIONS, one);
        }
        request.push(list::TOPICS, asked);
        let answer = link.call(ApiKey::LIST_OFFSETS, &request).await;
        let answer = answer.map_err(|cause| Failure::Failed(format!("cannot read topic `{topic}`: {cause}")))?;
        for part in
            answer.nodes(listed::TOPICS).iter().flat_map(|t| t.nodes(listed::list_offsets_topic_response::PARTITIONS))
        {
            use listed::list_offsets_partition_response as one;
            match ErrorCode(part.i16(one::ERROR_CODE)) {
                ErrorCode::NONE => {
                    found.insert(part.i32(one::PARTITION_INDEX), part.int(one::OFFSET));
                }
                code => return Err(Failure::Failed(format!("cannot read topic `{topic}`: {}", code.name()))),
            }
        }
    }
    Ok(found)
}

/// Fetches from every leader at once; also tells whether one could not be asked.
async fn ask(leaders: &[Leader], topic: &str, at: &BTreeMap<i32, i64>) -> (Vec<Node>, bool) {
    let mut calls = JoinSet::new();
    for Leader { link, partitions } in leaders {
        let mut request = Node::request(ApiKey::FETCH)
            .with(fetch::REPLICA_ID, -1)
            .with(fetch::MAX_WAIT_MS, WAIT_MS)
            .with(fetch::MIN_BYTES, 1)
            .with(fetch::MAX_BYTES, PIECE)
            .with(fetch::SESSION_EPOCH, -1);
        let mut asked = request.child(fetch::TOPICS).with(fetch::fetch_topic::TOPIC, topic);
        for (partition, offset) in partitions.iter().filter_map(|p| Some((*p, *at.get(p)?))) {
            let one = asked
                .child(fetch::fetch_topic::PARTITIONS)
                .with(fetch::fetch_partition::PARTITION, partition)
                .with(fetch::fetch_partition::FETCH_OFFSET, offset)
                .with(fetch::fetch_partition::PARTITION_MAX_BYTES, PIECE);
            asked.push(fetch::fetch_topic::PARTITIONS, one);
        }
        request.push(fetch::TOPICS, asked);
        let link = link.clone();
        calls.spawn(async move { link.call_at_most(ApiKey::FETCH, BY_NAME, &request).await });
    }
    let mut stale = false;
    let mut answers = Vec::new();
    for answer in calls.join_all().await {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(_) => stale = true,
        }
    }
    (answers, stale)
}

fn pieces(answer: &Node) -> impl Iterator<Item = &Node> {
    answer.nodes(fetched::RESPONSES).iter().flat_map(|t| t.nodes(fetched::fetchable_topic_response::PARTITIONS))
}

#[cfg(test)]
mod tests;
