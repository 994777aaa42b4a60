//! The state of share groups: initialize (API 83), read (84), write (85), delete (86), read the summary (87).
//!
//! Source: Kafka 4.3 `KafkaApis.handleInitializeShareGroupStateRequest` and its neighbours. Brokers send these to each
//! other: CLUSTER_ACTION on the cluster, or every partition fails with 31 and its text. The proxy's own topics have no
//! such state for anybody (threat 4): their partitions fail with 29.

use super::judge::Judge;
use super::partitions::Partitions;
use super::rows::Behind;
use super::rule::{Request, Rule, Verdict};
use super::scrub::Scrub;
use crate::model::{Operation, TopicName};
use crate::wire::schema::{
    delete_share_group_state, initialize_share_group_state, read_share_group_state, read_share_group_state_summary,
    write_share_group_state,
};
use crate::wire::{ApiKey, Node, WireError};
use std::collections::HashSet;

/// The rule of one of these APIs, and where its parts stand.
pub(super) struct ShareState {
    api: ApiKey,
    parts: Partitions,
}

macro_rules! share_state {
    ($name:ident, $api:ident, $topic:ident, $result:ident) => {
        /// The rule of the API of this name.
        pub(super) static $name: ShareState = ShareState {
            api: ApiKey::$name,
            parts: Partitions {
                topics: $api::request::TOPICS,
                name: $api::request::$topic::TOPIC_ID,
                partitions: $api::request::$topic::PARTITIONS,
                index: Some($api::request::partition_data::PARTITION),
                answer_topics: $api::response::RESULTS,
                answer_name: $api::response::$result::TOPIC_ID,
                answer_partitions: $api::response::$result::PARTITIONS,
                answer_index: $api::response::partition_result::PARTITION,
                answer_error: Some($api::response::partition_result::ERROR_CODE),
                answer_message: Some($api::response::partition_result::ERROR_MESSAGE),
            },
        };
    };
}

share_state!(
    INITIALIZE_SHARE_GROUP_STATE,
    initialize_share_group_state,
    initialize_state_data,
    initialize_state_result
);
share_state!(READ_SHARE_GROUP_STATE, read_share_group_state, read_state_data, read_state_result);
share_state!(WRITE_SHARE_GROUP_STATE, write_share_group_state, write_state_data, write_state_result);
share_state!(DELETE_SHARE_GROUP_STATE, delete_share_group_state, delete_state_data, delete_state_result);
share_state!(
    READ_SHARE_GROUP_STATE_SUMMARY,
    read_share_group_state_summary,
    read_state_summary_data,
    read_state_summary_result
);

impl Rule for ShareState {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let (view, parts) = (request.view, &self.parts);
        let mut answer = Node::response(self.api);
        let Some(permit) = judge.cluster(Operation::ClusterAction).permit() else {
            parts.refuse(&request.decode(), &mut answer);
            return Ok(Verdict::Answer(answer));
        };
        let (mut own, mut unresolved) = (HashSet::new(), Vec::new());
        for topic in view.items(parts.topics) {
            let id = topic.uuid(parts.name);
            match judge.topic_name(id) {
                Ok(name) if judge.refuse_own(Operation::ClusterAction, TopicName(&name)) => {
                    own.insert(id);
                }
                Ok(_) | Err(false) => {}
                Err(true) => unresolved.push(id),
            }
        }
        if !unresolved.is_empty() {
            return Ok(Verdict::Probe(unresolved));
        }
        if own.is_empty() {
            return Ok(Verdict::Forward(permit, Scrub::then()));
        }
        let mut node = request.decode();
        let refused = parts.cut(&mut node, &answer, |topic| own.contains(&topic.uuid(parts.name)));
        if node.nodes(parts.topics).is_empty() {
            return Ok(Verdict::Answer(answer.with(parts.answer_topics, refused)));
        }
        Ok(Verdict::Rewrite(permit, node, Behind::then(parts.answer_topics, refused)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::testing::{AUDIT, Bench, STATE, answer, finished, forwarded, id, kind, rewritten};

    const ACTION: &str = r#"{ allow: [ClusterAction], principals: ["User:alice"], resources: ["cluster"] }"#;

    fn all() -> [&'static ShareState; 5] {
        [
            &INITIALIZE_SHARE_GROUP_STATE,
            &READ_SHARE_GROUP_STATE,
            &WRITE_SHARE_GROUP_STATE,
            &DELETE_SHARE_GROUP_STATE,
            &READ_SHARE_GROUP_STATE_SUMMARY,
        ]
    }

    fn request(rule: &ShareState, ids: &[u8]) -> Node {
        let mut request = Node::request(rule.api);
        for number in ids {
            let mut topic = request.child(rule.parts.topics).with(rule.parts.name, id(*number));
            for index in [0, 3] {
                let partition = topic.child(rule.parts.partitions).with(rule.parts.index.unwrap(), index);
                topic.push(rule.parts.partitions, partition);
            }
            request.push(rule.parts.topics, topic);
        }
        request
    }

    /// Id, partition, error, text of every partition of an answer.
    fn told(rule: &ShareState, answer: &Node) -> Vec<(u8, i64, i64, String)> {
        let of = |topic: &Node| -> Vec<(u8, i64, i64, String)> {
            let partitions = topic.nodes(rule.parts.answer_partitions).iter();
            partitions
                .map(|p| {
                    let text = p.str(rule.parts.answer_message.unwrap()).to_owned();
                    (
                        topic.uuid(rule.parts.answer_name).0[0],
                        p.int(rule.parts.answer_index),
                        p.int(rule.parts.answer_error.unwrap()),
                        text,
                    )
                })
                .collect()
        };
        answer.nodes(rule.parts.answer_topics).iter().flat_map(of).collect()
    }

    #[test]
    fn brokers_alone_may_and_every_partition_is_refused_to_others() {
        for rule in all() {
            let names = r#"{ allow: [All], principals: ["User:alice"], resources: ["topic:*", "group:*"] }"#;
            let mut bench = Bench::acls(&[names]).topics(&["a"]);
            let refused = answer(bench.judge(rule, rule.api, 0, &request(rule, &[1])), rule.api, 0);
            let text = "Cluster authorization failed.".to_owned();
            assert_eq!(told(rule, &refused), [(1, 0, 31, text.clone()), (1, 3, 31, text)]);
            let mut bench = Bench::acls(&[ACTION]).topics(&["a"]);
            forwarded(bench.judge(rule, rule.api, 0, &request(rule, &[1])));
        }
    }

    #[test]
    fn threat_04_own_topics_have_no_share_state_for_anybody() {
        for rule in all() {
            for bench in [Bench::acls(&[ACTION]), Bench::acls(&[]).user("root")] {
                let mut bench = bench.topics(&["a", STATE, AUDIT]);
                let (sent, then) = rewritten(bench.judge(rule, rule.api, 0, &request(rule, &[2, 1, 3])));
                assert_eq!(sent, request(rule, &[1]));
                let answer = finished(bench.complete(then, rule.api, 0, &Node::response(rule.api)), rule.api, 0);
                let rows = told(rule, &answer);
                assert_eq!(rows.iter().map(|r| (r.0, r.2)).collect::<Vec<_>>(), [(2, 29), (2, 29), (3, 29), (3, 29)]);
                let verdict = bench.judge(rule, rule.api, 0, &request(rule, &[2]));
                assert_eq!(kind(&verdict), "answer", "nothing is left to forward");
            }
        }
    }

    #[test]
    fn an_id_without_a_name_is_looked_up_before_it_goes_on() {
        for rule in all() {
            let mut bench = Bench::acls(&[ACTION]);
            assert_eq!(kind(&bench.judge(rule, rule.api, 0, &request(rule, &[7]))), "probe");
            bench.looked_up = true;
            assert_eq!(kind(&bench.judge(rule, rule.api, 0, &request(rule, &[7]))), "forward");
        }
    }
}
