//! Changes of ACLs: asked for once, answered in their place, and in force for what follows.

use super::*;
use crate::policy::{AclBinding, AclChange, AclChanged, AclSet, ChangeRefused};
use crate::wire::schema::create_acls;

/// The right to change ACLs, and what the ACL of a test gives once it is there.
const EDITOR: &str = "acls:\n  - { allow: [Alter], principals: [\"User:alice\"], resources: [cluster] }\n  \
                      - { allow: [Create], principals: [\"User:alice\"], resources: [\"topic:open*\"] }\n";

fn open_acl() -> AclBinding {
    AclBinding::read("topic:LITERAL:open User:alice ALLOW WRITE *")
}

fn creation() -> Node {
    use create_acls::request::{self as req, acl_creation as acl};
    let mut node = Node::request(ApiKey::CREATE_ACLS);
    let row = node
        .child(req::CREATIONS)
        .with(acl::RESOURCE_TYPE, 2)
        .with(acl::RESOURCE_NAME, "open")
        .with(acl::RESOURCE_PATTERN_TYPE, 3)
        .with(acl::PRINCIPAL, "User:alice")
        .with(acl::HOST, "*")
        .with(acl::OPERATION, 4)
        .with(acl::PERMISSION_TYPE, 3);
    node.push(req::CREATIONS, row);
    node
}

fn created(node: &Node) -> Vec<i16> {
    use create_acls::response::{RESULTS, acl_creation_result};
    node.nodes(RESULTS).iter().map(|row| row.i16(acl_creation_result::ERROR_CODE)).collect()
}

/// The world of a policy and the ACL of these tests.
fn with_acl(rules: &str) -> World {
    let text = format!("version: 1\ndefault: deny\n{rules}end: true\n");
    let settings = Settings { protocol_acls: ProtocolAcls::State, ..Settings::default() };
    let source = Snapshot::load(text.as_bytes(), "policy.yaml", &settings).unwrap().source;
    let snapshot = source.snapshot(&AclSet::new([open_acl()], Some(1)));
    World { snapshot, ..world("", topology()) }
}

impl Stage {
    /// A stage where `alice` may change ACLs.
    fn editor() -> Self {
        Self::new(EDITOR)
    }

    /// Takes out what is asked for.
    fn change(&mut self) -> Option<AclChange> {
        self.out.change.take()
    }
}

#[test]
fn a_change_is_asked_for_once_and_answered_when_it_is_in_force() {
    let mut stage = Stage::editor();
    stage.ask(ApiKey::CREATE_ACLS, 3, 1, &creation());
    assert_eq!(stage.change(), Some(AclChange::Create(vec![open_acl()])));
    assert!(stage.machine.to_client.is_empty() && stage.machine.to_broker.is_empty());
    assert!(!stage.machine.is_idle(), "a stop waits for it");
    stage.input(Input::Tick);
    assert_eq!(stage.change(), None);
    stage.input(Input::Changed(Ok(AclChanged::Created)));
    let answers = stage.at_client(ApiKey::CREATE_ACLS, 3);
    assert_eq!((answers[0].0, created(&answers[0].1)), (1, vec![0]));
    assert!(stage.machine.is_idle());
    assert_eq!(stage.out.finished.last().map(|f| (f.key, f.forwarded)), Some((ApiKey::CREATE_ACLS, false)));
}

#[test]
fn threat_34_what_is_pipelined_behind_a_change_is_judged_by_what_it_made() {
    let mut stage = Stage::editor();
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    stage.ask(ApiKey::CREATE_ACLS, 3, 2, &creation());
    stage.ask(ApiKey::PRODUCE, 9, 3, &produce(&["open"], 1));
    assert!(stage.at_broker().is_empty(), "the first is denied, the last waits");
    assert_eq!(produced(&stage.at_client(ApiKey::PRODUCE, 9)[0].1), [("open".to_owned(), 29)]);
    assert_eq!(stage.book.lines.len(), 2, "the last is not judged yet: {:?}", stage.book.lines);
    stage.input(Input::World(with_acl(EDITOR)));
    assert!(stage.at_broker().is_empty(), "a new policy alone does not end the wait");
    stage.input(Input::Changed(Ok(AclChanged::Created)));
    assert_eq!(stage.at_broker().iter().map(|(key, id, _)| (*key, *id)).collect::<Vec<_>>(), [(ApiKey::PRODUCE, 3)]);
    assert_eq!(stage.at_client(ApiKey::CREATE_ACLS, 3).len(), 1);
}

#[test]
fn the_answer_of_a_change_keeps_its_place_behind_what_the_broker_still_owes() {
    let mut stage = Stage::new(&format!(
        "{EDITOR}  - {{ allow: [Write], principals: [\"User:alice\"], resources: [\"topic:open\"] }}\n"
    ));
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    stage.ask(ApiKey::CREATE_ACLS, 3, 2, &creation());
    stage.ask(ApiKey::PRODUCE, 9, 3, &produce(&["open"], 1));
    assert_eq!(stage.at_broker().len(), 1);
    stage.input(Input::Changed(Ok(AclChanged::Created)));
    assert!(stage.machine.to_client.is_empty(), "the broker has not answered the first");
    assert_eq!(stage.at_broker().len(), 1, "what is behind goes on");
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    stage.broker(ApiKey::PRODUCE, 9, 3, &acknowledged("open"));
    let bytes = drained(&mut stage.machine.to_client);
    let ids: Vec<i32> = frames(&bytes).map(|f| i32::from_be_bytes(f[..4].try_into().unwrap())).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn the_broker_answers_while_a_change_is_under_way() {
    let mut stage = Stage::new(&format!(
        "{EDITOR}  - {{ allow: [Write], principals: [\"User:alice\"], resources: [\"topic:open\"] }}\n"
    ));
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    stage.ask(ApiKey::CREATE_ACLS, 3, 2, &creation());
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert_eq!(stage.at_client(ApiKey::PRODUCE, 9).len(), 1);
    stage.input(Input::Changed(Ok(AclChanged::Created)));
    assert_eq!(created(&stage.at_client(ApiKey::CREATE_ACLS, 3)[0].1), [0]);
}

#[test]
fn a_change_that_does_not_happen_says_why_and_the_rest_goes_on() {
    let mut stage = Stage::editor();
    stage.ask(ApiKey::CREATE_ACLS, 3, 1, &creation());
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], 1));
    let refused = ChangeRefused { code: ErrorCode::REQUEST_TIMED_OUT, message: "no broker answers".to_owned() };
    stage.input(Input::Changed(Err(refused)));
    let bytes = drained(&mut stage.machine.to_client);
    let mut both = frames(&bytes);
    let (_, answer) = message::decode_response(ApiKey::CREATE_ACLS, 3, &both.next().unwrap()).unwrap();
    assert_eq!(created(&answer), [7]);
    let (_, answer) = message::decode_response(ApiKey::PRODUCE, 9, &both.next().unwrap()).unwrap();
    assert_eq!(produced(&answer), [("open".to_owned(), 29)]);
}

#[test]
fn threat_08_a_change_waits_for_its_event_and_is_judged_again_if_the_policy_moved() {
    let mut stage = Stage::editor();
    stage.book.token = Some(5);
    stage.ask(ApiKey::CREATE_ACLS, 3, 1, &creation());
    assert_eq!(stage.change(), None, "its event is not durable");
    stage.input(Input::Durable(DurableToken(5)));
    assert!(stage.change().is_some());
    stage.input(Input::Changed(Ok(AclChanged::Created)));

    stage.at_client(ApiKey::CREATE_ACLS, 3);
    stage.ask(ApiKey::CREATE_ACLS, 3, 2, &creation());
    stage.policy("");
    stage.book.token = None;
    stage.input(Input::Durable(DurableToken(5)));
    assert_eq!(stage.change(), None, "the right ended while it waited");
    assert_eq!(created(&stage.at_client(ApiKey::CREATE_ACLS, 3)[0].1), [31]);
}

#[test]
fn a_right_that_ends_while_its_change_is_under_way_ends_for_what_follows() {
    let mut stage = Stage::editor();
    stage.ask(ApiKey::CREATE_ACLS, 3, 1, &creation());
    stage.ask(ApiKey::CREATE_ACLS, 3, 2, &creation());
    assert!(stage.change().is_some());
    stage.policy("");
    stage.input(Input::Changed(Ok(AclChanged::Created)));
    assert_eq!(stage.change(), None);
    let answers = stage.at_client(ApiKey::CREATE_ACLS, 3);
    assert_eq!(answers.iter().map(|(_, node)| created(node)).collect::<Vec<_>>(), [[0], [31]]);
}

#[test]
fn a_client_that_ends_gets_the_answer_of_its_change_first() {
    let mut stage = Stage::editor();
    stage.ask(ApiKey::CREATE_ACLS, 3, 1, &creation());
    stage.input(Input::ClientEnd);
    assert_eq!(stage.machine.closing(), None, "the change is under way");
    stage.input(Input::Changed(Ok(AclChanged::Created)));
    assert_eq!(stage.at_client(ApiKey::CREATE_ACLS, 3).len(), 1);
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), Some(CloseReason::ClientEof));
}

#[test]
fn what_nobody_asked_for_changes_nothing() {
    let mut stage = Stage::editor();
    stage.input(Input::Changed(Ok(AclChanged::Created)));
    assert!(stage.machine.to_client.is_empty() && stage.machine.is_idle());
    stage.ask(ApiKey::CREATE_ACLS, 3, 1, &creation());
    stage.input(Input::BrokerEnd);
    assert_eq!(stage.machine.closing(), Some(CloseReason::UpstreamClosed));
    stage.input(Input::Changed(Ok(AclChanged::Created)));
    assert_eq!(stage.at_client(ApiKey::CREATE_ACLS, 3).len(), 1, "who still reads is told");
}
