//! What is written of clients: valid JSON, whatever they call their things, and nothing in it that a terminal acts upon.

use crate::allocator::within;
use crate::input::Input;
use crate::stage;
use kordon::audit::event::{Aggregation, Authorization, ConnectionInfo, Matched, RequestMeta, Speaker};
use kordon::audit::origin::Origin;
use kordon::audit::{event, json as write};
use kordon::enforce::{Category, Names};
use kordon::model::{Operation, Principal, ResourceType, Subject, Timestamp};

fn some_text<'a>(input: &mut Input<'a>) -> std::borrow::Cow<'a, str> {
    let len = input.below(300);
    String::from_utf8_lossy(input.take(len))
}

/// Whether a terminal, a log viewer or a chat would act upon it.
fn acted_upon(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

pub(super) fn json(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut out = Vec::new();
    within(1024, 24, data.len(), || write::string(&mut out, &text));
    let read: String = serde_json::from_slice(&out).unwrap_or_else(|e| panic!("{e}: {text:?}"));
    assert_eq!(read, text);
    assert!(!std::str::from_utf8(&out).expect("it is text").chars().any(acted_upon), "{text:?}");
    let mut input = Input(data);
    let number = i64::from_be_bytes(std::array::from_fn(|_| input.byte()));
    let mut out = Vec::new();
    write::integer(&mut out, number);
    assert_eq!(out, number.to_string().as_bytes());
    let mut out = Vec::new();
    write::instant(&mut out, Timestamp(number));
    assert_eq!(out, format!("\"{}\"", Timestamp(number)).as_bytes());
}

pub(super) fn event(data: &[u8]) {
    let mut input = Input(data);
    let texts: Vec<_> = (0..6).map(|_| some_text(&mut input)).collect();
    let mut names = Names::default();
    while !input.is_empty() && names.len() < 300 {
        names.push(&some_text(&mut input));
    }
    if names.is_empty() {
        names.push("");
    }
    let origin = Origin::new(&texts[0], &texts[1], Timestamp(1), 7);
    let subject = Subject {
        principal: Principal::user(&texts[2]),
        groups: [texts[3].as_ref().into()].into(),
        may_merge: true,
        may_be_super: false,
    };
    let speaker = Speaker::new(&stage::connection(), Some(&subject));
    let matched = Matched { kind: "acl", id: &texts[4], allow: true, expires: Some(Timestamp(i64::MAX)) };
    let decided = Authorization {
        request: RequestMeta {
            api: "Produce",
            api_key: 0,
            api_version: 9,
            correlation_id: i32::MIN,
            client_id: Some(&texts[5]),
            software: Some((&texts[0], &texts[3])),
            number: u64::MAX,
        },
        category: Category::DataWrite,
        granted: false,
        operation: Operation::Write,
        kind: ResourceType::Topic,
        names: &names,
        right: None,
        matched: Some(matched),
        code: "no_match",
        reason: &texts[4],
        revision: &texts[1],
        probe: false,
        arguments: None,
    };
    let valid = |mut out: Vec<u8>| {
        origin.seal(&mut out, u64::MAX);
        let text = std::str::from_utf8(&out).expect("it is text").to_owned();
        assert!(!text.chars().any(acted_upon), "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    };
    let mut out = Vec::new();
    within(64 * 1024, 24, data.len(), || {
        event::authorization(&mut out, &origin, &speaker, &decided, Aggregation::one(Timestamp(5)), None)
    });
    valid(out);
    let mut out = Vec::new();
    let info = ConnectionInfo { action: "closed", reason: "internal", detail: Some(&texts[4]) };
    event::connection(&mut out, &origin, &speaker, Some(&subject.principal), &info, Timestamp(5));
    valid(out);
}
