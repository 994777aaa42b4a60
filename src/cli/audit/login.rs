//! The login of a Kafka client's properties file, as Apache's tools take it by `--command-config`.

use super::super::Failure;
use crate::config::{PasswordMechanism, Secret, SecretSource, UpstreamSasl};
use std::path::Path;

/// The login that a properties file names; `None` = none.
///
/// # Errors
/// The file cannot be read, or asks for what this version does not serve.
pub(super) fn read(file: &Path) -> Result<Option<UpstreamSasl>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|cause| Failure::Bad(format!("cannot read `{}`: {cause}", file.display())))?;
    of(&text).map_err(|fault| Failure::Bad(format!("`{}`: {fault}", file.display())))
}

fn of(text: &str) -> Result<Option<UpstreamSasl>, String> {
    let value = |key: &str| properties(text).filter(|(name, _)| name == key).map(|(_, value)| value).last();
    match value("security.protocol").as_deref() {
        None | Some("PLAINTEXT") => return Ok(None),
        Some("SASL_PLAINTEXT") => {}
        Some(other) => {
            return Err(format!(
                "`security.protocol={other}` is not served by this version: PLAINTEXT and SASL_PLAINTEXT are"
            ));
        }
    }
    let mechanism = value("sasl.mechanism").unwrap_or_else(|| "GSSAPI".to_owned());
    let served = [PasswordMechanism::Plain, PasswordMechanism::ScramSha256, PasswordMechanism::ScramSha512];
    let mechanism = served.into_iter().find(|m| m.name() == mechanism).ok_or_else(|| {
        format!(
            "`sasl.mechanism={mechanism}` is not served by this version: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are"
        )
    })?;
    let jaas =
        value("sasl.jaas.config").ok_or("`sasl.jaas.config` is missing: it holds the username and the password")?;
    let option = |name: &str| {
        let missing = || format!("`sasl.jaas.config` has no `{name}=\"…\"`");
        quoted(&jaas, name).ok_or_else(missing)
    };
    let (username, password) = (option("username")?, option("password")?);
    Ok(Some(UpstreamSasl::Password { mechanism, username, password: Secret(SecretSource::Given(password)) }))
}

/// Keys and values: comments left out, lines that end in a backslash joined with the next.
fn properties(text: &str) -> impl Iterator<Item = (String, String)> {
    let joined = text.replace("\\\r\n", "").replace("\\\n", "");
    let lines: Vec<String> = joined.lines().map(|line| line.trim().to_owned()).collect();
    lines.into_iter().filter(|line| !line.starts_with(['#', '!'])).filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    })
}

/// The value of an option of a JAAS line: `name="value"`, where a backslash takes the next character as it is.
fn quoted(jaas: &str, name: &str) -> Option<String> {
    let begins = |at: usize| jaas.get(..at).is_none_or(|before| before.ends_with(char::is_whitespace));
    let rest = jaas.match_indices(name).find_map(|(at, _)| {
        let rest = jaas.get(at + name.len()..)?.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
        begins(at).then_some(rest)
    })?;
    let (mut value, mut chars) = (String::new(), rest.chars());
    loop {
        match chars.next()? {
            '"' => return Some(value),
            '\\' => value.push(chars.next()?),
            plain => value.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_of_a_clients_file_is_taken() {
        let text = "# me\nsecurity.protocol = SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \\\n  required username=\"siem\" password=\"a\\\"b=c\";\n";
        let login = of(text).unwrap().unwrap();
        assert_eq!((login.mechanism(), login.user()), ("PLAIN", Some("siem")));
        let UpstreamSasl::Password { password, .. } = &login else { panic!() };
        assert_eq!(password.read().unwrap(), "a\"b=c");
        assert!(!format!("{login:?}").contains("a\"b"), "{login:?}");
    }

    #[test]
    fn a_file_without_a_login_has_none() {
        assert_eq!(of("client.id=x\n").unwrap(), None);
        assert_eq!(of("security.protocol=PLAINTEXT\n").unwrap(), None);
    }

    #[test]
    fn what_is_not_served_is_refused_by_name() {
        for (text, fault) in [
            ("security.protocol=SSL", "`security.protocol=SSL` is not served"),
            ("security.protocol=SASL_PLAINTEXT", "`sasl.mechanism=GSSAPI` is not served"),
            ("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN", "`sasl.jaas.config` is missing"),
            (
                "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=X required username=\"u\";",
                "has no `password=\"…\"`",
            ),
        ] {
            let told = of(text).unwrap_err();
            assert!(told.contains(fault), "{told}");
        }
    }
}
