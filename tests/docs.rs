//! That README and docs say what the code does: tables against the lists in the code, keys against the parser, examples
//! against the loaders, flags against `--help`, links against files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking; clippy's allowances cover functions marked #[test] alone"
)]

use kordon::config;
use kordon::model::{CloseReason, Timestamp};
use kordon::policy::{OwnTopics, Settings, Snapshot};
use kordon::telemetry::SPECS;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const README: &str = include_str!("../README.md");

/// What no key is called, nor nearly.
const BOGUS: &str = "zzzzzzzzzz";

const POLICY: &str = include_str!("../docs/policy.md");

/// The rows of the README's first table behind some words, without its head.
fn table(behind: &str) -> Vec<Vec<String>> {
    table_of(README, behind)
}

/// The same of another page.
fn table_of(page: &str, behind: &str) -> Vec<Vec<String>> {
    let rest = page.split_once(behind).unwrap_or_else(|| panic!("no `{behind}` on the page")).1;
    let rows = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    rows.skip(2).map(cells).collect()
}

/// Words in backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Standard output of `kordon`.
fn kordon(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kordon")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_of_permissions_is_what_the_table_says() {
    let printed = kordon(&["apis", "--markdown"]);
    assert!(
        include_str!("../docs/permissions.md") == printed,
        "docs/permissions.md is stale: cargo run -- apis --markdown > docs/permissions.md"
    );
}

#[test]
fn every_metric_stands_in_the_readme_as_it_is_served() {
    let served: Vec<Vec<String>> = SPECS
        .iter()
        .map(|spec| {
            let labels: Vec<String> = spec.labels.iter().map(|label| format!("`{label}`")).collect();
            let kind = format!("{:?}", spec.kind).to_lowercase();
            vec![format!("`{}`", spec.name), kind, spec.unit.to_owned(), labels.join(", "), spec.help.to_owned()]
        })
        .collect();
    let told: Vec<Vec<String>> = table("src/telemetry/specs.rs")
        .into_iter()
        .map(|row| row.iter().map(|cell| cell.trim_matches(|c| c == ' ' || c == '|').to_owned()).collect())
        .collect();
    assert_eq!(told, served);
}

#[test]
fn every_close_reason_stands_in_the_readme() {
    let reasons: Vec<Vec<String>> =
        CloseReason::EVERY.iter().map(|r| vec![format!("`{}`", r.as_str()), r.help().to_owned()]).collect();
    assert_eq!(table("src/model/close_reason.rs"), reasons);
}

/// A configuration whose every mapping holds a key that does not exist, so that the parser says which do.
fn with_bogus_keys() -> String {
    let b = format!("{BOGUS}: 1");
    format!(
        "version: 1\n{b}\n\
         cluster: {{ {b}, tls: {{ {b} }}, sasl: {{ {b} }}, own: {{ {b} }} }}\n\
         listeners:\n\
         - {{ {b}, tls: {{ {b} }}, upstream: {{ {b} }}, identity: sasl, sasl: {{ {b} }}, limits: {{ {b} }}, brokers: {{ {b}, ports: {{ {b} }} }} }}\n\
         - {{ identity: sasl, bind: \"127.0.0.1:1\", brokers: {{ map: {{ 1: {{ {b} }} }} }} }}\n\
         - {{ identity: sasl, bind: \"127.0.0.1:1\", brokers: {{ sni: {{ {b} }} }} }}\n\
         policy: {{ {b} }}\nstate: {{ {b} }}\n\
         audit: {{ {b}, rules: [{{ {b} }}] }}\n\
         certificates: {{ {b} }}\ntokens: [{{ {b} }}]\nmetrics: {{ {b} }}\nlog: {{ {b} }}\nshutdown: {{ {b} }}\n\
         limits: {{ {b}, upstream_ahead: {{ {b} }}, failed_logins: {{ {b} }} }}\n"
    )
}

/// Every key that the parser takes, as the README writes it.
fn keys() -> BTreeSet<String> {
    let problems = config::parse(&with_bogus_keys(), Path::new("kordon.yaml"), &|_| None).unwrap_err();
    let mut keys = BTreeSet::new();
    for problem in problems.iter().filter(|p| p.text.contains("is not a known key")) {
        let (path, known) = problem.text.split_once("` is not a known key: known here are ").expect("the known keys");
        let parent = path.trim_start_matches('`').strip_suffix(BOGUS).unwrap();
        let parent = parent.replace("[0]", "[]").replace("[1]", "[]").replace("[2]", "[]").replace("map.1.", "map.N.");
        keys.extend(code(known).map(|key| format!("{parent}{key}")));
    }
    keys
}

#[test]
fn every_key_that_the_configuration_takes_stands_in_the_readme() {
    let told: BTreeSet<String> =
        table("## kordon.yaml").iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let (of_listeners, taken): (BTreeSet<String>, BTreeSet<String>) =
        keys().into_iter().partition(|key| key.starts_with("listeners[].limits."));
    // Told once, with those of the process.
    let told_there = |key: &String| taken.contains(key.trim_start_matches("listeners[]."));
    assert!(of_listeners.len() > 10 && of_listeners.iter().all(told_there), "{of_listeners:?}");
    // A mapping whose keys all stand in the table need not stand there itself.
    let is_mapping =
        |key: &String| taken.iter().any(|k| k.starts_with(&format!("{key}.")) || k.starts_with(&format!("{key}[]")));
    let missing: Vec<&String> = taken.iter().filter(|k| !told.contains(*k) && !is_mapping(k)).collect();
    assert!(missing.is_empty(), "keys that the README does not tell: {missing:?}");
    let invented: Vec<&String> = told.iter().filter(|k| !taken.contains(*k)).collect();
    assert!(invented.is_empty(), "keys that the parser does not take: {invented:?}");
    assert!(taken.len() > 60, "{}", taken.len());
}

/// A small configuration, with a key set to a value.
fn with(key: &str, value: &Value) -> config::Config {
    let mut root = json!({
        "version": 1, "instance": "p-1", "cluster": { "name": "c", "bootstrap": ["k:9092"] },
        "listeners": [{ "name": "a", "bind": "127.0.0.1:19092", "brokers": { "ports": { "ids": "0-3" } },
                        "identity": "fixed", "principal": "User:a" }],
        "policy": { "file": "policy.yaml" }, "audit": { "rules": [{ "level": "merged" }] },
        "tokens": [{ "issuer": "https://idp", "audience": ["kafka"], "jwks_url": "https://idp/keys" }],
    });
    let (mut at, mut parts) = (&mut root, key.split('.').peekable());
    while let Some(part) = parts.next() {
        let slot = match part.strip_suffix("[]") {
            Some(list) => &mut at[list][0],
            None => &mut at[part],
        };
        match parts.peek() {
            Some(_) if slot.is_null() => *slot = json!({}),
            Some(_) => {}
            None => *slot = value.clone(),
        }
        at = slot;
    }
    // JSON is YAML.
    let text = root.to_string();
    config::parse(&text, Path::new("kordon.yaml"), &|_| None).unwrap_or_else(|p| panic!("{key}: {p:#?}\n{text}"))
}

/// Keys whose default is said in words, or counts only beside another key.
const IN_WORDS: &[&str] = &[
    "instance",
    "listeners[].advertise",
    "listeners[].brokers.ports.start",
    "listeners[].brokers.ports.advertise_start",
    "listeners[].brokers.map",
    "listeners[].brokers.map.N.advertise",
    "listeners[].max_session",
    "listeners[].sasl.without_tls",
    "listeners[].tls.min_version",
    "listeners[].tls.client_auth",
    "listeners[].tls.client_ca",
    "listeners[].tls.crl",
    "cluster.sasl.token",
    "cluster.sasl.token_url",
    "cluster.sasl.ca",
    "cluster.sasl.scope",
    "cluster.sasl.principal_claim",
    "cluster.tls.certificate",
    "cluster.tls.key",
    "cluster.tls.server_name",
    "cluster.tls.min_version",
    "cluster.own.tls",
    "cluster.own.sasl",
    "listeners[].upstream.tls",
    "listeners[].upstream.sasl",
    "tokens",
    "tokens[].jwks_url",
    "tokens[].jwks_file",
    "state.genesis",
    "audit.rules",
    "audit.rules[].principals",
    "audit.rules[].resources",
    "audit.rules[].operations",
    "audit.rules[].categories",
    "audit.rules[].level",
    "audit.rules[].topic",
];

#[test]
fn the_defaults_of_the_readme_are_those_of_the_parser() {
    let base = with("version", &json!(1));
    let mut seen = 0;
    for row in table("## kordon.yaml") {
        let (key, default) = (row[0].trim_matches('`'), row[1].as_str());
        if default.starts_with("required") || IN_WORDS.contains(&key) {
            continue;
        }
        let value = serde_json::from_str(default).unwrap_or_else(|_| json!(default.trim_matches('`')));
        assert_eq!(with(key, &value), base, "{key}: {default} is not the default");
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn every_key_that_the_policy_takes_stands_in_its_page() {
    let b = format!("{BOGUS}: 1");
    let text = format!(
        "version: 1\n{b}\nroles: {{ r: {{ {b}, rules: [{{ {b} }}] }} }}\nbindings: [{{ {b} }}]\nacls: [{{ {b} }}]\n\
         grants: [{{ {b} }}]\n"
    );
    let mut taken = BTreeSet::new();
    for line in policy_problems(&text).lines().filter(|line| line.contains("is not a known key")) {
        let (path, known) =
            line.split_once(&format!("{BOGUS}` is not a known key: known here are ")).expect("the known keys");
        let parent = path.rsplit('`').next().unwrap().replace("[0]", "[]").replace("roles.r", "roles.NAME");
        taken.extend(code(known).map(|key| format!("{parent}{key}")));
    }
    let first = |behind| -> Vec<String> {
        table_of(POLICY, behind).iter().map(|row| code(&row[0]).next().unwrap().to_owned()).collect()
    };
    let mut told: BTreeSet<String> = first("## Keys").into_iter().collect();
    for shared in first("And in `bindings`, `acls` and `grants`") {
        told.extend(["bindings", "acls", "grants"].map(|list| format!("{list}[].{shared}")));
    }
    assert_eq!(told, taken);
}

#[test]
fn every_word_of_the_page_of_the_policy_means_something_on_its_resource() {
    let words: Vec<Vec<String>> =
        ["## IAM permissions", "## kPow actions"].iter().flat_map(|behind| table_of(POLICY, behind)).collect();
    assert_eq!(words.len(), 32);
    for row in words {
        let word = code(&row[0]).next().unwrap();
        let resource = if row[1] == "cluster" { "cluster".to_owned() } else { format!("{}:x", row[1]) };
        // What it lets through, and no more: the same words are what `explain` shows of the rule.
        let text = format!(
            "version: 1\nconnect_gate: open\nacls: [{{ allow: [{word}], principals: [\"User:a\"], resources: [\"{resource}\"] }}]\nend: true\n"
        );
        let file = std::env::temp_dir().join(format!("kordon-docs-{}-{word}.yaml", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let path = file.to_str().unwrap();
        let shown = kordon(&[
            "explain",
            "--policy",
            path,
            "--principal",
            "User:a",
            "--operation",
            "Describe",
            "--resource",
            &resource,
        ]);
        std::fs::remove_file(&file).unwrap();
        let allowed = shown.split_once("allow [").unwrap_or_else(|| panic!("{word}: {shown}")).1;
        let sorted = |list: &str| list.split(", ").map(str::to_owned).collect::<BTreeSet<_>>();
        assert_eq!(sorted(allowed.split_once(']').unwrap().0), sorted(&row[2]), "{word}");
    }
}

#[test]
fn what_the_readme_calls_not_served_is_refused_by_name() {
    let rows = table("## What is not served by this version");
    let keys: Vec<&str> = rows.iter().flat_map(|row| code(&row[1])).collect();
    assert!(keys.len() > 5, "{keys:?}");
    for key in keys {
        let refused = if let Some(value) = key.strip_prefix("identity: ") {
            let text = format!("listeners: [{{ identity: {value} }}]\n");
            (config_problems(&text), format!("identity: {value}` is not served by this version"))
        } else if ["condition", "staging", "temporary_access"].contains(&key) {
            let text = match key {
                "condition" => {
                    "acls: [{ allow: [Read], principals: [\"User:a\"], resources: [\"topic:a\"], condition: x }]\n"
                        .to_owned()
                }
                root => format!("{root}: []\n"),
            };
            (policy_problems(&format!("version: 1\n{text}")), format!("{key}` is not served by this version"))
        } else {
            (config_problems(&nested(key)), format!("{}` is not served by this version", key.replace("[]", "[0]")))
        };
        assert!(refused.0.contains(&refused.1), "{key}: {}", refused.0);
    }
}

/// A configuration that holds just this key.
fn nested(path: &str) -> String {
    let mut text = "1".to_owned();
    for part in path.rsplit('.') {
        text = match part.strip_suffix("[]") {
            Some(list) => format!("{{ {list}: [{text}] }}"),
            None => format!("{{ {part}: {text} }}"),
        };
    }
    text
}

fn config_problems(text: &str) -> String {
    let problems = config::parse(text, Path::new("kordon.yaml"), &|_| None).unwrap_err();
    problems.iter().map(|p| format!("{p}\n")).collect()
}

fn load_policy(text: &str) -> Result<(), String> {
    let own_topics = OwnTopics { state: None, audit: vec!["kordon.audit".to_owned()] };
    match Snapshot::load(
        text.as_bytes(),
        "policy.yaml",
        &Settings { own_topics, now: Timestamp(0), ..Settings::default() },
    ) {
        Ok(_) => Ok(()),
        Err(problems) => Err(problems.iter().map(|p| format!("{p}\n")).collect()),
    }
}

fn policy_problems(text: &str) -> String {
    load_policy(text).unwrap_err()
}

#[test]
fn every_example_in_yaml_loads() {
    let mut seen = 0;
    for (file, text) in pages() {
        for (n, before) in text.match_indices("```yaml\n") {
            let block = &text[n + before.len()..];
            let block = &block[..block.find("```").expect("the end of the block")];
            let kind = text[..n].trim_end().lines().last().unwrap_or_default();
            match kind {
                "<!-- config -->" => {
                    config::parse(block, Path::new("kordon.yaml"), &|_| Some("p-1".to_owned()))
                        .unwrap_or_else(|problems| panic!("{}: {problems:#?}", file.display()));
                }
                "<!-- policy -->" => load_policy(block).unwrap_or_else(|e| panic!("{}: {e}", file.display())),
                other => panic!("{}: a block of yaml behind `{other}`: mark it config or policy", file.display()),
            }
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn every_role_of_the_readme_can_be_bound() {
    let rows = table("### Predefined roles");
    for row in &rows {
        let role = code(&row[0]).next().unwrap();
        let text = format!(
            "version: 1\nconnect_gate: open\nbindings: [{{ roles: [{role}], principals: [\"User:a\"], resources: [\"*\"] }}]\n"
        );
        load_policy(&text).unwrap_or_else(|e| panic!("{role}: {e}"));
    }
    assert_eq!(rows.len(), 12);
}

#[test]
fn every_operation_of_the_readme_is_one() {
    let mut words: Vec<String> =
        table("### Operations").iter().flat_map(|row| code(&row[0]).map(str::to_owned).collect::<Vec<_>>()).collect();
    let section = README.split_once("### Operations").unwrap().1.split_once("A\nvirtual operation").unwrap().0;
    words.extend(code(section).map(str::to_owned));
    for word in &words {
        let text = format!("version: 1\nacls: [{{ allow: [{word}], principals: [\"User:a\"], resources: [\"*\"] }}]\n");
        load_policy(&text).unwrap_or_else(|e| panic!("{word}: {e}"));
    }
    assert!(words.len() > 25, "{words:?}");
}

#[test]
fn every_command_and_flag_stands_in_the_readme_and_no_other() {
    let rows = table("## Commands");
    for row in &rows {
        let command: Vec<&str> = row[0].trim_matches('`').split(' ').skip(1).collect();
        let help = kordon(&[command.as_slice(), &["--help"]].concat());
        let flags = |text: &str| -> BTreeSet<String> {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|w| w.starts_with("--"));
            words.filter(|w| *w != "--help").map(str::to_owned).collect()
        };
        let taken: BTreeSet<String> =
            help.lines().filter(|line| line.trim_start().starts_with('-')).flat_map(flags).collect();
        assert_eq!(flags(&row[2]), taken, "{}", row[0]);
    }
    let commands = |help: String| -> Vec<String> {
        let list = help.split_once("Commands:\n").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        list.lines()
            .take_while(|l| !l.is_empty())
            .filter_map(|l| l.split_whitespace().next().map(str::to_owned))
            .collect()
    };
    let mut all = Vec::new();
    for command in commands(kordon(&["--help"])) {
        let below = commands(kordon(&[&command, "--help"]));
        let below: Vec<String> = below.into_iter().filter(|c| c != "help").collect();
        if below.is_empty() {
            all.push(format!("`kordon {command}`"));
        }
        all.extend(below.iter().map(|sub| format!("`kordon {command} {sub}`")));
    }
    for command in &all {
        assert!(rows.iter().any(|row| row[0] == *command), "{command}");
    }
    assert_eq!(rows.len(), all.len());
}

/// Every page, with its path.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md"), root.join("CHANGELOG.md"), root.join("benches/README.md")];
    let mut folders = vec![root.join("docs"), root.join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                files.push(path);
            }
        }
    }
    files.into_iter().map(|f| (f.clone(), std::fs::read_to_string(&f).unwrap())).collect()
}

/// The anchors of a page, as they are made of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let heading = |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_lowercase());
    let anchor = |text: String| -> String {
        text.chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    text.lines().filter_map(heading).map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut seen = 0;
    for (file, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: `{link}` leads nowhere", file.display());
            if !anchor.is_empty() {
                let page = std::fs::read_to_string(&target).unwrap();
                assert!(anchors(&page).contains(anchor), "{}: no heading for `{link}`", file.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}
