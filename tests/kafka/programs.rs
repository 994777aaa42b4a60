//! The same client programs on a cluster that authorizes and on an open one behind the proxy: their traces are the same.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::java::Java;
use crate::support::pair::Pair;
use crate::support::python::programs;
use crate::support::trace::{compare, mask};
use crate::support::{log_file, needs, say};

/// Where the traces differ on purpose: program, user (or `*`), what all lines of the place begin with, why.
const ALLOWED: &[(&str, &str, &str, &str)] = &[(
    "py-groups",
    "*",
    "join consumer to a pattern",
    "a pattern that the broker resolves is refused (INVALID_REGULAR_EXPRESSION): without an authorizer it would be \
     resolved with nobody's rights, and a member learn of topics it may not see",
)];

/// Programs of the Java clients, the longest first; the second is for whom each run of the tests is long enough.
const JAVA: &[(&str, &[&str])] = &[
    ("tools", &[]),
    ("streams", &["bob"]),
    ("consumer", &["bob", "carol"]),
    ("classic", &["bob", "carol"]),
    ("consume", ALL),
    ("produce", ALL),
    ("transactions", ALL),
    ("connect", ALL),
    ("cluster", ALL),
    ("offsets", ALL),
    ("topics", ALL),
    ("configs", ALL),
    ("operator", &["bob"]),
    ("acls", ALL),
];

/// Programs of librdkafka.
const PYTHON: &[(&str, &[&str])] =
    &[("groups", ALL), ("transactions", ALL), ("produce", ALL), ("consume", ALL), ("admin", ALL)];

const ALL: &[&str] = &["alice", "bob", "carol"];

/// Program and user, of those that this run is to have.
fn jobs(of: &[(&'static str, &'static [&'static str])]) -> Vec<(&'static str, &'static str)> {
    let full = std::env::var("KORDON_TEST").is_ok_and(|v| v == "full");
    let wanted = std::env::var("KORDON_PROGRAMS").unwrap_or_default();
    of.iter()
        .filter(|(program, _)| wanted.is_empty() || wanted.split(',').any(|w| w == *program))
        .flat_map(|(program, users)| (if full { ALL } else { users }).iter().map(|user| (*program, *user)))
        .collect()
}

/// Traces of one program and user: at the reference, and through the proxy.
type Traces = (String, &'static str, [Vec<String>; 2]);

/// Asserts that there are no differences but those that are allowed, and that each of these is still there.
#[track_caller]
fn judge(traces: Vec<Traces>) {
    let (mut left, mut possible, mut found, mut lines) = (String::new(), BTreeSet::new(), BTreeSet::new(), 0);
    for (program, user, [theirs, ours]) in traces {
        for (side, trace) in [("reference", &theirs), ("proxied", &ours)] {
            let _ = std::fs::write(log_file(&format!("trace-{program}-{user}-{side}.txt")), trace.join("\n"));
        }
        lines += theirs.len();
        let allowed: Vec<_> = ALLOWED
            .iter()
            .filter(|(p, u, ..)| *p == program && (*u == "*" || *u == user))
            .map(|(.., with, _)| *with)
            .collect();
        possible.extend(allowed.iter().map(|with| (program.clone(), *with)));
        for place in compare(&theirs, &ours) {
            let all = || place.theirs.iter().chain(&place.ours);
            if let Some(with) = allowed.iter().find(|with| all().all(|l| l.starts_with(**with))) {
                found.insert((program.clone(), *with));
                continue;
            }
            left.push_str(&format!("{program} as {user}\n"));
            place.theirs.iter().for_each(|l| left.push_str(&format!("  reference  {l}\n")));
            place.ours.iter().for_each(|l| left.push_str(&format!("  proxied    {l}\n")));
        }
    }
    say(format!("{lines} lines of traces"));
    assert!(left.is_empty(), "the traces differ:\n{left}");
    let stale: Vec<_> = possible.difference(&found).collect();
    assert!(stale.is_empty(), "allowed differences that are no more: {stale:?}");
}

fn masked(lines: &Value) -> Vec<String> {
    let lines = lines.as_array().unwrap_or_else(|| panic!("no trace: {lines}"));
    lines.iter().map(|l| mask(l.as_str().unwrap_or_default())).collect()
}

/// Runs one program of the Java clients as one user on both sides.
fn run(java: &'static Java, program: &str, user: &'static str) -> [Vec<String>; 2] {
    let pair = Pair::shared();
    let sides: Vec<_> = pair.java(user).into_iter().zip(pair.backs()).collect();
    let begun = sides.into_iter().map(|(client, back)| {
        let back = json!({ "bootstrap.servers": back });
        // No scope is the end of another: a listing of the one would hold topics of the other, if both run at once.
        let scope = format!("java-{program}-{user}");
        java.begin(
            "program.run",
            json!({ "program": program, "user": user, "scope": scope, "client": client, "back": back }),
        )
    });
    let begun: Vec<_> = begun.collect();
    let mut traces = begun.into_iter().map(|pending| match pending.wait() {
        Ok(lines) => masked(&lines),
        Err(e) => vec![format!("the program failed: {e}: {}", e.details)],
    });
    [traces.next().expect("a trace"), traces.next().expect("a trace")]
}

#[test]
fn programs_of_java_clients_leave_the_same_trace_on_both_clusters() {
    needs!(Java);
    let jobs = jobs(JAVA);
    Pair::shared();
    let (next, traces) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((program, user)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begin = std::time::Instant::now();
                    let both = run(Java::same(), program, user);
                    say(format!("{program} as {user}: {} lines in {:.1?}", both[0].len(), begin.elapsed()));
                    traces.lock().unwrap().push(((*program).to_owned(), *user, both));
                }
            });
        }
    });
    judge(traces.into_inner().unwrap());
}

#[test]
fn programs_of_librdkafka_leave_the_same_trace_on_both_clusters() {
    needs!(Java, Python);
    let pair = Pair::shared();
    let mut list = Vec::new();
    let jobs = jobs(PYTHON);
    for (program, user) in &jobs {
        for (i, (client, back)) in pair.librdkafka(user).into_iter().zip(pair.backs()).enumerate() {
            list.push(json!({
                "key": format!("{program}-{user}-{i}"), "program": program, "user": user,
                "scope": format!("py-{program}-{user}"), "client": client, "back": { "bootstrap.servers": back },
            }));
        }
    }
    let begin = std::time::Instant::now();
    let told = programs(&list);
    say(format!("librdkafka: {} programs in {:.1?}", jobs.len(), begin.elapsed()));
    let traces = jobs.into_iter().map(|(program, user)| {
        let trace = |i: usize| masked(&told[format!("{program}-{user}-{i}")]);
        (format!("py-{program}"), user, [trace(0), trace(1)])
    });
    judge(traces.collect());
}
