//! Runs the binary under test, as a user would: configuration and policy in files, a process, ports, signals.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::audit::AuditReader;
use super::cluster::{Cluster, SASL_PASSWORD, SASL_USER};
use super::gate::{Tap, proxy};
use super::metrics::{Metrics, get};
use super::people::users;
use super::tools::{Ran, run};
use super::{eventually, log_file, ports, process, scratch, soon, unique};

/// Ids of brokers that a listener has ports for: more than there are, so that an offset by one is seen.
const IDS: std::ops::RangeInclusive<u16> = 0..=4;

/// Allows everything to everybody.
pub const OPEN: &str = "version: 1
default: deny
acls:
  - { allow: [All], principals: [\"User:*\"], resources: [\"*\"] }
end: true
";

/// How the proxy reaches the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// Through the gate, without a login: the default.
    Gated,
    /// Through the gate, with SASL/PLAIN.
    Sasl,
    /// Through the gate, with SASL/SCRAM, in this form; the cluster must have been [given it](super::cluster::SCRAM).
    Scram(&'static str),
    /// Through the gate of a secured cluster, with a certificate.
    Tls,
    /// Through the gate of a secured cluster, with SASL/PLAIN over TLS.
    SaslTls,
    /// Through the gate of a secured cluster, with SASL/SCRAM over TLS, in this form.
    ScramTls(&'static str),
    /// Straight to the brokers, for what measures.
    Direct,
}

/// A listener to be.
struct Place {
    name: String,
    keys: String,
    /// Where it binds.
    ip: &'static str,
    /// `brokers`, if not a port for each.
    brokers: Option<String>,
}

/// What to start.
pub struct Setup<'c> {
    cluster: &'c Cluster,
    listeners: Vec<Place>,
    policy: String,
    upstream: Upstream,
    audit: String,
    acls: String,
    state: String,
    keys: String,
    more: String,
    files: Vec<(String, String)>,
    envs: Vec<(String, String)>,
    expected: Vec<String>,
    audit_topic: String,
}

impl<'c> Setup<'c> {
    /// A listener `name` whose clients are all `User:name`.
    pub fn person(self, name: &str) -> Self {
        let identity = format!("identity: fixed\n    principal: \"User:{name}\"");
        self.listener(name, &identity)
    }

    /// As [`Setup::person`], and the policy's super users and operators count there.
    pub fn super_person(self, name: &str) -> Self {
        let identity = format!("identity: fixed\n    super_users: true\n    principal: \"User:{name}\"");
        self.listener(name, &identity)
    }

    /// A listener `name` with further keys, as they stand in the file (lines after the first indented by four spaces).
    pub fn listener(mut self, name: &str, keys: &str) -> Self {
        self.listeners.push(Place { name: name.to_owned(), keys: keys.to_owned(), ip: "127.0.0.1", brokers: None });
        self
    }

    /// How the last listener's brokers are reached, in flow style; `{port}` is the port it binds.
    pub fn brokers(mut self, keys: &str) -> Self {
        self.listeners.last_mut().expect("a listener").brokers = Some(keys.to_owned());
        self
    }

    /// Binds the last listener at this address, as a configuration writes it.
    pub fn ip(mut self, ip: &'static str) -> Self {
        self.listeners.last_mut().expect("a listener").ip = ip;
        self
    }

    /// The policy; everything is allowed to everybody if not set.
    pub fn policy(mut self, text: &str) -> Self {
        text.clone_into(&mut self.policy);
        self
    }

    /// How the brokers are reached.
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = upstream;
        self
    }

    /// Further keys of `audit`, in flow style without braces: `memory: 1MiB, partitions: 1`.
    pub fn audit(mut self, keys: &str) -> Self {
        self.audit = format!(", {keys}");
        self
    }

    /// Keeps ACLs that clients make in this state topic; without it there are none, which is cheaper to start.
    pub fn state(mut self, topic: &str) -> Self {
        self.acls = "state".to_owned();
        self.expected.push("`state.genesis` is null".to_owned());
        self.expected.push("state topic created and initialised".to_owned());
        self.state = format!("topic: {topic}");
        self
    }

    /// Further keys of `state`, in flow style.
    pub fn state_with(mut self, keys: &str) -> Self {
        self.state.push_str(&format!(", {keys}"));
        self
    }

    /// A further key of `cluster`.
    pub fn cluster_keys(mut self, keys: &str) -> Self {
        self.keys.push_str(&format!("\n  {keys}"));
        self
    }

    /// Keeps ACLs that clients make in this way.
    pub fn protocol_acls(mut self, mode: &str) -> Self {
        mode.clone_into(&mut self.acls);
        self
    }

    /// Further top-level keys of the configuration.
    pub fn config(mut self, text: &str) -> Self {
        self.more.push_str(text);
        self.more.push('\n');
        self
    }

    /// A further file beside the configuration.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// A users file with these names and passwords.
    #[track_caller]
    pub fn users(self, people: &[(impl AsRef<str>, impl AsRef<str>)]) -> Self {
        self.config("users: users.yaml").file("users.yaml", &users(people))
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A part of a WARN or ERROR line that is no failure.
    pub fn expects(mut self, part: &str) -> Self {
        self.expected.push(part.to_owned());
        self
    }

    /// Starts the proxy and waits until it is ready. What it said by then of brokers that take long is no failure: there
    /// is a limit to the wait, and on a small machine brokers that have just started do take long.
    #[track_caller]
    pub fn start(self) -> Kordon<'c> {
        let mut kordon = self.launch();
        kordon.await_ready();
        kordon.starting = kordon.log().len();
        kordon
    }

    /// Starts the proxy without waiting.
    #[track_caller]
    pub fn launch(self) -> Kordon<'c> {
        let name = unique("kordon");
        let dir = scratch(&name);
        let per = u16::try_from(IDS.count()).expect("few ids") + 1;
        let count = u16::try_from(self.listeners.len()).expect("few listeners");
        let first = ports::block(count * per + 1);
        let metrics = first + count * per;
        let mut bootstrap = BTreeMap::new();
        let mut listeners = String::new();
        for (i, Place { name, keys, ip, brokers }) in (0..count).zip(&self.listeners) {
            let port = first + i * per;
            bootstrap.insert(name.clone(), format!("{ip}:{port}"));
            let brokers = match brokers {
                Some(brokers) => brokers.replace("{port}", &port.to_string()),
                None => format!("{{ ports: {{ ids: {}-{} }} }}", IDS.start(), IDS.end()),
            };
            listeners.push_str(&format!(
                "  - name: {name}\n    bind: \"{ip}:{port}\"\n    brokers: {brokers}\n    {keys}\n"
            ));
        }
        let (at, login) = match self.upstream {
            Upstream::Gated => (self.cluster.gated(), String::new()),
            Upstream::Direct => (self.cluster.direct(), String::new()),
            Upstream::Tls => {
                let pass = self.cluster.pass();
                let pair =
                    format!("certificate: {}, key: {}", pass.certificate_file.display(), pass.key_file.display());
                let ca = self.cluster.authority().file();
                (self.cluster.tls(), format!("\n  tls: {{ ca: {}, {pair} }}", ca.display()))
            }
            Upstream::Sasl | Upstream::Scram(_) | Upstream::SaslTls | Upstream::ScramTls(_) => {
                let mechanism = match self.upstream {
                    Upstream::Scram(name) | Upstream::ScramTls(name) => name,
                    _ => "PLAIN",
                };
                let secret = dir.join("upstream-password");
                std::fs::write(&secret, SASL_PASSWORD).expect("secret");
                let password = "password: { file: upstream-password }";
                let sasl = format!("\n  sasl: {{ mechanism: {mechanism}, username: {SASL_USER}, {password} }}");
                if matches!(self.upstream, Upstream::SaslTls | Upstream::ScramTls(_)) {
                    let ca = self.cluster.authority().file();
                    (self.cluster.sasl_tls(), format!("\n  tls: {{ ca: {} }}{sasl}", ca.display()))
                } else {
                    (self.cluster.sasl(), sasl)
                }
            }
        };
        let at: Vec<String> = at.split(',').map(|a| format!("\"{a}\"")).collect();
        let config = format!(
            "version: 1
instance: {name}
cluster:
  name: test
  bootstrap: [{}]{login}{}
listeners:
{listeners}policy: {{ file: policy.yaml, protocol_acls: {} }}
state: {{ {} }}
audit: {{ topic: {}{} }}
metrics: {{ bind: \"127.0.0.1:{metrics}\" }}
{}",
            at.join(", "),
            self.keys,
            self.acls,
            self.state,
            self.audit_topic,
            self.audit,
            self.more
        );
        std::fs::write(dir.join("kordon.yaml"), config).expect("configuration");
        std::fs::write(dir.join("policy.yaml"), &self.policy).expect("policy");
        for (name, text) in &self.files {
            std::fs::write(dir.join(name), text).expect("file");
        }
        let log = log_file(&format!("{name}.log"));
        let _ = std::fs::remove_file(&log);
        let mut kordon = Kordon {
            cluster: self.cluster,
            child: None,
            dir,
            log,
            bootstrap,
            metrics,
            envs: self.envs,
            expected: self.expected,
            starting: 0,
            audit_topic: self.audit_topic,
            gated: self.upstream != Upstream::Direct,
        };
        kordon.begin();
        kordon
    }
}

/// A running proxy. Dropped, it is killed, and its log must hold no warning that the test did not name.
pub struct Kordon<'c> {
    cluster: &'c Cluster,
    child: Option<Child>,
    dir: PathBuf,
    log: PathBuf,
    bootstrap: BTreeMap<String, String>,
    metrics: u16,
    envs: Vec<(String, String)>,
    expected: Vec<String>,
    /// Length of the log when [`Setup::start`] found the proxy ready.
    starting: usize,
    audit_topic: String,
    gated: bool,
}

impl<'c> Kordon<'c> {
    /// A proxy before `cluster`, with an audit topic of its own.
    pub fn before(cluster: &'c Cluster) -> Setup<'c> {
        Setup {
            cluster,
            listeners: Vec::new(),
            policy: OPEN.to_owned(),
            upstream: Upstream::Gated,
            audit: String::new(),
            acls: "disabled".to_owned(),
            state: String::new(),
            keys: String::new(),
            more: String::new(),
            files: Vec::new(),
            envs: Vec::new(),
            // Most tests are not about these.
            expected: ["the brokers serve whoever reaches them", "no acl about the cluster"].map(str::to_owned).into(),
            audit_topic: unique("kordon.audit"),
        }
    }

    /// Starts the process of a proxy that was stopped, on the same ports.
    #[track_caller]
    pub fn begin(&mut self) {
        assert!(self.child.is_none(), "the proxy runs already");
        let out = OpenOptions::new().create(true).append(true).open(&self.log).expect("log of the proxy");
        let mut command = process::command(proxy());
        command
            .args(["run", "--config"])
            .arg(self.dir.join("kordon.yaml"))
            .envs(self.envs.iter().cloned())
            .stderr(Stdio::from(out.try_clone().expect("log of the proxy")))
            .stdout(Stdio::from(out));
        self.child = Some(process::spawn(command, "the proxy"));
    }

    /// Waits until `/readyz` says yes; fails at once when the process ends.
    #[track_caller]
    pub fn await_ready(&mut self) {
        let (metrics, log) = (self.metrics, self.log.clone());
        let child = self.child.as_mut().expect("a running proxy");
        eventually("the proxy is ready", Duration::from_secs(60), || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the proxy ended ({status}); its log ends:\n{}", process::tail(&log, 30));
            }
            match get(metrics, "/readyz") {
                Ok((200, _)) => Ok(()),
                Ok((status, body)) => Err(format!("{status} {body}\n{}", process::tail(&log, 20))),
                Err(e) => Err(format!("{e}\n{}", process::tail(&log, 20))),
            }
        });
    }

    /// Bootstrap address of a listener.
    #[track_caller]
    pub fn at(&self, listener: &str) -> &str {
        self.bootstrap.get(listener).unwrap_or_else(|| panic!("no listener `{listener}`"))
    }

    /// The address at which a listener stands for a broker.
    #[track_caller]
    pub fn broker(&self, listener: &str, id: i32) -> String {
        let (ip, first) = self.at(listener).rsplit_once(':').expect("an address and a port");
        let first: u16 = first.parse().expect("a port");
        format!("{ip}:{}", first + 1 + id as u16 - IDS.start())
    }

    /// Process id.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running proxy").id()
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        process::resident(self.pid())
    }

    /// Shows the frames between this proxy and the brokers from now on.
    pub fn tap(&self) -> Tap {
        self.cluster.gate.tap(self.pid())
    }

    /// Scrapes `/metrics`.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        let (status, text) = get(self.metrics, "/metrics").unwrap_or_else(|e| panic!("no metrics: {e}"));
        assert_eq!(status, 200, "{text}");
        Metrics::parse(&text)
    }

    /// Status and body of a path of the metrics port.
    pub fn http(&self, path: &str) -> Result<(u16, String), String> {
        get(self.metrics, path)
    }

    /// Replaces the policy by a rename over the file, and waits until it is in force.
    #[track_caller]
    pub fn write_policy(&self, text: &str) {
        let fresh = self.dir.join("policy.yaml.new");
        std::fs::write(&fresh, text).expect("policy");
        std::fs::rename(&fresh, self.policy_path()).expect("policy");
        self.await_policy(text);
    }

    /// Waits until the metrics name the revision of this policy.
    #[track_caller]
    pub fn await_policy(&self, text: &str) {
        let revision = revision_of(text);
        soon("the policy is in force", || match get(self.metrics, "/metrics") {
            Ok((_, all)) if all.contains(&revision) => Ok(()),
            Ok(_) => Err(format!("revision {revision} is not in the metrics\n{}", process::tail(&self.log, 10))),
            Err(e) => Err(e),
        });
    }

    /// Where the policy stands.
    pub fn policy_path(&self) -> PathBuf {
        self.dir.join("policy.yaml")
    }

    /// Where the configuration stands.
    pub fn config_path(&self) -> PathBuf {
        self.dir.join("kordon.yaml")
    }

    /// The directory of both.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log holds this text.
    #[track_caller]
    pub fn await_log(&self, part: &str) {
        soon(&format!("`{part}` in the log"), || {
            if self.log().contains(part) { Ok(()) } else { Err(process::tail(&self.log, 15)) }
        });
    }

    /// From now on, a WARN or ERROR line with this part is no failure.
    pub fn expects(&mut self, part: &str) {
        self.expected.push(part.to_owned());
    }

    /// Reads this proxy's audit topic behind its back.
    pub fn audit(&self) -> AuditReader {
        AuditReader::open(self.cluster, &self.audit_topic)
    }

    /// Name of this proxy's audit topic.
    pub fn audit_topic(&self) -> &str {
        &self.audit_topic
    }

    /// Sends a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        process::signal(self.pid(), name);
    }

    /// Ends the process as an operator does (SIGTERM); gives its exit code.
    #[track_caller]
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        let mut child = self.child.take().expect("a running proxy");
        process::wait(&mut child, "the proxy", Duration::from_secs(60)).code()
    }

    /// Kills the process (SIGKILL).
    #[track_caller]
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running proxy");
        child.kill().expect("kill the proxy");
        child.wait().expect("wait for the proxy");
    }

    /// WARN and ERROR lines of the log that no [`Setup::expects`] names.
    pub fn warnings(&self) -> Vec<String> {
        let log = self.log();
        let (starting, running) = log.split_at(self.starting.min(log.len()));
        let bad = |line: &&str| {
            let head: Vec<&str> = line.split_whitespace().take(3).collect();
            let level = |l: &str| l == "WARN" || l == "ERROR";
            (head.iter().any(|w| level(w))
                || line.contains("\"level\":\"WARN\"")
                || line.contains("\"level\":\"ERROR\"")
                || line.contains("panicked at"))
                && !self.expected.iter().any(|part| line.contains(part.as_str()))
        };
        let starting = starting.lines().filter(|line| !line.contains("kordon::cluster::trouble"));
        starting.chain(running.lines()).filter(bad).map(str::to_owned).collect()
    }
}

impl Drop for Kordon<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the log of the proxy, {}, ends:\n{}", self.log.display(), process::tail(&self.log, 40));
            return;
        }
        let warnings = self.warnings();
        assert!(warnings.is_empty(), "lines in the log that the test did not name:\n{}", warnings.join("\n"));
        if self.gated {
            let strangers = self.cluster.gate.strangers();
            assert!(strangers.is_empty(), "a client connected to a broker: {strangers:?}");
        }
    }
}

/// The part of the revision that names the file.
pub fn revision_of(policy: &str) -> String {
    Sha256::digest(policy.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a command of the binary to its end.
#[track_caller]
pub fn cli(args: &[&str]) -> Ran {
    cli_with(args, "")
}

/// Runs a command of the binary to its end, with this text on its standard input.
#[track_caller]
pub fn cli_with(args: &[&str], input: &str) -> Ran {
    let mut command = process::command(proxy());
    command.args(args);
    run(command, &format!("`kordon {}`", args.join(" ")), input)
}
