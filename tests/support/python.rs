//! librdkafka, by way of its Python binding: one process per step.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::fetch::confluent_kafka;
use super::java::Failure;
use super::tools::{run, run_within};
use super::{process, scratch};

/// Runs one step of `python/client.py`: `op` is `produce`, `consume`, `topics`, `create` or `versions`.
///
/// # Errors
/// What librdkafka said, by the name of its error code.
#[track_caller]
pub fn librdkafka(command: &Value) -> Result<Value, Failure> {
    let script = scratch("python").join("client.py");
    super::write_once(&script, include_str!("python/client.py"));
    let mut python = process::command("python3");
    python.env("PYTHONPATH", confluent_kafka()).arg(&script).arg(command.to_string());
    outcome(run(python, "`python3`", ""))
}

/// Sends records and reads them as a group, by brokers' names that are resolved to this host (`python/named.py`); tells
/// which names those were.
#[track_caller]
pub fn by_name(command: &Value) -> Value {
    let script = scratch("python").join("named.py");
    super::write_once(&script, include_str!("python/named.py"));
    let mut python = process::command("python3");
    python.env("PYTHONPATH", confluent_kafka()).arg(&script).arg(command.to_string());
    outcome(run(python, "`python3`", "")).expect("an outcome")
}

/// The answer that a step printed on its last line.
#[track_caller]
pub fn outcome(ran: super::tools::Ran) -> Result<Value, Failure> {
    let last = ran.out.lines().last().unwrap_or_default();
    let mut answer: Value =
        serde_json::from_str(last).unwrap_or_else(|_| panic!("no answer: {}\n{}", ran.out, ran.err));
    if answer.get("error").is_some() { Err(Failure::from(answer)) } else { Ok(answer["ok"].take()) }
}

/// Runs programs of `python/programs.py` side by side, as this list of jobs says; gives the trace of each by its key.
#[track_caller]
pub fn programs(jobs: &[Value]) -> Value {
    let script = scratch("python").join("programs.py");
    super::write_once(&script, include_str!("python/programs.py"));
    let mut python = process::command("python3");
    python.env("PYTHONPATH", confluent_kafka()).arg(&script);
    let ran = run_within(Duration::from_secs(300), python, "`python3`", &Value::from(jobs.to_vec()).to_string());
    outcome(ran).unwrap_or_else(|e| panic!("the programs failed: {e}"))
}

/// A process with librdkafka clients (`python/live.py`) that takes one command after the other. Killed when dropped.
pub struct Live {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Live {
    /// Starts the process.
    #[track_caller]
    pub fn start() -> Live {
        let script = scratch("python").join("live.py");
        super::write_once(&script, include_str!("python/live.py"));
        let log = std::fs::File::create(super::log_file("librdkafka-live.log")).expect("log");
        let mut python = process::command("python3");
        python.env("PYTHONPATH", confluent_kafka()).arg(&script);
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::from(log));
        let mut child = process::spawn(python, "`python3`");
        let commands = child.stdin.take().expect("stdin");
        let answers = BufReader::new(child.stdout.take().expect("stdout"));
        Live { child, commands, answers }
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// What librdkafka said, by the name of its error code.
    #[track_caller]
    pub fn ask(&mut self, op: &str, mut args: Value) -> Result<Value, Failure> {
        args["op"] = Value::from(op);
        writeln!(self.commands, "{args}").and_then(|()| self.commands.flush()).expect("a running process");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer to `{op}`: {line}"));
        if answer.get("error").is_some() { Err(Failure::from(answer)) } else { Ok(answer["ok"].take()) }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
