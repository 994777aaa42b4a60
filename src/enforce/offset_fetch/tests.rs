use super::*;
use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, id, rewritten};

const KEY: ApiKey = ApiKey::OFFSET_FETCH;
const DESCRIBE_G: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["group:g*"] }"#;
const DESCRIBE_A: &str = r#"{ allow: [Describe], principals: ["User:alice"], resources: ["topic:a*"] }"#;

/// A request of versions 1 to 7; no list = all topics.
fn one(group: &str, topics: Option<&[&str]>) -> Node {
    let mut request = Node::request(KEY).with(req::GROUP_ID, group);
    match topics {
        None => request.set(req::TOPICS, Value::Null),
        Some(names) => {
            for name in names {
                let topic = request
                    .child(req::TOPICS)
                    .with(topic_v7::NAME, *name)
                    .with(topic_v7::PARTITION_INDEXES, vec![0, 4]);
                request.push(req::TOPICS, topic);
            }
        }
    }
    request
}

/// A request of version 8 or later: groups, and topics by name and id.
type Asks<'a> = (&'a str, Option<&'a [(&'a str, u8)]>);

fn many(groups: &[Asks<'_>]) -> Node {
    let mut request = Node::request(KEY);
    for (name, topics) in groups {
        let mut entry = request.child(req::GROUPS).with(group::GROUP_ID, *name);
        match topics {
            None => entry.set(group::TOPICS, Value::Null),
            Some(topics) => {
                for (name, number) in *topics {
                    let topic = entry
                        .child(group::TOPICS)
                        .with(topic_v8::NAME, *name)
                        .with(topic_v8::TOPIC_ID, id(*number))
                        .with(topic_v8::PARTITION_INDEXES, vec![0, 4]);
                    entry.push(group::TOPICS, topic);
                }
            }
        }
        request.push(req::GROUPS, entry);
    }
    request
}

/// A topic; of each partition index, offset, leader epoch, error, and its metadata.
type Told = (String, Vec<([i64; 4], Option<String>)>);

fn told(shape: &Shape, part: &Node) -> Vec<Told> {
    let row = |p: &Node| {
        let numbers = [shape.answer_index, shape.answer_offset, shape.answer_epoch, shape.answer_partition_error];
        (numbers.map(|field| p.int(field)), p.opt_str(shape.answer_metadata).map(str::to_owned))
    };
    let topics = part.nodes(shape.answer_topics).iter();
    topics
        .map(|t| {
            let name = match shape.answer_topic.id.map(|id| t.uuid(id)) {
                Some(id) if !id.is_zero() => format!("#{}", id.0[0]),
                _ => t.str(shape.answer_topic.name).to_owned(),
            };
            (name, t.nodes(shape.answer_partitions).iter().map(row).collect())
        })
        .collect()
}

fn failed(name: &str, error: i64) -> Told {
    let row = |index| ([index, -1, -1, error], Some(String::new()));
    (name.to_owned(), vec![row(0), row(4)])
}

/// What a broker answers of topics without partitions.
fn topics_in(shape: &Shape, mut part: Node, names: &[(&str, u8)]) -> Node {
    for (name, number) in names {
        let mut topic = part.child(shape.answer_topics).with(shape.answer_topic.name, *name);
        if let Some(field) = shape.answer_topic.id {
            topic.set(field, id(*number));
        }
        part.push(shape.answer_topics, topic);
    }
    part
}

#[test]
fn a_denied_group_is_told_in_the_form_of_each_version() {
    for version in 1..=7 {
        let mut bench = Bench::acls(&[DESCRIBE_A]);
        let refused = answer(bench.judge(&OffsetFetch, KEY, version, &one("g1", Some(&["a1"]))), KEY, version);
        if version == 1 {
            assert_eq!(told(&ONE, &refused), [failed("a1", 30)]);
        } else {
            assert_eq!((refused.int(res::ERROR_CODE), told(&ONE, &refused)), (30, vec![]));
        }
        assert_eq!(bench.decided(), ["Describe group:g1 denied"]);
    }
    for version in 8..=9 {
        let mut bench = Bench::acls(&[DESCRIBE_A]);
        let refused =
            answer(bench.judge(&OffsetFetch, KEY, version, &many(&[("g1", Some(&[("a1", 0)]))])), KEY, version);
        let [entry] = refused.nodes(res::GROUPS) else { panic!() };
        assert_eq!((entry.str(res_group::GROUP_ID), entry.int(res_group::ERROR_CODE)), ("g1", 30));
        assert!(told(&MANY, entry).is_empty());
    }
}

#[test]
fn allowed_topics_go_on_as_they_are() {
    for version in 1..=7 {
        let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
        let verdict = bench.judge(&OffsetFetch, KEY, version, &one("g1", Some(&["a1", "a2"])));
        assert!(matches!(forwarded(verdict), Then::Stream));
    }
    for version in 8..=9 {
        let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
        let request = many(&[("g1", Some(&[("a1", 0)])), ("g2", Some(&[]))]);
        assert!(matches!(forwarded(bench.judge(&OffsetFetch, KEY, version, &request)), Then::Stream));
    }
}

#[test]
fn denied_topics_never_reach_the_broker_and_are_answered_last() {
    for version in 1..=7 {
        let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
        let (sent, then) = rewritten(bench.judge(&OffsetFetch, KEY, version, &one("g1", Some(&["x", "a1", "y"]))));
        assert_eq!(sent.nodes(req::TOPICS).len(), 1);
        let broker = topics_in(&ONE, Node::response(KEY), &[("a1", 0)]);
        let told = told(&ONE, &finished(bench.complete(then, KEY, version, &broker), KEY, version));
        assert_eq!(told, [("a1".to_owned(), vec![]), failed("x", 29), failed("y", 29)]);
    }
}

#[test]
fn the_group_is_asked_even_when_every_topic_is_denied_and_its_error_stands_alone() {
    for version in 2..=7 {
        let mut bench = Bench::acls(&[DESCRIBE_G]);
        let (sent, then) = rewritten(bench.judge(&OffsetFetch, KEY, version, &one("g1", Some(&["x"]))));
        assert!(sent.nodes(req::TOPICS).is_empty() && !sent.is_null(req::TOPICS), "none, not all");
        let broker = Node::response(KEY).with(res::ERROR_CODE, 16);
        let told_answer = finished(bench.complete(then, KEY, version, &broker), KEY, version);
        assert_eq!((told_answer.int(res::ERROR_CODE), told(&ONE, &told_answer)), (16, vec![]));
    }
}

#[test]
fn all_topics_are_filtered_by_what_may_be_seen() {
    for version in 2..=7 {
        let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
        let then = forwarded(bench.judge(&OffsetFetch, KEY, version, &one("g1", None)));
        let broker = topics_in(&ONE, Node::response(KEY), &[("x", 0), ("a1", 0), (AUDIT, 0), (STATE, 0)]);
        let told = told(&ONE, &finished(bench.complete(then, KEY, version, &broker), KEY, version));
        assert_eq!(told, [("a1".to_owned(), vec![])]);
        assert!(bench.decided().contains(&"Describe topic:x denied?".to_owned()));
    }
}

#[test]
fn groups_keep_their_order_whatever_mixture_is_permitted() {
    let request = many(&[
        ("denied-1", Some(&[("a1", 0)])),
        ("g1", Some(&[("a1", 0), ("x", 0)])),
        ("g2", None),
        ("denied-2", None),
        ("g3", Some(&[("x", 0)])),
    ]);
    for version in 8..=9 {
        let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]);
        let (sent, then) = rewritten(bench.judge(&OffsetFetch, KEY, version, &request));
        let asked: Vec<&str> = sent.nodes(req::GROUPS).iter().map(|g| g.str(group::GROUP_ID)).collect();
        assert_eq!(asked, ["g1", "g2", "g3"]);
        assert_eq!(sent.nodes(req::GROUPS)[0].nodes(group::TOPICS).len(), 1);
        assert!(sent.nodes(req::GROUPS)[1].is_null(group::TOPICS));
        let mut broker = Node::response(KEY);
        for (name, topics, error) in
            [("g1", &[("a1", 0)][..], 0), ("g2", &[("x", 0), ("a2", 0)][..], 0), ("g3", &[][..], 16)]
        {
            let entry = broker.child(res::GROUPS).with(res_group::GROUP_ID, name).with(res_group::ERROR_CODE, error);
            broker.push(res::GROUPS, topics_in(&MANY, entry, topics));
        }
        let answer = finished(bench.complete(then, KEY, version, &broker), KEY, version);
        let seen: Vec<(&str, i64, Vec<Told>)> = answer
            .nodes(res::GROUPS)
            .iter()
            .map(|g| (g.str(res_group::GROUP_ID), g.int(res_group::ERROR_CODE), told(&MANY, g)))
            .collect();
        let blank = |name: &str| (name.to_owned(), vec![]);
        assert_eq!(
            seen,
            [
                ("denied-1", 30, vec![]),
                ("g1", 0, vec![blank("a1"), failed("x", 29)]),
                ("g2", 0, vec![blank("a2")]),
                ("denied-2", 30, vec![]),
                ("g3", 16, vec![]),
            ]
        );
    }
}

#[test]
fn ids_are_looked_up_once_and_an_unknown_one_fails_with_100() {
    let request = many(&[("g1", Some(&[("", 1), ("", 2), ("", 9)]))]);
    let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]).topics(&["a1", "x"]);
    assert!(matches!(bench.judge(&OffsetFetch, KEY, 10, &request), Verdict::Probe(ids) if ids == [id(9)]));
    bench.looked_up = true;
    let (sent, then) = rewritten(bench.judge(&OffsetFetch, KEY, 10, &request));
    assert_eq!(sent.nodes(req::GROUPS)[0].nodes(group::TOPICS).len(), 1);
    let mut broker = Node::response(KEY);
    let entry = broker.child(res::GROUPS).with(res_group::GROUP_ID, "g1");
    broker.push(res::GROUPS, topics_in(&MANY, entry, &[("", 1)]));
    let answer = finished(bench.complete(then, KEY, 10, &broker), KEY, 10);
    let told = told(&MANY, &answer.nodes(res::GROUPS)[0]);
    assert_eq!(told, [("#1".to_owned(), vec![]), failed("#2", 29), failed("#9", 100)]);
}

#[test]
fn all_topics_by_id_lose_those_that_are_denied_or_have_no_name_even_after_a_look() {
    let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]).topics(&["a1", "x"]);
    let (_, then) = rewritten(bench.judge(&OffsetFetch, KEY, 10, &many(&[("no", None), ("g1", None)])));
    let mut broker = Node::response(KEY);
    let entry = broker.child(res::GROUPS).with(res_group::GROUP_ID, "g1");
    broker.push(res::GROUPS, topics_in(&MANY, entry, &[("", 1), ("", 2), ("", 7), ("", 8), ("", 9)]));
    let next = bench.complete(then, KEY, 10, &broker);
    let Completed::Ask { key: ApiKey::METADATA, version: 12, body, then, .. } = next else { panic!("no look") };
    use crate::wire::schema::metadata::request::{self as asked, metadata_request_topic};
    use crate::wire::schema::metadata::response::{self as metadata, metadata_response_topic as known_topic};
    let ids: Vec<_> = body.nodes(asked::TOPICS).iter().map(|t| t.uuid(metadata_request_topic::TOPIC_ID)).collect();
    assert_eq!(ids, [id(7), id(8), id(9)]);
    let known = |number: u8, name: &str, error: i64| {
        Node::new(&known_topic::THIS)
            .with(known_topic::TOPIC_ID, id(number))
            .with(known_topic::NAME, name)
            .with(known_topic::ERROR_CODE, error)
    };
    let found = vec![known(7, "a-new", 0), known(8, "x-new", 0), known(9, "", 100)];
    let found = Node::response(ApiKey::METADATA).with(metadata::TOPICS, found);
    let answer = finished(bench.complete_with(then, ApiKey::METADATA, 12, &found), KEY, 10);
    let parts = answer.nodes(res::GROUPS);
    assert_eq!(parts[0].int(res_group::ERROR_CODE), 30);
    assert_eq!(told(&MANY, &parts[1]), [("#1".to_owned(), vec![]), ("#7".to_owned(), vec![])]);
}

#[test]
fn all_topics_by_id_need_no_look_where_every_name_is_known() {
    let mut bench = Bench::acls(&[DESCRIBE_G, DESCRIBE_A]).topics(&["a1", "x"]);
    let (_, then) = rewritten(bench.judge(&OffsetFetch, KEY, 10, &many(&[("g1", None)])));
    let mut broker = Node::response(KEY);
    let entry = broker.child(res::GROUPS).with(res_group::GROUP_ID, "g1");
    broker.push(res::GROUPS, topics_in(&MANY, entry, &[("", 1), ("", 2)]));
    let answer = finished(bench.complete(then, KEY, 10, &broker), KEY, 10);
    assert_eq!(told(&MANY, &answer.nodes(res::GROUPS)[0]), [("#1".to_owned(), vec![])]);
}
