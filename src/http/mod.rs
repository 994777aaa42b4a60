//! Asking the web: keys of issuers, tokens for brokers. One request at a time, bounded in time and size.
//!
//! Redirects are not followed: an address that was checked must not become another. Each request has its own connection and
//! reads the authorities anew (of the system's `SSL_CERT_FILE` names others): requests are minutes apart, and nothing stands
//! open or grows old meanwhile. `HTTPS_PROXY` and `NO_PROXY` count, but not for this very host.

use crate::config::{Authorities, WebAddress};
use crate::tls::{self, TlsError};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Url, redirect};
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// A request for a document.
#[derive(Copy, Clone)]
pub struct Ask<'a> {
    /// Whom.
    pub address: &'a WebAddress,
    /// Who may have signed its certificate.
    pub ca: &'a Authorities,
    /// How long it may take in all.
    pub timeout: Duration,
    /// How large the answer may be, in bytes.
    pub most: usize,
}

/// Why there is no document. Nothing of what was sent is in it, and of what was answered only what
/// [`HttpError::Refused`] holds and does not show.
#[derive(thiserror::Error)]
pub enum HttpError {
    /// The authorities cannot be read.
    #[error("{0}")]
    Authorities(TlsError),
    /// There is no connection, or it broke; in words.
    #[error("{0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer within {0:?}")]
    TooSlow(Duration),
    /// It answered with something else than success.
    #[error("it answered with status {status}{}", if (300..400).contains(status) { ": redirects are not followed, write the address it leads to" } else { "" })]
    Refused {
        /// The status.
        status: u16,
        /// The document that came with it, as much as was asked for; may be a secret.
        body: Vec<u8>,
    },
    /// The document is larger than it may be.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl fmt::Debug for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Ask<'_> {
    /// The document at the address.
    ///
    /// # Errors
    /// There is none.
    pub async fn get(self) -> Result<Vec<u8>, HttpError> {
        self.send(|request| request, Method::GET).await
    }

    /// The answer to a form of these fields, sent as this user (RFC 7617) if there is one.
    ///
    /// # Errors
    /// There is none.
    pub async fn post_form(self, fields: &[(&str, &str)], user: Option<(&str, &str)>) -> Result<Vec<u8>, HttpError> {
        let body = form(fields);
        let authorization = user.map(|(name, password)| basic(name, password));
        let fill = |request: RequestBuilder| {
            let mut request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
            if let Some(authorization) = authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            request
        };
        self.send(fill, Method::POST).await
    }

    async fn send(
        self,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
        method: Method,
    ) -> Result<Vec<u8>, HttpError> {
        let client = client(self.address, self.ca).await?;
        let request = client.request(method, self.address.url().clone()).header(ACCEPT, "application/json");
        let ask = async {
            let mut response = fill(request).send().await.map_err(|error| unreachable(&error))?;
            let status = response.status();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
                if body.len() + chunk.len() > self.most {
                    return Err(HttpError::TooLarge(self.most));
                }
                body.extend_from_slice(&chunk);
            }
            if status.is_success() { Ok(body) } else { Err(HttpError::Refused { status: status.as_u16(), body }) }
        };
        tokio::time::timeout(self.timeout, ask).await.map_err(|_| HttpError::TooSlow(self.timeout))?
    }
}

async fn client(address: &WebAddress, ca: &Authorities) -> Result<Client, HttpError> {
    let ca = address.is_https().then(|| ca.clone());
    // Reads files.
    let tls = tokio::task::spawn_blocking(move || tls::web_client(ca.as_ref()))
        .await
        .map_err(|_| HttpError::Unreachable("the process stops".to_owned()))?
        .map_err(HttpError::Authorities)?;
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("kordon/", env!("CARGO_PKG_VERSION")));
    if address.is_here() {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| unreachable(&error))
}

/// `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> String {
    // What a URL's query is written like.
    let Ok(mut url) = Url::parse("form:") else { return String::new() };
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

fn basic(name: &str, password: &str) -> HeaderValue {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let text = format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")));
    // Base 64 is fit for a header.
    let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// The innermost cause says most: the outer ones repeat that a request failed.
fn unreachable(error: &reqwest::Error) -> HttpError {
    let mut words = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(fault) = of_tls(inner) {
            return HttpError::Unreachable(tls::web_fault(fault));
        }
        let text = inner.to_string();
        if inner.source().is_none() || !text.contains("error") {
            if !words.is_empty() {
                words.push_str(": ");
            }
            words.push_str(&text);
        }
        cause = inner.source();
    }
    if words.is_empty() {
        words.push_str("the request failed");
    }
    HttpError::Unreachable(words)
}

/// The error of TLS that an error of a connection holds, in however many others.
fn of_tls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let error = error.downcast_ref::<io::Error>()?;
    tls::of_tls(error).or_else(|| of_tls(error.get_ref()?))
}

#[cfg(test)]
mod tests;
