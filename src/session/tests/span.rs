//! Sessions that end by the clock.

use super::*;

const END: i64 = 10_000;

fn stage() -> Stage {
    let mut stage = Stage::new(OPEN);
    stage.machine = stage.machine.lasting_until(Some(Timestamp(END)));
    assert_eq!(stage.machine.next_edge(), Some(Timestamp(END)));
    stage
}

#[test]
fn a_session_that_is_over_ends_at_once_where_nothing_is_unanswered() {
    let mut stage = stage();
    stage.wall = END - 1;
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), None);
    stage.wall = END;
    stage.input(Input::Tick);
    assert_eq!(stage.machine.closing(), Some(CloseReason::SessionExpired));
    assert!(stage.out.detail.take().unwrap().contains("max_session"));
}

#[test]
fn what_was_asked_in_time_is_answered_and_then_the_session_ends_without_another_word() {
    let mut stage = stage();
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    assert_eq!(stage.at_broker().len(), 1);
    stage.wall = END;
    stage.input(Input::Tick);
    assert_eq!((stage.machine.closing(), stage.machine.next_edge()), (None, None), "it is not waited for again");
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert_eq!(stage.at_client(ApiKey::PRODUCE, 9).len(), 1);
    assert_eq!(stage.machine.closing(), Some(CloseReason::SessionExpired));
}

#[test]
fn what_is_asked_when_the_session_is_over_never_reaches_a_broker() {
    let mut stage = stage();
    stage.ask(ApiKey::PRODUCE, 9, 1, &produce(&["open"], -1));
    assert_eq!(stage.at_broker().len(), 1);
    stage.wall = END;
    stage.ask(ApiKey::PRODUCE, 9, 2, &produce(&["open"], -1));
    assert!(stage.at_broker().is_empty());
    stage.broker(ApiKey::PRODUCE, 9, 1, &acknowledged("open"));
    assert_eq!(stage.at_client(ApiKey::PRODUCE, 9).len(), 1);
    assert_eq!(stage.machine.closing(), Some(CloseReason::SessionExpired));
    assert!(stage.out.detail.take().unwrap().contains("max_session"));
}
