//! The command line tools of the Kafka release, by main class, as their shell scripts start them.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use super::cluster::classes;
use super::fetch::Jars;
use super::java::Java;
use super::process;

/// What a tool printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Exit code.
    pub code: i32,
}

impl Ran {
    /// The standard output of a tool that succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "the tool failed:\n{}\n{}", self.out, self.err);
        self.out
    }

    /// Whether either output holds this text.
    pub fn says(&self, text: &str) -> bool {
        self.out.contains(text) || self.err.contains(text)
    }
}

fn main_class(tool: &str) -> &'static str {
    match tool {
        "kafka-topics" => "org.apache.kafka.tools.TopicCommand",
        "kafka-console-producer" => "org.apache.kafka.tools.ConsoleProducer",
        "kafka-console-consumer" => "org.apache.kafka.tools.consumer.ConsoleConsumer",
        "kafka-consumer-groups" => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        "kafka-console-share-consumer" => "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
        "kafka-share-groups" => "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
        "kafka-streams-groups" => "org.apache.kafka.tools.streams.StreamsGroupCommand",
        "kafka-groups" => "org.apache.kafka.tools.GroupsCommand",
        "kafka-acls" => "org.apache.kafka.tools.AclCommand",
        "kafka-configs" => "kafka.admin.ConfigCommand",
        "kafka-delete-records" => "org.apache.kafka.tools.DeleteRecordsCommand",
        "kafka-get-offsets" => "org.apache.kafka.tools.GetOffsetShell",
        "kafka-transactions" => "org.apache.kafka.tools.TransactionsCommand",
        "kafka-broker-api-versions" => "org.apache.kafka.tools.BrokerApiVersionsCommand",
        "kafka-cluster" => "org.apache.kafka.tools.ClusterTool",
        "kafka-client-metrics" => "org.apache.kafka.tools.ClientMetricsCommand",
        "kafka-delegation-tokens" => "org.apache.kafka.tools.DelegationTokenCommand",
        "kafka-log-dirs" => "org.apache.kafka.tools.LogDirsCommand",
        "kafka-features" => "org.apache.kafka.tools.FeatureCommand",
        "kafka-metadata-quorum" => "org.apache.kafka.tools.MetadataQuorumCommand",
        "kafka-leader-election" => "org.apache.kafka.tools.LeaderElectionCommand",
        "kafka-reassign-partitions" => "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
        "kafka-producer-perf-test" => "org.apache.kafka.tools.ProducerPerformance",
        "kafka-consumer-perf-test" => "org.apache.kafka.tools.ConsumerPerformance",
        "kafka-streams-application-reset" => "org.apache.kafka.tools.StreamsResetter",
        "kafka-verifiable-producer" => "org.apache.kafka.tools.VerifiableProducer",
        "kafka-jmx" => "org.apache.kafka.tools.JmxTool",
        "kafka-verifiable-consumer" => "org.apache.kafka.tools.VerifiableConsumer",
        other => panic!("no main class is known for `{other}`"),
    }
}

/// Runs a tool to its end.
#[track_caller]
pub fn console(tool: &str, args: &[&str]) -> Ran {
    console_with(tool, args, "")
}

/// Runs a tool to its end, with this text on its standard input.
#[track_caller]
pub fn console_with(tool: &str, args: &[&str], input: &str) -> Ran {
    let jars = Jars::Kafka431;
    let mut java = process::command("java");
    java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        .args(classes(jars))
        .arg(quiet())
        .args(["-cp", &jars.classpath(), main_class(tool)])
        .args(args);
    run(java, &format!("`{tool}`"), input)
}

/// Runs a tool to its end within the JVM of the driver: the same program, without the seconds that a JVM takes to start.
/// What it logs is not among what it printed.
#[track_caller]
pub fn within(tool: &str, args: &[&str]) -> Ran {
    let ran = Java::same().call("tools.run", json!({ "main": main_class(tool), "args": args }));
    let ran = ran.unwrap_or_else(|e| panic!("`{tool}` did not run: {e}"));
    let text = |key: &str| ran[key].as_str().unwrap_or_default().to_owned();
    Ran { out: text("out"), err: text("err"), code: ran["code"].as_i64().map_or(-1, |code| code as i32) }
}

/// Runs a tool, within the JVM of the driver, against the brokers at `address`.
#[track_caller]
pub fn at(tool: &str, address: &str, args: &[&str]) -> Ran {
    let server = ["--bootstrap-server", address];
    // some take it before their subcommand alone, others behind it alone
    let first = matches!(tool, "kafka-transactions" | "kafka-metadata-quorum" | "kafka-features");
    let all = if first { [&server, args].concat() } else { [args, &server].concat() };
    within(tool, &all)
}

/// The lines of what a tool that succeeded printed, in any order: tools print maps.
#[track_caller]
pub fn lines(ran: Ran) -> Vec<String> {
    let mut lines: Vec<String> = ran.ok().lines().map(|l| l.trim_end().to_owned()).collect();
    lines.retain(|l| !l.is_empty());
    lines.sort();
    lines
}

/// Asserts that a tool prints the same through the proxy and at the broker, something, and gives it.
#[track_caller]
pub fn same(tool: &str, through: &str, direct: &str, args: &[&str]) -> Vec<String> {
    let (ours, theirs) = (lines(at(tool, through, args)), lines(at(tool, direct, args)));
    assert_eq!(ours, theirs, "`{tool} {}`", args.join(" "));
    assert!(!theirs.is_empty(), "`{tool} {}` printed nothing", args.join(" "));
    theirs
}

/// Asserts that a tool tells of this.
#[track_caller]
pub fn refused(tool: &str, address: &str, args: &[&str], telling: &str) {
    let ran = at(tool, address, args);
    assert!(ran.says(telling), "`{tool} {}` does not tell of {telling}: {ran:?}", args.join(" "));
}

/// Warnings and errors alone, on standard error.
fn quiet() -> String {
    let path = super::scratch("logging").join("tools-log4j2.properties");
    let text = "status = error\nappender.err.type = Console\nappender.err.name = err\nappender.err.target = SYSTEM_ERR\n\
                    appender.err.layout.type = PatternLayout\nappender.err.layout.pattern = [%d] %p %m (%c)%n\n\
                    rootLogger.level = warn\nrootLogger.appenderRef.err.ref = err\n";
    super::write_once(&path, text);
    format!("-Dlog4j2.configurationFile={}", path.display())
}

/// Runs a prepared command with `input` and a deadline of two minutes.
#[track_caller]
pub fn run(command: std::process::Command, what: &str, input: &str) -> Ran {
    run_within(Duration::from_secs(120), command, what, input)
}

/// As [`run`], with another deadline.
#[track_caller]
pub fn run_within(within: Duration, mut command: std::process::Command, what: &str, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = process::spawn(command, what);
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let out = reader(child.stdout.take().expect("stdout"));
    let err = reader(child.stderr.take().expect("stderr"));
    let status = process::wait(&mut child, what, within);
    writer.join().expect("writer");
    Ran { out: out.join().expect("reader"), err: err.join().expect("reader"), code: status.code().unwrap_or(-1) }
}

fn reader(mut from: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
