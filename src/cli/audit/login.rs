//! The login of a Kafka client's properties file, as Apache's tools take it by `--command-config`.

use super::super::Failure;
use crate::config::{
    Authorities, KeyPair, PasswordMechanism, Secret, SecretSource, TlsVersion, TokenClient, TokenSource, UpstreamSasl,
    UpstreamTls, WebAddress,
};
use std::path::{Path, PathBuf};

/// How a properties file says that brokers are reached.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) tls: Option<UpstreamTls>,
    pub(super) sasl: Option<UpstreamSasl>,
}

/// What a properties file says.
///
/// # Errors
/// The file cannot be read, or asks for what this version does not serve.
pub(super) fn read(file: &Path) -> Result<Access, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|cause| Failure::Bad(format!("cannot read `{}`: {cause}", file.display())))?;
    of(&text).map_err(|fault| Failure::Bad(format!("`{}`: {fault}", file.display())))
}

fn of(text: &str) -> Result<Access, String> {
    let value = |key: &str| properties(text).filter(|(name, _)| name == key).map(|(_, value)| value).last();
    let (tls, login) = match value("security.protocol").as_deref() {
        None | Some("PLAINTEXT") => (false, false),
        Some("SSL") => (true, false),
        Some("SASL_PLAINTEXT") => (false, true),
        Some("SASL_SSL") => (true, true),
        Some(other) => {
            return Err(format!(
                "`security.protocol={other}` is not served by this version: PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL are"
            ));
        }
    };
    let tls = if tls { Some(tls_of(&value)?) } else { None };
    let sasl = if login { Some(sasl_of(&value)?) } else { None };
    Ok(Access { tls, sasl })
}

/// The value of a property.
type Value<'a> = &'a dyn Fn(&str) -> Option<String>;

/// As Kafka's clients read files of the type PEM: authorities in one, the chain and its key in another.
fn tls_of(value: Value<'_>) -> Result<UpstreamTls, String> {
    for key in ["ssl.truststore.certificates", "ssl.keystore.certificate.chain", "ssl.keystore.key", "ssl.key.password"]
    {
        if value(key).is_some() {
            return Err(format!("`{key}` is not served by this version: write the PEM in a file, without a password"));
        }
    }
    if value("ssl.endpoint.identification.algorithm").is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case("https"))
    {
        return Err(
            "`ssl.endpoint.identification.algorithm` cannot be switched off: brokers prove their names".to_owned()
        );
    }
    let store = |name: &str| match value(&format!("{name}.location")) {
        None => Ok(None),
        Some(_) if value(&format!("{name}.type")).as_deref() != Some("PEM") => {
            Err(format!("`{name}.type` must be PEM: convert the file, as with `keytool` and `openssl`"))
        }
        Some(path) => Ok(Some(PathBuf::from(path))),
    };
    let ca = store("ssl.truststore")?.map_or(Authorities::System, Authorities::File);
    let identity = store("ssl.keystore")?.map(|file| KeyPair { certificate: file.clone(), key: file });
    Ok(UpstreamTls { ca, identity, server_name: None, min_version: TlsVersion::Tls12 })
}

fn sasl_of(value: Value<'_>) -> Result<UpstreamSasl, String> {
    let name = value("sasl.mechanism").unwrap_or_else(|| "GSSAPI".to_owned());
    if name == "OAUTHBEARER" {
        return Ok(UpstreamSasl::Token { source: token_of(value)?, principal_claim: "sub".to_owned() });
    }
    let mechanism = PasswordMechanism::EVERY.into_iter().find(|m| m.name() == name).ok_or_else(|| {
        format!(
            "`sasl.mechanism={name}` is not served by this version: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are"
        )
    })?;
    let jaas =
        value("sasl.jaas.config").ok_or("`sasl.jaas.config` is missing: it holds the username and the password")?;
    let option = |name: &str| {
        let missing = || format!("`sasl.jaas.config` has no `{name}=\"…\"`");
        quoted(&jaas, name).ok_or_else(missing)
    };
    let (username, password) = (option("username")?, option("password")?);
    Ok(UpstreamSasl::Password { mechanism, username, password: Secret(SecretSource::Given(password)) })
}

/// A token in a file, or from an endpoint: the properties of KIP-768 and KIP-1139, and the older options of JAAS.
fn token_of(value: Value<'_>) -> Result<TokenSource, String> {
    const URL: &str = "sasl.oauthbearer.token.endpoint.url";
    let url = value(URL).ok_or_else(|| format!("`{URL}` is missing: it says where tokens are"))?;
    if let Some(path) = url.strip_prefix("file://") {
        return Ok(TokenSource::Given(Secret(SecretSource::File(path.into()))));
    }
    let jaas = value("sasl.jaas.config").unwrap_or_default();
    let either = |property: &str, option: &str| value(property).or_else(|| quoted(&jaas, option));
    let needed = |property: &str, option: &str| {
        either(property, option).ok_or_else(|| format!("`{property}` is missing, and `{option}` in `sasl.jaas.config`"))
    };
    let ca = match quoted(&jaas, "ssl.truststore.location") {
        None => Authorities::System,
        Some(_) if quoted(&jaas, "ssl.truststore.type").as_deref() != Some("PEM") => {
            return Err("`ssl.truststore.type` in `sasl.jaas.config` must be PEM: convert the file, as with `keytool` and `openssl`".to_owned());
        }
        Some(path) => Authorities::File(path.into()),
    };
    let token_url = WebAddress::parse(&url).map_err(|why| format!("`{URL}` {why}"))?;
    let client_id = needed("sasl.oauthbearer.client.credentials.client.id", "clientId")?;
    let secret = needed("sasl.oauthbearer.client.credentials.client.secret", "clientSecret")?;
    let client_secret = Secret(SecretSource::Given(secret));
    let scope = either("sasl.oauthbearer.scope", "scope");
    Ok(TokenSource::Client(TokenClient { token_url, ca, client_id, client_secret, scope }))
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
        let Access { tls: None, sasl: Some(login) } = of(text).unwrap() else { panic!() };
        assert_eq!((login.mechanism(), login.user()), ("PLAIN", Some("siem")));
        let UpstreamSasl::Password { password, .. } = &login else { panic!() };
        assert_eq!(password.read().unwrap(), "a\"b=c");
        assert!(!format!("{login:?}").contains("a\"b"), "{login:?}");
    }

    #[test]
    fn tls_of_a_clients_file_is_taken_from_pem() {
        let tls = |text: &str| of(&format!("security.protocol=SSL\n{text}")).unwrap().tls.unwrap();
        assert_eq!((tls("").ca, tls("").identity), (Authorities::System, None));
        let all = tls(
            "ssl.truststore.type=PEM\nssl.truststore.location=/ca.pem\nssl.keystore.type=PEM\nssl.keystore.location=me.pem",
        );
        assert_eq!(all.ca, Authorities::File("/ca.pem".into()));
        assert_eq!(all.identity, Some(KeyPair { certificate: "me.pem".into(), key: "me.pem".into() }));
    }

    #[test]
    fn tokens_of_a_clients_file_are_taken() {
        let token = |text: &str| {
            let text = format!("security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\n{text}");
            of(&text).map(|access| (access.tls.is_some(), access.sasl.unwrap()))
        };
        let file = token("sasl.oauthbearer.token.endpoint.url=file:///run/token").unwrap();
        let given = TokenSource::Given(Secret(SecretSource::File("/run/token".into())));
        let of = |source| UpstreamSasl::Token { source, principal_claim: "sub".to_owned() };
        assert_eq!(file, (true, of(given)));
        let url = "sasl.oauthbearer.token.endpoint.url=https://idp/token";
        let client = |ca| TokenClient {
            token_url: WebAddress::parse("https://idp/token").unwrap(),
            ca,
            client_id: "siem".into(),
            client_secret: Secret(SecretSource::Given("s".into())),
            scope: Some("kafka".into()),
        };
        for more in [
            "sasl.jaas.config=X required clientId=\"siem\" clientSecret=\"s\" scope=\"kafka\";",
            "sasl.oauthbearer.client.credentials.client.id=siem\nsasl.oauthbearer.client.credentials.client.secret=s\nsasl.oauthbearer.scope=kafka",
        ] {
            let client = TokenSource::Client(client(Authorities::System));
            assert_eq!(token(&format!("{url}\n{more}")).unwrap().1, of(client));
        }
        let store = |kind: &str| {
            let store = format!("ssl.truststore.type=\"{kind}\" ssl.truststore.location=\"/idp.pem\"");
            let jaas = format!("X required clientId=\"siem\" clientSecret=\"s\" scope=\"kafka\" {store};");
            token(&format!("{url}\nsasl.jaas.config={jaas}"))
        };
        let own = TokenSource::Client(client(Authorities::File("/idp.pem".into())));
        assert_eq!(store("PEM").unwrap().1, of(own));
        assert!(store("JKS").unwrap_err().contains("`ssl.truststore.type` in `sasl.jaas.config` must be PEM"));
        assert!(token(url).unwrap_err().contains("client.id` is missing, and `clientId` in"));
        assert!(token("").unwrap_err().contains("`sasl.oauthbearer.token.endpoint.url` is missing"));
    }

    #[test]
    fn a_file_without_a_login_has_none() {
        assert_eq!(of("client.id=x\n").unwrap(), Access::default());
        assert_eq!(of("security.protocol=PLAINTEXT\n").unwrap(), Access::default());
    }

    #[test]
    fn what_is_not_served_is_refused_by_name() {
        for (text, fault) in [
            ("security.protocol=X", "`security.protocol=X` is not served"),
            ("security.protocol=SSL\nssl.truststore.location=a.jks", "`ssl.truststore.type` must be PEM"),
            ("security.protocol=SSL\nssl.keystore.key=secret", "`ssl.keystore.key` is not served"),
            (
                "security.protocol=SSL\nssl.endpoint.identification.algorithm=",
                "`ssl.endpoint.identification.algorithm` cannot be switched off",
            ),
            ("security.protocol=SASL_PLAINTEXT", "`sasl.mechanism=GSSAPI` is not served"),
            ("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN", "`sasl.jaas.config` is missing"),
            (
                "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=X required username=\"u\";",
                "has no `password=\"…\"`",
            ),
        ] {
            let told = of(text).unwrap_err();
            assert!(told.contains(fault) && !told.contains("secret`"), "{told}");
        }
    }
}
