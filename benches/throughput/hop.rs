//! What stands between the load and the broker: nothing, a relay of bytes, the proxy. Each in a process of its own, so
//! that its CPU time is its own.

use crate::load::create_topic;
use crate::support::{cluster, eventually, log_file, metrics, ports, process, raw::Raw, scratch};
use kordon::demo::broker;
use kordon::wire::ApiKey;
use kordon::wire::schema::metadata::response::{BROKERS, metadata_response_broker};
use std::fs::File;
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

/// The broker behind every hop.
pub struct Upstream {
    pub name: String,
    pub address: String,
    pub node: i32,
    _broker: Running,
}

enum Running {
    Kafka(Box<cluster::Cluster>),
    Demo(broker::Broker, tokio::runtime::Runtime),
}

impl Upstream {
    /// One Kafka broker: with three, replication would take the machine's time and no hop would see it.
    pub fn kafka() -> Self {
        let properties = vec![
            ("log.retention.check.interval.ms", "1000".to_owned()),
            ("log.segment.delete.delay.ms", "500".to_owned()),
            ("log.initial.task.delay.ms", "1000".to_owned()),
        ];
        let kafka = cluster::Cluster::start(cluster::Options { nodes: 1, properties, ..Default::default() });
        Self::at("Apache Kafka 4.3.1", kafka.direct(), Running::Kafka(Box::new(kafka)))
    }

    /// The embedded broker, in this process.
    pub fn demo() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("runtime");
        let settings = broker::Settings { partition_bytes: 64 << 20, ..Default::default() };
        let broker = runtime.block_on(broker::Broker::start(settings)).expect("the embedded broker");
        Self::at("the embedded broker", broker.addr().to_string(), Running::Demo(broker, runtime))
    }

    fn at(name: &str, address: String, broker: Running) -> Self {
        let told = Raw::connect(&address).metadata(Some(&[]));
        let node = told.nodes(BROKERS)[0].i32(metadata_response_broker::NODE_ID);
        Self { name: name.to_owned(), address, node, _broker: broker }
    }

    /// The newest version of an API that both sides know, not above `cap`.
    pub fn version(&self, key: ApiKey, cap: i16) -> i16 {
        use kordon::wire::schema::api_versions::response::{API_KEYS, api_version};
        let request = kordon::wire::Node::request(ApiKey::API_VERSIONS);
        let told = Raw::connect(&self.address).ask(ApiKey::API_VERSIONS, 0, &request);
        let served = told.nodes(API_KEYS).iter().find(|api| api.i16(api_version::API_KEY) == key.0);
        served.map_or(0, |api| api.i16(api_version::MAX_VERSION)).min(cap)
    }
}

/// One way from the load to the broker.
pub struct Hop {
    pub name: &'static str,
    /// Where the load connects.
    pub address: String,
    child: Option<Child>,
}

impl Hop {
    /// No hop.
    pub fn direct(upstream: &Upstream) -> Self {
        Self { name: "direct", address: upstream.address.clone(), child: None }
    }

    /// A relay of bytes.
    pub fn relay(name: &'static str, upstream: &Upstream, buffer: usize) -> Self {
        let address = format!("127.0.0.1:{}", ports::one());
        let mut command = process::command(std::env::current_exe().expect("this program"));
        command.args(["relay", &address, &upstream.address, &buffer.to_string()]);
        let child = process::spawn(command, "the relay");
        let hop = Self { name, address, child: Some(child) };
        eventually("the relay listens", Duration::from_secs(10), || std::net::TcpStream::connect(&hop.address));
        hop
    }

    /// The proxy, with a policy of 300 rules and its usual audit: every decision but polling is an event.
    pub fn proxy(name: &'static str, upstream: &Upstream, binary: &str) -> Self {
        let dir = scratch(name);
        let audit = format!("kordon.audit.{name}");
        create_topic(upstream, &audit, 6);
        let first = ports::block(8);
        let (admin, node) = (first + 7, upstream.node);
        let config = format!(
            "version: 1\ninstance: {name}\ncluster: {{ name: bench, bootstrap: [\"{}\"] }}\nlisteners:\n  \
             - name: bench\n    bind: \"127.0.0.1:{first}\"\n    brokers: {{ ports: {{ start: {}, ids: {node} }} }}\n    \
             identity: fixed\n    principal: \"User:bench\"\npolicy: {{ file: policy.yaml, protocol_acls: disabled }}\n\
             audit: {{ topic: {audit} }}\nmetrics: {{ bind: \"127.0.0.1:{admin}\" }}\n",
            upstream.address,
            i32::from(first) + 1 - node,
        );
        std::fs::write(dir.join("kordon.yaml"), config).expect("configuration");
        std::fs::write(dir.join("policy.yaml"), policy()).expect("policy");
        let log = log_file(&format!("bench-{name}.log"));
        let out = File::create(&log).expect("log of the proxy");
        let mut command = process::command(binary);
        command
            .args(["run", "--config"])
            .arg(dir.join("kordon.yaml"))
            .stderr(Stdio::from(out.try_clone().expect("log of the proxy")))
            .stdout(Stdio::from(out));
        let mut child = process::spawn(command, "the proxy");
        eventually("the proxy is ready", Duration::from_secs(60), || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the proxy ended ({status}):\n{}", process::tail(&log, 30));
            }
            match metrics::get(admin, "/readyz") {
                Ok((200, _)) => Ok(()),
                other => Err(format!("{other:?}\n{}", process::tail(&log, 20))),
            }
        });
        println!("{name} is process {}", child.id());
        Self { name, address: format!("127.0.0.1:{}", first + 1), child: Some(child) }
    }

    /// CPU seconds that the hop's process has used, in user and in kernel mode.
    pub fn cpu(&self) -> f64 {
        /// `_SC_CLK_TCK` of every Linux.
        const TICKS: f64 = 100.0;
        let Some(child) = &self.child else { return 0.0 };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("/proc/PID/stat");
        // The name in the second field may hold anything; what follows its parenthesis does not.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("stat").1.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("ticks");
        (ticks(11) + ticks(12)) / TICKS
    }

    /// The same once it no longer grows: what the load has left behind (audit events on their way) is counted too.
    pub fn settled_cpu(&self) -> f64 {
        let begin = Instant::now();
        let (mut last, mut since) = (self.cpu(), Instant::now());
        while since.elapsed() < Duration::from_millis(300) && begin.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
            let now = self.cpu();
            // One tick may fall due to nothing.
            if now > last + 0.011 {
                (last, since) = (now, Instant::now());
            }
        }
        self.cpu()
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Rules of a company: teams with topics of their own, few of them with anything to do with the one that is measured.
fn policy() -> String {
    let mut text = "version: 1\ndefault: deny\ngroups:\n  writers: [\"User:bench\"]\nacls:\n".to_owned();
    for team in 0..100 {
        text += &format!(
            "  - {{ allow: [Read, Write], principals: [\"User:team-{team}\"], resources: [\"topic:team-{team}.*\"] }}\n  \
             - {{ allow: [Read], principals: [\"User:bench\"], resources: [\"topic:shared-{team}\"] }}\n  \
             - {{ deny: [Write], principals: [\"Group:writers\"], resources: [\"topic:archive-{team}.*\"] }}\n"
        );
    }
    text += "  - { allow: [All], principals: [\"Group:writers\"], resources: [\"topic:bench-*\"] }\n";
    text += "  - { allow: [Describe], principals: [\"User:*\"], resources: [\"cluster\"] }\nend: true\n";
    text
}

/// The relay: what comes from one side goes to the other.
#[tokio::main]
pub async fn relay(listen: &str, to: &str, buffer: usize) -> ExitCode {
    let listener = TcpListener::bind(listen).await.expect("the relay's port");
    loop {
        let (mut client, _) = listener.accept().await.expect("accept");
        let to = to.to_owned();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(to).await.expect("the broker");
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let _ = copy_bidirectional_with_sizes(&mut client, &mut server, buffer, buffer).await;
        });
    }
}
