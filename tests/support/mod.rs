//! What tests that need a real Kafka share: it fetched once, clusters, raw and real clients, the proxy under test.
//!
//! * [`fetch`] brings Apache Kafka and the client libraries into `target/`, once.
//! * [`cluster`] starts KRaft clusters; three brokers are the default and are shared between tests.
//! * [`certificates`] signs for brokers, clients and the proxy.
//! * [`gate`] stands between the proxy and every broker: it knows who connects, and shows what passes.
//! * [`proxy`] runs the binary under test; [`metrics`] and [`audit`] read what it says of itself.
//! * [`people`] log in; [`idp`] gives tokens to some of them.
//! * [`raw`] speaks the protocol frame by frame; [`java`], [`tools`], [`python`] and [`node`] are stock clients.

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

pub mod audit;
pub mod balancer;
pub mod certificates;
pub mod cluster;
pub mod fetch;
pub mod gate;
pub mod idp;
pub mod java;
pub mod metrics;
pub(crate) mod mint;
pub mod node;
pub mod pair;
pub mod people;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod secrets;
pub mod tools;
pub mod trace;

/// The build directory of this run.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_path_buf()
}

/// The directory of this test process for `what`, made if need be; those of earlier, ended processes are removed.
pub fn scratch(what: &str) -> PathBuf {
    static SWEPT: LazyLock<()> = LazyLock::new(|| {
        let Ok(entries) = std::fs::read_dir(target().join("test-run")) else { return };
        for entry in entries.flatten() {
            let pid = entry.file_name().to_string_lossy().into_owned();
            if !Path::new("/proc").join(&pid).exists() {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    });
    LazyLock::force(&SWEPT);
    let dir = target().join("test-run").join(std::process::id().to_string()).join(what);
    std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("cannot make `{}`: {e}", dir.display()));
    dir
}

/// Where the log `name` of this run is written. Logs stay after the run, until the next one.
pub fn log_file(name: &str) -> PathBuf {
    let dir = target().join("test-logs");
    std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("cannot make `{}`: {e}", dir.display()));
    dir.join(name)
}

/// Tells whoever watches the run something at once, also when the output of tests is captured.
pub fn say(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "kordon-test: {text}");
}

/// Writes a file that several threads want alike, so that none reads half of it.
pub fn write_once(path: &Path, text: &str) {
    static ONE_WRITER: Mutex<()> = Mutex::new(());
    let _guard = ONE_WRITER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if std::fs::read_to_string(path).ok().as_deref() != Some(text) {
        std::fs::write(path, text).unwrap_or_else(|e| panic!("cannot write `{}`: {e}", path.display()));
    }
}

/// A name that no other test of this run uses.
pub fn unique(prefix: &str) -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What [`eventually`] takes for yes or no: a `bool`, an `Option` or a `Result`.
pub trait Outcome {
    /// What a yes carries.
    type Value;
    /// The value, or why not yet.
    fn outcome(self) -> Result<Self::Value, String>;
}

impl Outcome for bool {
    type Value = ();
    fn outcome(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("still false".to_owned()) }
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;
    fn outcome(self) -> Result<T, String> {
        self.ok_or_else(|| "still nothing".to_owned())
    }
}

impl<T, E: Display> Outcome for Result<T, E> {
    type Value = T;
    fn outcome(self) -> Result<T, String> {
        self.map_err(|e| e.to_string())
    }
}

/// Asks until the answer is yes, and fails with the last answer at the deadline. The only way a test waits.
#[track_caller]
pub fn eventually<O: Outcome>(what: &str, within: Duration, mut ask: impl FnMut() -> O) -> O::Value {
    let start = Instant::now();
    loop {
        match ask().outcome() {
            Ok(value) => return value,
            Err(why) if start.elapsed() >= within => panic!("{what}: not within {within:?}: {why}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// As [`eventually`], with the deadline that suits almost everything: half a minute.
#[track_caller]
pub fn soon<O: Outcome>(what: &str, ask: impl FnMut() -> O) -> O::Value {
    eventually(what, Duration::from_secs(30), ask)
}

/// Asks for as long as told, and fails at the first no: for what must *not* happen.
#[track_caller]
pub fn throughout<O: Outcome>(what: &str, during: Duration, mut ask: impl FnMut() -> O) {
    let start = Instant::now();
    while start.elapsed() < during {
        if let Err(why) = ask().outcome() {
            panic!("{what}: no longer after {:?}: {why}", start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Names the tools a test needs. A tool named in `KORDON_TEST_SKIP` (comma separated) skips the test and says so; a
/// tool that is not on this machine fails it with a message that names tool and package.
macro_rules! needs {
    ($($tool:ident),+) => {
        $(
            if !$crate::support::fetch::wanted($crate::support::fetch::Tool::$tool) {
                return;
            }
        )+
    };
}
pub(crate) use needs;
