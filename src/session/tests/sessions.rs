//! Fetch sessions: how many, how large, and how they end.

use super::*;
use crate::wire::schema::fetch::request::{self as req, fetch_partition, fetch_topic};

/// A fetch of one topic with this many partitions, from number `first` on.
fn fetch_of_many(session: (i32, i32), first: i32, count: i32) -> Node {
    let mut node = fetch_of(&[], session);
    let mut topic = node.child(req::TOPICS).with(fetch_topic::TOPIC, "open");
    for number in first..first + count {
        let partition = topic.child(fetch_topic::PARTITIONS).with(fetch_partition::PARTITION, number);
        topic.push(fetch_topic::PARTITIONS, partition);
    }
    node.push(req::TOPICS, topic);
    node
}

fn session_of(node: &Node) -> (i32, i32) {
    (node.i32(req::SESSION_ID), node.i32(req::SESSION_EPOCH))
}

fn opened(stage: &mut Stage, id: i32, partitions: i32) {
    stage.ask(ApiKey::FETCH, 12, id, &fetch_of_many((0, 0), 0, partitions));
    stage.broker(ApiKey::FETCH, 12, id, &fetched(&["open"], id, 1));
    assert_eq!(session_of(&stage.at_broker()[0].2), (0, 0));
    stage.at_client(ApiKey::FETCH, 12);
}

#[test]
fn a_fetch_beyond_what_is_remembered_of_sessions_goes_on_without_one() {
    let mut stage = Stage::new(OPEN);
    opened(&mut stage, 1, 25_000);
    opened(&mut stage, 2, 25_000);
    opened(&mut stage, 3, 25_000);
    stage.ask(ApiKey::FETCH, 12, 4, &fetch_of_many((0, 0), 0, 25_001));
    assert_eq!(session_of(&stage.at_broker()[0].2), (0, -1), "as where a broker has no place for it");
    stage.broker(ApiKey::FETCH, 12, 4, &fetched(&["open"], 0, 1));
    assert_eq!(fetch_errors(&stage.at_client(ApiKey::FETCH, 12)[0].1), [("open".to_owned(), 0)]);

    stage.ask(ApiKey::FETCH, 12, 5, &fetch_of_many((3, 1), 25_000, 24_000));
    assert_eq!(stage.at_broker().len(), 1, "increments count what is new");
    stage.broker(ApiKey::FETCH, 12, 5, &fetched(&[], 3, 0));
    stage.at_client(ApiKey::FETCH, 12);
    stage.ask(ApiKey::FETCH, 12, 6, &fetch_of_many((3, 2), 0, 25_000));
    assert_eq!(stage.at_broker().len(), 1, "and what was there before does not count again");
    stage.broker(ApiKey::FETCH, 12, 6, &fetched(&[], 3, 0));
    stage.at_client(ApiKey::FETCH, 12);
    stage.ask(ApiKey::FETCH, 12, 7, &fetch_of_many((3, 3), 50_000, 2_000));
    assert!(stage.at_broker().is_empty());
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!(answer.i16(fetch::response::ERROR_CODE), ErrorCode::FETCH_SESSION_ID_NOT_FOUND.0);

    opened(&mut stage, 8, 30_000);
}

#[test]
fn fetches_that_wait_side_by_side_open_no_more_than_is_remembered() {
    let mut stage = Stage::new(OPEN);
    for id in 1..=4 {
        stage.ask(ApiKey::FETCH, 12, id, &fetch_of_many((0, 0), 0, 30_000));
        assert_eq!(session_of(&stage.at_broker()[0].2), (0, 0), "there is room for each alone");
    }
    for id in 1..=4 {
        stage.broker(ApiKey::FETCH, 12, id, &fetched(&["open"], id, 1));
    }
    assert_eq!(stage.at_client(ApiKey::FETCH, 12).len(), 4);
    stage.ask(ApiKey::FETCH, 12, 5, &fetch_of(&[], (4, 1)));
    assert!(stage.at_broker().is_empty(), "the fourth is unknown");
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!(answer.i16(fetch::response::ERROR_CODE), ErrorCode::FETCH_SESSION_ID_NOT_FOUND.0);
    stage.ask(ApiKey::FETCH, 12, 6, &fetch_of(&[], (3, 1)));
    assert_eq!(stage.at_broker().len(), 1, "the third goes on");
}

#[test]
fn a_connection_has_sixteen_sessions_and_further_fetches_go_on_without() {
    let mut stage = Stage::new(OPEN);
    (1..=16).for_each(|id| opened(&mut stage, id, 1));
    stage.ask(ApiKey::FETCH, 12, 17, &fetch_of(&["open"], (0, 0)));
    assert_eq!(session_of(&stage.at_broker()[0].2), (0, -1));
}

#[test]
fn the_end_of_a_session_is_told_to_the_broker_which_keeps_it_otherwise() {
    let mut stage = Stage::new(OPEN);
    opened(&mut stage, 1, 1);
    stage.ask(ApiKey::FETCH, 12, 2, &fetch_of(&[], (1, -1)));
    assert_eq!(session_of(&stage.at_broker()[0].2), (1, -1));
    stage.broker(ApiKey::FETCH, 12, 2, &fetched(&[], 0, 0));
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!(answer.i16(fetch::response::ERROR_CODE), 0);
    stage.ask(ApiKey::FETCH, 12, 3, &fetch_of(&[], (1, 1)));
    assert!(stage.at_broker().is_empty(), "it has ended here, too");

    stage.at_client(ApiKey::FETCH, 12);
    opened(&mut stage, 4, 1);
    stage.policy("");
    stage.ask(ApiKey::FETCH, 12, 5, &fetch_of(&[], (4, -1)));
    assert!(stage.at_broker().is_empty(), "who may no longer read asks nothing of the broker");
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!(answer.i16(fetch::response::ERROR_CODE), 0);
}

#[test]
fn threat_01_a_full_fetch_with_a_foreign_number_is_served_and_the_number_stays_here() {
    let mut stage = Stage::new(OPEN);
    for (id, epoch) in [(1, 0), (2, -1)] {
        stage.ask(ApiKey::FETCH, 12, id, &fetch_of(&["open"], (4711, epoch)));
        assert_eq!(session_of(&stage.at_broker()[0].2), (0, epoch), "the broker would end the session of that number");
        stage.broker(ApiKey::FETCH, 12, id, &fetched(&["open"], 0, 1));
        assert_eq!(fetch_errors(&stage.at_client(ApiKey::FETCH, 12)[0].1), [("open".to_owned(), 0)]);
    }
    stage.ask(ApiKey::FETCH, 12, 3, &fetch_of(&["open", "secret"], (4711, 0)));
    assert_eq!(session_of(&stage.at_broker()[0].2), (0, -1));
    stage.broker(ApiKey::FETCH, 12, 3, &fetched(&["open"], 0, 1));
    stage.at_client(ApiKey::FETCH, 12);
    stage.ask(ApiKey::FETCH, 12, 4, &fetch_of(&[], (4711, -1)));
    assert!(stage.at_broker().is_empty(), "nothing to end");
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!(answer.i16(fetch::response::ERROR_CODE), 0);
}

#[test]
fn a_session_of_which_all_is_forgotten_ends_at_the_broker_without_an_error() {
    use crate::wire::schema::fetch::request::forgotten_topic;
    let emptied = |id: i32| {
        let mut node = fetch_of(&[], (id, 1));
        let topic = node.child(req::FORGOTTEN_TOPICS_DATA).with(forgotten_topic::TOPIC, "open");
        node.push(req::FORGOTTEN_TOPICS_DATA, topic.with(forgotten_topic::PARTITIONS, vec![0i32]));
        node
    };
    let mut stage = Stage::new(OPEN);
    opened(&mut stage, 1, 1);
    stage.ask(ApiKey::FETCH, 12, 2, &emptied(1));
    assert_eq!(session_of(&stage.at_broker()[0].2), (1, 1), "the broker is to know");
    stage.broker(ApiKey::FETCH, 12, 2, &fetched(&[], 0, 0));
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!((answer.i16(fetch::response::ERROR_CODE), answer.i32(fetch::response::SESSION_ID)), (0, 0));
    stage.ask(ApiKey::FETCH, 12, 3, &fetch_of(&["open"], (1, 2)));
    assert!(stage.at_broker().is_empty(), "it has ended");
    let (_, answer) = stage.at_client(ApiKey::FETCH, 12).remove(0);
    assert_eq!(answer.i16(fetch::response::ERROR_CODE), ErrorCode::FETCH_SESSION_ID_NOT_FOUND.0);
}

#[test]
fn a_large_message_leaves_no_memory_behind_in_the_scan() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::FETCH, 12, 1, &fetch_of_many((0, -1), 0, 30_000));
    assert!(stage.machine.scan.held() <= 16_384 * 8, "{}", stage.machine.scan.held());
}

#[test]
fn no_answer_goes_to_a_client_that_may_no_longer_be_connected() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    stage.at_broker();
    let frame = message::response_frame(ApiKey::PRODUCE, 9, 1, &acknowledged("open")).into_bytes();
    stage.machine.from_broker.extend_from_slice(&frame);
    stage.policy("super_users: [\"User:alice\"]\n");
    assert_eq!(stage.machine.closing(), Some(CloseReason::SuperUserListener));
    stage.input(Input::Broker);
    assert!(stage.machine.to_client.is_empty());
}

#[test]
fn a_machine_that_is_to_finish_judges_nothing_more_and_comes_to_rest() {
    let mut stage = Stage::new(OPEN);
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], 1));
    stage.machine.finish();
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], 1));
    assert_eq!(stage.at_broker().len(), 1);
    assert!(!stage.machine.is_idle() && !stage.machine.wants_client());
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert_eq!(stage.at_client(ApiKey::PRODUCE, 9).len(), 1);
    assert!(stage.machine.is_idle());
}
