//! `tokens`: whose tokens are taken.

use super::Reader;
use crate::config::{KeySource, TokenIssuer};
use crate::model::TokenAlgorithm;
use crate::yaml::{Fields, Keys, Node, Value};
use std::time::Duration;

const ISSUER: Keys = Keys {
    served: &[
        "issuer",
        "audience",
        "jwks_url",
        "jwks_file",
        "jwks_refresh",
        "jwks_max_age",
        "ca",
        "algorithms",
        "principal_claim",
        "groups_claim",
        "merge_groups",
        "clock_skew",
    ],
    later: &[],
};
const REFRESH: Duration = Duration::from_secs(300);
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
const SKEW: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);
/// A clock that is further off is a wrong one, and every token lasts as much longer.
const MOST_SKEW: Duration = Duration::from_secs(600);
const ALGORITHMS: [TokenAlgorithm; 2] = [TokenAlgorithm::Rs256, TokenAlgorithm::Es256];

impl Reader<'_> {
    pub(super) fn tokens(&mut self, node: Option<&Node>) -> Option<Vec<TokenIssuer>> {
        let Some(node) = node.filter(|node| node.value != Value::Null) else { return Some(Vec::new()) };
        let items = self.list(node, "tokens")?;
        let parsed: Vec<_> =
            items.iter().enumerate().map(|(i, item)| self.issuer(item, &format!("tokens[{i}]"))).collect();
        for (i, (item, issuer)) in items.iter().zip(&parsed).enumerate() {
            let Some(issuer) = issuer else { continue };
            if parsed.iter().take(i).flatten().any(|earlier| earlier.issuer == issuer.issuer) {
                let text =
                    format!("`tokens[{i}].issuer` is `{}`, as an earlier entry's: write one entry", issuer.issuer);
                self.fault(item, text);
            }
        }
        parsed.into_iter().collect()
    }

    fn issuer(&mut self, node: &Node, path: &str) -> Option<TokenIssuer> {
        let fields = Fields::open(node, path, ISSUER, &mut self.report)?;
        let issuer = fields.required("issuer", "write the `iss` of its tokens, exactly", &mut self.report);
        let issuer = issuer.and_then(|node| self.text(node, &fields.path("issuer")));
        let audience = fields.required(
            "audience",
            "write whom its tokens are for, as in `[kafka]`: without, those for others would be taken",
            &mut self.report,
        );
        let audience = audience.and_then(|node| self.audience(node, &fields.path("audience")));
        let keys = self.key_source(node, path, &fields);
        let algorithms = match fields.get("algorithms") {
            Some(node) => self.algorithms(node, &fields.path("algorithms")),
            None => Some(ALGORITHMS.to_vec()),
        };
        let principal_claim = self.claim(&fields, "principal_claim", "sub");
        let groups_claim = self.claim(&fields, "groups_claim", "groups");
        let merge_groups = match fields.get("merge_groups") {
            Some(node) => self.bool(node, &fields.path("merge_groups")),
            None => Some(false),
        };
        let clock_skew = match fields.get("clock_skew") {
            Some(node) => self.skew(node, &fields.path("clock_skew")),
            None => Some(SKEW),
        };
        Some(TokenIssuer {
            issuer: issuer?,
            audience: audience?,
            keys: keys?,
            algorithms: algorithms?,
            principal_claim: principal_claim?,
            groups_claim: groups_claim?,
            merge_groups: merge_groups?,
            clock_skew: clock_skew?,
        })
    }

    fn audience(&mut self, node: &Node, path: &str) -> Option<Vec<String>> {
        let items = self.list(node, path)?;
        if items.is_empty() {
            self.fault(node, format!("`{path}` is empty: write whom its tokens are for, as in `[kafka]`"));
            return None;
        }
        let texts = items.iter().enumerate().map(|(i, item)| self.text(item, &format!("{path}[{i}]")));
        texts.collect::<Vec<_>>().into_iter().collect()
    }

    fn key_source(&mut self, node: &Node, path: &str, fields: &Fields<'_>) -> Option<KeySource> {
        let refresh = self.age(fields, "jwks_refresh", REFRESH);
        let max_age = self.age(fields, "jwks_max_age", MAX_AGE);
        match (fields.get("jwks_url"), fields.get("jwks_file")) {
            (Some(url), None) => {
                let address = self.web_address(url, &fields.path("jwks_url"));
                let ca = self.web_ca(fields, address.as_ref());
                let (address, ca, refresh, max_age) = (address?, ca?, refresh?, max_age?);
                if max_age < refresh {
                    let text = format!(
                        "`{}` is shorter than `{}`: keys would be given up before they are asked for again",
                        fields.path("jwks_max_age"),
                        fields.path("jwks_refresh")
                    );
                    self.fault(fields.get("jwks_max_age").or(fields.get("jwks_refresh")).unwrap_or(node), text);
                    return None;
                }
                Some(KeySource::Url { address, ca, refresh, max_age })
            }
            (None, Some(file)) => {
                for key in ["jwks_refresh", "jwks_max_age", "ca"] {
                    if let Some(entry) = fields.entry(key) {
                        let text = format!("`{}` goes with `jwks_url` only: remove it", fields.path(key));
                        self.fault_at(entry.at, text);
                    }
                }
                self.file(file, &fields.path("jwks_file")).map(KeySource::File)
            }
            (Some(_), Some(_)) | (None, None) => {
                self.fault(node, format!("`{path}` needs exactly one of `jwks_url` and `jwks_file`"));
                None
            }
        }
    }

    fn age(&mut self, fields: &Fields<'_>, key: &str, default: Duration) -> Option<Duration> {
        match fields.get(key) {
            Some(node) => self.duration(node, &fields.path(key), SECOND),
            None => Some(default),
        }
    }

    fn algorithms(&mut self, node: &Node, path: &str) -> Option<Vec<TokenAlgorithm>> {
        let items = self.list(node, path)?;
        if items.is_empty() {
            self.fault(node, format!("`{path}` is empty: write `[RS256, ES256]`"));
            return None;
        }
        let mut algorithms = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let path = format!("{path}[{i}]");
            if let Value::Text(text) = &item.value
                && (text.eq_ignore_ascii_case("none") || text.to_ascii_uppercase().starts_with("HS"))
            {
                self.fault(item, format!("`{path}: {text}` is never taken: whoever checks such a token can make one"));
                return None;
            }
            algorithms.push(self.word(item, &path, &TokenAlgorithm::WORDS)?);
        }
        Some(algorithms)
    }

    /// The names on the way to a claim.
    pub(super) fn claim(&mut self, fields: &Fields<'_>, key: &str, default: &str) -> Option<String> {
        let Some(node) = fields.get(key) else { return Some(default.to_owned()) };
        let path = fields.path(key);
        let text = self.text(node, &path)?;
        if text.split('.').any(str::is_empty) {
            self.fault(
                node,
                format!("`{path}` is `{text}`: write the names on the way, with one dot between each two"),
            );
            return None;
        }
        Some(text)
    }

    fn skew(&mut self, node: &Node, path: &str) -> Option<Duration> {
        let skew = self.duration(node, path, Duration::ZERO)?;
        if skew > MOST_SKEW {
            self.fault(node, format!("`{path}` must be at most 10m: set the clocks right"));
            return None;
        }
        Some(skew)
    }
}
