//! The shape of the code, held by reading it: which layer may import which, what keeps out of the pure ones, where
//! proofs are made, how long files are.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may import. A new layer needs a line; a new edge needs a reason.
const LAYERS: &[(&str, &[&str])] = &[
    // Words and trees, on which everything stands.
    ("model", &[]),
    ("yaml", &[]),
    // Pure, each upon those before it.
    ("wire", &["model"]),
    ("policy", &["model", "yaml", "wire"]),
    ("identity", &["model", "yaml", "wire", "policy"]),
    ("enforce", &["model", "wire", "policy", "identity"]),
    ("session", &["model", "wire", "policy", "identity", "enforce"]),
    // Beside them: values that the shell reads.
    ("config", &["model", "yaml"]),
    ("telemetry", &["model", "wire", "policy", "enforce", "config"]),
    ("clock", &["model"]),
    // What both sides of the proxy are secured with.
    ("tls", &["model", "clock", "identity", "config"]),
    // What asks the web.
    ("http", &["config", "tls"]),
    // What talks to Kafka.
    (
        "cluster",
        &[
            "model",
            "clock",
            "yaml",
            "wire",
            "policy",
            "identity",
            "enforce",
            "session",
            "config",
            "telemetry",
            "tls",
            "http",
        ],
    ),
    (
        "audit",
        &["model", "clock", "wire", "policy", "identity", "enforce", "session", "config", "telemetry", "cluster"],
    ),
    (
        "access",
        &[
            "model",
            "clock",
            "wire",
            "policy",
            "identity",
            "enforce",
            "session",
            "config",
            "telemetry",
            "cluster",
            "audit",
        ],
    ),
    // What clients and operators talk to.
    (
        "net",
        &[
            "model",
            "clock",
            "wire",
            "policy",
            "identity",
            "enforce",
            "session",
            "config",
            "telemetry",
            "tls",
            "cluster",
            "audit",
            "access",
        ],
    ),
    ("admin", &["model", "wire", "policy", "identity", "enforce", "config", "telemetry", "cluster", "audit", "access"]),
    (
        "app",
        &[
            "model",
            "clock",
            "yaml",
            "wire",
            "policy",
            "identity",
            "enforce",
            "session",
            "config",
            "telemetry",
            "tls",
            "http",
            "cluster",
            "audit",
            "access",
            "net",
            "admin",
        ],
    ),
    // The embedded broker and what is shown with it: nothing but the command line may import it.
    ("demo", &["model", "clock", "yaml", "wire", "config", "cluster", "app"]),
    (
        "cli",
        &[
            "model",
            "clock",
            "yaml",
            "wire",
            "policy",
            "identity",
            "enforce",
            "session",
            "config",
            "telemetry",
            "http",
            "cluster",
            "audit",
            "access",
            "net",
            "admin",
            "app",
            "demo",
        ],
    ),
];

/// Layers that do no I/O and read no clock. Only `identity/source` is exempt.
const PURE: &[&str] = &["model", "yaml", "wire", "policy", "identity", "enforce", "session"];

/// What a pure layer does not name.
const IMPURE: &[&str] = &[
    "tokio",
    "socket2",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "std::time::Instant",
    "Utc::now",
    "Local::now",
    "println!",
    "eprintln!",
];

const MOST_LINES: usize = 800;

struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The first folder or file under `src`, without its extension.
    fn layer(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        let first = rest.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.starts_with("tests/")
    }

    fn is_generated(&self) -> bool {
        self.path.contains("generated")
    }

    /// Numbered lines outside of comments and of the test module at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests =
            lines.windows(2).position(|w| w[0].trim() == "#[cfg(test)]" && w[1].trim_start().starts_with("mod "));
        let end = match tests {
            // `mod tests;` stands anywhere, `mod tests {` closes the file.
            Some(at) if lines[at + 1].contains('{') => at,
            Some(_) | None => lines.len(),
        };
        lines
            .into_iter()
            .take(end)
            .enumerate()
            .map(|(i, l)| (i + 1, l))
            .filter(|(_, l)| !l.trim_start().starts_with("//"))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    let relative = |p: &Path| p.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
    paths.iter().map(|p| Source { path: relative(p), text: fs::read_to_string(p).unwrap() }).collect()
}

/// The words behind `crate::` or `kordon::` in a line.
fn imports(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for mark in ["crate::", "kordon::"] {
        for (at, _) in line.match_indices(mark) {
            let whole = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
            let rest = &line[at + mark.len()..];
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            if whole {
                found.push(&rest[..end]);
            }
        }
    }
    found
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn layers_import_downwards_only() {
    let mut faults = Vec::new();
    for source in sources("src").iter().filter(|s| !s.is_test()) {
        let layer = source.layer().unwrap();
        if matches!(layer, "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            faults.push(format!("{}: layer `{layer}` is not in the table of tests/architecture.rs", source.path));
            continue;
        };
        for (n, line) in source.code() {
            for import in imports(line) {
                if import.is_empty() {
                    faults.push(format!(
                        "{}:{n}: write one `use crate::layer::…` per layer, so that edges can be read",
                        source.path
                    ));
                } else if import != layer && LAYERS.iter().any(|(l, _)| *l == import) && !allowed.contains(&import) {
                    faults.push(format!("{}:{n}: `{layer}` must not import `{import}`", source.path));
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn one_place_reads_the_clock_on_the_wall() {
    let mut faults = Vec::new();
    for source in sources("src").iter().filter(|s| !s.is_test() && s.path != "src/clock.rs") {
        let reads = source.code().filter(|(_, line)| line.contains("SystemTime::now") || line.contains("Utc::now"));
        faults.extend(reads.map(|(n, _)| format!("{}:{n}: the time comes from `clock::now`", source.path)));
    }
    none(&faults);
}

#[test]
fn every_module_of_the_crate_is_a_layer() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules: Vec<&str> = lib
        .lines()
        .filter_map(|l| l.strip_prefix("pub mod ").or_else(|| l.strip_prefix("mod ")))
        .map(|m| m.trim_end_matches(';'))
        .collect();
    assert!(modules.contains(&"policy"), "{modules:?}");
    for module in modules {
        assert!(LAYERS.iter().any(|(l, _)| *l == module), "`{module}` is not in the table of layers");
    }
}

#[test]
fn the_table_of_layers_has_no_circle() {
    for (i, (layer, imports)) in LAYERS.iter().enumerate() {
        for import in *imports {
            let at = LAYERS.iter().position(|(l, _)| l == import);
            assert!(at.is_some(), "`{layer}` imports `{import}`, which is no layer");
            let earlier = at < Some(i) || *layer == "telemetry";
            assert!(earlier, "`{layer}` imports `{import}`, which stands behind it");
        }
    }
}

#[test]
fn pure_layers_do_no_io_and_read_no_clock() {
    let mut faults = Vec::new();
    for source in sources("src").iter().filter(|s| !s.is_test() && !s.path.starts_with("src/identity/source")) {
        if !source.layer().is_some_and(|l| PURE.contains(&l)) {
            continue;
        }
        for (n, line) in source.code() {
            for word in IMPURE.iter().filter(|w| line.contains(**w)) {
                faults.push(format!("{}:{n}: `{word}` in a pure layer", source.path));
            }
        }
    }
    none(&faults);
}

#[test]
fn proofs_are_made_where_they_are_proved() {
    let mut faults = Vec::new();
    let mut seen = [0; 2];
    for source in sources("src").iter().filter(|s| !s.is_test()) {
        for (n, line) in source.code() {
            let made = [
                ("Verified::proved(", source.layer() == Some("identity")),
                ("Permit::for_open_row(", source.path == "src/enforce/table.rs"),
            ];
            for (i, (call, here)) in made.into_iter().enumerate() {
                if line.contains(call) {
                    seen[i] += 1;
                    if !here {
                        faults.push(format!("{}:{n}: `{call}…)` may not be called here", source.path));
                    }
                }
            }
            // A permit comes out of a decision; nothing else in the policy builds one.
            if line.contains("Permit(()") && source.path != "src/policy/decision.rs" {
                faults.push(format!("{}:{n}: a permit is built outside of src/policy/decision.rs", source.path));
            }
        }
    }
    none(&faults);
    assert!(seen.iter().all(|n| *n > 0), "the calls are written differently now: {seen:?}");
}

#[test]
fn a_permit_is_built_by_a_decision_and_by_an_open_row() {
    let text = fs::read_to_string(root().join("src/policy/decision.rs")).unwrap();
    let built: Vec<&str> = text
        .lines()
        .filter(|l| !l.contains("struct ") && (l.contains("Permit(())") || l.trim() == "Self(())"))
        .collect();
    assert_eq!(built.len(), 2, "{built:?}");
    let derives = text
        .lines()
        .collect::<Vec<_>>()
        .windows(3)
        .any(|w| w[2].contains("struct Permit") && w.join(" ").contains("Clone"));
    assert!(!derives, "a permit cannot be copied");
}

#[test]
fn files_are_short() {
    let mut faults = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")).filter(|s| !s.is_generated()) {
        let lines = source.text.lines().count();
        if lines > MOST_LINES {
            faults.push(format!("{}: {lines} lines, at most {MOST_LINES}: split it", source.path));
        }
    }
    none(&faults);
}

#[test]
fn ignored_tests_and_lifted_lints_give_their_reason() {
    let mut faults = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")).filter(|s| !s.is_generated()) {
        if source.path == "tests/architecture.rs" {
            continue;
        }
        let lines: Vec<&str> = source.text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let line = line.trim_start();
            if line.starts_with("#[ignore]") {
                faults.push(format!("{}:{}: write `#[ignore = \"why\"]`", source.path, n + 1));
            }
            if line.starts_with("#[allow(") || line.starts_with("#![allow(") {
                let until = lines[n..].iter().take_while(|l| !l.contains(")]")).count();
                let whole = lines[n..=(n + until).min(lines.len() - 1)].join(" ");
                if !whole.contains("reason") {
                    faults.push(format!("{}:{}: write `#[expect(…, reason = \"…\")]`", source.path, n + 1));
                }
            }
        }
    }
    none(&faults);
}
