//! Reads the state topic to its end and follows it; believes nothing that could have lost a deny.

use super::InForce;
use super::fold::Fold;
use super::remote::{self, EARLIEST, Place, Round, append, fetch};
use super::shared::{Following, Halt, Shared};
use super::topic::{Configuration, faults, genesis, place_of, spec};
use crate::cluster::dial::Dialler;
use crate::cluster::link::Link;
use crate::cluster::topic::ensure;
use crate::cluster::{AskError, Cluster, TopicInfo, records};
use crate::config;
use crate::model::TopicId;
use crate::wire::ErrorCode;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the leader may wait for a record before it says that there is none: so often the end is confirmed.
const WAIT: Duration = Duration::from_millis(500);
/// What an answer may take beyond that.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Before it is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// The same, if somebody has to see to it.
const RETRY_LASTING: Duration = Duration::from_secs(1);
/// A topic that is empty when this proxy starts may have been made by another that is about to initialise it.
const BEGINNING: Duration = Duration::from_secs(10);
/// The task that reads.
pub(super) struct Follower {
    shared: Arc<Shared>,
    cluster: Cluster,
    dialler: Dialler,
    config: config::Config,
    /// What was read so far, believed or not.
    read: Arc<Fold>,
    /// The offset to read next; `None`: from the start.
    position: Option<i64>,
    /// The topic that was believed first: no other is while this process runs.
    remembered: Option<TopicId>,
    /// It is read again because an offset was gone: every ACL that was in force has to be in it, or its end.
    strict: bool,
    /// This process made the topic, so that it is empty means nothing.
    made: bool,
    tombstones: Duration,
    /// What the log was told of how the topic is configured.
    warned: Vec<String>,
    confirmed: Option<Instant>,
    started: Instant,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, cluster: Cluster, config: config::Config) -> Self {
        Self {
            shared,
            dialler: cluster.dialler().clone(),
            cluster,
            config,
            read: Arc::default(),
            position: None,
            remembered: None,
            strict: false,
            made: false,
            tombstones: Configuration::default().tombstones(),
            warned: Vec::new(),
            confirmed: None,
            started: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let halt = self.follow().await;
            let wait = if halt.lasting { RETRY_LASTING } else { RETRY };
            self.shared.halted(halt);
            tokio::time::sleep(wait).await;
        }
    }

    /// Follows the topic until something is in the way.
    async fn follow(&mut self) -> Halt {
        match self.try_follow().await {
            Err(halt) => halt,
            Ok(never) => match never {},
        }
    }

    async fn try_follow(&mut self) -> Result<std::convert::Infallible, Halt> {
        let (place, replicas) = self.find().await?;
        self.check_configuration(replicas).await?;
        let upstream = self.dialler.dial(&place.address).await.map_err(|e| Halt::passing(e.to_string()))?;
        let link = Link::new(upstream, WAIT + PATIENCE);
        let cluster = self.cluster.clone();
        let mut moved = pin!(moved(&cluster, &place, self.config.cluster.metadata_refresh));
        loop {
            let asked = Instant::now();
            // Half of the time: the other half is for reading.
            if self.confirmed.is_some_and(|at| asked.duration_since(at) > self.tombstones / 2)
                && self.position.is_some()
            {
                self.confirmed = None;
                self.begin_anew(false);
                return Err(Halt::passing("it was out of sight for so long that ends may be gone: it is read again"));
            }
            let position = match self.position {
                Some(position) => position,
                None => self.begin(&link, &place).await?,
            };
            let round = tokio::select! {
                round = fetch(&link, &place, position, WAIT) => round.map_err(|e| Halt::passing(e.to_string()))?,
                // A fetch that is dropped loses nothing: it is asked again from the same offset.
                halt = &mut moved => return Err(halt),
            };
            self.take(&link, &place, position, round, asked).await?;
        }
    }

    /// Finds the partition and how many replicas it has, makes the topic where it is missing and may be made, and refuses any other than the one.
    async fn find(&mut self) -> Result<(Place, usize), Halt> {
        let name = &self.config.state.topic;
        let info = match self.cluster.topic(name).await {
            Ok(info) => info,
            Err(AskError::Refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) => return Err(self.missing().await),
            Err(AskError::Refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED)) => return Err(hidden(name)),
            Err(AskError::NoBroker) => {
                let why = self.cluster.trouble().unwrap_or_else(|| "no broker is connected".into());
                return Err(Halt::passing(&*why));
            }
            Err(error) => return Err(Halt::passing(error.to_string())),
        };
        self.is_the_one(&info)?;
        let replicas = info.partitions.first().map_or(1, |p| p.replicas);
        Ok((place_of(&self.cluster, name, &info)?, replicas))
    }

    /// Whether this topic may be believed at all.
    fn is_the_one(&self, info: &TopicInfo) -> Result<(), Halt> {
        let id = info.id;
        if let Some(known) = self.remembered.filter(|known| *known != id && !id.is_zero()) {
            return Err(Halt::lasting(format!(
                "it was made anew: its id is `{id}`, that of the one that was followed `{known}`; make the lost ACLs again \
                 (`kordon state init`), then restart with `state.genesis: {id}`"
            )));
        }
        halt_at(&faults(id, info.partitions.len(), self.config.state.genesis.as_deref()))
    }

    async fn missing(&mut self) -> Halt {
        if self.remembered.is_some() {
            return Halt::lasting(
                "it was deleted: run `kordon state init`, make the lost ACLs again, then restart with the id it prints as `state.genesis`",
            );
        }
        if let Some(wanted) = &self.config.state.genesis {
            return Halt::lasting(format!(
                "it does not exist, and `state.genesis` is `{wanted}`: look at `state.topic` and `cluster.bootstrap`; if it was \
                 lost, run `kordon state init --force`"
            ));
        }
        if !self.config.state.create {
            return Halt::lasting("it does not exist, and `state.create` is false: run `kordon state init`");
        }
        let shared = Arc::clone(&self.shared);
        match ensure(&self.cluster, &spec(&self.config.state), |why| shared.halted(Halt::passing(why))).await {
            Ok(made) => {
                self.made |= made;
                Halt::passing("it was just created")
            }
            Err(error) => Halt::lasting(error.to_string()),
        }
    }

    /// A topic that deletes records by their age loses denies.
    async fn check_configuration(&mut self, replicas: usize) -> Result<(), Halt> {
        let configuration = Configuration::ask(&self.cluster, &self.config.state.topic).await;
        self.tombstones = configuration.tombstones();
        let warnings = configuration.warnings(replicas);
        if warnings != self.warned {
            for warning in &warnings {
                tracing::warn!(topic = self.config.state.topic, "the state topic: {warning}");
            }
            self.warned = warnings;
        }
        halt_at(&configuration.faults())
    }

    fn begin_anew(&mut self, strict: bool) {
        (self.read, self.position) = (Arc::default(), None);
        self.strict |= strict;
    }

    async fn begin(&mut self, link: &Link, place: &Place) -> Result<i64, Halt> {
        match remote::offset(link, place, EARLIEST).await {
            Ok(Ok(first)) => {
                self.position = Some(first);
                Ok(first)
            }
            Ok(Err(code)) => Err(Halt::passing(code.name())),
            Err(error) => Err(Halt::passing(error.to_string())),
        }
    }

    async fn take(&mut self, link: &Link, place: &Place, at: i64, round: Round, asked: Instant) -> Result<(), Halt> {
        match round.code {
            ErrorCode::NONE => {}
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                self.begin_anew(true);
                return Err(Halt::passing(format!("offset {at} is gone: it is read again from the start")));
            }
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => return Err(hidden(&place.topic)),
            // A leader on its way, or a topic that is another by now: asked for next.
            code => return Err(Halt::passing(code.name())),
        }
        let read = records::read(&round.records, at).map_err(|e| Halt::lasting(e.to_string()))?;
        if !read.records.is_empty() {
            let fold = Arc::make_mut(&mut self.read);
            read.records.iter().for_each(|r| fold.apply(r.offset, r.key, r.value));
        }
        let position = read.next.unwrap_or(at).max(at);
        self.position = Some(position);
        // A new leader may not know for a moment how far the others are: then this is no word on the end.
        if position != round.high_watermark {
            return Ok(());
        }
        if self.made && self.read.is_empty() {
            return self.initialise(link, place).await;
        }
        self.believes(place)?;
        (self.remembered, self.confirmed, self.strict) = (Some(place.id), Some(asked), false);
        self.shared.following.send_if_modified(|following| {
            let news = following.as_ref().is_none_or(|f| f.position != position || !Arc::ptr_eq(&f.fold, &self.read));
            if news {
                *following = Some(Following { fold: Arc::clone(&self.read), position });
            }
            news
        });
        self.shared.confirmed(asked, place);
        Ok(())
    }

    /// Whether what was read up to the end is the state, and all of it.
    fn believes(&self, place: &Place) -> Result<(), Halt> {
        if let Some(unreadable) = self.read.unreadable() {
            let (offset, cause) = (unreadable.offset, &unreadable.cause);
            return Err(Halt::lasting(format!("the record at offset {offset} cannot be read: {cause}")));
        }
        match self.read.genesis() {
            None if self.read.is_empty() => {
                let what = "it exists and is empty, which is never taken for \"no denies\": run `kordon state init`";
                let lasting = self.started.elapsed() > BEGINNING;
                return Err(Halt { what: what.to_owned(), lasting });
            }
            None => {
                return Err(Halt::lasting(
                    "it does not begin with what `kordon state init` writes: records are lost, or it is another's; look at it, \
                     then run `kordon state init --force` to take what is in it",
                ));
            }
            Some(genesis) if genesis.id != place.id.to_string() => {
                return Err(Halt::lasting(format!(
                    "its id is `{}`, and what is in it was written to `{}`: it is a copy; run `kordon state init --force` to \
                     take what is in it",
                    place.id, genesis.id
                )));
            }
            Some(_) => {}
        }
        if !self.strict {
            return Ok(());
        }
        let following = self.shared.following.borrow().clone();
        let Some(before) = following else { return Ok(()) };
        let mut lost = self.read.lost_since(&before.fold);
        match lost.next() {
            None => Ok(()),
            Some(first) => Err(Halt::lasting(format!(
                "it lost records: of `{first}` and {} more ACLs in force it knows nothing; make them again, then restart",
                lost.count()
            ))),
        }
    }

    async fn initialise(&mut self, link: &Link, place: &Place) -> Result<(), Halt> {
        let batch = genesis(place.id, &self.config);
        match append(link, place, batch.into(), PATIENCE).await {
            Ok(Ok(_)) => {
                tracing::warn!(
                    topic = place.topic, genesis = %place.id,
                    "state topic created and initialised: it holds no ACLs; set `state.genesis` so that no other is ever believed"
                );
                Ok(())
            }
            Ok(Err(code)) => Err(Halt::passing(code.name())),
            Err(error) => Err(Halt::passing(error.to_string())),
        }
    }
}

fn halt_at(faults: &[String]) -> Result<(), Halt> {
    if faults.is_empty() { Ok(()) } else { Err(Halt::lasting(faults.join("; "))) }
}

fn hidden(topic: &str) -> Halt {
    Halt::lasting(format!(
        "the brokers do not show `{topic}`: the proxy's principal needs Describe, DescribeConfigs, Read and Write on it, and \
         Create if it is missing"
    ))
}

/// Ends when a broker says that the partition is led by another or the topic is another: one that is cut off from its
/// fellows would go on confirming its own end.
async fn moved(cluster: &Cluster, place: &Place, every: Duration) -> Halt {
    loop {
        tokio::time::sleep(every).await;
        match cluster.topic(&place.topic).await {
            Ok(info) if info.id != place.id => return Halt::passing("the topic is another"),
            Ok(info) => {
                if info.partitions.first().is_some_and(|p| p.epoch > place.epoch && p.leader != Some(place.leader)) {
                    return Halt::passing("its leader moved");
                }
            }
            Err(AskError::Refused(code)) => return Halt::passing(code.name()),
            Err(AskError::NoBroker | AskError::Link(_)) => {}
        }
    }
}

/// Puts every state that is believed in force, the newest one if there are several.
pub(super) async fn enforce(shared: Arc<Shared>, target: Arc<dyn InForce>) {
    let mut states = shared.following.subscribe();
    let mut before: Option<Arc<Fold>> = None;
    loop {
        let following = states.borrow_and_update().clone();
        if let Some(Following { fold, position }) = following {
            if before.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &fold)) {
                let made = before.as_ref().map(|before| fold.made_since(before)).unwrap_or_default();
                let set = fold.set();
                let count = i64::try_from(set.len()).unwrap_or(i64::MAX);
                let put = target.put(set, made).await;
                shared.put(put);
                if put {
                    shared.metrics.state_acls.set(count);
                    shared.metrics.state_offset.set(fold.offset().unwrap_or(-1));
                    before = Some(Arc::clone(&fold));
                }
            }
            // Not if what was read last is not in force: nobody may take it for that.
            if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, &fold)) {
                shared.in_force.send_replace(position);
            }
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}
