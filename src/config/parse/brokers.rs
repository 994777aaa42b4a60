//! `listeners[].brokers`: how brokers are reached through a listener.

use super::Reader;
use super::scalars::is_host_name;
use crate::config::{BrokerAddress, Brokers, HostPort};
use crate::model::BrokerHost;
use crate::yaml::{Fields, Keys, Node, Value};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

const PORTS: Keys = Keys { served: &["start", "ids", "advertise_start"], later: &[] };
const SNI: Keys = Keys { served: &["host", "port"], later: &[] };

impl Reader<'_> {
    pub(super) fn brokers(
        &mut self,
        node: &Node,
        path: &str,
        bind: Option<SocketAddr>,
        host: Option<&str>,
    ) -> Option<Brokers> {
        let keys = Keys { served: &["ports", "map", "sni"], later: &[] };
        let fields = Fields::open(node, path, keys, &mut self.report)?;
        match (fields.get("ports"), fields.get("map"), fields.get("sni")) {
            (Some(ports), None, None) => self.ports(ports, &fields.path("ports"), bind),
            (None, Some(map), None) => self.map(map, &fields.path("map"), host),
            (None, None, Some(sni)) => self.sni(sni, &fields.path("sni"), host),
            _ => {
                self.fault(node, format!("`{path}` needs exactly one of `ports`, `map` and `sni`"));
                None
            }
        }
    }

    fn sni(&mut self, node: &Node, path: &str, advertise: Option<&str>) -> Option<Brokers> {
        let fields = Fields::open(node, path, SNI, &mut self.report)?;
        let what = "write the name of each broker, as in `broker-{id}.kafka.example.com`";
        let host = fields.required("host", what, &mut self.report);
        let host = host.and_then(|node| self.broker_host(node, &fields.path("host"), advertise));
        let port = fields.required("port", "write the port that clients connect to", &mut self.report);
        let port = port.and_then(|node| self.port(node, &fields.path("port")));
        Some(Brokers::Sni { host: host?, port: port? })
    }

    fn broker_host(&mut self, node: &Node, path: &str, advertise: Option<&str>) -> Option<BrokerHost> {
        let text = self.text(node, path)?;
        let Some(host) = BrokerHost::parse(&text) else {
            let text =
                format!("`{path}` is `{text}`, but must hold `{{id}}` once, as in `broker-{{id}}.kafka.example.com`");
            self.fault(node, text);
            return None;
        };
        // Many clients name no host without a dot, or with one at its end, in the handshake.
        let longest = host.of(i32::MAX);
        if !is_host_name(&longest) || longest.ends_with('.') || !longest.contains('.') {
            let text = format!(
                "`{path}` is `{text}`, which makes `{longest}`: write a full name with a domain, as in `broker-{{id}}.kafka.example.com`"
            );
            self.fault(node, text);
            return None;
        }
        if let Some(id) = advertise.and_then(|told| host.id(&told.to_ascii_lowercase())) {
            self.fault(node, format!("`{path}` gives broker {id} the name of `advertise`: change one of them"));
            return None;
        }
        Some(host)
    }

    fn ports(&mut self, node: &Node, path: &str, bind: Option<SocketAddr>) -> Option<Brokers> {
        let fields = Fields::open(node, path, PORTS, &mut self.report)?;
        let start_path = fields.path("start");
        let start = match (fields.get("start"), bind) {
            (Some(node), _) => self.port(node, &start_path),
            (None, Some(bind)) if bind.port() == 0 => {
                let text = format!(
                    "`{start_path}` is missing: `bind` takes any free port, so write the port of broker 0, or use `map`"
                );
                self.fault(node, text);
                None
            }
            (None, Some(bind)) => match bind.port().checked_add(1) {
                Some(start) => Some(start),
                None => {
                    self.fault(node, format!("`{start_path}` is missing: there is no port after that of `bind`"));
                    None
                }
            },
            (None, None) => None,
        };
        let ids = fields.required(
            "ids",
            "write the ids of all brokers, also of those to come, as in `0-15`",
            &mut self.report,
        );
        let ids = ids.and_then(|node| self.ids(node, &fields.path("ids")));
        let advertise_start = match fields.get("advertise_start") {
            Some(node) => self.port(node, &fields.path("advertise_start")),
            None => start,
        };
        let (start, ids, advertise_start) = (start?, ids?, advertise_start?);
        for (first, what) in [(start, "start"), (advertise_start, "advertise_start")] {
            let last = i64::from(first) + i64::from(*ids.end());
            if last > 65_535 {
                let text = format!(
                    "`{path}` gives broker {} port {last} (`{what}` {first} + id), but the last port is 65535: lower `{what}` or `ids`, or use `map`",
                    ids.end()
                );
                self.fault(node, text);
                return None;
            }
        }
        Some(Brokers::Ports { start, ids, advertise_start })
    }

    /// `0-15`, or one id.
    fn ids(&mut self, node: &Node, path: &str) -> Option<RangeInclusive<i32>> {
        let id = |text: &str| text.trim().parse::<i32>().ok().filter(|n| *n >= 0);
        let (range, text) = match &node.value {
            Value::Int(n) => (i32::try_from(*n).ok().filter(|n| *n >= 0).map(|n| n..=n), n.to_string()),
            Value::Text(_) => {
                let text = self.text(node, path)?;
                let range = match text.split_once('-') {
                    Some((first, last)) => id(first).zip(id(last)).map(|(first, last)| first..=last),
                    None => id(&text).map(|n| n..=n),
                };
                (range, text)
            }
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
                (None, node.value.kind().to_owned())
            }
        };
        match range {
            Some(range) if !range.is_empty() => Some(range),
            Some(_) => {
                self.fault(
                    node,
                    format!("`{path}` is `{text}`, which ends before it begins: write the lower id first"),
                );
                None
            }
            None => {
                self.fault(node, format!("`{path}` must be a range of broker ids, as in `0-15`, but is `{text}`"));
                None
            }
        }
    }

    fn map(&mut self, node: &Node, path: &str, host: Option<&str>) -> Option<Brokers> {
        let Value::Map(entries) = &node.value else {
            self.fault(
                node,
                format!("`{path}` must be a mapping of broker ids to addresses, but is {}", node.value.kind()),
            );
            return None;
        };
        if entries.is_empty() {
            self.fault(node, format!("`{path}` is empty: write each broker's id and its `bind`"));
            return None;
        }
        let mut map = BTreeMap::new();
        let mut well = true;
        for entry in entries {
            let Some(id) = entry.key.parse::<i32>().ok().filter(|id| *id >= 0) else {
                self.fault_at(
                    entry.at,
                    format!("`{path}` holds `{}`, which is no broker id: write a whole number from 0", entry.key),
                );
                well = false;
                continue;
            };
            let address = self.broker_address(&entry.value, &format!("{path}.{id}"), host);
            well &= address.is_some();
            let Some(address) = address else { continue };
            let told = &address.advertise;
            let other = map.iter().find(|(other, known): &(&i32, &BrokerAddress)| {
                **other != id && told.port != 0 && known.advertise == *told
            });
            if let Some((other, _)) = other {
                let text = format!(
                    "`{path}.{id}` is told as `{told}`, as broker {other} is: clients would take one for the other"
                );
                self.fault_at(entry.at, text);
                well = false;
            }
            if map.insert(id, address).is_some() {
                self.fault_at(entry.at, format!("`{path}.{id}` stands twice: keep one"));
                well = false;
            }
        }
        well.then_some(Brokers::Map(map))
    }

    fn broker_address(&mut self, node: &Node, path: &str, host: Option<&str>) -> Option<BrokerAddress> {
        let keys = Keys { served: &["bind", "advertise"], later: &[] };
        let fields = Fields::open(node, path, keys, &mut self.report)?;
        let bind = fields.required("bind", "write the address to bind for this broker", &mut self.report);
        let bind = bind.and_then(|node| self.bind(node, &fields.path("bind")));
        let path = fields.path("advertise");
        let advertise = match fields.get("advertise") {
            Some(node) => {
                let told = self.host_port(node, &path, true);
                if let (Some(told), Some(bind)) = (&told, bind)
                    && told.port == 0
                    && bind.port() != 0
                {
                    self.fault(node, format!("`{path}` is `{told}`, but nobody can connect to port 0: write the port"));
                    return None;
                }
                told
            }
            None => host.zip(bind).map(|(host, bind)| HostPort { host: host.to_owned(), port: bind.port() }),
        };
        Some(BrokerAddress { bind: bind?, advertise: advertise? })
    }
}
