//! `proxy_protocol`.

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
    ] {
        let told = fault(&[("#listener", &format!("proxy_protocol: {list},"))]);
        assert!(told.contains(part), "{told}");
    }
}
