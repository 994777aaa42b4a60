//! Real Kafka clusters on free loopback ports: KRaft, combined mode, small heaps, dead with the test process.
//!
//! Every broker has three listeners. `DIRECT` (plaintext) is for the brokers among themselves and for what a test
//! does behind the proxy's back. `GATED` (plaintext) and `SASL` (PLAIN; one login, which only the proxy is given) are
//! for the proxy: what a broker tells there about addresses are the ports of the [gate](super::gate), so that whoever
//! uses an address that a broker told is seen. A [secured](Cluster::secured) broker has two more: `TLS`, which asks for a
//! certificate, and `SASLTLS`, which is `SASL` over TLS and takes SCRAM too.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kordon::wire::schema::alter_user_scram_credentials as alter_scram;
use kordon::wire::{ApiKey, Node};
use sha2::{Sha256, Sha512};

use super::certificates::{Authority, Signed};
use super::fetch::{Jars, once, run};
use super::gate::Gate;
use super::java::{Admin, Java};
use super::raw::Raw;
use super::{log_file, ports, process, say, scratch, soon, target, unique, write_once};

/// The login of the `SASL` listener.
pub const SASL_USER: &str = "kordon";
/// Its password.
pub const SASL_PASSWORD: &str = "kordon-upstream-password";
/// Properties of a cluster whose `SASL` listener takes SCRAM too; whom it knows then is for the test to say.
pub const SCRAM: [(&str, &str); 3] = [
    ("listener.name.sasl.sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
    ("listener.name.sasl.scram-sha-256.sasl.jaas.config", SCRAM_MODULE),
    ("listener.name.sasl.scram-sha-512.sasl.jaas.config", SCRAM_MODULE),
];
const SCRAM_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule required;";

const LOG4J2: &str = "status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %m (%c{1})%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
";
const LOG4J1: &str = "log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{HH:mm:ss.SSS} %p %m (%c{1})%n
";

/// A password as brokers get it for SCRAM-SHA-256 and SCRAM-SHA-512, by their numbers.
pub fn salted(password: &str) -> [(i32, Vec<u8>); 2] {
    [
        (1, pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), b"salt", 4096).to_vec()),
        (2, pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password.as_bytes(), b"salt", 4096).to_vec()),
    ]
}

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of brokers, ids from 1 on; each is a controller too.
    pub nodes: usize,
    /// Whose broker.
    pub jars: Jars,
    /// Whether there are listeners with TLS.
    pub secured: bool,
    /// Further broker properties.
    pub properties: Vec<(&'static str, String)>,
    /// Further options of the JVM; without any, it maps the classes of an earlier one.
    pub jvm: Vec<String>,
    /// A directory of further classes.
    pub classes: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let (properties, jvm) = (Vec::new(), Vec::new());
        Self { nodes: 3, jars: Jars::Kafka431, secured: false, properties, jvm, classes: None }
    }
}

/// One broker.
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// Port of the `DIRECT` listener.
    pub direct: u16,
    /// Port the `GATED` listener is bound to; nobody but the gate connects there.
    pub gated: u16,
    /// Port the `SASL` listener is bound to; nobody but the gate connects there.
    pub sasl: u16,
    /// Port of the gate before `GATED`: what the broker tells as its address there.
    pub gate: u16,
    /// Port of the gate before `SASL`.
    pub gate_sasl: u16,
    /// Ports of the `TLS` listener and of the gate before it, of a secured broker.
    pub tls: [u16; 2],
    /// The same of `SASLTLS`.
    pub sasl_tls: [u16; 2],
    dir: PathBuf,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

/// A running cluster. Dropped, its brokers are killed; one in a static dies with the test process.
pub struct Cluster {
    /// Its Kafka cluster id.
    pub id: String,
    /// What stands between the proxy and the brokers.
    pub gate: Gate,
    nodes: Vec<Broker>,
    options: Options,
    /// Who signed the brokers' certificates, and those that they take; of a secured cluster.
    authority: Option<Authority>,
}

impl Cluster {
    /// The three-broker cluster that tests share. A test that stops or pauses a broker starts its own.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Cluster::start(Options::default()))
    }

    /// The one-broker cluster that tests share, for what says why one broker is enough.
    pub fn single() -> &'static Cluster {
        static SINGLE: OnceLock<Cluster> = OnceLock::new();
        SINGLE.get_or_init(|| Cluster::start(Options { nodes: 1, ..Options::default() }))
    }

    /// The broker that tests of ACLs share, which authorizes, as clusters do that have no proxy; whoever does not log in
    /// is its super user. One broker: what ACLs say does not depend on their number.
    pub fn authorizing() -> &'static Cluster {
        static AUTHORIZING: OnceLock<Cluster> = OnceLock::new();
        AUTHORIZING.get_or_init(Cluster::start_authorizing)
    }

    /// A broker as [`Cluster::authorizing`], of its own.
    pub fn start_authorizing() -> Cluster {
        let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned();
        let properties = vec![("authorizer.class.name", authorizer), ("super.users", "User:ANONYMOUS".to_owned())];
        Cluster::start(Options { nodes: 1, properties, ..Options::default() })
    }

    /// The one-broker cluster that tests of TLS towards brokers share.
    pub fn secured() -> &'static Cluster {
        static SECURED: OnceLock<Cluster> = OnceLock::new();
        SECURED.get_or_init(|| {
            let cluster = Cluster::start(Options { nodes: 1, secured: true, ..Options::default() });
            cluster.know_by_scram(SASL_USER, SASL_PASSWORD);
            cluster
        })
    }

    /// Makes a password known to the brokers, by both SCRAMs.
    #[track_caller]
    pub fn know_by_scram(&self, name: &str, password: &str) {
        use alter_scram::request::{UPSERTIONS, scram_credential_upsertion as upsertion};
        use alter_scram::response::{RESULTS, alter_user_scram_credentials_result::ERROR_CODE};
        for (mechanism, salted) in salted(password) {
            let mut request = Node::request(ApiKey::ALTER_USER_SCRAM_CREDENTIALS);
            let one = request
                .child(UPSERTIONS)
                .with(upsertion::NAME, name)
                .with(upsertion::MECHANISM, mechanism)
                .with(upsertion::ITERATIONS, 4096)
                .with(upsertion::SALT, Bytes::from_static(b"salt"))
                .with(upsertion::SALTED_PASSWORD, Bytes::from(salted));
            request.push(UPSERTIONS, one);
            let answer = Raw::connect(&self.direct()).ask(ApiKey::ALTER_USER_SCRAM_CREDENTIALS, 0, &request);
            let codes: Vec<i16> = answer.nodes(RESULTS).iter().map(|result| result.i16(ERROR_CODE)).collect();
            assert_eq!(codes, [0], "{answer:?}");
        }
    }

    /// Who signed the certificates of a secured cluster, and whose certificates it takes.
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("a secured cluster")
    }

    /// A certificate that a secured cluster takes: what the proxy shows of itself.
    pub fn pass(&self) -> Signed {
        self.authority().client("kordon")
    }

    /// Starts a cluster of its own and waits until every broker takes clients.
    pub fn start(options: Options) -> Cluster {
        let begin = Instant::now();
        let name = unique("cluster");
        let count = u16::try_from(options.nodes).expect("few brokers");
        let first = ports::block(count * 10);
        let id = format!("kordonTest{:0>12}", format!("{}x{}", std::process::id(), first));
        let nodes: Vec<Broker> = (0..count)
            .map(|i| {
                let base = first + i * 10;
                let dir = scratch(&format!("{name}/node-{}", i + 1));
                let log = log_file(&format!("{name}-node-{}.log", i + 1));
                let _ = std::fs::remove_file(&log);
                Broker {
                    id: i32::from(i) + 1,
                    direct: base + 1,
                    gated: base + 2,
                    sasl: base + 3,
                    gate: base + 4,
                    gate_sasl: base + 5,
                    tls: [base + 6, base + 7],
                    sasl_tls: [base + 8, base + 9],
                    dir,
                    log,
                    child: Mutex::new(None),
                }
            })
            .collect();
        let mut ways: Vec<_> =
            nodes.iter().flat_map(|n| [(n.id, n.gate, n.gated), (n.id, n.gate_sasl, n.sasl)]).collect();
        let secured = nodes.iter().flat_map(|n| [n.tls, n.sasl_tls].map(|[bound, gate]| (n.id, gate, bound)));
        if options.secured {
            ways.extend(secured);
        }
        let authority = options.secured.then(|| Authority::new(&scratch(&format!("{name}/certificates")), "brokers"));
        let cluster = Cluster { id, gate: Gate::open(ways), nodes, options, authority };
        let voters: Vec<String> =
            cluster.nodes.iter().map(|n| format!("{}@127.0.0.1:{}", n.id, n.direct - 1)).collect();
        for node in &cluster.nodes {
            cluster.format(node, &voters.join(","));
        }
        let marks: Vec<u64> = cluster.nodes.iter().map(|node| cluster.launch(node)).collect();
        for (node, mark) in cluster.nodes.iter().zip(marks) {
            node.await_started(mark);
        }
        say(format!("{name}: {} × Kafka {} in {:.1?}", count, cluster.options.jars.version(), begin.elapsed()));
        cluster
    }

    /// Bootstrap addresses for what a test does behind the proxy's back.
    pub fn direct(&self) -> String {
        self.addresses(|n| n.direct)
    }

    /// Bootstrap addresses for a proxy that connects without a login.
    pub fn gated(&self) -> String {
        self.addresses(|n| n.gate)
    }

    /// Bootstrap addresses for a proxy that logs in as [`SASL_USER`].
    pub fn sasl(&self) -> String {
        self.addresses(|n| n.gate_sasl)
    }

    /// Bootstrap addresses for a proxy that shows a certificate to a secured cluster.
    pub fn tls(&self) -> String {
        self.addresses(|n| n.tls[1])
    }

    /// Bootstrap addresses for a proxy that logs in as [`SASL_USER`] over TLS.
    pub fn sasl_tls(&self) -> String {
        self.addresses(|n| n.sasl_tls[1])
    }

    fn addresses(&self, port: impl Fn(&Broker) -> u16) -> String {
        self.nodes.iter().map(|n| format!("127.0.0.1:{}", port(n))).collect::<Vec<_>>().join(",")
    }

    /// An admin client behind the proxy's back.
    pub fn admin(&self) -> Admin {
        Java::newest().admin(&self.direct())
    }

    /// Creates a topic of a new name, which begins so, behind the proxy's back, and waits until every broker knows it.
    #[track_caller]
    pub fn topic(&self, prefix: &str, partitions: i32) -> String {
        let name = super::unique(prefix);
        self.create_topic(&name, partitions, &[]);
        name
    }

    /// Creates a topic behind the proxy's back, and waits until every broker knows it.
    #[track_caller]
    pub fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        self.create_topics(&[name], partitions, configs);
    }

    /// Creates topics behind the proxy's back, and waits until every broker knows them and their leaders: brokers learn
    /// of a topic one by one, and one that does not know it yet answers that it does not exist or leads nothing.
    #[track_caller]
    pub fn create_topics(&self, names: &[&str], partitions: i32, configs: &[(&str, &str)]) {
        use kordon::wire::schema::metadata::response::{
            TOPICS, metadata_response_partition::LEADER_ID, metadata_response_topic::PARTITIONS,
        };
        self.admin().create_topics(names, partitions, configs);
        for node in self.nodes.iter().filter(|n| n.child.lock().unwrap().is_some()) {
            let mut raw = Raw::connect(&format!("127.0.0.1:{}", node.direct));
            soon("every broker knows a new topic", || {
                let told = raw.metadata(Some(names));
                let led = |topic: &Node| {
                    let all = topic.nodes(PARTITIONS);
                    all.len() == partitions as usize && all.iter().all(|p| p.i32(LEADER_ID) > 0)
                };
                told.nodes(TOPICS).iter().all(led)
            });
        }
    }

    /// The brokers.
    pub fn nodes(&self) -> &[Broker] {
        &self.nodes
    }

    /// The broker with this id.
    pub fn node(&self, id: i32) -> &Broker {
        self.nodes.iter().find(|n| n.id == id).unwrap_or_else(|| panic!("no broker {id}"))
    }

    /// Stops a broker as an operator does (SIGTERM), and waits until it is gone.
    pub fn stop_node(&self, id: i32) {
        let mut child = self.node(id).take();
        process::signal(child.id(), "TERM");
        process::wait(&mut child, &format!("broker {id}"), Duration::from_secs(60));
    }

    /// Kills a broker (SIGKILL).
    pub fn kill_node(&self, id: i32) {
        let mut child = self.node(id).take();
        child.kill().expect("kill a broker");
        child.wait().expect("wait for a broker");
    }

    /// Starts a stopped broker again, with its data, and waits until it takes clients.
    pub fn start_node(&self, id: i32) {
        let node = self.node(id);
        let mark = self.launch(node);
        node.await_started(mark);
    }

    /// Stops a broker from answering (SIGSTOP) until the guard is dropped.
    pub fn pause_node(&self, id: i32) -> Paused {
        let pid = self.node(id).child.lock().unwrap().as_ref().expect("a running broker").id();
        process::signal(pid, "STOP");
        Paused { pid }
    }

    /// Writes what `kafka-storage format` writes. The tool runs once per version: its checkpoint of feature levels is the
    /// same for every cluster.
    fn format(&self, node: &Broker, voters: &str) {
        let data = node.dir.join("data");
        std::fs::create_dir_all(&data).expect("data directory");
        std::fs::copy(checkpoint(self.options.jars), data.join("bootstrap.checkpoint")).expect("bootstrap.checkpoint");
        let directory = format!("kordonTestDir{:0>8}A", node.id);
        let meta = format!("version=1\ncluster.id={}\nnode.id={}\ndirectory.id={directory}\n", self.id, node.id);
        std::fs::write(data.join("meta.properties"), meta).expect("meta.properties");
        let replicas = self.options.nodes.min(3);
        let mut text = format!(
            "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=DIRECT://127.0.0.1:{direct},GATED://127.0.0.1:{gated},SASL://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=DIRECT://127.0.0.1:{direct},GATED://127.0.0.1:{gate},SASL://127.0.0.1:{gate_sasl}
listener.security.protocol.map=DIRECT:PLAINTEXT,GATED:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=DIRECT
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{SASL_USER}=\"{SASL_PASSWORD}\";
log.dirs={data}
num.network.threads=2
num.io.threads=4
offsets.topic.num.partitions=6
offsets.topic.replication.factor={replicas}
transaction.state.log.num.partitions=6
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=3
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
group.share.min.heartbeat.interval.ms=500
group.share.heartbeat.interval.ms=500
group.streams.min.heartbeat.interval.ms=500
group.streams.heartbeat.interval.ms=500
group.streams.initial.rebalance.delay.ms=0
message.max.bytes=20971520
replica.fetch.max.bytes=20971520
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=1048576
log.segment.bytes=134217728
",
            id = node.id,
            direct = node.direct,
            gated = node.gated,
            sasl = node.sasl,
            controller = node.direct - 1,
            gate = node.gate,
            gate_sasl = node.gate_sasl,
            data = data.display(),
        );
        if let Some(authority) = &self.authority {
            let keystore = node.dir.join("keystore.pem");
            std::fs::write(&keystore, authority.server().keystore()).expect("keystore");
            // Later lines win over those before.
            text.push_str(&secured(node, &keystore, authority));
        }
        for (key, value) in &self.options.properties {
            text.push_str(&format!("{key}={value}\n"));
        }
        std::fs::write(node.dir.join("server.properties"), text).expect("server.properties");
    }

    /// Starts the process and gives the length of its log before.
    fn launch(&self, node: &Broker) -> u64 {
        let out = OpenOptions::new().create(true).append(true).open(&node.log).expect("log of a broker");
        let mark = out.metadata().expect("log of a broker").len();
        let own = self.options.classes.as_ref().map(|dir| format!(":{}", dir.display())).unwrap_or_default();
        let mut java = process::command("java");
        java.args(["-Xms96m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
            .args(if self.options.jvm.is_empty() { classes(self.options.jars) } else { self.options.jvm.clone() })
            .args(logging(self.options.jars))
            .args(["-cp", &format!("{}{own}", self.options.jars.classpath()), "kafka.Kafka"])
            .arg(node.dir.join("server.properties"))
            .current_dir(&node.dir)
            .stderr(Stdio::from(out.try_clone().expect("log of a broker")))
            .stdout(Stdio::from(out));
        let child = process::spawn(java, "a Kafka broker (`java`)");
        assert!(node.child.lock().unwrap().replace(child).is_none(), "broker {} runs already", node.id);
        mark
    }
}

impl Broker {
    fn take(&self) -> Child {
        self.child.lock().unwrap().take().unwrap_or_else(|| panic!("broker {} does not run", self.id))
    }

    /// Process id of the running broker.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().as_ref().unwrap_or_else(|| panic!("broker {} does not run", self.id)).id()
    }

    fn await_started(&self, mark: u64) {
        let begin = Instant::now();
        loop {
            let mut text = String::new();
            if let Ok(mut log) = File::open(&self.log) {
                let _ = log.seek(SeekFrom::Start(mark));
                let _ = log.read_to_string(&mut text);
            }
            if text.contains("Kafka Server started") {
                return;
            }
            let ended = self.child.lock().unwrap().as_mut().is_none_or(|c| !matches!(c.try_wait(), Ok(None)));
            assert!(
                !ended && begin.elapsed() < Duration::from_secs(90),
                "broker {} did not start; its log ends:\n{}",
                self.id,
                process::tail(&self.log, 30)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a secured broker has beside the others.
fn secured(node: &Broker, keystore: &Path, authority: &Authority) -> String {
    let listeners = |ports: [(&str, u16); 5]| ports.map(|(name, port)| format!("{name}://127.0.0.1:{port}")).join(",");
    let bound = [node.direct, node.gated, node.sasl, node.tls[0], node.sasl_tls[0]];
    let told = [node.direct, node.gate, node.gate_sasl, node.tls[1], node.sasl_tls[1]];
    let names = ["DIRECT", "GATED", "SASL", "TLS", "SASLTLS"];
    let with = |ports: [u16; 5]| listeners(std::array::from_fn(|i| (names[i], ports[i])));
    format!(
        "listeners={},CONTROLLER://127.0.0.1:{}
advertised.listeners={}
listener.security.protocol.map=DIRECT:PLAINTEXT,GATED:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={}
ssl.truststore.type=PEM
ssl.truststore.location={}
listener.name.tls.ssl.client.auth=required
listener.name.sasltls.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasltls.scram-sha-256.sasl.jaas.config={SCRAM_MODULE}
listener.name.sasltls.scram-sha-512.sasl.jaas.config={SCRAM_MODULE}
listener.name.sasltls.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{SASL_USER}=\"{SASL_PASSWORD}\";
",
        with(bound),
        node.direct - 1,
        with(told),
        keystore.display(),
        authority.file().display(),
    )
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &self.nodes {
            if let Some(mut child) = node.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// A broker that does not answer; dropped, it goes on.
pub struct Paused {
    pid: u32,
}

impl Drop for Paused {
    fn drop(&mut self) {
        process::signal(self.pid, "CONT");
    }
}

/// The options that point a JVM of this version at its logging configuration.
pub fn logging(jars: Jars) -> Vec<String> {
    match jars {
        Jars::Kafka392 => {
            let path = config("log4j.properties", LOG4J1);
            vec![format!("-Dlog4j.configuration=file:{}", path.display())]
        }
        Jars::Kafka431 | Jars::Clients440 => {
            let path = config("log4j2.properties", LOG4J2);
            vec![format!("-Dlog4j2.configurationFile={}", path.display())]
        }
    }
}

/// The options that let a JVM map the classes of Kafka as an earlier one left them: it starts with half the work. One that
/// cannot use the file goes without, and says nothing.
pub fn classes(jars: Jars) -> Vec<String> {
    if jars != Jars::Kafka431 {
        return Vec::new(); // few tests start others
    }
    let dir = target().join("kafka").join(format!("{}-classes", jars.version()));
    let file = dir.join("classes.jsa");
    once(&dir, jars.version(), |_| {
        let jvm = vec![format!("-XX:ArchiveClassesAtExit={}", file.display())];
        Cluster::start(Options { nodes: 1, jars, jvm, ..Options::default() }).stop_node(1);
    });
    vec![format!("-XX:SharedArchiveFile={}", file.display()), "-Xlog:disable".to_owned()]
}

fn config(name: &str, text: &str) -> PathBuf {
    let path = scratch("logging").join(name);
    write_once(&path, text);
    path
}

fn checkpoint(jars: Jars) -> PathBuf {
    let dir = target().join("kafka").join(format!("{}-format", jars.version()));
    let classpath = jars.classpath();
    once(&dir, jars.version(), |dir| {
        let properties = dir.join("server.properties");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\n\
             controller.listener.names=CONTROLLER\nlisteners=CONTROLLER://127.0.0.1:1,D://127.0.0.1:2\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,D:PLAINTEXT\ninter.broker.listener.name=D\n\
             log.dirs={}\n",
            dir.join("data").display()
        );
        std::fs::write(&properties, text).expect("server.properties");
        let mut java = Command::new("java");
        java.args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
            .args(logging(jars))
            .args(["-cp", &classpath, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c"])
            .arg(&properties);
        run(java, "java", "openjdk-17-jdk-headless");
    });
    dir.join("data").join("bootstrap.checkpoint")
}
