//! `kordon check --connect`: what clients of each listener would be told, and whether they could reach it.

use crate::access;
use crate::app::{files, tokens};
use crate::audit::topics::complaints;
use crate::cli::Failure;
use crate::cluster::dial::Dialler;
use crate::cluster::door::{self, State as Door};
use crate::cluster::topic::TopicError;
use crate::cluster::{AskError, Cluster};
use crate::config::{self, Config, HostPort, Identity, KeySource, Listener, Mechanism, ProtocolAcls, TokenIssuer};
use crate::enforce::Topology;
use crate::wire::ErrorCode;
use std::io::{self, Write};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};

/// Prints each broker's told address, by listener. Gives what is wrong in words.
pub(super) async fn brokers(
    listeners: &[Listener],
    topology: &Topology,
    patience: Duration,
    out: &mut dyn Write,
) -> io::Result<Vec<String>> {
    let mut faults = Vec::new();
    for (id, broker) in &topology.brokers {
        writeln!(out, "broker {id} at {}:{}", broker.host, broker.port)?;
        for listener in listeners {
            let port = listener.broker_bind(*id).map_or(0, |bind| bind.port());
            let name = &listener.name;
            match listener.told(*id, port) {
                None => faults.push(format!(
                    "listener `{name}` does not map broker {id}, so its clients are never told of it: widen `brokers`"
                )),
                Some(told) if told.port == 0 => writeln!(out, "  {name}: told as {told}, once a port is bound")?,
                Some(told) => match listens(&told, patience).await {
                    State::Unresolved(cause) => {
                        faults.push(format!("listener `{name}` tells clients `{told}` for broker {id}, but this host cannot resolve it: {cause}"));
                    }
                    State::Silent => writeln!(out, "  {name}: told as {told}, where nothing listens now")?,
                    State::Open => writeln!(out, "  {name}: told as {told}, where something listens")?,
                },
            }
        }
    }
    Ok(faults)
}

/// Logs in as clients' requests are to run, once for each way to do so, at any broker that answers. Gives what is wrong in
/// words.
pub(super) async fn logins(config: &Config, topology: &Topology, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let clients = Dialler::for_clients(&config.cluster);
    let mut faults = Vec::new();
    let mut shared = None;
    for (i, listener) in config.listeners.iter().enumerate() {
        if let Identity::PassThrough(sasl) = &listener.identity {
            let dialler = clients.for_listener(listener);
            for mechanism in &sasl.mechanisms {
                faults.extend(offers(&dialler, topology, *mechanism).await.err().map(|why| {
                    let name = &listener.name;
                    format!("listener `{name}`: {} does not get as far as the brokers: {why}", mechanism.name())
                }));
            }
            continue;
        }
        let own = listener.upstream.is_some();
        if !own && shared.replace(()).is_some() {
            continue;
        }
        let key = if own { format!("listeners[{i}].upstream") } else { "cluster".to_owned() };
        let dialler = clients.for_listener(listener);
        let mut failed = None;
        for broker in topology.brokers.values() {
            failed = dialler.dial(&broker.into()).await.err();
            if failed.is_none() {
                break;
            }
        }
        match failed {
            None => writeln!(out, "`{key}`: brokers can be reached so for clients")?,
            Some(error) => faults.push(format!("`{key}`: no broker can be reached so for clients: {error}")),
        }
    }
    Ok(faults)
}

/// Asks the issuers of tokens for their keys. Gives what is wrong in words.
pub(super) async fn issuers(issuers: &[TokenIssuer], out: &mut dyn Write) -> io::Result<Vec<String>> {
    let mut faults = Vec::new();
    for one in issuers {
        let KeySource::Url { address, ca, .. } = &one.keys else { continue };
        match tokens::fetch(address, ca).await {
            Ok(keys) => {
                writeln!(out, "tokens of {}: {} keys", one.issuer, keys.len())?;
                for skipped in keys.skipped() {
                    writeln!(out, "  left out: {skipped}")?;
                }
            }
            Err(why) => faults.push(format!("tokens of `{}`: their keys cannot be had: {why}", one.issuer)),
        }
    }
    Ok(faults)
}

/// Tells whether the brokers serve who comes past the proxy.
pub(super) async fn doors(
    cluster: &config::Cluster,
    topology: &Topology,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    if !door::is_known(cluster) {
        return writeln!(err, "warning: {}", door::NO_LOGIN);
    }
    for door in door::try_all(cluster, topology).await {
        match door.state {
            Door::Open | Door::Unknown(_) => writeln!(err, "warning: {door}")?,
            Door::Shut => writeln!(out, "{door}")?,
        }
    }
    Ok(())
}

/// Looks for the audit topics, and how they are configured. Gives what is wrong in words.
pub(super) async fn audit(
    audit: &config::Audit,
    cluster: &Cluster,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Vec<String>> {
    let mut faults = Vec::new();
    for topic in audit.topics() {
        match cluster.topic(&topic).await {
            Ok(info) => {
                writeln!(out, "audit topic {topic}: {} partitions", info.partitions.len())?;
                let complaints = complaints(cluster, audit, &topic).await;
                for warning in complaints.warnings.iter().chain(&complaints.remarks) {
                    writeln!(err, "warning: audit topic {topic}: {warning}")?;
                }
                faults.extend(complaints.faults.into_iter().map(|fault| format!("audit topic `{topic}`: {fault}")));
            }
            Err(AskError::Refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) if audit.create => {
                writeln!(out, "audit topic {topic}: does not exist, is created at the start")?;
            }
            Err(AskError::Refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) => {
                faults.push(TopicError::Missing(topic).to_string());
            }
            Err(AskError::Refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED)) => {
                faults.push(TopicError::Hidden(topic).to_string());
            }
            Err(error) => faults.push(format!("audit topic `{topic}`: {error}")),
        }
    }
    Ok(faults)
}

/// Looks at the state topic, if there is to be one. Gives what is wrong in words.
pub(super) async fn state(
    config: &Config,
    cluster: &Cluster,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Vec<String>, Failure> {
    if config.policy.protocol_acls != ProtocolAcls::State {
        return Ok(Vec::new());
    }
    let topic = &config.state.topic;
    let look = access::look(cluster, config).await.map_err(|error| Failure::Failed(error.to_string()))?;
    let Some(look) = look else {
        return Ok(match &config.state.genesis {
            None if config.state.create => {
                writeln!(out, "state topic {topic}: does not exist, is created at the start")?;
                Vec::new()
            }
            None => vec![format!(
                "state topic `{topic}` does not exist, and `state.create` is false: run `kordon state init`"
            )],
            Some(id) => vec![format!("state topic `{topic}` does not exist, and `state.genesis` is `{id}`")],
        });
    };
    let faults = look.faults(config.state.genesis.as_deref());
    for warning in look.warnings() {
        writeln!(err, "warning: state topic {topic}: {warning}")?;
    }
    if faults.is_empty() {
        writeln!(out, "state topic {topic}: id {}, {} ACLs", look.id, look.fold.present().count())?;
    }
    let own = files::own_principals(config);
    match access::strangers(cluster, topic, &own).await {
        Ok(strangers) => {
            for acl in strangers {
                writeln!(
                    err,
                    "warning: state topic {topic}: others than the proxy may change it behind its back: {acl}"
                )?;
            }
        }
        Err(cause) => writeln!(err, "warning: state topic {topic}: the brokers do not say who may write it: {cause}")?,
    }
    Ok(faults.into_iter().map(|fault| format!("state topic `{topic}`: {fault}")).collect())
}

/// Whether every broker offers a mechanism; else why not.
async fn offers(dialler: &Dialler, topology: &Topology, mechanism: Mechanism) -> Result<(), String> {
    for (id, broker) in &topology.brokers {
        let mut passage = dialler.passage(&broker.into()).await.map_err(|error| error.to_string())?;
        let shaking = tokio::time::timeout(dialler.connect_timeout, passage.shake(mechanism)).await;
        let shook =
            shaking.map_err(|_| format!("broker {id} does not answer a handshake: see `cluster.connect_timeout`"))?;
        let shook = shook.map_err(|error| error.to_string())?;
        if shook.code != ErrorCode::NONE {
            return Err(format!("broker {id}: {}", shook.words(mechanism)));
        }
    }
    Ok(())
}

enum State {
    Unresolved(io::Error),
    Silent,
    Open,
}

async fn listens(told: &HostPort, patience: Duration) -> State {
    match lookup_host((told.host.as_str(), told.port)).await {
        Err(cause) => State::Unresolved(cause),
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.collect();
            match tokio::time::timeout(patience, TcpStream::connect(addresses.as_slice())).await {
                Ok(Ok(_)) => State::Open,
                Ok(Err(_)) | Err(_) => State::Silent,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BrokerAddress, Brokers, Identity};
    use crate::config::{PasswordMechanism, Secret, SecretSource, UpstreamSasl};
    use crate::demo::broker as demo;
    use crate::enforce::topology::Broker;
    use crate::model::Principal;

    #[tokio::test]
    async fn threat_07_brokers_that_serve_anybody_are_warned_of() {
        let broker = demo::Broker::start(demo::Settings::default()).await.unwrap();
        let (host, port) = (broker.addr().ip().to_string(), broker.addr().port());
        let known = Broker { id: 1, host: host.as_str().into(), port, rack: None, versions: [].into() };
        let topology = Topology { brokers: [(1, known)].into(), ..Topology::default() };
        let mut cluster = config::Cluster::plain("c", vec![HostPort { host, port }]);
        let warned = async |cluster: &config::Cluster| {
            let mut err = Vec::new();
            doors(cluster, &topology, &mut Vec::new(), &mut err).await.unwrap();
            String::from_utf8(err).unwrap()
        };
        let without = warned(&cluster).await;
        assert!(without.starts_with("warning: `cluster.sasl` is null"), "{without}");
        cluster.sasl = Some(UpstreamSasl::Password {
            mechanism: PasswordMechanism::Plain,
            username: "kordon".into(),
            password: Secret(SecretSource::Env("KORDON_TEST".into())),
        });
        let open = warned(&cluster).await;
        assert!(open.starts_with("warning: broker 1 at `127.0.0.1:"), "{open}");
    }

    #[tokio::test]
    async fn audit_topics_that_are_missing_and_may_not_be_made_are_a_fault() {
        let settings = demo::Settings { auto_create: false, ..demo::Settings::default() };
        let broker = demo::Broker::start(settings).await.unwrap();
        let at = HostPort { host: broker.addr().ip().to_string(), port: broker.addr().port() };
        let cluster = crate::cli::online::reach(&config::Cluster::plain("c", vec![at])).await.unwrap();
        let mut audit = config::Audit::default();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(super::audit(&audit, &cluster, &mut out, &mut err).await.unwrap(), [""; 0]);
        assert_eq!(out, b"audit topic kordon.audit: does not exist, is created at the start\n");
        audit.create = false;
        let faults = super::audit(&audit, &cluster, &mut out, &mut err).await.unwrap();
        assert_eq!(
            faults,
            ["topic `kordon.audit` does not exist and `create` is false: make it, or set `create: true`"]
        );
    }

    #[tokio::test]
    async fn each_broker_is_told_with_its_address_and_what_is_missing_is_a_fault() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = open.local_addr().unwrap().port();
        let at = |host: &str, port| BrokerAddress {
            bind: "127.0.0.1:0".parse().unwrap(),
            advertise: HostPort { host: host.into(), port },
        };
        let map = [(1, at("127.0.0.1", port)), (2, at("127.0.0.1", 0)), (3, at("no-such-host.invalid", 9))];
        let listener = Listener {
            name: "a".into(),
            bind: "127.0.0.1:0".parse().unwrap(),
            advertise: "127.0.0.1".into(),
            brokers: Brokers::Map(map.into()),
            tls: None,
            identity: Identity::Fixed(Principal::user("x")),
            super_users: false,
            max_session: None,
            limits: crate::config::ListenerLimits::default(),
            proxy_protocol: Vec::new(),
            upstream: None,
        };
        let broker = |id| Broker { id, host: "b".into(), port: 9092, rack: None, versions: [].into() };
        let brokers_of = (1..=4).map(|id| (id, broker(id))).collect();
        let topology = Topology { brokers: brokers_of, ..Topology::default() };
        let mut out = Vec::new();
        let faults = brokers(&[listener], &topology, Duration::from_secs(5), &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("broker 1 at b:9092\n"), "{text}");
        assert!(text.contains(&format!("  a: told as 127.0.0.1:{port}, where something listens\n")), "{text}");
        assert!(text.contains("  a: told as 127.0.0.1:0, once a port is bound\n"), "{text}");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with(
            "listener `a` tells clients `no-such-host.invalid:9` for broker 3, but this host cannot resolve it: "
        ));
        assert_eq!(
            faults[1],
            "listener `a` does not map broker 4, so its clients are never told of it: widen `brokers`"
        );
    }
}
