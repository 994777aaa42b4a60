//! The files that the configuration names, read and compiled.

use crate::cluster::dial::Dialler;
use crate::cluster::own_users;
use crate::config::{Authorities, Brokers, Config, KeySource, TokenSource, UpstreamSasl};
use crate::identity::certificate::Mapping;
use crate::identity::users::Users;
use crate::model::Timestamp;
use crate::policy::{Loaded, OwnTopics, PolicySource, Settings, Snapshot};
use crate::tls::{Acceptor, TlsFile, files_of_listener, files_of_upstream, not_covered as not_in, web_client};
use crate::yaml::Problem;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What compiling a policy takes from the configuration.
pub fn policy_settings(config: &Config, now: Timestamp) -> Settings {
    let protocol_acls = config.policy.protocol_acls;
    // Protected even where it is not followed: what is in it may be in force again tomorrow (threat 20).
    let own_topics = OwnTopics { state: Some(config.state.topic.clone()), audit: config.audit.protected() };
    Settings { own_topics, now, protocol_acls, own_principals: own_principals(config) }
}

/// Under which principals the brokers see the proxy, as their ACLs write them.
pub fn own_principals(config: &Config) -> Vec<String> {
    own_users(&config.cluster, &config.listeners).into_iter().map(|user| format!("User:{user}")).collect()
}

/// Reads and compiles the policy.
///
/// # Errors
/// The file cannot be read, or its faults.
pub fn load_policy(config: &Config, now: Timestamp) -> Result<Loaded, Vec<Problem>> {
    let (file, bytes) = (&config.policy.file, read(&config.policy.file)?);
    Snapshot::load(&bytes, &file.display().to_string(), &policy_settings(config, now))
}

/// The policy in the bytes of a file, and what is suspicious in it.
///
/// # Errors
/// The faults of the file.
pub fn policy_of(
    bytes: &[u8],
    config: &Config,
    now: Timestamp,
) -> Result<(Arc<PolicySource>, Vec<Problem>), Vec<Problem>> {
    PolicySource::load(bytes, &config.policy.file.display().to_string(), &policy_settings(config, now))
}

/// What dials brokers.
#[derive(Debug)]
pub struct Diallers {
    /// For the proxy itself.
    pub own: Dialler,
    /// For clients, where their listener does not say otherwise.
    pub clients: Dialler,
    /// For the clients of each listener, in their order.
    pub listeners: Vec<Dialler>,
}

/// What dials brokers, for the proxy itself and for clients, with the files of their TLS read.
///
/// # Errors
/// Files that cannot be read or used, or do not belong together.
pub fn diallers(config: &Config) -> Result<Diallers, Vec<Problem>> {
    let (own, clients) = (Dialler::own(&config.cluster), Dialler::for_clients(&config.cluster));
    let listeners: Vec<Dialler> = config.listeners.iter().map(|listener| clients.for_listener(listener)).collect();
    let own_key =
        if config.cluster.own_tls() == config.cluster.tls.as_ref() { "cluster.tls" } else { "cluster.own.tls" };
    let mut problems = Vec::new();
    let of_listener = |(i, dialler)| (format!("listeners[{i}].upstream.tls"), dialler);
    let others = config.listeners.iter().map(|l| l.upstream.as_ref().is_some_and(|upstream| upstream.tls.is_some()));
    let others =
        listeners.iter().enumerate().zip(others).filter(|(_, is_other)| *is_other).map(|(one, _)| of_listener(one));
    for (key, dialler) in [("cluster.tls".to_owned(), &clients), (own_key.to_owned(), &own)].into_iter().chain(others) {
        if let Some(Err(error)) = dialler.tls().map(|tls| tls.load()) {
            let problem = whole(&config.file, format!("`{key}`: {error}"));
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    if problems.is_empty() { Ok(Diallers { own, clients, listeners }) } else { Err(problems) }
}

/// TLS of the listeners that have it, in their order, with its files read.
///
/// # Errors
/// Files that cannot be read or used, or do not belong together.
pub fn acceptors(config: &Config) -> Result<Vec<Option<Arc<Acceptor>>>, Vec<Problem>> {
    let (mut acceptors, mut problems) = (Vec::new(), Vec::new());
    for (i, listener) in config.listeners.iter().enumerate() {
        match listener.tls.clone().map(Acceptor::load).transpose() {
            Ok(acceptor) => acceptors.push(acceptor.map(Arc::new)),
            Err(error) => problems.push(whole(&config.file, format!("`listeners[{i}].tls`: {error}"))),
        }
    }
    if problems.is_empty() { Ok(acceptors) } else { Err(problems) }
}

/// The files of authorities that servers of the web are trusted by, and the keys that name them. They are read for each
/// request.
fn of_web(config: &Config) -> Vec<(String, &Path)> {
    let logins = upstream_logins(config).into_iter().filter_map(|(key, sasl)| match sasl {
        UpstreamSasl::Token { source: TokenSource::Client(client), .. } => Some((key, &client.ca)),
        UpstreamSasl::Token { source: TokenSource::Given(_), .. } | UpstreamSasl::Password { .. } => None,
    });
    let issuers = config.tokens.iter().enumerate().filter_map(|(i, one)| match &one.keys {
        KeySource::Url { ca, .. } => Some((format!("tokens[{i}]"), ca)),
        KeySource::File(_) => None,
    });
    logins.chain(issuers).filter_map(|(key, ca)| Some((format!("{key}.ca"), ca.file()?))).collect()
}

/// Reads the authorities that servers of the web are trusted by, where they are in files.
///
/// # Errors
/// Files that cannot be read or used.
pub fn web_authorities(config: &Config) -> Result<(), Vec<Problem>> {
    let fault = |(key, file): (String, &Path)| {
        let error = web_client(Some(&Authorities::File(file.to_owned()))).err()?;
        Some(whole(&config.file, format!("`{key}`: {error}")))
    };
    let problems: Vec<Problem> = of_web(config).into_iter().filter_map(fault).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Every file of TLS, once.
pub fn of_tls(config: &Config) -> BTreeSet<TlsFile> {
    let of_listeners = config.listeners.iter().filter_map(|l| l.upstream_tls(&config.cluster));
    let cluster = [config.cluster.tls.as_ref(), config.cluster.own_tls()].into_iter().flatten();
    let cluster = cluster.chain(of_listeners).flat_map(files_of_upstream);
    let listeners = config.listeners.iter().filter_map(|l| l.tls.as_ref()).flat_map(files_of_listener);
    let web = of_web(config).into_iter().map(|(_, file)| TlsFile::Authorities(file.to_owned()));
    cluster.chain(listeners).chain(web).collect()
}

/// How long before its end a file of TLS is warned of, in milliseconds.
pub(super) const SOON: i64 = 30 * DAY;
/// A day in milliseconds.
pub(super) const DAY: i64 = 86_400_000;

/// What of TLS has ended, or ends so [soon](SOON), in words.
pub fn ends_soon(config: &Config, now: Timestamp) -> Vec<String> {
    let soon = now.plus_millis(SOON);
    let words = |file: &TlsFile| {
        let end = file.end(now).ok().flatten().filter(|end| *end <= soon)?;
        Some(format!("{}: ends at {end}: renew it", file.path().display()))
    };
    of_tls(config).iter().filter_map(words).collect()
}

/// The logins at brokers, and the keys that hold them.
fn upstream_logins(config: &Config) -> Vec<(String, &UpstreamSasl)> {
    let cluster = &config.cluster;
    let own = cluster.own.as_ref().and_then(|own| own.sasl.as_ref());
    let mut logins = vec![("cluster.sasl".to_owned(), cluster.sasl.as_ref()), ("cluster.own.sasl".to_owned(), own)];
    for (i, listener) in config.listeners.iter().enumerate() {
        let sasl = listener.upstream.as_ref().and_then(|upstream| upstream.sasl.as_ref());
        logins.push((format!("listeners[{i}].upstream.sasl"), sasl));
    }
    logins.into_iter().filter_map(|(key, sasl)| Some((key, sasl?))).collect()
}

/// The secrets of logins at brokers that cannot be read, in words. Each is read when it is needed: it may come later.
pub fn unread_secrets(config: &Config) -> Vec<String> {
    let unread = |(key, sasl): (String, &UpstreamSasl)| {
        let error = sasl.secret().read().err()?;
        Some(format!("`{key}`: {error}"))
    };
    upstream_logins(config).into_iter().filter_map(unread).collect()
}

/// The soft limit of open files, from the kernel's table; a cautious number where it cannot be read.
pub fn open_files() -> u64 {
    const CAUTIOUS: u64 = 1024;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(CAUTIOUS)
}

/// What to say where the process may open fewer files than `limits.connections` takes.
pub fn too_few(config: &Config, files: u64) -> Option<String> {
    let most = config.limits.connections.fewer(files)?;
    Some(format!(
        "`limits.connections` is {}, but with {files} open files there is room for {most}: raise the limit of open files, or lower the other",
        config.limits.connections.bound(files)
    ))
}

/// Names that clients of listeners with TLS are told and for which the listener has no certificate, in words. Of brokers
/// that have names the known ones count; while none is known, one name that the certificate is for will do.
pub fn not_covered(config: &Config, known: &[i32]) -> Vec<String> {
    let mut words = Vec::new();
    for (i, listener) in config.listeners.iter().enumerate() {
        let Some(tls) = &listener.tls else { continue };
        let chain = &tls.identity.certificate;
        // What cannot be read is told elsewhere.
        let missing = |hosts: Vec<String>| not_in(chain, hosts).unwrap_or_default();
        let told = |id: &i32| listener.told(*id, 0).map(|told| told.host);
        let mut hosts = vec![listener.advertise.clone()];
        hosts.extend(listener.brokers.ids().iter().chain(known).filter_map(told));
        hosts.sort();
        hosts.dedup();
        let mut lacks = missing(hosts);
        if let (Brokers::Sni { host, .. }, []) = (&listener.brokers, known) {
            let tried: Vec<String> = (0..TRIED).chain([i32::MAX]).map(|id| host.of(id)).collect();
            if missing(tried.clone()).len() == tried.len() {
                lacks.push(host.to_string());
            }
        }
        if !lacks.is_empty() {
            words.push(format!(
                "`listeners[{i}].tls.certificate` is not for `{}`, which clients are told: those that look at names, as most do, cannot connect",
                lacks.join("`, `")
            ));
        }
    }
    words
}

/// Ids of brokers that are looked for in a certificate while nobody knows which there are.
const TRIED: i32 = 1000;

/// How certificates name clients.
///
/// # Errors
/// A rule that cannot be taken.
pub fn names(config: &Config) -> Result<Mapping, Vec<Problem>> {
    let names = &config.certificates;
    Mapping::new(names.name_from, &names.rules, names.groups_from)
        .map_err(|(i, error)| vec![whole(&config.file, format!("`certificates.rules[{i}]`: {error}"))])
}

/// Reads the users file; no users without one.
///
/// # Errors
/// The file cannot be read, or its faults.
pub fn load_users(config: &Config) -> Result<Users, Vec<Problem>> {
    match &config.users {
        // Where that cannot be told, as in a directory that may not be searched, reading it says why.
        Some(file) if matches!(file.try_exists(), Ok(false)) => {
            Err(vec![whole(file, "does not exist: make it with `kordon user add`".to_owned())])
        }
        Some(file) => users_of(&read(file)?, file),
        None => Ok(Users::default()),
    }
}

/// The users in the bytes of a file.
///
/// # Errors
/// The faults of the file.
pub fn users_of(bytes: &[u8], file: &Path) -> Result<Users, Vec<Problem>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Users::parse(text, &file.display().to_string()),
        Err(e) => Err(vec![whole(file, format!("not UTF-8 after byte {}: save it as UTF-8", e.valid_up_to()))]),
    }
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read.
pub fn read(file: &Path) -> Result<Vec<u8>, Vec<Problem>> {
    std::fs::read(file).map_err(|cause| vec![whole(file, format!("cannot be read: {cause}"))])
}

fn whole(file: &Path, text: String) -> Problem {
    Problem { file: file.display().to_string(), place: None, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let problem = read(Path::new("no/such/file")).unwrap_err()[0].to_string();
        assert!(problem.starts_with("no/such/file: cannot be read: "), "{problem}");
    }

    #[test]
    fn threat_18_without_a_login_the_proxy_is_anonymous_in_the_policy_and_in_the_topology() {
        let cluster = config::Cluster::plain("c", Vec::new());
        assert_eq!(own_users(&cluster, &[]), ["ANONYMOUS"]);
        let text = "version: 1\ninstance: p\ncluster: { name: c, bootstrap: [\"k:1\"] }\n\
            listeners: [{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\", brokers: { ports: { ids: 1-1 } } }]\n\
            policy: { file: p }\n";
        let config = config::parse(text, Path::new("k"), &|_| None).unwrap();
        assert_eq!(policy_settings(&config, Timestamp(0)).own_principals, ["User:ANONYMOUS"]);
    }

    #[test]
    fn threat_20_what_was_an_audit_topic_once_stays_protected() {
        let text = "version: 1\ninstance: p\ncluster: { name: c, bootstrap: [\"k:1\"] }\n\
            listeners: [{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\", brokers: { ports: { ids: 1-1 } } }]\n\
            policy: { file: p }\naudit: { topic: new, former_topics: [old, new], rules: [{ topic: other }] }\n";
        let config = config::parse(text, Path::new("k"), &|_| None).unwrap();
        assert_eq!(config.audit.topics(), ["new", "other"], "what is written to");
        assert_eq!(policy_settings(&config, Timestamp(0)).own_topics.audit, ["new", "other", "old"]);
        let as_state = format!("{text}state: {{ topic: old }}\n");
        let faults = config::parse(&as_state, Path::new("k"), &|_| None).unwrap_err();
        assert!(faults[0].text.contains("`state.topic` and an audit topic are both `old`"), "{faults:?}");
    }

    #[test]
    fn a_users_file_that_is_not_there_is_told_with_how_to_make_it() {
        let text = "version: 1\ninstance: p\ncluster: { name: c, bootstrap: [\"k:1\"] }\n\
            listeners: [{ name: a, bind: \"127.0.0.1:1\", identity: sasl, sasl: { mechanisms: [SCRAM-SHA-512] }, brokers: { ports: { ids: 1-1 } } }]\n\
            users: no/such/users.yaml\npolicy: { file: p }\n";
        let config = config::parse(text, Path::new("k"), &|_| None).unwrap();
        let problem = load_users(&config).unwrap_err()[0].to_string();
        assert_eq!(problem, "no/such/users.yaml: does not exist: make it with `kordon user add`");
        let within_a_file = text.replace("no/such/", "Cargo.toml/");
        let config = config::parse(&within_a_file, Path::new("k"), &|_| None).unwrap();
        let problem = load_users(&config).unwrap_err()[0].to_string();
        assert!(problem.starts_with("Cargo.toml/users.yaml: cannot be read: "), "{problem}");
    }

    #[test]
    fn secrets_that_cannot_be_read_are_told_by_their_key_and_place() {
        let login = |secret: &str| format!("{{ mechanism: PLAIN, username: u, password: {{ {secret} }} }}");
        let text = format!(
            "version: 1\ninstance: p\ncluster: {{ name: c, bootstrap: [\"k:1\"], sasl: {}, own: {{ sasl: {} }} }}\n\
            listeners: [{{ name: a, bind: \"127.0.0.1:1\", identity: fixed, principal: \"User:a\", \
            brokers: {{ ports: {{ ids: 1-1 }} }}, upstream: {{ sasl: {} }} }}]\npolicy: {{ file: p }}\n",
            login("file: no/such/file"),
            login("env: PATH"),
            login("env: KORDON_NO_SUCH_VARIABLE")
        );
        let told = unread_secrets(&config::parse(&text, Path::new("k"), &|_| None).unwrap());
        let begins =
            ["`cluster.sasl`: cannot read the secret in `no/such/file`: ", "`listeners[0].upstream.sasl`: environment"];
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().zip(begins).all(|(told, begin)| told.starts_with(begin)), "{told:?}");
    }

    #[test]
    fn a_users_file_is_utf_8() {
        let problem = users_of(b"version\xff", Path::new("u")).unwrap_err()[0].to_string();
        assert_eq!(problem, "u: not UTF-8 after byte 7: save it as UTF-8");
    }
}
