//! That the deployment files name only what exists: image tags, paths, ports, flags, variables, configuration. Containers
//! are not started here: there need not be an engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking; clippy's allowances cover functions marked #[test] alone"
)]

use kordon::config::{self, Config};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const DOCKERFILE: &str = include_str!("../Dockerfile");
const MANIFEST: &str = include_str!("../Cargo.toml");
const UNIT: &str = include_str!("../deploy/systemd/kordon.service");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn compose() -> Value {
    serde_saphyr::from_str(include_str!("../docker-compose.yml")).expect("docker-compose.yml is yaml")
}

/// The configuration in `deploy/compose`, with the host's name that the compose file gives.
fn configuration() -> Config {
    let path = root().join("deploy/compose/kordon.yaml");
    let host = compose()["services"]["kordon"]["hostname"].as_str().map(str::to_owned);
    let text = std::fs::read_to_string(&path).unwrap();
    config::parse(&text, &path, &|name| if name == "HOSTNAME" { host.clone() } else { None })
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|v| v.as_str().expect("text").to_owned()).collect()
}

/// The instructions of the Dockerfile, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let joined = DOCKERFILE.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()))
        .collect()
}

fn instruction(word: &str) -> String {
    let found: Vec<String> = instructions().into_iter().filter(|(w, _)| w == word).map(|(_, rest)| rest).collect();
    found.last().unwrap_or_else(|| panic!("no {word}")).clone()
}

fn exec_form(text: &str) -> Vec<String> {
    serde_json::from_str(&text[text.find('[').expect("exec form")..]).expect("exec form is json")
}

#[test]
fn every_image_has_a_version_for_a_tag() {
    let mut images: Vec<String> = instructions()
        .into_iter()
        .filter(|(word, _)| word == "FROM")
        .map(|(_, rest)| rest.split_whitespace().next().unwrap().to_owned())
        .collect();
    for (_, service) in compose()["services"].as_object().unwrap() {
        images.extend(service["image"].as_str().map(str::to_owned));
    }
    assert_eq!(images.len(), 3, "{images:?}");
    for image in &images {
        let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
        let dotted = tag.split('-').next().unwrap();
        assert!(dotted.contains('.') && dotted.split('.').all(|part| part.parse::<u32>().is_ok()), "{image}");
    }
    let rust = MANIFEST.lines().find_map(|l| l.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(images[0].starts_with(&format!("rust:{rust}.")), "{} builds with another rust than {rust}", images[0]);
}

#[test]
fn the_image_is_built_of_files_and_a_profile_that_exist() {
    for (word, rest) in instructions() {
        if word != "COPY" || rest.contains("--from") {
            continue;
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        for source in &words[..words.len() - 1] {
            assert!(root().join(source).exists(), "COPY {source}");
        }
    }
    let build = instructions().into_iter().find(|(w, r)| w == "RUN" && r.starts_with("cargo")).unwrap().1;
    let words: Vec<&str> = build.split_whitespace().collect();
    let after = |flag: &str| words[words.iter().position(|w| *w == flag).unwrap() + 1];
    assert!(MANIFEST.contains(&format!("[profile.{}]", after("--profile"))));
    assert!(MANIFEST.contains(&format!("[[bin]]\nname = \"{}\"", after("--bin"))));
    let copied = instructions().into_iter().find(|(w, r)| w == "COPY" && r.contains("--from")).unwrap().1;
    assert!(copied.contains(&format!("target/{}/{}", after("--profile"), after("--bin"))), "{copied}");
    let installed = copied.split_whitespace().last().unwrap();
    assert_eq!(exec_form(&instruction("ENTRYPOINT")), [installed]);
    let user: u32 = instruction("USER").split(':').next().unwrap().parse().unwrap();
    assert_ne!(user, 0);
}

/// Debian's package writes the file, and there it is looked for.
#[test]
fn the_image_has_the_authorities_that_ca_system_means() {
    let file = "/etc/ssl/certs/ca-certificates.crt";
    let all = instructions();
    let from = all.iter().position(|(word, _)| word == "FROM").unwrap();
    let last = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    assert!(all[from].1.starts_with("rust:") && all[from].1.contains("-slim-bookworm AS build"), "{:?}", all[from]);
    let installs = |(word, rest): &(String, String)| word == "RUN" && rest.split(' ').any(|w| w == "ca-certificates");
    assert!(all[from..last].iter().any(installs), "the build has no authorities to copy");
    let copy = ("COPY".to_owned(), format!("--from=build {file} {file}"));
    assert!(all[last..].contains(&copy), "no {copy:?}");
}

/// That `kordon` takes these arguments: the command and every flag.
fn takes(arguments: &[String]) {
    let help = Command::new(env!("CARGO_BIN_EXE_kordon")).args([arguments[0].as_str(), "--help"]).output().unwrap();
    assert!(help.status.success(), "no command `{}`", arguments[0]);
    let help = String::from_utf8(help.stdout).unwrap();
    for flag in arguments.iter().filter(|a| a.starts_with("--")) {
        assert!(help.contains(&format!("{flag} ")), "`{}` has no `{flag}`", arguments[0]);
    }
}

/// The path behind `--config`.
fn config_of(arguments: &[String]) -> &str {
    &arguments[arguments.iter().position(|a| a == "--config").unwrap() + 1]
}

#[test]
fn the_proxy_is_started_with_arguments_that_it_takes_and_files_that_are_mounted() {
    let compose = compose();
    let service = &compose["services"]["kordon"];
    let mounts: Vec<(PathBuf, String)> = texts(&service["volumes"])
        .iter()
        .map(|volume| {
            let parts: Vec<&str> = volume.split(':').collect();
            assert_eq!(parts[2], "ro", "{volume}");
            (root().join(parts[0]), parts[1].to_owned())
        })
        .collect();
    for command in [exec_form(&instruction("CMD")), texts(&service["command"])] {
        takes(&command);
        let config = config_of(&command);
        let here = mounts
            .iter()
            .find_map(|(from, to)| Some(from.join(config.strip_prefix(to.as_str())?.trim_start_matches('/'))))
            .unwrap_or_else(|| panic!("{config} is not mounted"));
        assert!(here.is_file(), "{}", here.display());
    }
    assert!(root().join(service["build"].as_str().unwrap()).join("Dockerfile").is_file());
}

#[test]
fn the_configuration_passes_kordon_check() {
    let host = compose()["services"]["kordon"]["hostname"].as_str().unwrap().to_owned();
    let checked = Command::new(env!("CARGO_BIN_EXE_kordon"))
        .args(["check", "--config"])
        .arg(root().join("deploy/compose/kordon.yaml"))
        .env("HOSTNAME", host)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // The id of a topic that does not exist yet cannot stand in a file.
    let warnings = String::from_utf8_lossy(&checked.stderr).into_owned();
    let others: Vec<&str> = warnings.lines().filter(|line| !line.contains("`state.genesis` is null")).collect();
    assert_eq!(others, [""; 0], "no warnings");
}

/// Ports published by a service: host port → container port.
fn published(service: &Value) -> BTreeMap<u16, u16> {
    let mut all = BTreeMap::new();
    for port in texts(&service["ports"]) {
        let parts: Vec<&str> = port.split(':').collect();
        assert_eq!(parts[0], "127.0.0.1", "{port}: nobody logs in, so loopback only");
        let range = |text: &str| -> Vec<u16> {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            (first.parse().unwrap()..=last.parse().unwrap()).collect()
        };
        let (host, inside) = (range(parts[1]), range(parts[2]));
        assert_eq!(host.len(), inside.len(), "{port}");
        all.extend(host.into_iter().zip(inside));
    }
    all
}

#[test]
fn every_port_that_clients_are_told_is_published_and_no_other() {
    let (compose, config) = (compose(), configuration());
    let ports = published(&compose["services"]["kordon"]);
    let mut bound = BTreeSet::from([config.metrics.unwrap().port()]);
    for listener in &config.listeners {
        assert!(listener.bind.ip().is_unspecified(), "a container's loopback cannot be published");
        bound.insert(listener.bind.port());
        assert_eq!(ports.get(&listener.bind.port()), Some(&listener.bind.port()));
        for (id, bind) in listener.broker_binds() {
            let told = listener.told(id, bind.port()).unwrap();
            assert_eq!(told.host, "localhost");
            assert_eq!(ports.get(&told.port), Some(&bind.port()), "broker {id} of {}", listener.name);
            bound.insert(bind.port());
        }
    }
    assert_eq!(ports.values().copied().collect::<BTreeSet<_>>(), bound);
    let probe = instruction("HEALTHCHECK");
    assert!(probe.contains(&format!("/dev/tcp/127.0.0.1/{} ", config.metrics.unwrap().port())), "{probe}");
    assert!(probe.contains("GET /readyz HTTP"), "{probe}");
    assert_eq!(exec_form(&probe)[0], "bash");
}

#[test]
fn the_broker_is_reached_by_the_proxy_alone() {
    let (compose, config) = (compose(), configuration());
    let kafka = &compose["services"]["kafka"];
    assert!(kafka["ports"].is_null(), "clients must not reach the broker");
    let shared = texts(&kafka["networks"]);
    for network in &shared {
        assert_eq!(compose["networks"][network]["internal"], true, "{network}");
    }
    let of_kordon = texts(&compose["services"]["kordon"]["networks"]);
    assert!(shared.iter().all(|network| of_kordon.contains(network)));
    let environment = kafka["environment"].as_object().unwrap();
    for bootstrap in &config.cluster.bootstrap {
        assert_eq!(bootstrap.host, "kafka");
        let text = bootstrap.to_string();
        assert_eq!(environment["KAFKA_ADVERTISED_LISTENERS"], format!("PLAINTEXT://{text}"));
        assert!(environment["KAFKA_LISTENERS"].as_str().unwrap().contains(&format!("PLAINTEXT://:{}", bootstrap.port)));
    }
    let id: i32 = environment["KAFKA_NODE_ID"].as_str().unwrap().parse().unwrap();
    for listener in &config.listeners {
        assert!(listener.broker_bind(id).is_some(), "{} does not map broker {id}", listener.name);
    }
}

/// The image makes of `KAFKA_NODE_ID` the broker's `node.id`.
#[test]
fn every_variable_of_the_broker_is_one_of_its_configs() {
    let known: BTreeSet<&str> =
        include_str!("data/kafka-4.3.1-configs.txt").lines().filter(|l| !l.starts_with('#')).collect();
    assert!(known.len() > 300);
    let compose = compose();
    let kafka = &compose["services"]["kafka"];
    assert_eq!(kafka["image"], "apache/kafka:4.3.1", "the list of configs is of this version");
    for name in kafka["environment"].as_object().unwrap().keys() {
        let config = name.strip_prefix("KAFKA_").unwrap().to_lowercase().replace('_', ".");
        assert!(known.contains(config.as_str()), "{name}: no `{config}`");
    }
}

#[test]
fn a_stop_is_given_the_time_that_it_takes() {
    // What the audit is given at the least.
    let needed = configuration().drain + Duration::from_secs(5);
    let compose = compose();
    let grace = compose["services"]["kordon"]["stop_grace_period"].as_str().unwrap().trim_end_matches('s');
    assert!(Duration::from_secs(grace.parse().unwrap()) >= needed);
    let timeout = UNIT.lines().find_map(|l| l.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(Duration::from_secs(timeout.parse().unwrap()) >= needed);
}

#[test]
fn the_service_runs_a_command_that_exists() {
    let [command] = UNIT.lines().filter_map(|line| line.strip_prefix("ExecStart=")).collect::<Vec<_>>()[..] else {
        panic!("one command")
    };
    let command: Vec<String> = command.split(' ').map(str::to_owned).collect();
    assert_eq!(command[0], "/usr/local/bin/kordon");
    takes(&command[1..]);
}

/// `DefaultStartLimitBurst`, `DefaultStartLimitIntervalSec`: five starts within ten seconds, and systemd gives up.
#[test]
fn the_service_is_started_again_for_as_long_as_it_fails() {
    let value = |key: &str| UNIT.lines().find_map(|line| line.strip_prefix(key));
    assert_eq!((value("Restart="), value("RestartPreventExitStatus=")), (Some("on-failure"), Some("2")));
    assert!(value("RestartSec=").unwrap().parse::<u64>().unwrap() * 5 > 10);
    assert_eq!(value("ExecStartPre="), None, "its exit code prevents no restart");
}
