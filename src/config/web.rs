//! Addresses of the web: https, or http where nobody stands in between.

use reqwest::Url;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An address that may be asked for keys or tokens: `https`, or `http` to this very host. Its query may be a secret and is
/// not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebAddress(Url);

/// Why a text is no such address.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebAddressError {
    /// No URL with a host.
    #[error("is not a URL: write `https://host/path`")]
    NoUrl,
    /// Another scheme.
    #[error("must begin with `https://`")]
    Scheme,
    /// What comes over it could be anybody's.
    #[error("must begin with `https://`: `http://` is for this host only (`localhost`, `127.0.0.1`, `[::1]`)")]
    Plaintext,
    /// A login in it.
    #[error("must not hold a user or a password: a URL is not kept secret")]
    Login,
    /// A fragment, which is never sent.
    #[error("must not hold a `#`")]
    Fragment,
}

impl WebAddress {
    /// Reads it.
    ///
    /// # Errors
    /// It is none, or unsafe.
    pub fn parse(text: &str) -> Result<Self, WebAddressError> {
        let url = Url::parse(text).map_err(|_| WebAddressError::NoUrl)?;
        match url.scheme() {
            _ if url.host_str().is_none_or(str::is_empty) => return Err(WebAddressError::NoUrl),
            "https" => {}
            "http" if is_here(&url) => {}
            "http" => return Err(WebAddressError::Plaintext),
            _ => return Err(WebAddressError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(WebAddressError::Login);
        }
        if url.fragment().is_some() {
            return Err(WebAddressError::Fragment);
        }
        Ok(Self(url))
    }

    /// The address itself, query and all.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether it is secured.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it is on this very host.
    pub fn is_here(&self) -> bool {
        is_here(&self.0)
    }
}

fn is_here(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let v6 = || host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|v4| v4.is_loopback())
        || v6().is_some_and(|v6| v6.is_loopback())
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}

impl fmt::Debug for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, WebAddressError> {
        WebAddress::parse(text).map(|address| address.to_string())
    }

    #[test]
    fn https_is_taken_and_http_on_this_host_alone() {
        for good in [
            "https://idp.example.com/realms/kafka/certs",
            "http://127.0.0.1:8080/keys",
            "http://[::1]:8080/keys",
            "http://localhost/keys",
        ] {
            assert_eq!(shown(good), Ok(good.to_owned()));
        }
        for (bad, why) in [
            ("idp.example.com/keys", WebAddressError::NoUrl),
            ("https://", WebAddressError::NoUrl),
            ("file:///etc/keys", WebAddressError::NoUrl),
            ("ftp://idp.example.com/keys", WebAddressError::Scheme),
            ("http://idp.example.com/keys", WebAddressError::Plaintext),
            ("http://localhost.example.com/keys", WebAddressError::Plaintext),
            ("http://127.0.0.1.example.com/keys", WebAddressError::Plaintext),
            ("https://user@idp.example.com/keys", WebAddressError::Login),
            ("https://:hunter2@idp.example.com/keys", WebAddressError::Login),
            ("https://idp.example.com/keys#a", WebAddressError::Fragment),
        ] {
            assert_eq!(shown(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn the_query_is_sent_and_not_shown() {
        let address = WebAddress::parse("https://idp.example.com/keys?code=hunter2").unwrap();
        assert_eq!(address.url().query(), Some("code=hunter2"));
        assert!(!format!("{address}{address:?}").contains("hunter2"));
    }
}
