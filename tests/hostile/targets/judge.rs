//! Whole requests through the session: every API, every version, six policies, and the broker's answers to them.

use super::wire::{subject, well_formed_node};
use crate::allocator::within;
use crate::input::{Input, damage};
use crate::messages::{Style, Subject, message};
use crate::stage::{self, LIMITS, POLICIES, Stage, drain, forbidden, frames, tame};
use bytes::Bytes;
use kordon::enforce::{DurableToken, table};
use kordon::session;
use kordon::wire::header::request_header;
use kordon::wire::schema::produce;
use kordon::wire::{ApiKey, Scan, api, message as frame};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::sync::Arc;

/// What a machine, its books and an answer made of nothing take.
const FLAT: usize = 256 * 1024;
/// A byte of a request can become an element of an answer; a byte of an answer a tree with the fields of all versions.
const PER_BYTE: usize = 4096;
/// The number of every request here.
const ID: i32 = 7;

/// What is known of one exchange.
struct Exchange {
    stage: Stage,
    policy: usize,
    seed: u64,
    /// The number of the request, which may be damaged.
    id: i32,
    /// Whether the broker's answers are damaged.
    harm: bool,
    bytes: usize,
}

pub(super) fn judge(data: &[u8]) {
    let mut input = Input(data);
    let policy = input.below(POLICIES.len());
    let asked = Subject { response: false, ..subject(&mut input) };
    let (seed, flags) = (u64::from(input.u32()), input.byte());
    let mut node = well_formed_node(asked, &mut input);
    tame(&mut node, &mut StdRng::seed_from_u64(seed));
    let client_id = (flags & 1 == 0).then_some("fuzz");
    let mut bytes =
        frame::request_frame(asked.api.key, asked.version, ID, client_id, &node).into_bytes().split_off(4).to_vec();
    let plan = usize::from(input.byte() % 6);
    damage(&mut bytes, &mut input, plan);
    let readable = readable(&bytes);
    let id = bytes.get(4..).and_then(|rest| rest.first_chunk()).map_or(0, |id| i32::from_be_bytes(*id));
    let mut whole = (bytes.len() as i32).to_be_bytes().to_vec();
    whole.extend_from_slice(&bytes);

    let mut stage = Stage::new(policy, LIMITS);
    stage.book.token = (flags & 2 != 0).then_some(5);
    let mut exchange = Exchange { stage, policy, seed, id, harm: flags & 4 != 0, bytes: whole.len() };
    let size = whole.len();
    let result = within(FLAT, PER_BYTE, size, || exchange.stage.client(&whole));
    assert_eq!(result, Ok(()), "a client cannot make the broker look guilty");
    exchange.play(readable, &mut input);
}

/// API and version of a request that every strict reader reads.
fn readable(frame: &[u8]) -> Option<(ApiKey, i16)> {
    let header = request_header(frame).ok()?;
    let body = Bytes::copy_from_slice(frame.get(header.len..)?);
    let mended = kordon::enforce::quirks::mended(&header, &body);
    let read =
        Scan::new().read(header.key.request_def().ok()?, header.version, mended.as_ref().unwrap_or(&body)).is_ok();
    read.then_some((header.key, header.version))
}

impl Exchange {
    /// Plays the cluster, the audit and the broker until nothing more is asked.
    fn play(mut self, readable: Option<(ApiKey, i16)>, input: &mut Input<'_>) {
        let (mut to_client, mut silent) = (Vec::new(), false);
        for _ in 0..20 {
            if !self.stage.out.lookups.is_empty() {
                self.stage.out.lookups.clear();
                let topology = Arc::clone(&stage::world_of(self.policy).topology);
                self.stage.input(session::Input::LookedUp(topology)).expect("nothing came from the broker");
            }
            if let Some(token) = self.stage.book.token.take() {
                self.stage.input(session::Input::Durable(DurableToken(token))).expect("nothing came from the broker");
            }
            if let Some(change) = self.stage.out.change.take() {
                let outcome = stage::changed(change, !self.seed.is_multiple_of(3));
                self.stage.input(session::Input::Changed(outcome)).expect("nothing came from the broker");
            }
            let mut sent = drain(&mut self.stage.machine.to_broker, usize::MAX);
            let requests = frames(&mut sent);
            assert!(sent.is_empty(), "half a request was written");
            assert!(requests.len() <= 1, "one request became {}", requests.len());
            assert!(requests.is_empty() || readable.is_some(), "forwarded what cannot be read");
            to_client.extend(drain(&mut self.stage.machine.to_client, usize::MAX));
            let Some(request) = requests.first() else { break };
            let (header, node) = frame::decode_request(request).expect("what is written can be read");
            let view_tags = {
                let mut scan = Scan::new();
                let body = request.slice(header.len..);
                scan.read(header.key.request_def().unwrap(), header.version, &body).unwrap().unknown_tags()
            };
            assert!(!header.unknown_tags && !view_tags, "unknown tags were passed on");
            assert_eq!(header.correlation_id, self.id);
            assert_eq!(forbidden(self.policy, header.key, &node), None, "{} v{}: {node:?}", header.key, header.version);
            silent = header.key == ApiKey::PRODUCE && node.i16(produce::request::ACKS) == 0;
            if silent {
                continue;
            }
            if !self.answer(header.key, header.version, input) {
                return;
            }
        }
        to_client.extend(drain(&mut self.stage.machine.to_client, usize::MAX));
        let answers = frames(&mut to_client);
        let closing = self.stage.machine.closing();
        if closing.is_some() {
            assert!(answers.len() <= 1 && to_client.is_empty());
            return;
        }
        let (key, version) = readable.unwrap_or((ApiKey::API_VERSIONS, 0));
        if self.harm {
            assert!(answers.len() <= 1, "more answers than requests");
            return;
        }
        silent |= key == ApiKey::PRODUCE && answers.is_empty();
        assert_eq!(
            (answers.len(), to_client.len()),
            (usize::from(!silent), 0),
            "{key} v{version}: one answer for one request"
        );
        assert!(self.stage.machine.is_idle(), "{key} v{version} waits for nothing");
        for answer in answers {
            let decoded = frame::decode_response(key, version, &answer).map(|(id, _)| id);
            let unsupported = key == ApiKey::API_VERSIONS && table::row_of(key, version).is_err();
            assert!(decoded == Ok(self.id) || unsupported, "{key} v{version}: {decoded:?}");
        }
    }

    /// Answers as a broker would, or nearly. `false`: the connection ended.
    fn answer(&mut self, key: ApiKey, version: i16, input: &mut Input<'_>) -> bool {
        let subject = Subject { api: api(key).unwrap(), response: true, version };
        let style = if self.seed.is_multiple_of(5) { Style::Full } else { Style::Random };
        let mut node = message(subject, style, self.seed);
        tame(&mut node, &mut StdRng::seed_from_u64(self.seed));
        let mut answer = frame::response_frame(key, version, self.id, &node).into_bytes().to_vec();
        if self.harm {
            let size = answer.len();
            damage(&mut answer, input, 4);
            // Mostly damage behind the size, which is a fault of its own.
            if input.byte() & 3 != 0 {
                let rest = answer.split_off(4.min(answer.len()));
                answer = (rest.len() as i32).to_be_bytes().to_vec();
                answer.extend(rest);
            }
            self.bytes += size;
        }
        self.bytes += answer.len();
        let cut = input.u16() % answer.len().max(1);
        for piece in [&answer[..cut], &answer[cut..]] {
            let bytes = self.bytes;
            let result = within(FLAT, PER_BYTE, bytes, || self.stage.broker(piece));
            if let Err(error) = result {
                assert!(self.harm, "{key} v{version}: {error}: {node:?}");
                return false;
            }
        }
        true
    }
}
