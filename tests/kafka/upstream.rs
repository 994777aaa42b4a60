//! As whom the proxy connects to brokers: a login for each listener, secrets that change.

use kordon::wire::ApiKey;
use kordon::wire::schema::sasl_authenticate;

use crate::logins::cluster;
use crate::pass_through::{WRITE, allow};
use crate::support::gate::{Tap, Way};
use crate::support::java::Java;
use crate::support::proxy::{Kordon, Upstream, cli};
use crate::support::{needs, soon, unique};

/// A login by PLAIN that went to a broker.
fn logged_in(tap: &Tap, name: &str, password: &str) -> bool {
    let message = format!("\0{name}\0{password}");
    let of = |frame: &crate::support::gate::Frame| {
        let request = frame.request();
        request.bytes(sasl_authenticate::request::AUTH_BYTES).is_some_and(|bytes| **bytes == *message.as_bytes())
    };
    tap.frames().iter().filter(|f| f.way == Way::ToBroker && f.api == ApiKey::SASL_AUTHENTICATE.0).any(of)
}

#[test]
fn clients_of_a_listener_reach_brokers_by_a_login_of_its_own_whose_password_may_change() {
    needs!(Java);
    let upstream = "upstream: { sasl: { mechanism: PLAIN, username: alice, password: { file: alices } } }";
    let fixed = "identity: fixed\n    principal: \"User:x\"";
    let kordon = Kordon::before(cluster())
        .upstream(Upstream::Scram("SCRAM-SHA-512"))
        .person("usual")
        .listener("other", &format!("{fixed}\n    {upstream}"))
        .file("alices", "wrong")
        .expects("`cluster.own` is null")
        .start();
    let tap = kordon.tap();
    let topic = unique("upstream");
    cluster().create_topic(&topic, 1, &[]);
    allow("alice", &topic, &[WRITE]);
    let send = |listener: &str, timeout: &str| {
        let settings = [("max.block.ms", timeout)];
        Java::newest().producer(kordon.at(listener), &settings).send(&topic, &["one"]).error().map(str::to_owned)
    };
    assert_eq!(send("usual", "15000"), None);
    assert!(!logged_in(&tap, "alice", "wrong"));
    assert_eq!(send("other", "1500").as_deref(), Some("TimeoutException"));
    assert!(logged_in(&tap, "alice", "wrong"));
    kordon.await_log("refused the login of `alice`: Authentication failed");
    let check = || cli(&["check", "--connect", "--config", kordon.config_path().to_str().unwrap()]);
    let told = check();
    assert!(told.code == 2 && told.out.contains("`cluster`: brokers can be reached"), "{}{}", told.out, told.err);
    assert!(told.err.contains("`listeners[1].upstream`: no broker can be reached so for clients"), "{}", told.err);

    std::fs::write(kordon.dir().join("alices"), "alice-secret\n").unwrap();
    soon("the new password is used", || send("other", "1500").map_or(Ok(()), Err));
    assert!(logged_in(&tap, "alice", "alice-secret"));
    assert_eq!(check().code, 0);
    for password in ["alice-secret", "wrong", "kordon-upstream-password"] {
        assert!(!kordon.log().contains(password), "a password in the log");
    }
}
