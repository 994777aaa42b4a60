//! Listeners on which everybody is the same principal (`identity: fixed`).

use super::Login;
use crate::model::{Principal, Verified};

/// The identity of whoever connects to a listener with this principal: the operator's word is the proof.
pub fn login(principal: &Principal) -> Login {
    Login {
        principal: Verified::proved(principal.clone()),
        groups: [].into(),
        may_merge: true,
        expires: None,
        credential: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_the_configured_principal_and_in_no_group() {
        let login = login(&Principal::user("alice"));
        assert_eq!(login.principal.get().as_str(), "User:alice");
        assert!(login.groups.is_empty() && login.expires.is_none());
    }
}
