//! `kordon state init` and whoever looks at the topic without following it.

use super::fold::Fold;
use super::remote::{self, EARLIEST, LATEST, Place};
use super::topic::{self, Configuration, place_of, spec};
use crate::cluster::link::Link;
use crate::cluster::topic::ensure;
use crate::cluster::{AskError, Cluster, records};
use crate::config::Config;
use crate::model::TopicId;
use crate::wire::ErrorCode;
use std::time::Duration;

/// What one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a topic that was just made is waited for.
const APPEARS: Duration = Duration::from_secs(15);

/// How often the leader may give nothing before the end: it waits a second each time.
const MOST_BARREN: u32 = 10;

/// The state topic as it stands.
#[derive(Clone, Debug)]
pub struct Look {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: usize,
    configuration: Configuration,
    replicas: usize,
    /// What its records say; of a topic with several partitions, those of the first.
    pub fold: Fold,
}

impl Look {
    /// Whether it was initialised, and is no copy of one that was.
    pub fn is_initialised(&self) -> bool {
        self.fold.genesis().is_some_and(|genesis| genesis.id == self.id.to_string())
    }

    /// What is not as it should be, and loses nothing by itself, one line each.
    pub fn warnings(&self) -> Vec<String> {
        self.configuration.warnings(self.replicas)
    }

    /// What is wrong with it, one line each.
    pub fn faults(&self, wanted: Option<&str>) -> Vec<String> {
        let mut faults = topic::faults(self.id, self.partitions, wanted);
        faults.extend(self.configuration.faults());
        if let Some(unreadable) = self.fold.unreadable() {
            faults.push(format!("the record at offset {} cannot be read: {}", unreadable.offset, unreadable.cause));
        }
        if !self.is_initialised() {
            faults.push("it is not initialised: run `kordon state init`".to_owned());
        }
        faults
    }
}

/// Why the topic was not initialised, or could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// It would lose something, or take what nobody vouches for: `--force` does it.
    #[error("{0}; `--force` does it all the same")]
    Refused(String),
    /// It did not work.
    #[error("{0}")]
    Failed(String),
}

fn failed(why: impl ToString) -> InitError {
    InitError::Failed(why.to_string())
}

/// Reads the topic to its end; `None`: it does not exist.
///
/// # Errors
/// It cannot be read.
pub async fn look(cluster: &Cluster, config: &Config) -> Result<Option<Look>, InitError> {
    let name = &config.state.topic;
    let info = match cluster.topic(name).await {
        Ok(info) => info,
        Err(AskError::Refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) => return Ok(None),
        Err(error) => return Err(failed(format!("cannot look at topic `{name}`: {error}"))),
    };
    let configuration = Configuration::ask(cluster, name).await;
    let place = place_of(cluster, name, &info).map_err(|halt| failed(halt.what))?;
    let fold = read(&connect(cluster, &place).await?, &place).await?;
    let (partitions, replicas) = (info.partitions.len(), info.partitions.first().map_or(1, |p| p.replicas));
    Ok(Some(Look { id: info.id, partitions, configuration, replicas, fold }))
}

async fn connect(cluster: &Cluster, place: &Place) -> Result<Link, InitError> {
    let upstream = cluster.dialler().dial(&place.address).await.map_err(failed)?;
    Ok(Link::new(upstream, PATIENCE))
}

async fn read(link: &Link, place: &Place) -> Result<Fold, InitError> {
    let unread = |why: String| failed(format!("cannot read topic `{}`: {why}", place.topic));
    let mut ends = [0; 2];
    for (end, which) in ends.iter_mut().zip([EARLIEST, LATEST]) {
        let offset = remote::offset(link, place, which).await.map_err(|e| unread(e.to_string()))?;
        *end = offset.map_err(|code| unread(code.name().to_owned()))?;
    }
    let ([mut position, end], mut fold, mut barren) = (ends, Fold::default(), 0);
    while position < end {
        let round = remote::fetch(link, place, position, Duration::from_secs(1)).await;
        let round = round.map_err(|e| unread(e.to_string()))?;
        if !round.code.is_none() {
            return Err(unread(round.code.name().to_owned()));
        }
        let read = records::read(&round.records, position).map_err(|e| unread(e.to_string()))?;
        read.records.iter().for_each(|r| fold.apply(r.offset, r.key, r.value));
        let next = read.next.unwrap_or(position).max(position);
        barren = if next > position { 0 } else { barren + 1 };
        if barren >= MOST_BARREN {
            return Err(unread(format!("the leader gives no records from offset {position} on, and its end is {end}")));
        }
        position = next;
    }
    Ok(fold)
}

/// Makes the topic where it is missing and writes which one it is; tells its id, and whether something was done.
///
/// # Errors
/// It would lose something and is not forced to, or does not work.
pub async fn init(cluster: &Cluster, config: &Config, force: bool) -> Result<(Look, bool), InitError> {
    let name = &config.state.topic;
    let before = look(cluster, config).await?;
    match &before {
        Some(look) if look.is_initialised() => return Ok((look.clone(), false)),
        Some(look) if !look.fold.is_empty() && !force => {
            let count = look.fold.present().count();
            let why = format!(
                "topic `{name}` holds records with {count} ACLs, and not what says that it is whole: what is lost is not known, \
                 what is there would be in force"
            );
            return Err(InitError::Refused(why));
        }
        None if !force && let Some(id) = &config.state.genesis => {
            let why = format!(
                "topic `{name}` does not exist, and `state.genesis` is `{id}`: a new one holds none of the ACLs of that one"
            );
            return Err(InitError::Refused(why));
        }
        Some(_) => {}
        None => {
            let mut wanted = spec(&config.state);
            wanted.create = true;
            ensure(cluster, &wanted, |why| tracing::debug!(why, "waiting for the topic")).await.map_err(failed)?;
        }
    }
    let deadline = tokio::time::Instant::now() + APPEARS;
    loop {
        match write(cluster, config).await {
            Ok(()) => break,
            Err(error) if tokio::time::Instant::now() >= deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    let now = look(cluster, config).await?.ok_or_else(|| failed(format!("topic `{name}` is gone again")))?;
    Ok((now, true))
}

async fn write(cluster: &Cluster, config: &Config) -> Result<(), InitError> {
    let name = &config.state.topic;
    let info = cluster.topic(name).await.map_err(failed)?;
    let place = place_of(cluster, name, &info).map_err(|halt| failed(halt.what))?;
    let batch = topic::genesis(info.id, config);
    let written =
        remote::append(&connect(cluster, &place).await?, &place, batch.into(), PATIENCE).await.map_err(failed)?;
    written.map(|_| ()).map_err(|code| failed(format!("cannot write topic `{name}`: {}", code.name())))
}
