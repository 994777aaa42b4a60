//! A rule in place of a broker: a request goes in and its answer comes out, both in the form that they have on the wire.

use kordon::enforce::memory::Memory;
use kordon::enforce::{Context, Judge, Request, Routes, Topology, Trail, Verdict, table};
use kordon::model::{Connection, Host, Subject, Timestamp};
use kordon::policy::Snapshot;
use kordon::wire::header::request_header;
use kordon::wire::message::{decode_response, request_frame, response_frame};
use kordon::wire::{ApiKey, Node, Scan, api};
use std::sync::Arc;

/// What `answer` makes of the verdict on this request, in a cluster of which nothing is known yet.
pub fn judged(
    snapshot: &Arc<Snapshot>,
    subject: &Subject,
    mechanism: &'static str,
    (key, version): (ApiKey, i16),
    request: &Node,
    answer: impl FnOnce(Verdict) -> Option<Node>,
) -> Option<Node> {
    let connection = Connection {
        session_id: "s-1".into(),
        listener: "test".into(),
        host: Host::new([127, 0, 0, 1].into()),
        port: 1,
        mechanism: mechanism.into(),
        broker: Some(1),
        relayed: false,
    };
    let (topology, routes) = (Topology::default(), Routes::default());
    let cx =
        Context { snapshot, subject, connection: &connection, topology: &topology, routes: &routes, now: Timestamp(0) };
    let frame = request_frame(key, version, 1, None, request).into_bytes().slice(4..);
    let header = request_header(&frame).unwrap();
    let body = frame.slice(header.len..);
    let mut scan = Scan::new();
    let view = scan.read(api(key).unwrap().request, version, &body).unwrap();
    let (mut memory, mut trail, mut unmapped) = (Memory::default(), Trail::default(), Vec::new());
    let mut judge = Judge::new(cx, key, &mut memory, &mut trail, &mut unmapped, true);
    let row = table::find(key).unwrap();
    let answer = answer(row.rule.judge(&Request { header: &header, view, body: &body }, &mut judge).unwrap())?;
    let frame = response_frame(key, version, 1, &answer).into_bytes().slice(4..);
    Some(decode_response(key, version, &frame).unwrap().1)
}
