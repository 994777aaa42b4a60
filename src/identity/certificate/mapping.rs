//! From a certificate to a principal and its groups (`certificates`).

use super::rules::{self, Rule, RuleError};
use super::{Alternative, Certificate};
use crate::identity::Login;
use crate::identity::names::{LINE_ENDS, check_given, shortened};
use crate::model::{GroupsFrom, NameFrom, Principal, Verified};
use std::sync::Arc;

/// How certificates name clients.
#[derive(Clone, Debug)]
pub struct Mapping {
    name_from: NameFrom,
    rules: Vec<Rule>,
    groups_from: GroupsFrom,
}

/// Why a certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamelessError {
    /// The field is not there.
    #[error("the client's certificate has no {0}, by which `certificates.name_from` names clients")]
    NoName(&'static str),
    /// Characters that a name must not hold.
    #[error("the name in the client's certificate holds control characters")]
    Control,
    /// As Kafka's `NoMatchingRule`.
    #[error("no rule of `certificates.rules` applies to `{0}`")]
    NoRule(String),
    /// A rule leaves nothing.
    #[error("the rule of `certificates.rules` that applies to `{0}` leaves nothing of it")]
    Empty(String),
    /// What comes of it is no name of a user.
    #[error("the name from the client's certificate {0}")]
    NoUser(String),
    /// What it claims is no name of a group.
    #[error("a group from the client's certificate {0}")]
    NoGroup(String),
}

impl Mapping {
    /// By these rules, in their order; each text may hold several, as Kafka's does.
    ///
    /// # Errors
    /// The first text that cannot be taken, by its index, and why.
    pub fn new(name_from: NameFrom, rules: &[String], groups_from: GroupsFrom) -> Result<Self, (usize, RuleError)> {
        let mut all = Vec::new();
        for (i, text) in rules.iter().enumerate() {
            all.extend(rules::parse(text).map_err(|error| (i, error))?);
        }
        Ok(Self { name_from, rules: all, groups_from })
    }

    /// The identity that a certificate proves: the handshake has checked it, and that the client has its key.
    ///
    /// # Errors
    /// It names nobody.
    pub fn login(&self, certificate: &Certificate) -> Result<Login, NamelessError> {
        let name = self.name(certificate)?;
        if name.contains(char::is_control) || name.contains(LINE_ENDS) {
            return Err(NamelessError::Control);
        }
        let mapped = self.rules.iter().find_map(|rule| rule.apply(&name));
        let mapped = mapped.ok_or_else(|| NamelessError::NoRule(shortened(&name)))?;
        if mapped.is_empty() {
            return Err(NamelessError::Empty(shortened(&name)));
        }
        check_given(&mapped, "User:").map_err(NamelessError::NoUser)?;
        let mut groups: Vec<Arc<str>> = match self.groups_from {
            GroupsFrom::None => Vec::new(),
            GroupsFrom::Ou => certificate.subject.values("OU").map(Arc::from).collect(),
            GroupsFrom::O => certificate.subject.values("O").map(Arc::from).collect(),
        };
        // Not let in without it: a rule may deny something to that group.
        groups.iter().try_for_each(|group| check_given(group, "Group:")).map_err(NamelessError::NoGroup)?;
        groups.sort();
        groups.dedup();
        let principal = Verified::proved(Principal::user(&mapped));
        Ok(Login {
            principal,
            groups: groups.into(),
            // Who signs certificates need not be who writes the policy.
            may_merge: false,
            expires: Some(certificate.not_after),
            credential: None,
        })
    }

    fn name(&self, certificate: &Certificate) -> Result<String, NamelessError> {
        let alternative = |what: &'static str, of: fn(&Alternative) -> Option<&String>| {
            certificate.alternatives.iter().find_map(of).cloned().ok_or(NamelessError::NoName(what))
        };
        match self.name_from {
            NameFrom::Subject if certificate.subject.is_empty() => Err(NamelessError::NoName("subject")),
            NameFrom::Subject => Ok(certificate.subject.rfc2253()),
            NameFrom::SanDns => alternative("DNS name", |one| match one {
                Alternative::Dns(name) => Some(name),
                Alternative::Uri(_) | Alternative::Email(_) => None,
            }),
            NameFrom::SanUri => alternative("URI", |one| match one {
                Alternative::Uri(name) => Some(name),
                Alternative::Dns(_) | Alternative::Email(_) => None,
            }),
            NameFrom::SanEmail => alternative("address of mail", |one| match one {
                Alternative::Email(name) => Some(name),
                Alternative::Dns(_) | Alternative::Uri(_) => None,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::names::LONGEST;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    fn certificate(subject: &[(DnType, &str)], names: Vec<SanType>) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.subject_alt_names = names;
        Certificate::read(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der()).unwrap()
    }

    fn mapping(name_from: NameFrom, rules: &[&str], groups_from: GroupsFrom) -> Mapping {
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        Mapping::new(name_from, &rules, groups_from).unwrap()
    }

    #[test]
    fn the_subject_and_its_units_make_principal_and_groups() {
        let alice = certificate(
            &[
                (DnType::OrganizationName, "Corp"),
                (DnType::OrganizationalUnitName, "devs"),
                (DnType::CommonName, "alice"),
            ],
            vec![],
        );
        let login = mapping(NameFrom::Subject, &["DEFAULT"], GroupsFrom::Ou).login(&alice).unwrap();
        assert_eq!(login.principal.get().as_str(), "User:CN=alice,OU=devs,O=Corp");
        assert_eq!(&*login.groups, &["devs".into()]);
        assert_eq!(login.expires, Some(alice.not_after));
        assert!(!login.may_merge && !login.subject(false).get().may_merge, "threat 24");
        let login =
            mapping(NameFrom::Subject, &["RULE:^CN=(.*?),.*$/$1/U", "DEFAULT"], GroupsFrom::O).login(&alice).unwrap();
        assert_eq!((login.principal.get().as_str(), &*login.groups), ("User:ALICE", &["Corp".into()][..]));
    }

    #[test]
    fn the_first_alternative_name_of_the_kind_counts() {
        let uri = |text: &str| SanType::URI(text.try_into().unwrap());
        let dns = SanType::DnsName("a.example.com".try_into().unwrap());
        let pod =
            certificate(&[], vec![dns, uri("spiffe://example.com/ns/a/sa/b"), uri("spiffe://example.com/ns/x/sa/y")]);
        let rule = r"RULE:^spiffe:\/\/example.com\/ns\/([^\/]+)\/sa\/(.*)$/$1.$2/";
        let named = |from, rules: &[&str]| {
            mapping(from, rules, GroupsFrom::None).login(&pod).map(|login| login.principal.get().to_string())
        };
        assert_eq!(named(NameFrom::SanUri, &[rule]), Ok("User:a.b".into()));
        assert_eq!(named(NameFrom::SanDns, &["DEFAULT"]), Ok("User:a.example.com".into()));
        assert_eq!(named(NameFrom::SanEmail, &["DEFAULT"]), Err(NamelessError::NoName("address of mail")));
        assert_eq!(named(NameFrom::Subject, &["DEFAULT"]), Err(NamelessError::NoName("subject")));
        assert_eq!(named(NameFrom::SanDns, &[rule]), Err(NamelessError::NoRule("a.example.com".into())));
        assert_eq!(named(NameFrom::SanDns, &["RULE:^.*$//"]), Err(NamelessError::Empty("a.example.com".into())));
    }

    #[test]
    fn names_with_control_characters_name_nobody() {
        for bad in ["a\nb", "a\0b", "a\u{2028}b", "a\u{85}b"] {
            let evil = certificate(&[(DnType::CommonName, bad)], vec![]);
            let login = mapping(NameFrom::Subject, &["DEFAULT"], GroupsFrom::None).login(&evil);
            // A zero is escaped by Java before anybody sees it.
            assert_eq!(login.is_err(), bad != "a\0b", "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_name_in_a_users_file_is_none_in_a_certificate() {
        let login = |name: &str, unit: Option<&str>, rule: &str| {
            let mut subject = vec![(DnType::CommonName, name)];
            subject.extend(unit.map(|unit| (DnType::OrganizationalUnitName, unit)));
            mapping(NameFrom::Subject, &[rule], GroupsFrom::Ou).login(&certificate(&subject, vec![]))
        };
        let alone = "RULE:^.*?CN=([^,]*)$/$1/";
        let long = "x".repeat(LONGEST + 1);
        for bad in ["*", "User:root", &long] {
            assert!(matches!(login(bad, None, alone), Err(NamelessError::NoUser(_))), "{bad:?}");
        }
        assert!(matches!(login("a", None, "RULE:^.*$/*/"), Err(NamelessError::NoUser(_))), "a rule makes it");
        let lines = "a\n".repeat(LONGEST);
        for bad in ["", "*", "Group:owners", "a\nb", "a\u{2028}b", "a\0b", &long, &lines] {
            // The subject must do without: a name with such characters is refused for itself.
            let dns = SanType::DnsName("a".try_into().unwrap());
            let evil = certificate(&[(DnType::OrganizationalUnitName, bad)], vec![dns]);
            let refused = mapping(NameFrom::SanDns, &["DEFAULT"], GroupsFrom::Ou).login(&evil).unwrap_err();
            assert!(matches!(refused, NamelessError::NoGroup(_)), "{bad:?}: {refused}");
            assert!(refused.to_string().len() < 512 && !refused.to_string().contains(char::is_control), "{refused}");
        }
        let star = certificate(&[], vec![SanType::DnsName("*".try_into().unwrap())]);
        let star = mapping(NameFrom::SanDns, &["DEFAULT"], GroupsFrom::None).login(&star);
        assert!(matches!(star, Err(NamelessError::NoUser(_))), "{star:?}");
        let most = &long[1..];
        assert!(login(most, Some(most), alone).is_ok());
        let unmapped = login(&long.repeat(9), None, "RULE:^nobody$//").unwrap_err();
        assert!(unmapped.to_string().len() < 512, "{unmapped}");
    }
}
