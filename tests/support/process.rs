//! Child processes that cannot outlive the test process.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

type Job = (Command, Sender<io::Result<Child>>);

/// The kernel ties "die with the parent" to the *thread* that forked. Threads of tests end with their test, so one
/// thread that lives as long as the process starts every child.
static SPAWNER: LazyLock<Mutex<Sender<Job>>> = LazyLock::new(|| {
    let (sender, jobs) = channel::<Job>();
    std::thread::Builder::new()
        .name("spawner".to_owned())
        .spawn(move || {
            for (mut command, answer) in jobs {
                let _ = answer.send(command.spawn());
            }
        })
        .expect("thread");
    Mutex::new(sender)
});

/// A command whose process is killed when the test process ends, however it ends.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null());
    command
}

/// Starts `command`. `what` says what it is when it cannot be started.
pub fn spawn(command: Command, what: &str) -> Child {
    let (sender, answer) = channel();
    SPAWNER.lock().unwrap().send((command, sender)).expect("the spawner lives as long as the process");
    match answer.recv().expect("the spawner answers") {
        Ok(child) => child,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            panic!("cannot start {what}: `setpriv` is not on the PATH; install util-linux")
        }
        Err(e) => panic!("cannot start {what}: {e}"),
    }
}

/// Sends `signal` (a name such as `STOP`) to the process.
pub fn signal(pid: u32, signal: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|s| s.success()), "cannot send SIG{signal} to process {pid}");
}

/// Waits until the process has ended; kills it and fails when that takes longer than `within`.
#[track_caller]
pub fn wait(child: &mut Child, what: &str, within: Duration) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("wait for a child") {
            return status;
        }
        if start.elapsed() > within {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{what} did not end within {within:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The last lines of a log, for a message.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Resident memory of a process, in bytes.
pub fn resident(pid: u32) -> u64 {
    status_field(pid, "VmRSS:").unwrap_or(0) * 1024
}

/// Peak resident memory of a process, in bytes.
pub fn peak(pid: u32) -> u64 {
    status_field(pid, "VmHWM:").unwrap_or(0) * 1024
}

/// Number of threads of a process.
pub fn threads(pid: u32) -> u64 {
    status_field(pid, "Threads:").unwrap_or(0)
}

fn status_field(pid: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Resets the peak of [`peak`] to what is resident now.
pub fn reset_peak(pid: u32) {
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
}
