//! `kordon demo` as a newcomer meets it: the binary, the lines that the README prints, an edited policy, Ctrl-C.
//!
//! One broker, which is the one in the binary: what must be true of Kafka is tested in `tests/kafka`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "helpers of tests fail by panicking; clippy's allowances cover functions marked #[test] alone"
)]
#![allow(unreachable_pub, reason = "the support modules are shared by path with other test binaries and benches")]
#![allow(dead_code, reason = "not every helper is used by every test binary")]

#[path = "support/mod.rs"]
mod support;

use kordon::demo::{Layout, lines};
use serde_json::json;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;
use support::python::librdkafka;
use support::tools::{Ran, console_with, run};
use support::{log_file, needs, ports, process, scratch, soon, unique};

/// Ports of a demo.
const PORTS: u16 = 7;

/// A demo that runs; killed when dropped.
struct Demo {
    child: Child,
    base: u16,
    dir: PathBuf,
    out: PathBuf,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let (base, dir) = (ports::block(PORTS), scratch(&unique("demo")));
        let out = log_file(&format!("demo-{base}.out"));
        let mut kordon = process::command(env!("CARGO_BIN_EXE_kordon"));
        kordon
            .args(["demo", "--no-color", "--port", &base.to_string(), "--dir"])
            .arg(&dir)
            .args(more)
            .stdout(File::create(&out).unwrap())
            .stderr(Stdio::inherit());
        let demo = Self { child: process::spawn(kordon, "`kordon demo`"), base, dir, out };
        soon("the demo tells what runs", || demo.shown().contains("Ctrl-C ends"));
        demo
    }

    fn shown(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// The policy file, whose path it printed.
    fn policy(&self) -> PathBuf {
        let shown = self.shown();
        let path = shown.lines().find_map(|line| line.trim().strip_prefix("policy ")).expect("the path of the policy");
        PathBuf::from(path.trim())
    }

    fn interrupt(mut self) {
        process::signal(self.child.id(), "INT");
        let status = process::wait(&mut self.child, "`kordon demo` after SIGINT", Duration::from_secs(20));
        assert!(status.success(), "{status}:\n{}", self.shown());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of the README's block behind the comment that names this file.
fn readme() -> Vec<String> {
    let text = include_str!("../README.md");
    let block = text.split_once("tests/demo.rs compares").expect("the comment").1;
    let block = block.split_once("```sh\n").expect("the block").1.split_once("```").expect("its end").0;
    block.lines().filter(|line| !line.is_empty()).map(String::from).collect()
}

/// Runs a line of the README with the ports of this demo.
fn try_line(line: &str, base: u16) -> Ran {
    let command = line.split("  # ").next().unwrap();
    let usual = Layout::usual().base;
    let command = (0..PORTS).fold(command.to_owned(), |text, n| {
        text.replace(&format!("127.0.0.1:{}", usual + n), &format!("127.0.0.1:{}", base + n))
    });
    let (input, tool) = match command.split_once(" | ") {
        Some((echo, tool)) => (format!("{}\n", echo.strip_prefix("echo ").expect("echo")), tool.to_owned()),
        None => (String::new(), command),
    };
    let words: Vec<&str> = tool.split_whitespace().collect();
    match words[0].strip_suffix(".sh") {
        Some(tool) => console_with(tool, &words[1..], &input),
        None => kcat(&words, &input),
    }
}

/// Runs kcat; where it is not installed, what it is made of, with the same arguments.
fn kcat(words: &[&str], input: &str) -> Ran {
    assert_eq!(words[0], "kcat");
    let installed =
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("kcat").is_file()));
    if installed {
        let mut kcat = process::command("kcat");
        kcat.args(&words[1..]);
        return run(kcat, "`kcat`", input);
    }
    let after = |flag: &str| words[words.iter().position(|word| *word == flag).expect("a flag") + 1];
    let (at, topic) = (after("-b"), after("-t"));
    let outcome = if words.contains(&"-P") {
        librdkafka(&json!({ "op": "produce", "at": at, "topic": topic, "values": [input.trim()] })).unwrap()
    } else {
        let group = "orders-kcat";
        librdkafka(&json!({ "op": "consume", "at": at, "topics": [topic], "group": group, "count": 1 })).unwrap()
    };
    let failed = outcome["errors"].as_object().is_some_and(|errors| !errors.is_empty());
    let text = outcome.to_string().replace("TOPIC_AUTHORIZATION_FAILED", "Topic authorization failed");
    Ran { out: text, err: String::new(), code: i32::from(failed) }
}

/// Whether a client was told that it may not.
fn refused(ran: &Ran) -> bool {
    ran.says("TopicAuthorizationException") || ran.says("Topic authorization failed")
}

#[test]
fn it_tells_the_whole_story_and_ends() {
    let mut demo = Demo::start(&["--once", "--grant", "8"]);
    let status = process::wait(&mut demo.child, "`kordon demo --once`", Duration::from_secs(90));
    let shown = demo.shown();
    assert!(status.success(), "{status}:\n{shown}");
    let line = |words: [&str; 4]| shown.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(line(["allow", "User:alice", "Write", "topic:orders"]), "{shown}");
    assert!(line(["DENY", "User:bob", "Write", "topic:payments"]), "{shown}");
    assert!(line(["allow", "User:bob", "topic:orders", "GRANT_ALLOW DEMO-1"]), "{shown}");
    assert!(line(["DENY", "User:bob", "topic:orders", "GRANT_EXPIRED"]), "{shown}");
    assert!(line(["client", "bob", "writes to orders", "TOPIC_AUTHORIZATION_FAILED"]), "{shown}");
}

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let printed: Vec<String> =
        lines(&Layout::usual()).iter().map(|line| format!("{}  # {}", line.command, line.outcome)).collect();
    assert_eq!(readme(), printed, "write these lines into README.md:\n{}\n", printed.join("\n"));
}

#[test]
fn the_lines_of_the_readme_do_what_they_say_and_follow_the_policy_file() {
    needs!(Java);
    let demo = Demo::start(&["--grant", "600"]);
    for line in readme() {
        let ran = try_line(&line, demo.base);
        let outcome = line.split("  # ").nth(1).unwrap();
        let expected = outcome.contains("may not");
        assert_eq!(refused(&ran), expected, "{line}\n{}\n{}", ran.out, ran.err);
        for words in ["Processed a total of 3 messages", "TopicAuthorizationException", "Topic authorization failed"] {
            assert!(!outcome.contains(words) || ran.says(words), "{line}\n{}\n{}", ran.out, ran.err);
        }
        if line.contains("--list") {
            let mut listed: Vec<&str> = ran.out.split_whitespace().collect();
            listed.sort_unstable();
            assert_eq!(listed, ["orders", "payments"]);
        }
        if line.contains("kordon.audit") {
            let events: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("{\"specversion\"")).collect();
            assert_eq!(events.len(), 5, "{}", ran.out);
        }
    }
    // The same lines, after an edit that turns the two round.
    let policy = demo.policy();
    let text = std::fs::read_to_string(&policy).unwrap();
    let alice = "allow: [Read, Write], principals: [\"User:alice\"], resources: [\"topic:orders\"]";
    assert!(text.contains(alice), "the example policy reads differently now");
    let turned = text.replace(
        alice,
        "allow: [Read], principals: [\"User:alice\"], resources: [\"topic:orders\"] }\n  \
         - { allow: [Write], principals: [\"User:bob\"], resources: [\"topic:payments\"]",
    );
    let seen = demo.shown().len();
    std::fs::write(&policy, turned).unwrap();
    soon("the demo shows that the policy was loaded", || demo.shown()[seen..].contains("policy loaded"));
    for line in readme().iter().filter(|line| line.starts_with("echo")) {
        let ran = try_line(line, demo.base);
        assert_eq!(refused(&ran), line.contains("topic orders") || line.contains("-t orders"), "{line}\n{}", ran.err);
    }
    let shown = demo.shown();
    let shows = |words: [&str; 3]| shown[seen..].lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(shows(["DENY", "User:alice", "topic:orders"]), "{shown}");
    assert!(shows(["allow", "User:bob", "topic:payments"]), "{shown}");
    demo.interrupt();
}

#[test]
fn ctrl_c_ends_it_and_keeps_the_files_that_were_asked_for() {
    let demo = Demo::start(&[]);
    let (policy, base) = (demo.policy(), demo.base);
    demo.interrupt();
    assert!(policy.exists());
    let free = |n: u16| std::net::TcpListener::bind(("127.0.0.1", base + n)).is_ok();
    assert!((0..PORTS).all(free), "a port is still taken");
}

#[test]
fn files_of_somebody_else_are_not_overwritten() {
    let dir = scratch(&unique("demo-taken"));
    std::fs::write(dir.join("policy.yaml"), "mine").unwrap();
    let mut kordon = process::command(env!("CARGO_BIN_EXE_kordon"));
    kordon.args(["demo", "--port", &ports::block(PORTS).to_string(), "--dir"]).arg(&dir);
    let ran = run(kordon, "`kordon demo`", "");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("exists already: remove it, or choose another directory with `--dir`"), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(dir.join("policy.yaml")).unwrap(), "mine");
}
