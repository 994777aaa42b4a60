//! DescribeQuorum (API 55).
//!
//! Source: Kafka 4.1 `ControllerApis.handleDescribeQuorum`: DESCRIBE on the cluster, or the whole answer fails with 31. The
//! topics that a request names are those of the quorum itself; any other is answered as unknown.
//!
//! Where the controllers listen is left out for everybody: a client cannot reach them (threat 7).

use super::judge::Judge;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::scrub::scrub;
use crate::model::Operation;
use crate::wire::schema::describe_quorum::response::{self as res, node};
use crate::wire::{ApiKey, ErrorCode, Node, WireError};

/// The rule of DescribeQuorum.
pub(super) struct DescribeQuorum;

impl Rule for DescribeQuorum {
    fn judge(&self, _: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let denied = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
        Ok(match judge.cluster(Operation::Describe).permit() {
            Some(permit) => Verdict::Forward(permit, Then::Complete(Box::new(HideListeners))),
            None => Verdict::Answer(
                Node::response(ApiKey::DESCRIBE_QUORUM)
                    .with(res::ERROR_CODE, denied)
                    .with(res::ERROR_MESSAGE, denied.message()),
            ),
        })
    }
}

struct HideListeners;

impl Complete for HideListeners {
    fn complete(self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        for controller in answer.nodes_mut(res::NODES) {
            controller.nodes_mut(node::LISTENERS).clear();
        }
        scrub(&mut answer);
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::testing::{Bench, answer, finished, forwarded};
    use crate::wire::schema::describe_quorum::response::{listener, topic_data};

    const KEY: ApiKey = ApiKey::DESCRIBE_QUORUM;

    #[test]
    fn whoever_may_not_describe_the_cluster_is_refused_as_a_whole() {
        for (version, form) in [
            (0, "DescribeQuorumResponse { ErrorCode: 31 }"),
            (2, r#"DescribeQuorumResponse { ErrorCode: 31, ErrorMessage: "Cluster authorization failed." }"#),
        ] {
            let mut bench = Bench::acls(&[]);
            let refused = answer(bench.judge(&DescribeQuorum, KEY, version, &Node::request(KEY)), KEY, version);
            assert_eq!(format!("{refused:?}"), form);
            assert_eq!(bench.decided(), ["Describe cluster:kafka-cluster denied"]);
        }
    }

    #[test]
    fn threat_07_controllers_are_shown_without_their_addresses() {
        let mut bench = Bench::policy(
            "bindings:\n  - { roles: [viewer], principals: [\"User:alice\"], resources: [cluster] }\nconnect_gate: open\n",
        );
        for version in 0..=2 {
            let then = forwarded(bench.judge(&DescribeQuorum, KEY, version, &Node::request(KEY)));
            let at = Node::new(&listener::THIS)
                .with(listener::NAME, "CONTROLLER")
                .with(listener::HOST, "controller-1.internal")
                .with(listener::PORT, 9093u16);
            let controller = Node::new(&node::THIS).with(node::NODE_ID, 3).with(node::LISTENERS, vec![at]);
            let topic = Node::new(&topic_data::THIS).with(topic_data::TOPIC_NAME, "__cluster_metadata");
            let told = Node::response(KEY).with(res::TOPICS, vec![topic]).with(res::NODES, vec![controller]);
            let shown = finished(bench.complete(then, KEY, version, &told), KEY, version);
            assert_eq!(shown.nodes(res::TOPICS).len(), 1);
            assert!(!format!("{shown:?}").contains("internal"), "{shown:?}");
            assert_eq!(shown.nodes(res::NODES).len(), usize::from(version == 2), "the nodes themselves are shown");
        }
    }
}
