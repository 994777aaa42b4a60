//! StreamsGroupTopologyDescriptionUpdate (API 93): what a member of a streams group says about its topology.
//!
//! Source: KIP-1331, Kafka 4.4 `KafkaApis.handleStreamsGroupTopologyDescriptionUpdate`: READ on the group, as for a commit,
//! or the whole answer fails with 30 and no text. The topics of the description are text that others are shown, and are not
//! asked about; one that names a topic of the proxy's own is refused (29; threat 4).

use super::judge::Judge;
use super::rule::{Request, Rule, Verdict};
use super::scrub::Scrub;
use crate::model::{GroupId, Operation, TopicName};
use crate::wire::schema::streams_group_topology_description_update::request::{
    self as req, topology_description as description, topology_description_global_store as global,
    topology_description_node as node, topology_description_subtopology as subtopology,
};
use crate::wire::schema::streams_group_topology_description_update::response as res;
use crate::wire::{ApiKey, ErrorCode, Node, View, WireError};

/// The rule of StreamsGroupTopologyDescriptionUpdate.
pub(super) struct StreamsGroupTopologyDescriptionUpdate;

impl Rule for StreamsGroupTopologyDescriptionUpdate {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let refuse = |error: ErrorCode| {
            let answer = Node::response(ApiKey::STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE);
            Ok(Verdict::Answer(answer.with(res::ERROR_CODE, error)))
        };
        let Some(permit) = judge.decide(Operation::Read, GroupId(view.str(req::GROUP_ID))).permit() else {
            return refuse(ErrorCode::GROUP_AUTHORIZATION_FAILED);
        };
        let mut own = false;
        for at in nodes(view) {
            for topic in at.strs(node::SOURCE_TOPICS).chain(at.opt_str(node::SINK_TOPIC)) {
                own |= judge.refuse_own(Operation::Describe, TopicName(topic));
            }
        }
        if own { refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED) } else { Ok(Verdict::Forward(permit, Scrub::then())) }
    }
}

fn nodes<'s, 'b>(view: View<'s, 'b>) -> Vec<View<'s, 'b>> {
    let Some(told) = view.strct(req::TOPOLOGY_DESCRIPTION) else { return Vec::new() };
    let of_parts = told.items(description::SUBTOPOLOGIES).flat_map(|part| part.items(subtopology::NODES));
    let of_stores = told
        .items(description::GLOBAL_STORES)
        .flat_map(|store| [store.strct(global::SOURCE), store.strct(global::PROCESSOR)])
        .flatten();
    of_parts.chain(of_stores).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enforce::testing::{AUDIT, Bench, answer, forwarded};

    const KEY: ApiKey = ApiKey::STREAMS_GROUP_TOPOLOGY_DESCRIPTION_UPDATE;
    const RULE: &dyn Rule = &StreamsGroupTopologyDescriptionUpdate;
    const READER: &str = r#"{ allow: [Read], principals: ["User:alice"], resources: ["group:app"] }"#;

    fn request(topic: &str) -> Node {
        let source = Node::new(&node::THIS).with(node::SOURCE_TOPICS, vec!["in"]);
        let sink = Node::new(&node::THIS).with(node::SINK_TOPIC, topic);
        let part = Node::new(&subtopology::THIS).with(subtopology::NODES, vec![source, sink]);
        let told = Node::new(&description::THIS).with(description::SUBTOPOLOGIES, vec![part]);
        Node::request(KEY).with(req::GROUP_ID, "app").with(req::TOPOLOGY_DESCRIPTION, told)
    }

    #[test]
    fn a_description_needs_read_on_its_group_and_names_none_of_the_proxys_topics() {
        let mut bench = Bench::acls(&[READER]);
        forwarded(bench.judge(RULE, KEY, 0, &request("out")));
        assert_eq!(bench.decided(), ["Read group:app allowed"]);
        let refused = answer(Bench::acls(&[]).judge(RULE, KEY, 0, &request("out")), KEY, 0);
        assert_eq!(format!("{refused:?}"), "StreamsGroupTopologyDescriptionUpdateResponse { ErrorCode: 30 }");
        let refused = answer(Bench::acls(&[READER]).judge(RULE, KEY, 0, &request(AUDIT)), KEY, 0);
        assert_eq!(format!("{refused:?}"), "StreamsGroupTopologyDescriptionUpdateResponse { ErrorCode: 29 }");
    }
}
