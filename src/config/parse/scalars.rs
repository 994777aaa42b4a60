//! Values: text with `${NAME}`, numbers, durations, sizes, names, hosts and addresses.

use super::Reader;
use crate::config::{ByteSize, HostPort, Secret, SecretSource};
use crate::model::unmapped;
use crate::yaml::{Fields, Keys, Node, Value, did_you_mean};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

impl Reader<'_> {
    /// Text, with environment variables filled in; empty text is a fault.
    pub(super) fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        match &node.value {
            Value::Text(raw) => {
                let text = self.expand(node, path, raw)?;
                if text.is_empty() {
                    self.fault(node, format!("`{path}` is empty: write a value"));
                    return None;
                }
                Some(text)
            }
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
                self.fault(node, format!("`{path}` must be text, but is {}: put it in quotes", node.value.kind()));
                None
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.fault(node, format!("`{path}` must be text, but is {}", node.value.kind()));
                None
            }
        }
    }

    /// Fills `${NAME}` in; `$$` is a dollar sign, any other dollar sign is itself.
    fn expand(&mut self, node: &Node, path: &str, raw: &str) -> Option<String> {
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix('{') {
                let Some((name, after)) = after.split_once('}').filter(|(name, _)| is_variable(name)) else {
                    self.fault(
                        node,
                        format!(
                            "`{path}` holds `${{` without a name and `}}`: write `${{NAME}}`, or `$$` for a dollar sign"
                        ),
                    );
                    return None;
                };
                let Some(value) = (self.env)(name) else {
                    self.fault(node, format!("`{path}` needs environment variable `{name}`, which is not set"));
                    return None;
                };
                text.push_str(&value);
                rest = after;
            } else {
                text.push('$');
                rest = after;
            }
        }
        text.push_str(rest);
        Some(text)
    }

    /// A whole number within bounds. Text is one only where an environment variable stands in it.
    pub(super) fn int(&mut self, node: &Node, path: &str, least: i64, most: i64) -> Option<i64> {
        let found = match &node.value {
            Value::Int(n) => Some(*n),
            Value::Text(raw) if raw.contains("${") => self.expand(node, path, raw)?.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
        };
        let Some(n) = found else {
            self.fault(node, format!("`{path}` must be a whole number, but is {}", describe(&node.value)));
            return None;
        };
        if n < least || n > most {
            self.fault(node, format!("`{path}` is {n}, but must be from {least} to {most}"));
            return None;
        }
        Some(n)
    }

    /// A port.
    pub(super) fn port(&mut self, node: &Node, path: &str) -> Option<u16> {
        self.int(node, path, 1, 65_535).and_then(|n| u16::try_from(n).ok())
    }

    /// A `u32` from 1.
    pub(super) fn count(&mut self, node: &Node, path: &str, most: u32) -> Option<u32> {
        self.int(node, path, 1, i64::from(most)).and_then(|n| u32::try_from(n).ok())
    }

    /// `true` or `false`.
    pub(super) fn bool(&mut self, node: &Node, path: &str) -> Option<bool> {
        match &node.value {
            Value::Bool(b) => Some(*b),
            Value::Text(raw) if raw.contains("${") => match self.expand(node, path, raw)?.as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => {
                    self.fault(node, format!("`{path}` must be `true` or `false`"));
                    None
                }
            },
            Value::Null | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                self.fault(node, format!("`{path}` must be `true` or `false`, but is {}", describe(&node.value)));
                None
            }
        }
    }

    /// A duration of at least `least`.
    pub(super) fn duration(&mut self, node: &Node, path: &str, least: Duration) -> Option<Duration> {
        let form = "write a number and a unit, as in `500ms`, `5s`, `10m`, `8h`, `30d`";
        let Value::Text(_) = &node.value else {
            self.fault(node, format!("`{path}` must be a duration, but is {}: {form}", describe(&node.value)));
            return None;
        };
        let text = self.text(node, path)?;
        let Some(found) = parse_duration(&text) else {
            self.fault(node, format!("`{path}` must be a duration, but is `{text}`: {form}"));
            return None;
        };
        if found < least {
            self.fault(node, format!("`{path}` is `{text}`, but must be at least {}ms", least.as_millis()));
            return None;
        }
        Some(found)
    }

    /// A size of at least `least` and at most `most`.
    pub(super) fn size(&mut self, node: &Node, path: &str, least: ByteSize, most: ByteSize) -> Option<ByteSize> {
        let form = "write a number and a unit, as in `512KiB`, `100MiB`, `1GiB`";
        let Value::Text(_) = &node.value else {
            self.fault(node, format!("`{path}` must be a size, but is {}: {form}", describe(&node.value)));
            return None;
        };
        let text = self.text(node, path)?;
        let Some(found) = parse_size(&text) else {
            self.fault(node, format!("`{path}` must be a size, but is `{text}`: {form}"));
            return None;
        };
        if found < least || found > most {
            self.fault(node, format!("`{path}` is `{text}`, but must be from {least} to {most}"));
            return None;
        }
        Some(found)
    }

    /// One of a closed list of words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, path: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, path)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = did_you_mean(&text, known.iter().copied());
        let hint = if hint.is_empty() { format!(": write one of `{}`", known.join("`, `")) } else { hint };
        self.fault(node, format!("`{path}` cannot be `{text}`{hint}"));
        None
    }

    /// The items of a list.
    pub(super) fn list<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Map(_) => {
                self.fault(node, format!("`{path}` must be a list, but is {}: write `[…]`", node.value.kind()));
                None
            }
        }
    }

    /// A name for humans and machines: `[A-Za-z0-9._-]{1,64}`.
    pub(super) fn label(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.text(node, path)?;
        if is_label(&text) {
            return Some(text);
        }
        self.fault(
            node,
            format!("`{path}` is `{text}`, but may hold letters, digits, `.`, `_` and `-` only, at most 64"),
        );
        None
    }

    /// A topic's name, as `Topic.validate` of Kafka 4.1 has it.
    pub(super) fn topic(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.text(node, path)?;
        let legal = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if legal && text.len() <= 249 && text != "." && text != ".." {
            return Some(text);
        }
        self.fault(node, format!("`{path}` is `{text}`, which Kafka does not take as a topic: letters, digits, `.`, `_` and `-`, at most 249"));
        None
    }

    /// A path, seen from the process.
    pub(super) fn file(&mut self, node: &Node, path: &str) -> Option<PathBuf> {
        let text = self.text(node, path)?;
        Some(self.resolve(&text))
    }

    /// An address to bind.
    pub(super) fn bind(&mut self, node: &Node, path: &str) -> Option<SocketAddr> {
        let text = self.text(node, path)?;
        match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                self.fault(
                    node,
                    format!(
                        "`{path}` is `{text}`, which is no IP address and port: write them as in `0.0.0.0:9092`, `127.0.0.1:9092` or `[::]:9092`"
                    ),
                );
                None
            }
        }
    }

    /// Networks, or single addresses.
    pub(super) fn networks(&mut self, node: &Node, path: &str) -> Option<Vec<IpNet>> {
        let items = self.list(node, path)?;
        let networks: Vec<_> =
            items.iter().enumerate().map(|(i, item)| self.network(item, &format!("{path}[{i}]"))).collect();
        networks.into_iter().collect()
    }

    fn network(&mut self, node: &Node, path: &str) -> Option<IpNet> {
        let text = self.text(node, path)?;
        let found = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let Some(network) = found else {
            let form = "write them as in `10.0.0.0/8`, `10.1.2.3` or `2001:db8::/32`";
            self.fault(node, format!("`{path}` is `{text}`, which is no network and no address: {form}"));
            return None;
        };
        if network.trunc() != network {
            let text = format!("`{path}` is `{text}`, which has bits beyond its prefix: write `{}`", network.trunc());
            self.fault(node, text);
            return None;
        }
        if let Some(v4) = unmapped(network) {
            let text =
                format!("`{path}` is `{text}`, which nobody is in, as peers have their IPv4 addresses: write `{v4}`");
            self.fault(node, text);
            return None;
        }
        Some(network)
    }

    /// A host without a port that clients are told.
    pub(super) fn told_host(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = self.text(node, path)?;
        match parse_host(&text) {
            Some(host) => self.not_unspecified(node, path, host),
            None => {
                self.fault(
                    node,
                    format!("`{path}` is `{text}`, which is no host: write a name or an IP address, without a port"),
                );
                None
            }
        }
    }

    /// `host:port`, told to clients or connected to.
    pub(super) fn host_port(&mut self, node: &Node, path: &str, port_zero: bool) -> Option<HostPort> {
        let text = self.text(node, path)?;
        let Some(found) = parse_host_port(&text) else {
            self.fault(
                node,
                format!("`{path}` is `{text}`, which is no host and port: write them as in `kafka-1:9092` or `[2001:db8::1]:9092`"),
            );
            return None;
        };
        if found.port == 0 && !port_zero {
            self.fault(node, format!("`{path}` is `{text}`, but nobody can connect to port 0: write the port"));
            return None;
        }
        let host = self.not_unspecified(node, path, found.host)?;
        Some(HostPort { host, port: found.port })
    }

    fn not_unspecified(&mut self, node: &Node, path: &str, host: String) -> Option<String> {
        if host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_unspecified()) {
            self.fault(
                node,
                format!(
                    "`{path}` holds `{host}`, to which nobody can connect: write a name or an address of this host"
                ),
            );
            return None;
        }
        Some(host)
    }

    /// `{ file: PATH }` or `{ env: NAME }`.
    pub(super) fn secret(&mut self, node: &Node, path: &str) -> Option<Secret> {
        if let Value::Text(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) = &node.value {
            // The value is not repeated: it may be the secret.
            self.fault(
                node,
                format!("`{path}` must not stand in this file: write `{{ file: PATH }}` or `{{ env: NAME }}`"),
            );
            return None;
        }
        let keys = Keys { served: &["file", "env"], later: &[] };
        let fields = Fields::open(node, path, keys, &mut self.report)?;
        match (fields.get("file"), fields.get("env")) {
            (Some(file), None) => Some(Secret(SecretSource::File(self.file(file, &fields.path("file"))?))),
            (None, Some(env)) => {
                let path = fields.path("env");
                let name = self.text(env, &path)?;
                if is_variable(&name) {
                    return Some(Secret(SecretSource::Env(name)));
                }
                self.fault(env, format!("`{path}` is `{name}`, which is no name of an environment variable"));
                None
            }
            (Some(_), Some(_)) | (None, None) => {
                self.fault(node, format!("`{path}` needs exactly one of `file` and `env`"));
                None
            }
        }
    }
}

/// What a value is, for messages: scalars with their text.
fn describe(value: &Value) -> String {
    match value {
        Value::Int(n) => format!("the bare number `{n}`"),
        Value::Float(n) => format!("`{n}`"),
        Value::Text(text) => format!("`{text}`"),
        Value::Bool(b) => format!("`{b}`"),
        Value::Null | Value::List(_) | Value::Map(_) => value.kind().to_owned(),
    }
}

pub(super) fn is_label(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn is_variable(name: &str) -> bool {
    name.chars().enumerate().all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit()))
        && !name.is_empty()
}

/// A whole number and one of the units `ms`, `s`, `m`, `h`, `d`.
fn parse_duration(text: &str) -> Option<Duration> {
    let (n, unit) = number_and_unit(text)?;
    match unit {
        "ms" => Some(Duration::from_millis(n)),
        "s" => Some(Duration::from_secs(n)),
        "m" => Some(Duration::from_secs(n.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(n.checked_mul(3_600)?)),
        "d" => Some(Duration::from_secs(n.checked_mul(86_400)?)),
        _ => None,
    }
    // A thousand years: whatever is made of it (milliseconds as i64, an instant) cannot overflow.
    .filter(|d| d.as_secs() <= 86_400 * 365_000)
}

/// A whole number and one of the units `KiB`, `MiB`, `GiB`.
fn parse_size(text: &str) -> Option<ByteSize> {
    let (n, unit) = number_and_unit(text)?;
    let unit: u64 = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    n.checked_mul(unit).map(ByteSize)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit))
}

/// A host name or IP address; IPv6 with or without brackets, given back without.
fn parse_host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    if let Some(inner) = bare {
        return inner.parse::<std::net::Ipv6Addr>().ok().map(|ip| ip.to_string());
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.to_string());
    }
    let label =
        |l: &str| (1..=63).contains(&l.len()) && l.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let name = text.strip_suffix('.').unwrap_or(text);
    // Four numbers that are no IPv4 address (`10.0.0.256`) are not a name either.
    let numeric = name.rsplit('.').next().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    (name.len() <= 253 && !numeric && name.split('.').all(label)).then(|| text.to_owned())
}

/// Whether this is a host name, and no address.
pub(super) fn is_host_name(text: &str) -> bool {
    text.parse::<IpAddr>().is_err() && !text.starts_with('[') && parse_host(text).is_some()
}

/// `host:port`; IPv6 in brackets.
pub(in crate::config) fn parse_host_port(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    if host.contains(':') && !host.starts_with('[') {
        return None;
    }
    let port = Some(port).filter(|p| p.chars().all(|c| c.is_ascii_digit()))?.parse().ok()?;
    Some(HostPort { host: parse_host(host)?, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        let ms = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(
            [ms("500ms"), ms("5s"), ms("10m"), ms("8h"), ms("30d")],
            [500, 5_000, 600_000, 28_800_000, 2_592_000_000].map(Some)
        );
        for wrong in ["5", "s", "5 s", "5S", "1.5s", "-1s", "1h30m", "", "99999999999999999999s", "400000d"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(parse_size("512KiB"), Some(ByteSize::kib(512)));
        assert_eq!(parse_size("1GiB"), Some(ByteSize::gib(1)));
        for wrong in ["512", "1KB", "1kib", "1 MiB", "-1MiB", "", "18446744073709551615GiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        let text = |t| parse_host_port(t).map(|h| (h.host, h.port));
        assert_eq!(text("kafka-1:9092"), Some(("kafka-1".into(), 9092)));
        assert_eq!(text("[2001:DB8::1]:1"), Some(("2001:db8::1".into(), 1)));
        assert_eq!(text("localhost.:0"), Some(("localhost.".into(), 0)));
        for wrong in [
            "kafka",
            "kafka:",
            "kafka:x",
            ":9092",
            "2001:db8::1:9092",
            "a b:1",
            "k:65536",
            "k:+1",
            "10.0.0.256:1",
            "a..b:1",
        ] {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }
}
