//! `listeners[].max_session`.

use super::*;

#[test]
fn a_session_lasts_for_an_hour_unless_said_otherwise_and_only_where_there_is_a_login() {
    let session =
        |text: &str| well(&[(FIXED, SASL), ("#listener", text), ("#root", "users: u")]).listeners[0].max_session;
    assert_eq!(session(""), Some(Duration::from_secs(3600)));
    assert_eq!(session("max_session: 2s,"), Some(Duration::from_secs(2)));
    assert_eq!(session("max_session: null,"), None);
    assert_eq!(
        fault(&[(FIXED, SASL), ("#listener", "max_session: 1s,"), ("#root", "users: u")]),
        "6:54: `listeners[0].max_session` is `1s`, but must be at least 2000ms"
    );
    assert_eq!(
        fault(&[("#listener", "max_session: 1h,")]),
        "6:41: `listeners[0].max_session` goes with `identity: sasl`, `certificate` or `pass_through` only: remove it, or change the identity"
    );
}
