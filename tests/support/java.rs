//! Stock Java clients: one long-lived JVM per version of the client library takes commands (`java/Driver.java`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::logging;
use super::fetch::{Jars, once, run};
use super::{log_file, process, scratch, target};

const SOURCES: &[(&str, &str)] = &[
    ("Driver.java", include_str!("java/Driver.java")),
    ("Producers.java", include_str!("java/Producers.java")),
    ("Consumers.java", include_str!("java/Consumers.java")),
    ("Admins.java", include_str!("java/Admins.java")),
    ("Tools.java", include_str!("java/Tools.java")),
    ("Shares.java", include_str!("java/Shares.java")),
    ("StreamsApps.java", include_str!("java/StreamsApps.java")),
    ("Trace.java", include_str!("java/programs/Trace.java")),
    ("Site.java", include_str!("java/programs/Site.java")),
    ("Programs.java", include_str!("java/programs/Programs.java")),
    ("DataPrograms.java", include_str!("java/programs/DataPrograms.java")),
    ("GroupPrograms.java", include_str!("java/programs/GroupPrograms.java")),
    ("TransactionPrograms.java", include_str!("java/programs/TransactionPrograms.java")),
    ("AdminPrograms.java", include_str!("java/programs/AdminPrograms.java")),
    ("ClusterPrograms.java", include_str!("java/programs/ClusterPrograms.java")),
    ("StreamsPrograms.java", include_str!("java/programs/StreamsPrograms.java")),
    ("ToolPrograms.java", include_str!("java/programs/ToolPrograms.java")),
];

/// Sources that need more than the clients.
const WHOLE_KAFKA: &[&str] = &["StreamsApps.java", "Tools.java", "StreamsPrograms.java", "ToolPrograms.java"];

/// What a client threw.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Simple name of the exception's class.
    pub class: String,
    /// Its message.
    pub message: String,
    /// All that the driver told, with `topics` or `group` where the exception names them.
    pub details: Value,
}

impl Failure {
    /// From the form `{"error", "message", …}` of the drivers.
    pub fn from(details: Value) -> Self {
        let text = |key: &str| details[key].as_str().unwrap_or_default().to_owned();
        Self { class: text("error"), message: text("message"), details }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

/// The only names that the clients know, as a file of hosts: those of brokers behind one port as well.
fn hosts() -> PathBuf {
    let brokers: String = (0..=4).map(|id| format!("127.0.0.1 broker-{id}.kordon.test\n")).collect();
    let file = scratch("java-hosts").join("hosts");
    super::write_once(&file, &format!("127.0.0.1 localhost\n127.0.0.1 kafka.kordon.test\n{brokers}"));
    file
}

/// A JVM with client libraries.
pub struct Java {
    commands: Mutex<(u64, ChildStdin)>,
    waiting: Waiting,
    log: PathBuf,
    pid: u32,
}

impl Java {
    /// Process id of the JVM.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The newest clients, 4.4.0. What a test uses unless it says why not.
    pub fn newest() -> &'static Java {
        static JAVA: OnceLock<Java> = OnceLock::new();
        JAVA.get_or_init(|| Java::start(Jars::Clients440))
    }

    /// The clients of the broker's version, 4.3.1.
    pub fn same() -> &'static Java {
        static JAVA: OnceLock<Java> = OnceLock::new();
        JAVA.get_or_init(|| Java::start(Jars::Kafka431))
    }

    fn start(jars: Jars) -> Java {
        let classes = target().join("kafka").join(format!("{}-driver", jars.version()));
        let classpath = jars.classpath();
        let stamp: String = SOURCES.iter().map(|(_, text)| *text).collect();
        once(&classes, &stamp, |dir| {
            let mut javac = Command::new("javac");
            javac.args(["-nowarn", "-cp", &classpath, "-d"]).arg(dir);
            for (name, text) in SOURCES {
                if jars == Jars::Clients440 && WHOLE_KAFKA.contains(name) {
                    continue;
                }
                let path = dir.join(name);
                std::fs::write(&path, text).expect("source of the driver");
                javac.arg(path);
            }
            run(javac, "javac", "openjdk-17-jdk-headless");
        });
        let log = log_file(&format!("java-driver-{}.log", jars.version()));
        let mut java = process::command("java");
        java.args(["-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
            .arg(format!("-Djdk.net.hosts.file={}", hosts().display()))
            .args(logging(jars))
            .args(["-cp", &format!("{}:{classpath}", classes.display()), "Driver"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(std::fs::File::create(&log).expect("log of the driver")));
        let mut child = process::spawn(java, "the driver of the Java clients (`java`)");
        let commands = Mutex::new((0, child.stdin.take().expect("stdin")));
        let answers = BufReader::new(child.stdout.take().expect("stdout"));
        let waiting: Waiting = Arc::default();
        let takers = Arc::clone(&waiting);
        let pid = child.id();
        std::thread::spawn(move || {
            // what clients log goes to stdout too, by way of log4j, hence lines that are no answers
            for line in answers.lines().map_while(Result::ok) {
                let Ok(answer) = serde_json::from_str::<Value>(&line) else { continue };
                let taker = answer["id"].as_u64().and_then(|id| takers.lock().unwrap().remove(&id));
                if let Some(taker) = taker {
                    let _ = taker.send(answer);
                }
            }
            takers.lock().unwrap().clear();
            let _ = child.wait();
        });
        Java { commands, waiting, log, pid }
    }

    /// Sends a command without waiting; the answer comes later.
    pub fn begin(&self, op: &str, mut args: Value) -> Pending {
        let (sender, answer) = channel();
        let mut commands = self.commands.lock().unwrap();
        commands.0 += 1;
        args["id"] = json!(commands.0);
        args["op"] = json!(op);
        self.waiting.lock().unwrap().insert(commands.0, sender);
        let sent = writeln!(commands.1, "{args}").and_then(|()| commands.1.flush());
        assert!(sent.is_ok(), "the Java driver is gone; its log ends:\n{}", process::tail(&self.log, 20));
        Pending { answer, op: op.to_owned(), log: self.log.clone() }
    }

    /// Sends a command and waits for its answer.
    pub fn call(&self, op: &str, args: Value) -> Result<Value, Failure> {
        self.begin(op, args).wait()
    }

    #[track_caller]
    fn open(&'static self, kind: &'static str, args: Value) -> Handle {
        let h = self.call(&format!("{kind}.open"), args);
        Handle { java: self, kind, h: h.unwrap_or_else(|e| panic!("{kind} does not open: {e}")) }
    }

    /// An admin client for these brokers.
    pub fn admin(&'static self, bootstrap: &str) -> Admin {
        Admin { java: self, config: config(bootstrap, &[]) }
    }

    /// A producer with further `settings`.
    pub fn producer(&'static self, bootstrap: &str, settings: &[(&str, &str)]) -> Producer {
        Producer(self.open("producer", json!({ "config": config(bootstrap, settings) })))
    }

    /// A consumer with further `settings`.
    pub fn consumer(&'static self, bootstrap: &str, settings: &[(&str, &str)]) -> Consumer {
        Consumer(self.open("consumer", json!({ "config": config(bootstrap, settings) })))
    }

    /// A member of a share group with further `settings`.
    pub fn share(&'static self, bootstrap: &str, settings: &[(&str, &str)]) -> Share {
        Share(self.open("share", json!({ "config": config(bootstrap, settings) })))
    }

    /// A Streams application ([`Java::same`] alone has Streams) that counts the values of `input` into `output`.
    pub fn streams(
        &'static self,
        bootstrap: &str,
        id: &str,
        input: &str,
        output: &str,
        settings: &[(&str, &str)],
    ) -> Streams {
        // Its own: one of the same id that has just been closed may still hold the lock of its directory.
        let dir = super::scratch(&super::unique(&format!("streams/{id}")));
        let mut config = config(bootstrap, settings);
        config["application.id"] = json!(id);
        config["state.dir"] = json!(dir);
        Streams(self.open("streams", json!({ "config": config, "input": input, "output": output })))
    }
}

fn config(bootstrap: &str, settings: &[(&str, &str)]) -> Value {
    let mut config = json!({ "bootstrap.servers": bootstrap });
    for (key, value) in settings {
        config[*key] = json!(value);
    }
    config
}

/// An answer to come.
pub struct Pending {
    answer: Receiver<Value>,
    op: String,
    log: PathBuf,
}

impl Pending {
    /// Waits for the answer.
    #[track_caller]
    pub fn wait(self) -> Result<Value, Failure> {
        match self.answer.recv_timeout(Duration::from_secs(180)) {
            Ok(mut answer) if answer.get("error").is_none() => Ok(answer["ok"].take()),
            Ok(answer) => Err(Failure::from(answer)),
            Err(e) => panic!("the Java driver does not answer `{}` ({e}); its log ends:\n{}", self.op, tail(&self.log)),
        }
    }
}

fn tail(log: &Path) -> String {
    process::tail(log, 30)
}

/// What became of a batch of records.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Records that the broker acknowledged.
    pub ok: u64,
    /// Exception class → number of records.
    pub errors: BTreeMap<String, u64>,
    /// Partition and offset of the first thousand acknowledged; -1 where acks=0 tells none.
    pub offsets: Vec<(i32, i64)>,
    /// The first exception in full.
    pub first: Option<Failure>,
}

impl Sent {
    fn from(value: &Value) -> Self {
        let number = |v: &Value| v.as_i64().unwrap_or(-1);
        Self {
            ok: value["ok"].as_u64().unwrap_or(0),
            errors: serde_json::from_value(value["errors"].clone()).unwrap_or_default(),
            offsets: value["offsets"]
                .as_array()
                .map(|all| all.iter().map(|o| (number(&o[0]) as i32, number(&o[1]))).collect())
                .unwrap_or_default(),
            first: value.get("first").map(|f| Failure::from(f.clone())),
        }
    }

    /// The class of the only exception there was.
    pub fn error(&self) -> Option<&str> {
        match self.errors.len() {
            1 => self.errors.keys().next().map(String::as_str),
            _ => None,
        }
    }
}

/// What the driver has opened. Closed when dropped.
struct Handle {
    java: &'static Java,
    kind: &'static str,
    h: Value,
}

impl Handle {
    fn begin(&self, op: &str, mut args: Value) -> Pending {
        args["h"] = self.h.clone();
        self.java.begin(&format!("{}.{op}", self.kind), args)
    }

    #[track_caller]
    fn call(&self, op: &str, args: Value) -> Result<Value, Failure> {
        self.begin(op, args).wait()
    }

    fn metric(&self, name: &str) -> f64 {
        self.call("metrics", json!({ "names": [name] })).ok().and_then(|v| v[name].as_f64()).unwrap_or(f64::NAN)
    }

    #[track_caller]
    fn subscribe(&self, topics: &[&str]) {
        self.call("subscribe", json!({ "topics": topics })).unwrap_or_else(|e| panic!("subscribe threw {e}"));
    }

    fn poll(&self, args: Value) -> Result<Vec<Value>, Failure> {
        self.call("poll", args).map(|v| v.as_array().cloned().unwrap_or_default())
    }

    #[track_caller]
    fn values(&self, count: usize) -> Vec<String> {
        let records = self.poll(polling(count, Duration::from_secs(30))).unwrap_or_else(|e| panic!("poll threw {e}"));
        assert!(records.len() >= count, "{} of {count} records came", records.len());
        records.iter().map(|r| r["value"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = self.call("close", json!({ "timeout": 2000 }));
        }
    }
}

fn polling(count: usize, within: Duration) -> Value {
    json!({ "count": count, "timeout": within.as_millis() as u64 })
}

/// A `KafkaProducer`. Closed when dropped.
pub struct Producer(Handle);

impl Producer {
    /// Sends these values and waits for every answer.
    #[track_caller]
    pub fn send(&self, topic: &str, values: &[&str]) -> Sent {
        self.send_with(json!({ "topic": topic, "values": values }))
    }

    /// Sends `count` records of `size` incompressible bytes and waits for every answer.
    #[track_caller]
    pub fn send_bulk(&self, topic: &str, count: usize, size: usize) -> Sent {
        self.send_with(json!({ "topic": topic, "count": count, "size": size }))
    }

    /// `producer.send` with all its arguments: `topic`, `partition`, `key`, `values` or `count` and `size`, `flush`.
    #[track_caller]
    pub fn send_with(&self, args: Value) -> Sent {
        Sent::from(&self.0.call("send", args).unwrap_or_else(|e| panic!("send threw {e}")))
    }

    /// `send_with` without waiting for the answer; see [`Sent`] for its form.
    pub fn begin_send(&self, args: Value) -> Pending {
        self.0.begin("send", args)
    }

    /// `initTransactions`
    pub fn init(&self) -> Result<(), Failure> {
        self.0.call("init", json!({})).map(drop)
    }

    /// `beginTransaction`
    pub fn begin(&self) -> Result<(), Failure> {
        self.0.call("begin", json!({})).map(drop)
    }

    /// `commitTransaction`
    pub fn commit(&self) -> Result<(), Failure> {
        self.0.call("commit", json!({})).map(drop)
    }

    /// `abortTransaction`
    pub fn abort(&self) -> Result<(), Failure> {
        self.0.call("abort", json!({})).map(drop)
    }

    /// `sendOffsetsToTransaction` for one partition, as a member of the consumer's group.
    pub fn send_offset(&self, consumer: &Consumer, topic: &str, partition: i32, offset: i64) -> Result<(), Failure> {
        let offsets = json!([{ "topic": topic, "partition": partition, "offset": offset }]);
        self.0.call("offsets", json!({ "consumer": consumer.0.h, "offsets": offsets })).map(drop)
    }

    /// Number of partitions, as `partitionsFor` tells.
    pub fn partitions(&self, topic: &str) -> Result<u64, Failure> {
        self.0.call("partitions", json!({ "topic": topic })).map(|v| v.as_u64().unwrap_or(0))
    }

    /// A metric of the client, such as `connection-creation-total`.
    pub fn metric(&self, name: &str) -> f64 {
        self.0.metric(name)
    }
}

/// A `KafkaConsumer`. Closed when dropped.
pub struct Consumer(Handle);

impl Consumer {
    /// Any operation of the driver, `consumer.` left out.
    pub fn ask(&self, op: &str, args: Value) -> Result<Value, Failure> {
        self.0.call(op, args)
    }

    /// Subscribes to topics.
    pub fn subscribe(&self, topics: &[&str]) -> &Self {
        self.0.subscribe(topics);
        self
    }

    /// Assigns partitions.
    pub fn assign(&self, partitions: &[(&str, i32)]) -> &Self {
        self.0.call("assign", json!({ "partitions": partitions })).unwrap_or_else(|e| panic!("assign threw {e}"));
        self
    }

    /// Polls until there are `count` records, an exception, or `within` is over.
    pub fn poll(&self, count: usize, within: Duration) -> Result<Vec<Value>, Failure> {
        self.0.poll(polling(count, within))
    }

    /// The texts of the next `count` records; fails when they do not come.
    #[track_caller]
    pub fn values(&self, count: usize) -> Vec<String> {
        self.0.values(count)
    }

    /// Polls in a thread of its own from now on; see [`Consumer::events`].
    pub fn run(&self) -> &Self {
        self.0.call("run", json!({})).unwrap_or_else(|e| panic!("run threw {e}"));
        self
    }

    /// What the thread of [`Consumer::run`] saw, from event number `from` on: `{"type": "record" | "error" | "assigned" |
    /// "revoked", …}`.
    pub fn events(&self, from: usize) -> Vec<Value> {
        let all = self.0.call("events", json!({ "from": from })).unwrap_or_else(|e| panic!("events threw {e}"));
        all["events"].as_array().cloned().unwrap_or_default()
    }

    /// Whether the running consumer has received a record with this text.
    pub fn has(&self, text: &str) -> bool {
        self.events(0).iter().any(|e| e["value"] == text)
    }

    /// Commits the positions.
    pub fn commit(&self) -> Result<(), Failure> {
        self.0.call("commit", json!({})).map(drop)
    }

    /// A metric of the client, such as `connection-creation-total`.
    pub fn metric(&self, name: &str) -> f64 {
        self.0.metric(name)
    }
}

/// A `KafkaShareConsumer`. Closed when dropped.
pub struct Share(Handle);

impl Share {
    /// Subscribes to topics.
    pub fn subscribe(&self, topics: &[&str]) -> &Self {
        self.0.subscribe(topics);
        self
    }

    /// Polls until there are `count` records, an exception, or `within` is over.
    pub fn poll(&self, count: usize, within: Duration) -> Result<Vec<Value>, Failure> {
        self.0.poll(polling(count, within))
    }

    /// `poll` with all its arguments: `count`, `timeout`, `acknowledge`.
    pub fn poll_with(&self, args: Value) -> Result<Vec<Value>, Failure> {
        self.0.poll(args)
    }

    /// The texts of the next `count` records; fails when they do not come.
    #[track_caller]
    pub fn values(&self, count: usize) -> Vec<String> {
        self.0.values(count)
    }

    /// Commits the acknowledgements: by topic the exception's class, or nothing.
    pub fn commit(&self) -> Result<Value, Failure> {
        self.0.call("commit", json!({}))
    }
}

/// An `AdminClient`.
#[derive(Clone)]
pub struct Admin {
    java: &'static Java,
    config: Value,
}

impl Admin {
    /// Any operation of the driver, `admin.` left out.
    pub fn ask(&self, op: &str, mut args: Value) -> Result<Value, Failure> {
        args["config"] = self.config.clone();
        self.java.call(&format!("admin.{op}"), args)
    }

    /// Sets a property of the client, such as a login.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.config[key] = json!(value);
        self
    }

    /// Creates a topic with the cluster's default replication; fails when it cannot.
    #[track_caller]
    pub fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        self.create_topics(&[name], partitions, configs);
    }

    /// Creates topics, and waits until every partition has a leader.
    #[track_caller]
    pub fn create_topics(&self, names: &[&str], partitions: i32, configs: &[(&str, &str)]) {
        let configs: BTreeMap<&str, &str> = configs.iter().copied().collect();
        let topics: Vec<Value> =
            names.iter().map(|n| json!({ "name": n, "partitions": partitions, "configs": configs })).collect();
        let made =
            self.ask("createTopics", json!({ "topics": topics })).unwrap_or_else(|e| panic!("createTopics: {e}"));
        for name in names {
            assert!(made[*name].get("error").is_none(), "topic `{name}` is not created: {}", made[*name]);
        }
        super::soon("leaders of new topics", || {
            let told = self.ask("describeTopics", json!({ "topics": names })).map_err(|e| e.to_string())?;
            let led = |n: &&str| {
                let all = told[*n]["ok"]["partitions"].as_array();
                all.is_some_and(|p| p.len() == partitions as usize && p.iter().all(|p| p["leader"].as_i64() > Some(0)))
            };
            if names.iter().all(led) { Ok(()) } else { Err(told.to_string()) }
        });
    }

    /// The broker that leads a partition.
    pub fn leader(&self, topic: &str, partition: usize) -> i32 {
        let told = self.ask("describeTopics", json!({ "topics": [topic] })).unwrap_or_else(|e| panic!("describe: {e}"));
        let leader = told[topic]["ok"]["partitions"][partition]["leader"].as_i64();
        leader.unwrap_or_else(|| panic!("no leader of `{topic}`-{partition}: {told}")) as i32
    }

    /// Names of all topics the client may see.
    pub fn topics(&self) -> Result<Vec<String>, Failure> {
        let names = self.ask("listTopics", json!({}))?;
        Ok(serde_json::from_value(names).unwrap_or_default())
    }
}

/// A running Streams application. Closed when dropped.
pub struct Streams(Handle);

impl Streams {
    /// Its state, such as `RUNNING`.
    pub fn state(&self) -> String {
        let state = self.0.call("state", json!({})).unwrap_or_else(|e| panic!("state: {e}"));
        state.as_str().unwrap_or_default().to_owned()
    }
}
