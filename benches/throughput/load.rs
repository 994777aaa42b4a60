//! The load: requests written once, sent again and again with another correlation id, several in flight.
//!
//! One thread for each connection writes a request for every answer it reads. Requests or answers are small in every
//! workload, so neither side can wait for the other with both of its buffers full.

use crate::hop::{Hop, Upstream};
use crate::support::raw::{FetchSpec, Raw, batch, fetched, produced};
use crate::support::soon;
use kordon::model::TopicId;
use kordon::wire::message::{decode_response, request_frame};
use kordon::wire::schema::{create_topics, produce};
use kordon::wire::{ApiKey, ErrorCode, Node};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// 1 KB records, a thousand to a request.
    Produce,
    /// One record of 1 KB in every request, each with its audit event.
    Each,
    /// Answers of four times a megabyte.
    Fetch,
}

/// Where the correlation id stands in a frame.
const CORRELATION: std::ops::Range<usize> = 8..12;
/// Requests that a producer lets stand unanswered (`max.in.flight.requests.per.connection`).
const IN_FLIGHT: usize = 5;
const PARTITIONS: i32 = 4;

/// A workload before a broker.
pub struct Job {
    workload: Workload,
    key: ApiKey,
    version: i16,
    /// By partition or session: each connection has its own.
    frames: Vec<Vec<u8>>,
    requests: usize,
    in_flight: usize,
    /// Bytes of records that a request moves.
    moved: usize,
}

impl Workload {
    pub const ALL: [Workload; 3] = [Workload::Produce, Workload::Each, Workload::Fetch];

    pub fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|workload| workload.name() == name);
        found.unwrap_or_else(|| panic!("no workload `{name}`: produce, each, fetch"))
    }

    pub fn name(self) -> &'static str {
        match self {
            Workload::Produce => "produce",
            Workload::Each => "each",
            Workload::Fetch => "fetch",
        }
    }

    /// What its cost is told by.
    pub fn unit(self) -> &'static str {
        match self {
            Workload::Produce | Workload::Fetch => "s/GB",
            Workload::Each => "µs/request",
        }
    }

    /// Creates and fills topics, writes the requests; `amount` is in percent of the usual work.
    pub fn prepare(self, upstream: &Upstream, amount: usize) -> Job {
        let topic = format!("bench-{}", self.name());
        let id = create_topic(upstream, &topic, PARTITIONS);
        let record = vec![b'x'; 1_000];
        let records = match self {
            Workload::Produce => 1_000,
            Workload::Each => 1,
            Workload::Fetch => 200,
        };
        let values: Vec<&[u8]> = vec![&record; records];
        let version = upstream.version(ApiKey::PRODUCE, 13);
        let frames: Vec<Vec<u8>> = (0..PARTITIONS)
            .map(|p| request_frame(ApiKey::PRODUCE, version, 0, Some("bench"), &append(&topic, id, p, &values)))
            .map(|rope| rope.into_bytes().to_vec())
            .collect();
        let job = Job {
            workload: self,
            key: ApiKey::PRODUCE,
            version,
            frames,
            requests: match self {
                Workload::Produce => 1_000 * amount / 100,
                Workload::Each => 100_000 * amount / 100,
                Workload::Fetch => 32 * PARTITIONS as usize,
            },
            in_flight: IN_FLIGHT,
            moved: records * record.len(),
        };
        // A broker that has just become the leader may not know it yet.
        for frame in &job.frames {
            soon("the partition takes records", || {
                let mut raw = Raw::connect(&upstream.address);
                raw.send_bytes(frame);
                raw.expect(job.key, job.version, 0);
                produced(&raw.receive()).iter().all(|(_, code, _)| *code == ErrorCode::NONE)
            });
        }
        if self == Workload::Fetch {
            job.run(&Hop::direct(upstream), 100);
            return fetch(upstream, &topic, id, amount);
        }
        job
    }
}

/// Answers of all partitions' first megabyte, one after the other, as a consumer asks for them.
fn fetch(upstream: &Upstream, topic: &str, id: TopicId, amount: usize) -> Job {
    let version = upstream.version(ApiKey::FETCH, 17);
    let mut spec = FetchSpec::of(topic, id, 0);
    spec.partitions = (0..PARTITIONS).map(|p| (topic.to_owned(), id, p, 0)).collect();
    let answer = Raw::connect(&upstream.address).ask(ApiKey::FETCH, version, &spec.request());
    let told = fetched(&answer);
    assert_eq!(told.error, ErrorCode::NONE, "{told:?}");
    let moved: usize = told.partitions.iter().map(|partition| partition.4).sum();
    assert!(moved > 3_000_000, "{told:?}");
    let frame = request_frame(ApiKey::FETCH, version, 0, Some("bench"), &spec.request()).into_bytes().to_vec();
    Job {
        workload: Workload::Fetch,
        key: ApiKey::FETCH,
        version,
        frames: vec![frame; 2],
        requests: 2_000_000_000 / moved * amount / 100,
        in_flight: 1,
        moved,
    }
}

impl Job {
    /// Gigabytes or requests of a run.
    pub fn units(&self) -> f64 {
        match self.workload {
            Workload::Each => self.requests as f64,
            Workload::Produce | Workload::Fetch => (self.requests * self.moved) as f64 / 1e9,
        }
    }

    /// Does `percent` of the work over one hop; tells how long it took.
    pub fn run(&self, hop: &Hop, percent: usize) -> Duration {
        let each = (self.requests * percent / 100 / self.frames.len()).max(1);
        let begin = Instant::now();
        std::thread::scope(|scope| {
            for frame in &self.frames {
                scope.spawn(move || self.connection(&hop.address, frame.clone(), each));
            }
        });
        begin.elapsed()
    }

    fn connection(&self, address: &str, mut frame: Vec<u8>, requests: usize) {
        let mut to = TcpStream::connect(address).unwrap_or_else(|e| panic!("cannot connect to `{address}`: {e}"));
        to.set_nodelay(true).expect("nodelay");
        to.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
        let mut from = BufReader::with_capacity(256 * 1024, to.try_clone().expect("the other half"));
        let mut sent = 0_i32;
        let mut send = || {
            frame[CORRELATION].copy_from_slice(&sent.to_be_bytes());
            to.write_all(&frame).expect("a request is taken");
            sent += 1;
        };
        (0..self.in_flight.min(requests)).for_each(|_| send());
        for answered in 0..requests {
            self.answer(&mut from, answered);
            if answered + self.in_flight < requests {
                send();
            }
        }
    }

    /// Reads one answer: all of it is looked at, but for the records of a fetch.
    fn answer(&self, from: &mut BufReader<TcpStream>, correlation: usize) {
        let mut head = [0; 4];
        from.read_exact(&mut head).expect("an answer");
        let mut left = u32::from_be_bytes(head) as usize;
        if self.key == ApiKey::FETCH && correlation > 0 {
            assert!(left > self.moved, "{left} bytes for {} of records", self.moved);
            while left > 0 {
                let n = from.fill_buf().expect("the answer's bytes").len().min(left);
                assert!(n > 0, "the connection ended within an answer");
                from.consume(n);
                left -= n;
            }
            return;
        }
        let mut body = vec![0; left];
        from.read_exact(&mut body).expect("the answer's bytes");
        let (told, answer) = decode_response(self.key, self.version, &body.into()).expect("an answer");
        assert_eq!(told, correlation as i32);
        match self.key {
            ApiKey::FETCH => assert_eq!(fetched(&answer).partitions.len(), PARTITIONS as usize),
            _ => assert!(produced(&answer).iter().all(|(_, code, _)| *code == ErrorCode::NONE), "{answer:?}"),
        }
    }
}

fn append(topic: &str, id: TopicId, partition: i32, values: &[&[u8]]) -> Node {
    use produce::request::{ACKS, TIMEOUT_MS, TOPIC_DATA, partition_produce_data, topic_produce_data};
    let mut request = Node::request(ApiKey::PRODUCE).with(ACKS, -1).with(TIMEOUT_MS, 30_000);
    let mut data =
        request.child(TOPIC_DATA).with(topic_produce_data::NAME, topic).with(topic_produce_data::TOPIC_ID, id);
    let records = data
        .child(topic_produce_data::PARTITION_DATA)
        .with(partition_produce_data::INDEX, partition)
        .with(partition_produce_data::RECORDS, batch(values));
    data.push(topic_produce_data::PARTITION_DATA, records);
    request.push(TOPIC_DATA, data);
    request
}

/// Creates a topic that keeps little, straight at the broker; gives its id.
pub fn create_topic(upstream: &Upstream, name: &str, partitions: i32) -> TopicId {
    use create_topics::request::{TIMEOUT_MS, TOPICS, creatable_topic, creatable_topic_config};
    let mut raw = Raw::connect(&upstream.address);
    let mut request = Node::request(ApiKey::CREATE_TOPICS).with(TIMEOUT_MS, 10_000);
    let mut topic = request
        .child(TOPICS)
        .with(creatable_topic::NAME, name)
        .with(creatable_topic::NUM_PARTITIONS, partitions)
        .with(creatable_topic::REPLICATION_FACTOR, 1_i16);
    // Records carry an old timestamp: they are kept by size alone.
    for (key, value) in [
        ("retention.ms", "-1"),
        ("retention.bytes", "100000000"),
        ("segment.bytes", "50000000"),
        ("file.delete.delay.ms", "500"),
    ] {
        let config = topic
            .child(creatable_topic::CONFIGS)
            .with(creatable_topic_config::NAME, key)
            .with(creatable_topic_config::VALUE, value);
        topic.push(creatable_topic::CONFIGS, config);
    }
    request.push(TOPICS, topic);
    let _ = raw.ask(ApiKey::CREATE_TOPICS, upstream.version(ApiKey::CREATE_TOPICS, 5), &request);
    soon("the topic has a leader", || {
        use kordon::wire::schema::metadata::response::{
            TOPICS, metadata_response_partition::LEADER_ID, metadata_response_topic as topic,
        };
        let told = raw.metadata(Some(&[name]));
        let topic = told.nodes(TOPICS)[0].clone();
        let led = topic.nodes(topic::PARTITIONS).iter().all(|p| p.i32(LEADER_ID) >= 0);
        (led && topic.nodes(topic::PARTITIONS).len() == partitions as usize).then(|| topic.uuid(topic::TOPIC_ID))
    })
}
