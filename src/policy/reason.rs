//! Why a decision came out as it did: the closed list of the audit.

/// The reason of a decision or of an end, as audit events and metrics name it.
// FROZEN: the words are part of the event format.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReasonCode {
    /// A role's rule, through a binding, allows.
    PolicyAllow,
    /// An ACL allows.
    AclAllow,
    /// An active grant allows.
    GrantAllow,
    /// The principal is a super user.
    SuperUser,
    /// The principal is an operator: allowed, or denied what operators never do.
    Operator,
    /// No ACL exists for the resource and the default is `allow_if_no_acl`.
    DefaultAllow,
    /// A staged change was approved.
    StageApproved,
    /// A rule denies.
    ExplicitDeny,
    /// A temporary deny, which denies everybody.
    Quarantine,
    /// No rule allows.
    NoMatch,
    /// The connect gate: no role with clusters.connect is in force.
    NotConnectedRole,
    /// What would allow has not begun.
    NotYetValid,
    /// The grant that allowed has ended.
    GrantExpired,
    /// The grant that allowed was revoked.
    GrantRevoked,
    /// The grant's limit is used up.
    GrantLimit,
    /// The change is parked until approved.
    Staged,
    /// One of the proxy's own topics.
    Protected,
    /// An API or version that the table does not hold.
    UnsupportedApi,
    /// Bytes that are no request.
    Malformed,
    /// A fetch or share session that this connection did not create.
    SessionUnknown,
    /// The login failed or never came.
    NotAuthenticated,
    /// The token has ended.
    TokenExpired,
    /// A condition could not be evaluated.
    ConditionError,
    /// No room.
    Overloaded,
}

impl ReasonCode {
    /// Every reason.
    pub const EVERY: [Self; 24] = [
        Self::PolicyAllow,
        Self::AclAllow,
        Self::GrantAllow,
        Self::SuperUser,
        Self::Operator,
        Self::DefaultAllow,
        Self::StageApproved,
        Self::ExplicitDeny,
        Self::Quarantine,
        Self::NoMatch,
        Self::NotConnectedRole,
        Self::NotYetValid,
        Self::GrantExpired,
        Self::GrantRevoked,
        Self::GrantLimit,
        Self::Staged,
        Self::Protected,
        Self::UnsupportedApi,
        Self::Malformed,
        Self::SessionUnknown,
        Self::NotAuthenticated,
        Self::TokenExpired,
        Self::ConditionError,
        Self::Overloaded,
    ];

    /// The word in audit events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PolicyAllow => "POLICY_ALLOW",
            Self::AclAllow => "ACL_ALLOW",
            Self::GrantAllow => "GRANT_ALLOW",
            Self::SuperUser => "SUPER_USER",
            Self::Operator => "OPERATOR",
            Self::DefaultAllow => "DEFAULT_ALLOW",
            Self::StageApproved => "STAGE_APPROVED",
            Self::ExplicitDeny => "EXPLICIT_DENY",
            Self::Quarantine => "QUARANTINE",
            Self::NoMatch => "NO_MATCH",
            Self::NotConnectedRole => "NOT_CONNECTED_ROLE",
            Self::NotYetValid => "NOT_YET_VALID",
            Self::GrantExpired => "GRANT_EXPIRED",
            Self::GrantRevoked => "GRANT_REVOKED",
            Self::GrantLimit => "GRANT_LIMIT",
            Self::Staged => "STAGED",
            Self::Protected => "PROTECTED",
            Self::UnsupportedApi => "UNSUPPORTED_API",
            Self::Malformed => "MALFORMED",
            Self::SessionUnknown => "SESSION_UNKNOWN",
            Self::NotAuthenticated => "NOT_AUTHENTICATED",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::ConditionError => "CONDITION_ERROR",
            Self::Overloaded => "OVERLOADED",
        }
    }
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_event_format() {
        let words: Vec<&str> = ReasonCode::EVERY.into_iter().map(ReasonCode::as_str).collect();
        let list = "POLICY_ALLOW, ACL_ALLOW, GRANT_ALLOW, SUPER_USER, OPERATOR, DEFAULT_ALLOW, STAGE_APPROVED, \
                    EXPLICIT_DENY, QUARANTINE, NO_MATCH, NOT_CONNECTED_ROLE, NOT_YET_VALID, GRANT_EXPIRED, \
                    GRANT_REVOKED, GRANT_LIMIT, STAGED, PROTECTED, UNSUPPORTED_API, MALFORMED, SESSION_UNKNOWN, \
                    NOT_AUTHENTICATED, TOKEN_EXPIRED, CONDITION_ERROR, OVERLOADED";
        assert_eq!(words.join(", "), list);
    }
}
