//! `proxy_protocol` and `limits` of a listener.

use super::*;

#[test]
fn balancers_are_networks_or_addresses() {
    let of = |list: &str| well(&[("#listener", &format!("proxy_protocol: {list},"))]);
    assert!(of("[]").listeners[0].proxy_protocol.is_empty());
    let config = of("[10.0.0.0/8, 192.0.2.7, \"2001:db8::/32\", \"::1\"]");
    let texts: Vec<String> = config.listeners[0].proxy_protocol.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "::1/128"]);
    assert!(!config.warnings().iter().any(|warning| warning.contains("proxy_protocol")));
    for everybody in ["[\"::/0\"]", "[10.0.0.0/8, 0.0.0.0/0]"] {
        assert!(
            of(everybody)
                .warnings()
                .iter()
                .any(|warning| warning.contains("`listeners[0].proxy_protocol` holds every address"))
        );
    }
    for (list, part) in [
        ("10.0.0.0/8", "`listeners[0].proxy_protocol` must be a list, but is"),
        (
            "[10.0.0.1/8]",
            "`listeners[0].proxy_protocol[0]` is `10.0.0.1/8`, which has bits beyond its prefix: write `10.0.0.0/8`",
        ),
        ("[balancer]", "`listeners[0].proxy_protocol[0]` is `balancer`, which is no network and no address"),
        ("[10.0.0.0/33]", "which is no network and no address"),
        ("[\"::ffff:10.0.0.0/104\"]", "which nobody is in, as peers have their IPv4 addresses: write `10.0.0.0/8`"),
        ("[\"::ffff:10.1.2.3\"]", "write `10.1.2.3/32`"),
    ] {
        let told = fault(&[("#listener", &format!("proxy_protocol: {list},"))]);
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn limits_of_a_listener_are_its_own_and_the_others_those_of_the_process() {
    let process = ("#root", "limits: { frame: 2MiB, idle_timeout: 5m, failed_logins: { delay: 1s, per_minute: 7 } }");
    let own = |keys: &str| well(&[("#listener", &format!("limits: {keys},")), process]).listeners.remove(0).limits;
    let inherited = own("{}");
    assert_eq!((inherited.all.frame, inherited.connections), (ByteSize::mib(2), None));
    assert_eq!(inherited, own("null"));
    assert_eq!(inherited, well(&[process]).listeners[0].limits);
    let all = own(
        "{ connections: 50, connections_per_address: 5, frame: 1MiB, frame_before_login: 4KiB, response_in_memory: 3MiB, in_flight: 9, \
         upstream_ahead: { requests: 3 }, handshake_timeout: 1s, login_timeout: 2s, frame_timeout: 3s, idle_timeout: 4s, \
         failed_logins: { per_minute: 2 } }",
    );
    assert_eq!((all.connections, all.connections_per_address), (Some(50), Some(Some(5))));
    assert_eq!(own("{ connections_per_address: null }").connections_per_address, Some(None));
    let seconds = Duration::from_secs;
    let default = Limits::default();
    let expected = Limits {
        frame: ByteSize::mib(1),
        frame_before_login: ByteSize::kib(4),
        response_in_memory: ByteSize::mib(3),
        in_flight: 9,
        upstream_ahead: UpstreamAhead { requests: 3, ..default.upstream_ahead },
        handshake_timeout: seconds(1),
        login_timeout: seconds(2),
        frame_timeout: seconds(3),
        idle_timeout: seconds(4),
        failed_logins: FailedLogins { delay: seconds(1), per_minute: 2 },
        ..default
    };
    assert_eq!(all.all, expected);
    for (keys, root, part) in [
        (
            "{ request_memory: 1GiB }",
            "",
            "`listeners[0].limits.request_memory`: all listeners share one memory: set `limits.request_memory`",
        ),
        (
            "{ connections: auto }",
            "",
            "`listeners[0].limits.connections` must be a whole number: `auto` is of the process",
        ),
        ("{ connections: 0 }", "", "`listeners[0].limits.connections` is 0, but must be from 1"),
        (
            "{ connections: 5 }",
            "limits: { connections: 4 }",
            "`listeners[0].limits.connections` (5) is more than `limits.connections` (4)",
        ),
        ("{ frame: 2KiB }", "", "`limits.frame_before_login` (512KiB) is more than `listeners[0].limits.frame` (2KiB)"),
        ("{ frame: 2047MiB }", "", "`limits.request_memory` (1GiB) is less than `listeners[0].limits.frame` (2047MiB)"),
        (
            "{ upstream_ahead: { requests: 600 } }",
            "",
            "`listeners[0].limits.upstream_ahead.requests` (600) is more than `limits.in_flight` (512)",
        ),
        ("{ idle_timeout: 5s }", "", "`limits.login_timeout` is longer than `listeners[0].limits.idle_timeout`"),
        ("{ idle_timeout: 5 }", "", "`listeners[0].limits.idle_timeout` must be a duration"),
        ("{ failed_logins: { delays: 1s } }", "", "`listeners[0].limits.failed_logins.delays` is not a known key"),
    ] {
        let told = fault(&[("#listener", &format!("limits: {keys},")), ("#root", root)]);
        assert!(told.contains(part), "{keys}: {told}");
    }
}
