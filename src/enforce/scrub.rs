//! Texts of errors that a broker wrote, without what they tell about it.
//!
//! Where a check of the cluster fails at the broker its text is a dump of the request object, with the addresses of the
//! proxy's connection and the broker's listener (kafka-authorization 1.0.4, 2.2); controllers name endpoints in theirs.
//! Clients learn only addresses of the proxy (threat 7), so such a text gives way to the error's own.

use super::judge::Judge;
use super::rule::{Complete, Completed, Then};
use crate::wire::schema::{Field, Kind, StructDef};
use crate::wire::{ErrorCode, Node, View};

/// What Kafka writes into a dump of a request.
const DUMP: &str = "Request(processor=";

/// An answer whose texts are looked at.
pub(super) struct Scrub;

impl Scrub {
    /// What is done with an answer that holds nothing but texts to look at.
    pub(super) fn then() -> Then {
        Then::Complete(Box::new(Self))
    }
}

impl Complete for Scrub {
    fn wants(&self, answer: View<'_, '_>) -> bool {
        any_text(answer)
    }

    fn complete(self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        scrub(&mut answer);
        Completed::Answer(answer)
    }
}

/// Puts the default text of its error in place of every text that tells an address.
pub(super) fn scrub(answer: &mut Node) {
    let def = answer.def();
    for (field, inner) in nested(def) {
        match inner {
            Nested::One => answer.strct_mut(field).into_iter().for_each(scrub),
            // An array that is null stays null.
            Nested::Many if answer.is_null(field) => {}
            Nested::Many => answer.nodes_mut(field).iter_mut().for_each(scrub),
        }
    }
    let Some(text) = def.find("ErrorMessage") else { return };
    if answer.opt_str(text).is_some_and(tells) {
        let error = def.find("ErrorCode").map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |code| ErrorCode(answer.i16(code)));
        answer.set(text, error.message());
    }
}

enum Nested {
    One,
    Many,
}

fn nested(def: &'static StructDef) -> impl Iterator<Item = (Field, Nested)> {
    def.fields().filter_map(|(field, spec)| match &spec.kind {
        Kind::Struct(_) => Some((field, Nested::One)),
        Kind::Array(Kind::Struct(_)) => Some((field, Nested::Many)),
        _ => None,
    })
}

/// Whether there is a text that tells something.
fn any_text(view: View<'_, '_>) -> bool {
    let own = view.def().find("ErrorMessage").filter(|field| view.has(*field));
    own.and_then(|field| view.opt_str(field)).is_some_and(tells)
        || nested(view.def()).any(|(field, inner)| match inner {
            Nested::One => view.strct(field).is_some_and(any_text),
            Nested::Many => view.items(field).any(any_text),
        })
}

/// A text for clients: the error's own in place of one that tells an address.
pub(super) fn scrubbed(code: ErrorCode, text: String) -> String {
    if tells(&text) { code.message().to_owned() } else { text }
}

/// Whether a text names a topic that is `hidden`.
pub(super) fn names(text: &str, hidden: impl FnMut(&str) -> bool) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    // A name may end with a dot, and a sentence may.
    text.split(|c| !of_name(c)).flat_map(|word| [word, word.trim_end_matches('.')]).any(hidden)
}

/// Whether a text tells an address: a dump, or a word that ends in a colon and a port.
fn tells(text: &str) -> bool {
    let of_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '[' | ']');
    let is_address = |word: &str| {
        let word = word.trim_end_matches(['.', ':']);
        word.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && (3..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit())
        })
    };
    text.contains(DUMP) || text.split(|c| !of_word(c)).any(is_address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::coverage::{Reading, Sample, open_rows};
    use crate::enforce::rule::Verdict;
    use crate::enforce::testing::{Bench, finished};
    use crate::wire::schema::alter_partition_reassignments::response::{
        self as res, reassignable_partition_response as partition, reassignable_topic_response as topic,
    };
    use crate::wire::{ApiKey, Value, api};
    use std::collections::BTreeSet;

    const CLUSTER: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;

    #[test]
    fn threat_07_a_text_that_tells_an_address_gives_way_to_the_errors_own_however_deep_it_stands() {
        let dump = "Request Request(processor=1, connectionId=10.1.2.3:9092-10.0.0.9:40000-7) needs ALTER permission.";
        let of = |text: &str| {
            let row =
                Node::new(&partition::THIS).with(partition::ERROR_CODE, CLUSTER).with(partition::ERROR_MESSAGE, text);
            Node::response(ApiKey::ALTER_PARTITION_REASSIGNMENTS)
                .with(res::ERROR_MESSAGE, text)
                .with(res::RESPONSES, vec![Node::new(&topic::THIS).with(topic::PARTITIONS, vec![row])])
        };
        let mut bench = Bench::acls(&[]);
        let mut told = |text: &str| {
            let key = ApiKey::ALTER_PARTITION_REASSIGNMENTS;
            let answer = finished(bench.complete(Scrub::then(), key, 1, &of(text)), key, 1);
            let row = answer.nodes(res::RESPONSES)[0].nodes(topic::PARTITIONS)[0].clone();
            (answer.str(res::ERROR_MESSAGE).to_owned(), row.str(partition::ERROR_MESSAGE).to_owned())
        };
        for text in [dump, "no endpoint CONTROLLER://controller-1.internal:9093", "leader is (id=1, /10.1.2.3:9093)."] {
            assert_eq!(told(text), (ErrorCode::NONE.message().to_owned(), CLUSTER.message().to_owned()), "{text}");
        }
        let harmless = "Replica list of topic-1:3 was read at 12:30: a broker is gone.";
        assert_eq!(told(harmless).1, harmless);
        let harmless = "The replication factor is changed from 3 to 1, topic a:b";
        assert_eq!(told(harmless).1, harmless);
    }
    /// Answers whose texts go to the client as the broker wrote them, and why.
    const AS_WRITTEN: &[(&str, &str)] = &[
        ("Produce", "partitions, producers and offsets; a look at every answer would cost too much"),
        ("ShareFetch", "Kafka writes none"),
        (
            "CreateTopics",
            "names and values of the request; where it names one of the proxy's own topics it is not told",
        ),
        ("CreatePartitions", "numbers of the request and of the topic"),
        ("DeleteTopics", "nothing of the cluster"),
        ("DescribeProducers", "nothing of the cluster"),
        ("DescribeGroups", COORDINATOR),
        ("DeleteGroups", COORDINATOR),
        ("ConsumerGroupDescribe", COORDINATOR),
        ("ShareGroupDescribe", COORDINATOR),
        ("StreamsGroupDescribe", COORDINATOR),
        ("StreamsGroupHeartbeat", "of a coordinator; statuses that name topics are looked at for these"),
        ("DescribeShareGroupOffsets", COORDINATOR),
        ("AlterShareGroupOffsets", COORDINATOR),
        ("DeleteShareGroupOffsets", COORDINATOR),
    ];
    const COORDINATOR: &str = "groups and members, whose ids may look like addresses";

    /// An answer that failed, with a dump in every text.
    fn dumping(def: &'static StructDef) -> Node {
        let mut node = Node::new(def);
        for (field, of) in def.fields() {
            let value = match &of.kind {
                Kind::Struct(inner) => Value::from(dumping(inner)),
                Kind::Array(Kind::Struct(inner)) => Value::from(vec![dumping(inner)]),
                Kind::Str if of.name.ends_with("Message") || of.name.ends_with("Detail") => {
                    Value::from("Request Request(processor=1, connectionId=10.1.2.3:9092) is not authorized.")
                }
                Kind::I16 if of.name == "ErrorCode" => Value::from(CLUSTER),
                _ => continue,
            };
            node.set(field, value);
        }
        node
    }

    #[test]
    fn threat_07_no_text_of_a_broker_goes_to_a_client_unread_but_where_it_is_known_what_it_tells() {
        const ALL: &str = r#"{ allow: [All], principals: ["User:alice"], resources: ["topic:*", "group:*", "transactional_id:*", "cluster"] }"#;
        let mut telling: BTreeSet<&str> = BTreeSet::new();
        for row in open_rows() {
            for reading in [Reading::ByName, Reading::ById] {
                let (sample, node) = Sample::of(row, reading);
                let ids: Vec<&str> = sample.ids.iter().map(String::as_str).collect();
                for version in row.versions.min..=row.versions.max {
                    let mut bench = Bench::acls(&[ALL]).topics(&ids);
                    bench.looked_up = true;
                    let then = match bench.judge(row.rule, row.key, version, &node) {
                        Verdict::Forward(_, then) | Verdict::Rewrite(_, _, then) => then,
                        _ => continue,
                    };
                    let def = api(row.key).unwrap().response;
                    let asked = crate::enforce::testing::round_trip(row.key, version, &dumping(def.root));
                    let told = match then {
                        Then::Complete(_) | Then::Alone(_) => {
                            finished(bench.complete(then, row.key, version, &asked), row.key, version)
                        }
                        _ => asked,
                    };
                    if format!("{told:?}").contains(DUMP) {
                        telling.insert(row.key.name());
                    }
                }
            }
        }
        let known: BTreeSet<&str> = AS_WRITTEN.iter().map(|(api, _)| *api).collect();
        assert_eq!(telling, known, "look at the texts, or say what they tell");
    }
}
