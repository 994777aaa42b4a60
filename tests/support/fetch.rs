//! Fetches Apache Kafka and the client libraries into `target/`, once, with the ordinary package clients.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex, OnceLock};

use super::{say, target};

/// What a test may need beside Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// JDK 17 or newer with Maven: brokers, the Java clients and tools.
    Java,
    /// Python 3 with pip: librdkafka by way of `confluent-kafka`.
    Python,
    /// Node.js with npm: `kafkajs`.
    Node,
    /// Go: franz-go.
    Go,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Tool::Java => "java",
            Tool::Python => "python",
            Tool::Node => "node",
            Tool::Go => "go",
        }
    }

    /// Programs it consists of, each with the Debian package that has it.
    fn programs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Tool::Java => {
                &[("java", "openjdk-17-jdk-headless"), ("javac", "openjdk-17-jdk-headless"), ("mvn", "maven")]
            }
            Tool::Python => &[("python3", "python3"), ("pip", "python3-pip")],
            Tool::Node => &[("node", "nodejs"), ("npm", "npm")],
            Tool::Go => &[("go", "golang-go")],
        }
    }
}

/// Whether a test that needs `tool` runs: not if `KORDON_TEST_SKIP` names it.
///
/// # Panics
/// If the tool is wanted and not there: a test that cannot run fails, in one message.
pub fn wanted(tool: Tool) -> bool {
    let skip = std::env::var("KORDON_TEST_SKIP").unwrap_or_default();
    if skip.split(',').any(|name| name.trim() == tool.name()) {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        say(format!("skipped {test}: KORDON_TEST_SKIP names `{}`", tool.name()));
        return false;
    }
    for (program, package) in tool.programs() {
        assert!(
            on_path(program),
            "this test needs `{program}`, which is not on the PATH: install it (Debian: `apt-get install {package}`), \
             or skip such tests with KORDON_TEST_SKIP={}",
            tool.name()
        );
    }
    true
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// A set of jars, fetched together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Jars {
    /// Apache Kafka 4.3.1: broker, tools, streams and clients. What tests run against unless they say why not.
    Kafka431,
    /// The clients of Kafka 4.4.0 (its broker and its Streams are not published).
    Clients440,
    /// Apache Kafka 3.9.2: the last broker of the 3 line.
    Kafka392,
}

impl Jars {
    /// The version of Kafka.
    pub fn version(self) -> &'static str {
        match self {
            Jars::Kafka431 => "4.3.1",
            Jars::Clients440 => "4.4.0",
            Jars::Kafka392 => "3.9.2",
        }
    }

    fn artifacts(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Jars::Kafka431 => &[
                ("org.apache.kafka", "kafka_2.13", "4.3.1"),
                ("org.apache.kafka", "kafka-tools", "4.3.1"),
                ("org.apache.kafka", "kafka-streams", "4.3.1"),
                ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"),
            ],
            Jars::Clients440 => &[
                ("org.apache.kafka", "kafka-clients", "4.4.0"),
                ("com.fasterxml.jackson.core", "jackson-databind", "2.21.2"),
                // What its logins with tokens need, and it does not bring.
                ("org.bitbucket.b_c", "jose4j", "0.9.6"),
                ("org.apache.logging.log4j", "log4j-core", "2.25.4"),
                ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"),
            ],
            Jars::Kafka392 => &[
                ("org.apache.kafka", "kafka_2.13", "3.9.2"),
                ("org.apache.kafka", "kafka-tools", "3.9.2"),
                ("org.slf4j", "slf4j-reload4j", "1.7.36"),
            ],
        }
    }

    /// The directory of this version, its jars in `libs/`. Fetched by the first who asks; others wait.
    pub fn home(self) -> PathBuf {
        static FETCHED: LazyLock<Mutex<HashMap<Jars, PathBuf>>> = LazyLock::new(Mutex::default);
        let mut fetched = FETCHED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(home) = fetched.get(&self) {
            return home.clone();
        }
        let home = target().join("kafka").join(self.version());
        once(&home, &self.pom(), |dir| {
            say(format!("fetching Apache Kafka {} with Maven (once; up to 130 MB)", self.version()));
            std::fs::write(dir.join("pom.xml"), self.pom()).expect("pom.xml");
            let mut maven = Command::new("mvn");
            maven.current_dir(dir).args([
                "-B",
                "-q",
                "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
                "-DoutputDirectory=libs",
                "-DincludeScope=runtime",
            ]);
            run(maven, "mvn", "maven");
        });
        fetched.insert(self, home.clone());
        home
    }

    /// Class path with all jars.
    pub fn classpath(self) -> String {
        format!("{}/libs/*", self.home().display())
    }

    fn pom(self) -> String {
        let mut text = String::from(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
             <groupId>kordon.test</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>\n  \
             <dependencies>\n",
        );
        for (group, artifact, version) in self.artifacts() {
            text.push_str(&format!(
                "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
                 <version>{version}</version></dependency>\n"
            ));
        }
        text.push_str("  </dependencies>\n</project>\n");
        text
    }
}

/// Makes `dir` with `make`, once for all test processes; again when `stamp`, which says what is in it, has changed.
pub fn once(dir: &Path, stamp: &str, make: impl FnOnce(&Path)) {
    let parent = dir.parent().expect("a directory below target");
    std::fs::create_dir_all(parent).unwrap_or_else(|e| panic!("cannot make `{}`: {e}", parent.display()));
    let name = dir.file_name().expect("a name").to_string_lossy();
    let lock = File::create(parent.join(format!("{name}.lock"))).expect("lock file");
    lock.lock().expect("lock");
    let done = dir.join(".complete");
    if std::fs::read_to_string(&done).is_ok_and(|text| text == stamp) {
        return;
    }
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir).unwrap_or_else(|e| panic!("cannot make `{}`: {e}", dir.display()));
    make(dir);
    std::fs::write(done, stamp).expect("stamp");
}

/// Runs a command to its end and gives its output; fails with what it printed.
pub fn run(mut command: Command, program: &str, package: &str) -> Output {
    match command.output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => panic!(
            "`{program}` failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => panic!(
            "`{program}` is not on the PATH, and the tests against Apache Kafka need it: install it \
             (Debian: `apt-get install {package}`)"
        ),
        Err(e) => panic!("cannot run `{program}`: {e}"),
    }
}

/// librdkafka by way of the Python package `confluent-kafka`: the directory for `PYTHONPATH`.
pub fn confluent_kafka() -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = target().join("python");
        let package = "confluent-kafka==2.16.1";
        once(&dir, package, |dir| {
            say(format!("fetching {package} with pip (once)"));
            let mut pip = Command::new("pip");
            pip.args(["install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--no-deps"])
                .args(["--only-binary", ":all:", "--target"])
                .arg(dir)
                .arg(package);
            run(pip, "pip", "python3-pip");
        });
        dir
    })
    .clone()
}

/// kafkajs: the directory that holds `node_modules`.
pub fn kafkajs() -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = target().join("node");
        let package = "kafkajs@2.2.4";
        once(&dir, package, |dir| {
            say(format!("fetching {package} with npm (once)"));
            std::fs::write(dir.join("package.json"), "{\"name\":\"kordon-test\",\"private\":true}\n")
                .expect("package.json");
            let mut npm = Command::new("npm");
            npm.current_dir(dir).args(["install", "--silent", "--no-audit", "--no-fund", package]);
            run(npm, "npm", "npm");
        });
        dir
    })
    .clone()
}
