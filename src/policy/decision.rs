//! What comes out of a decision: the outcome, its cause, and, if allowed, the proof that lets a request pass.

use super::reason::ReasonCode;
use super::rights::Right;
use crate::model::Timestamp;
use crate::wire::ApiKey;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

/// Whether a rule allows or denies.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
}

impl Effect {
    /// The word in audit events and in the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// What kind of thing decided.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum EvidenceKind {
    /// An entry of `acls`.
    Acl,
    /// A role's rule, through an entry of `bindings`.
    Binding,
    /// A grant that allows.
    Grant,
    /// A grant that denies.
    Quarantine,
    /// The list of super users.
    SuperUser,
    /// The list of operators.
    Operator,
    /// The default of the policy: no rule matched.
    Default,
    /// The connect gate.
    Gate,
    /// The protection of the proxy's own topics.
    OwnTopic,
}

impl EvidenceKind {
    /// The word in audit events (`matched[].kind`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::Binding => "binding",
            Self::Grant => "grant",
            Self::Quarantine => "quarantine",
            Self::SuperUser => "super_user",
            Self::Operator => "operator",
            Self::Default => "default",
            Self::Gate => "connect_gate",
            Self::OwnTopic => "own_topic",
        }
    }

    /// Whether this is a rule of the policy that an event lists under `matched`.
    pub const fn is_rule(self) -> bool {
        match self {
            Self::Acl | Self::Binding | Self::Grant | Self::Quarantine => true,
            Self::SuperUser | Self::Operator | Self::Default | Self::Gate | Self::OwnTopic => false,
        }
    }
}

/// The thing that decided, or that came nearest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it is.
    pub kind: EvidenceKind,
    /// File and line (`policy.yaml:31`), or the id of a grant. Empty where no single rule decided.
    pub id: Arc<str>,
    /// What it does.
    pub effect: Effect,
    /// The role, for a binding.
    pub role: Option<Arc<str>>,
    /// When it begins to hold.
    pub not_before: Option<Timestamp>,
    /// The first instant at which it no longer holds.
    pub expires: Option<Timestamp>,
    /// Why it is there, in the operator's words.
    pub note: Option<Arc<str>>,
}

impl Evidence {
    /// What denies without being a rule.
    fn without_rule(kind: EvidenceKind) -> Self {
        Self { kind, id: "".into(), effect: Effect::Deny, role: None, not_before: None, expires: None, note: None }
    }
}

/// How near a rule came to allowing what was then denied for want of an allow.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Miss {
    /// It has not begun.
    NotYet,
    /// It has ended.
    NoLonger,
    /// It was revoked.
    Revoked,
    /// It allows from other hosts.
    OtherHost,
    /// It allows in other APIs.
    OtherApi,
    /// The principal is taken out by `except`.
    Excepted,
    /// It allows Describe, not the operation asked for.
    DescribeOnly,
}

/// Allowed or not, and why. Cheap to clone: one reference count.
#[derive(Clone, Debug)]
#[must_use]
pub struct Decision {
    allowed: bool,
    code: ReasonCode,
    right: Option<Right>,
    miss: Option<Miss>,
    at: Timestamp,
    evidence: Arc<Evidence>,
}

impl Decision {
    pub(super) fn new(allowed: bool, code: ReasonCode, evidence: &Arc<Evidence>, at: Timestamp) -> Self {
        Self { allowed, code, right: None, miss: None, at, evidence: Arc::clone(evidence) }
    }

    /// A refusal that no rule of the policy made: an API that is not served, one of the proxy's own topics, a session
    /// that belongs to another connection. `code` says which.
    pub fn refused(code: ReasonCode, at: Timestamp) -> Self {
        let kind = if code == ReasonCode::Protected { EvidenceKind::OwnTopic } else { EvidenceKind::Default };
        let evidence = if kind == EvidenceKind::OwnTopic { &OWN_TOPIC } else { &NO_RULE };
        Self::new(false, code, evidence, at)
    }

    pub(super) fn with_right(mut self, right: Option<Right>) -> Self {
        self.right = right;
        self
    }

    pub(super) fn with_miss(mut self, miss: Miss) -> Self {
        self.miss = Some(miss);
        self
    }

    /// The proof that lets a request pass, if allowed.
    pub fn permit(&self) -> Option<Permit> {
        self.allowed.then_some(Permit(()))
    }

    /// Whether the operation is allowed.
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// The reason, from the closed list of the audit.
    pub fn code(&self) -> ReasonCode {
        self.code
    }

    /// What decided, or what came nearest to allowing ([`Decision::miss`]).
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// How near [`Decision::evidence`] came to allowing, where nothing did.
    pub fn miss(&self) -> Option<Miss> {
        self.miss
    }

    /// The rule that decided, for the audit's `matched`; `None` where no rule of the policy did (a near miss is none).
    pub fn matched(&self) -> Option<&Evidence> {
        (self.miss.is_none() && self.evidence.kind.is_rule()).then_some(&*self.evidence)
    }

    /// The name of the virtual operation that decided, if it was not Kafka's own: `OffsetsWrite`, `ClusterRead`, ….
    pub fn right(&self) -> Option<&'static str> {
        self.right.map(Right::name)
    }

    /// The virtual operation that decided, if it was not Kafka's own.
    pub fn virtual_right(&self) -> Option<Right> {
        self.right
    }

    /// Whether it was [`Right::ClusterRead`] that let a listing of the whole cluster through: that shows the names which the
    /// holder may describe, and no others (threat 36).
    pub fn is_limited_to_names(&self) -> bool {
        self.right == Some(Right::ClusterRead)
    }

    /// Whether an equal question gets this answer until the snapshot changes or [`super::Snapshot::next_edge`] passes.
    /// True without conditions, which this version does not serve.
    pub fn cacheable(&self) -> bool {
        true
    }

    /// Whether the other has the same outcome for the same reason by the same rule: one audit event.
    pub fn same_cause(&self, other: &Self) -> bool {
        self.allowed == other.allowed
            && self.code == other.code
            && self.right == other.right
            && self.miss == other.miss
            && (Arc::ptr_eq(&self.evidence, &other.evidence) || self.evidence == other.evidence)
    }

    /// The reason in words.
    pub fn reason(&self) -> String {
        let e = &*self.evidence;
        let mut text = match self.code {
            ReasonCode::SuperUser => "the principal is a super user".to_owned(),
            ReasonCode::Operator if self.allowed => "the principal is an operator".to_owned(),
            ReasonCode::Operator => {
                "operators never read or write topics, act as brokers, or touch acls and credentials".to_owned()
            }
            ReasonCode::DefaultAllow => {
                "no acl exists for the resource, and the policy's default is `allow_if_no_acl`".to_owned()
            }
            ReasonCode::Protected => "one of the proxy's own topics".to_owned(),
            ReasonCode::NotConnectedRole => "no role with clusters.connect is in force".to_owned(),
            ReasonCode::Quarantine => format!("quarantine `{}`{}", e.id, in_brackets(e)),
            ReasonCode::ExplicitDeny => format!("{} denies{}", name_of(e), in_brackets(e)),
            ReasonCode::AclAllow | ReasonCode::PolicyAllow => format!("{} allows{}", name_of(e), in_brackets(e)),
            ReasonCode::GrantAllow => format!("temporary grant `{}`{}", e.id, in_brackets(e)),
            ReasonCode::UnsupportedApi => "this api is refused to everybody".to_owned(),
            ReasonCode::SessionUnknown => "the session was not opened on this connection".to_owned(),
            ReasonCode::NoMatch
            | ReasonCode::NotYetValid
            | ReasonCode::GrantExpired
            | ReasonCode::GrantRevoked
            | ReasonCode::GrantLimit
            | ReasonCode::Staged
            | ReasonCode::StageApproved
            | ReasonCode::Malformed
            | ReasonCode::NotAuthenticated
            | ReasonCode::TokenExpired
            | ReasonCode::ConditionError
            | ReasonCode::Overloaded => "no rule allows this".to_owned(),
        };
        if let Some(miss) = self.miss {
            let _ = write!(text, ": {} {}", name_of(e), self.miss_in_words(miss));
        } else if let (true, Some(end)) = (self.allowed || self.code == ReasonCode::Quarantine, e.expires) {
            let _ = write!(text, ", {} left", span(end.millis_since(self.at)));
        }
        if let Some(right) = self.right {
            let _ = write!(text, ", as `{}`", right.name());
        }
        text
    }

    fn miss_in_words(&self, miss: Miss) -> String {
        let e = &*self.evidence;
        match (miss, e.not_before, e.expires) {
            (Miss::NotYet, Some(begin), _) => format!("would, from {begin}"),
            (Miss::NotYet, None, _) => "would, later".to_owned(),
            (Miss::NoLonger, _, Some(end)) => format!("did, until {end}"),
            (Miss::NoLonger, _, None) => "did, earlier".to_owned(),
            (Miss::Revoked, ..) => "did, and is revoked".to_owned(),
            (Miss::OtherHost, ..) => "does, from other hosts".to_owned(),
            (Miss::OtherApi, ..) => "does, in other apis".to_owned(),
            (Miss::Excepted, ..) => "does, except for this principal".to_owned(),
            (Miss::DescribeOnly, ..) => "allows Describe only".to_owned(),
        }
    }
}

/// The proof that the policy was asked and allowed it. Forwarding takes one; only [`Decision::permit`] and
/// [`Permit::for_open_row`] make one, and it cannot be copied.
#[derive(Debug)]
#[must_use]
pub struct Permit(());

impl Permit {
    /// The permit of an API without demands: the row of the table says that there is nothing to decide.
    /// Called by `enforce/table.rs` and nowhere else (`tests/architecture.rs` holds this).
    pub fn for_open_row(_api: ApiKey) -> Self {
        Self(())
    }
}

static OWN_TOPIC: LazyLock<Arc<Evidence>> = LazyLock::new(|| Arc::new(Evidence::without_rule(EvidenceKind::OwnTopic)));
static NO_RULE: LazyLock<Arc<Evidence>> = LazyLock::new(|| Arc::new(Evidence::without_rule(EvidenceKind::Default)));

fn name_of(e: &Evidence) -> String {
    match (&e.role, e.kind) {
        (Some(role), _) => format!("role `{role}` bound at `{}`", e.id),
        (None, EvidenceKind::Grant | EvidenceKind::Quarantine) => format!("grant `{}`", e.id),
        (None, kind) => format!("{} `{}`", kind.as_str(), e.id),
    }
}

fn in_brackets(e: &Evidence) -> String {
    e.note.as_ref().map(|n| format!(" ({n})")).unwrap_or_default()
}

/// A span of time as `2d3h`, `29m14s`, `350ms`: the two largest units that are not zero.
fn span(millis: i64) -> String {
    let millis = millis.max(0);
    let (s, ms) = (millis / 1000, millis % 1000);
    let (d, h, m, s) = (s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60);
    match (d, h, m, s) {
        (0, 0, 0, 0) => format!("{ms}ms"),
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s}s"),
        (0, h, m, _) => format!("{h}h{m}m"),
        (d, h, ..) => format!("{d}d{h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_their_two_largest_units() {
        let cases =
            [(350, "350ms"), (14_000, "14s"), (1_754_000, "29m14s"), (3_720_000, "1h2m"), (183_600_000, "2d3h")];
        for (millis, text) in cases {
            assert_eq!(span(millis), text);
        }
        assert_eq!(span(-5), "0ms");
    }

    #[test]
    fn a_refusal_without_a_rule_says_why_and_lists_none() {
        let unsupported = Decision::refused(ReasonCode::UnsupportedApi, Timestamp(0));
        assert_eq!(unsupported.reason(), "this api is refused to everybody");
        assert!(unsupported.permit().is_none() && unsupported.matched().is_none());
        let own = Decision::refused(ReasonCode::Protected, Timestamp(0));
        assert_eq!((own.evidence().kind, own.code()), (EvidenceKind::OwnTopic, ReasonCode::Protected));
        assert!(own.same_cause(&Decision::refused(ReasonCode::Protected, Timestamp(9))));
    }

    #[test]
    fn a_grant_is_named_with_its_note_and_the_time_left() {
        let grant = Arc::new(Evidence {
            kind: EvidenceKind::Grant,
            id: "INC-4711".into(),
            effect: Effect::Allow,
            role: None,
            not_before: None,
            expires: Some(Timestamp(1_754_000)),
            note: Some("skip the poison message".into()),
        });
        let d = Decision::new(true, ReasonCode::GrantAllow, &grant, Timestamp(0)).with_right(Some(Right::OffsetsWrite));
        assert_eq!(d.reason(), "temporary grant `INC-4711` (skip the poison message), 29m14s left, as `OffsetsWrite`");
        let d = Decision::new(false, ReasonCode::GrantExpired, &grant, Timestamp(2_000_000)).with_miss(Miss::NoLonger);
        assert_eq!(d.reason(), "no rule allows this: grant `INC-4711` did, until 1970-01-01T00:29:14.000Z");
        assert!(d.matched().is_none() && d.permit().is_none());
    }
}
