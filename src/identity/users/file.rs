//! The text of the users file.

use super::{Hash, Keys, LEAST_ITERATIONS, MOST_ITERATIONS, User, Users};
use crate::model::Timestamp;
use crate::yaml::{self, Fields, Keys as Known, Node, Problem, Report, Value};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::fmt::Write as _;

/// What stands above the users in a file that `kordon user` writes.
pub const HEADER: &str = "\
# Users of the proxy: for PLAIN and SCRAM logins. Written by `kordon user`, which does not keep comments.
# It holds no passwords, but whoever reads it can guess at them: keep it as secret as one.
";

const ROOT: Known = Known { served: &["version", "users"], later: &[] };
const USER: Known =
    Known { served: &["name", "groups", "scram-sha-512", "scram-sha-256", "expires", "disabled"], later: &[] };
const KEYS: Known = Known { served: &["iterations", "salt", "stored_key", "server_key"], later: &[] };

impl Users {
    /// Reads a users file.
    ///
    /// # Errors
    /// Every fault, in the order of the file.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Problem>> {
        let root = yaml::parse(text, file).map_err(|problem| vec![problem])?;
        let mut report = Report::new(file);
        let users = read(&root, &mut report);
        match users {
            Some(users) if report.is_empty() => Ok(Self::new(users)),
            Some(_) | None => Err(report.into_problems()),
        }
    }

    /// The file with these users.
    pub fn render(&self) -> String {
        let mut out = format!("{HEADER}version: 1\nusers:");
        if self.users.is_empty() {
            out.push_str(" []");
        }
        out.push('\n');
        for user in &self.users {
            // Writing to a string does not fail.
            let _ = write!(out, "  - name: {}\n    groups: [", quoted(&user.name));
            let groups: Vec<String> = user.groups.iter().map(|g| quoted(g)).collect();
            let _ = writeln!(out, "{}]", groups.join(", "));
            for keys in [&user.sha512, &user.sha256].into_iter().flatten() {
                let b64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
                let _ = writeln!(
                    out,
                    "    {}: {{ iterations: {}, salt: \"{}\", stored_key: \"{}\", server_key: \"{}\" }}",
                    keys.hash.word(),
                    keys.iterations,
                    b64(&keys.salt),
                    b64(&keys.stored_key),
                    b64(&keys.server_key)
                );
            }
            if let Some(expires) = user.expires {
                let _ = writeln!(out, "    expires: {expires}");
            }
            if user.disabled {
                out.push_str("    disabled: true\n");
            }
        }
        out
    }
}

/// Text in double quotes. JSON's escapes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn read(root: &Node, report: &mut Report) -> Option<Vec<User>> {
    let fields = Fields::open(root, "", ROOT, report)?;
    match fields.required("version", "write `version: 1`", report) {
        Some(node) if node.value != Value::Int(1) => report.at(node.at, "`version` must be `1`"),
        Some(_) | None => {}
    }
    let node = fields.required("users", "write a list of users, `[]` for none", report)?;
    let Value::List(items) = &node.value else {
        report.at(node.at, format!("`users` must be a list, but is {}", node.value.kind()));
        return None;
    };
    let users: Vec<Option<User>> =
        items.iter().enumerate().map(|(i, item)| user(item, &format!("users[{i}]"), report)).collect();
    for (i, (item, user)) in items.iter().zip(&users).enumerate() {
        let Some(user) = user else { continue };
        if users.iter().take(i).flatten().any(|earlier| earlier.name == user.name) {
            report.at(item.at, format!("`users[{i}].name` is `{}`, as an earlier user's: keep one", user.name));
        }
    }
    users.into_iter().collect()
}

fn user(node: &Node, path: &str, report: &mut Report) -> Option<User> {
    let fields = Fields::open(node, path, USER, report)?;
    let name = fields.required("name", "write the user's name, without `User:`", report);
    let name = name.and_then(|node| name_of(node, &fields.path("name"), "User:", report));
    let mut groups = Vec::new();
    if let Some(node) = fields.get("groups") {
        let path = fields.path("groups");
        match &node.value {
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    groups.extend(name_of(item, &format!("{path}[{i}]"), "Group:", report));
                }
            }
            other => report.at(node.at, format!("`{path}` must be a list, but is {}", other.kind())),
        }
    }
    let mut keys = |hash: Hash| fields.get(hash.word()).and_then(|n| keys(n, &fields.path(hash.word()), hash, report));
    let sha512 = keys(Hash::Sha512);
    let sha256 = keys(Hash::Sha256);
    if fields.get(Hash::Sha512.word()).is_none() && fields.get(Hash::Sha256.word()).is_none() {
        report.at(node.at, format!("`{path}` has no password: set one with `kordon user passwd`"));
    }
    let expires = match fields.get("expires").map(|node| (node, &node.value)) {
        None | Some((_, Value::Null)) => None,
        Some((_, Value::Text(text))) if text.parse::<Timestamp>().is_ok() => text.parse().ok(),
        Some((node, value)) => {
            let path = fields.path("expires");
            let shown = if let Value::Text(text) = value { format!("`{text}`") } else { value.kind().to_owned() };
            let form = "write RFC 3339 with an offset, as in `2026-11-22T09:00:00Z`, or null";
            report.at(node.at, format!("`{path}` must be an instant, but is {shown}: {form}"));
            None
        }
    };
    let disabled = match fields.get("disabled").map(|node| (node, &node.value)) {
        None => false,
        Some((_, Value::Bool(disabled))) => *disabled,
        Some((node, _)) => {
            report.at(node.at, format!("`{}` must be `true` or `false`", fields.path("disabled")));
            true
        }
    };
    let mut user = User { name: name?.into(), groups: [].into(), sha512, sha256, expires, disabled };
    user.set_groups(groups.iter().map(String::as_str));
    Some(user)
}

fn name_of(node: &Node, path: &str, prefix: &str, report: &mut Report) -> Option<String> {
    let Value::Text(name) = &node.value else {
        let hint = if matches!(node.value, Value::Int(_) | Value::Float(_) | Value::Bool(_)) {
            ": put it in quotes"
        } else {
            ""
        };
        report.at(node.at, format!("`{path}` must be text, but is {}{hint}", node.value.kind()));
        return None;
    };
    if let Err(fault) = check_name(name, prefix) {
        report.at(node.at, format!("`{path}` {fault}"));
        return None;
    }
    Some(name.clone())
}

/// Whether a text can be the name of a user (`prefix` is `User:`) or group (`Group:`).
///
/// # Errors
/// Why not, in words that follow the name of the value.
pub(crate) fn check_name(name: &str, prefix: &str) -> Result<(), String> {
    if name.starts_with(prefix) {
        return Err(format!("is `{name}`: write it without `{prefix}`"));
    }
    if name.is_empty() || name == "*" || name.chars().any(char::is_control) {
        return Err(format!("is {name:?}, which is not a name"));
    }
    Ok(())
}

fn keys(node: &Node, path: &str, hash: Hash, report: &mut Report) -> Option<Keys> {
    let fields = Fields::open(node, path, KEYS, report)?;
    let again = "set the password anew with `kordon user passwd`";
    let iterations = fields.required("iterations", again, report).and_then(|node| match node.value {
        Value::Int(n) if (i64::from(LEAST_ITERATIONS)..=i64::from(MOST_ITERATIONS)).contains(&n) => {
            u32::try_from(n).ok()
        }
        _ => {
            let text = format!(
                "`{}` must be a whole number from {LEAST_ITERATIONS} to {MOST_ITERATIONS}",
                fields.path("iterations")
            );
            report.at(node.at, text);
            None
        }
    });
    let mut bytes = |key: &str, least: usize, most: usize| {
        let node = fields.required(key, again, report)?;
        let decoded = if let Value::Text(text) = &node.value { BASE64_STANDARD.decode(text).ok() } else { None };
        // The value is not repeated: it is as good as a secret.
        let decoded = decoded.filter(|bytes| (least..=most).contains(&bytes.len()));
        if decoded.is_none() {
            let size = if least == most { format!("{least}") } else { format!("{least} to {most}") };
            report.at(node.at, format!("`{}` must be {size} bytes in base64: {again}", fields.path(key)));
        }
        decoded
    };
    let salt = bytes("salt", 8, 1024);
    let stored_key = bytes("stored_key", hash.key_len(), hash.key_len());
    let server_key = bytes("server_key", hash.key_len(), hash.key_len());
    Some(Keys { hash, iterations: iterations?, salt: salt?, stored_key: stored_key?, server_key: server_key? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut alice = User::with_password("alice", "secret", b"salt-of-alice", 4096);
        alice.set_groups(["devs", "o'neil: \"x\" #1"]);
        alice.expires = Some("2026-11-22T09:00:00Z".parse().unwrap());
        let bob = User { disabled: true, sha256: None, ..User::with_password("no", "x", b"salt-of-b", 4096) };
        let users = Users::new(vec![alice, bob]);
        let text = users.render();
        let read = Users::parse(&text, "f").unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), users.iter().collect::<Vec<_>>());
        assert_eq!(Users::parse(&Users::default().render(), "f").unwrap().iter().count(), 0);
        assert!(!text.contains("secret\""), "{text}");
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let long = BASE64_STANDARD.encode([7; 64]);
        let text = format!(
            "version: 2
users:
  - {{ name: User:alice, groups: [Group:x, 7], scram-sha-512: {{ iterations: 1, salt: \"AAAA\", stored_key: \"{long}\" }}, expires: tomorrow, disabled: no }}
  - {{ name: bob }}
  - {{ name: '*', nmae: x, scram-sha-256: {{ iterations: 4096, salt: \"AAAAAAAAAAAAAAAA\", stored_key: \"{long}\", server_key: 5 }} }}
  - {{ name: carol, scram-sha-512: {{ iterations: 4096, salt: \"AAAAAAAAAAAAAAAA\", stored_key: \"{long}\", server_key: \"{long}\" }} }}
  - {{ name: carol, scram-sha-512: {{ iterations: 4096, salt: \"AAAAAAAAAAAAAAAA\", stored_key: \"{long}\", server_key: \"{long}\" }} }}
"
        );
        let problems = Users::parse(&text, "f").unwrap_err();
        let told: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.place.unwrap().line, p.text)).collect();
        assert_eq!(
            told,
            [
                "1: `version` must be `1`",
                "3: `users[0].name` is `User:alice`: write it without `User:`",
                "3: `users[0].groups[0]` is `Group:x`: write it without `Group:`",
                "3: `users[0].groups[1]` must be text, but is a number: put it in quotes",
                "3: `users[0].scram-sha-512.server_key` is missing: set the password anew with `kordon user passwd`",
                "3: `users[0].scram-sha-512.iterations` must be a whole number from 4096 to 1000000",
                "3: `users[0].scram-sha-512.salt` must be 8 to 1024 bytes in base64: set the password anew with `kordon user passwd`",
                "3: `users[0].expires` must be an instant, but is `tomorrow`: write RFC 3339 with an offset, as in `2026-11-22T09:00:00Z`, or null",
                "3: `users[0].disabled` must be `true` or `false`",
                "4: `users[1]` has no password: set one with `kordon user passwd`",
                "5: `users[2].name` is \"*\", which is not a name",
                "5: `users[2].nmae` is not a known key, did you mean `name`?",
                "5: `users[2].scram-sha-256.stored_key` must be 32 bytes in base64: set the password anew with `kordon user passwd`",
                "5: `users[2].scram-sha-256.server_key` must be 32 bytes in base64: set the password anew with `kordon user passwd`",
                "7: `users[4].name` is `carol`, as an earlier user's: keep one",
            ]
        );
        assert!(!told.concat().contains(&long), "a key is repeated");
    }

    #[test]
    fn the_example_loads_and_its_passwords_are_those_it_tells() {
        let users = Users::parse(include_str!("../../../config/users.yaml"), "f").unwrap();
        for (name, group) in [("alice", "devs"), ("bob", "owners")] {
            let login = users.verify_password(name, &format!("{name}-secret"), Timestamp(0)).unwrap();
            assert_eq!(login.groups.iter().map(|g| &**g).collect::<Vec<_>>(), [group]);
        }
    }

    #[test]
    fn shapes_that_are_wrong_are_told() {
        let first = |text: &str| Users::parse(text, "f").unwrap_err()[0].to_string();
        assert_eq!(first("version: 1"), "f:1:1: `users` is missing: write a list of users, `[]` for none");
        assert_eq!(first("version: 1\nusers: {}"), "f:2:8: `users` must be a list, but is a mapping");
        assert_eq!(first("users: []"), "f:1:1: `version` is missing: write `version: 1`");
        assert!(first("users: [").starts_with("f:1:8: not valid YAML"), "{}", first("users: ["));
    }
}
