//! `brokers.map`.

use super::*;

#[test]
fn no_two_brokers_are_told_as_one() {
    let map = |one: &str, two: &str| {
        let map = format!("{{ map: {{ 1: {{ {one} }}, 2: {{ {two} }} }} }}");
        with(&[("{ ports: { ids: 0-3 } }", &map)]).map(|_| ())
    };
    let (first, second) = ("bind: \"127.0.0.1:1\"", "bind: \"127.0.0.1:2\"");
    let told = |bind: &str, advertise: &str| format!("{bind}, advertise: \"{advertise}\"");
    let twice = map(&told(first, "k:9101"), &told(second, "k:9101")).unwrap_err();
    let text = "`listeners[0].brokers.map.2` is told as `k:9101`, as broker 1 is: clients would take one for the other";
    assert!(twice.len() == 1 && twice[0].ends_with(text), "{twice:?}");
    assert!(map(&told(first, "127.0.0.1:2"), second).is_err(), "also where it is not written");
    map(&told(first, "k:9101"), &told(second, "k:9102")).unwrap();
    map("bind: \"127.0.0.1:0\"", "bind: \"127.0.0.1:0\"").unwrap();
}
