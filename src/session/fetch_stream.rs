//! A Fetch or ShareFetch answer too large to hold, changed on its way through: refused partitions are added at the end of the array,
//! the frame's length and the array's count say so in advance, and the addresses behind the records are replaced in
//! exactly the bytes they had (clarifications 4.1).

use super::outbox::Outbox;
use crate::enforce::Routes;
use crate::wire::frame::SIZE_LEN;
use crate::wire::schema::{Field, MessageDef, fetch, share_fetch};
use crate::wire::stream::{Event, StreamWalker, write_count, write_element};
use crate::wire::{ApiKey, Node, Rope, WireError, tail};
use bytes::{BufMut as _, Bytes, BytesMut};
use std::sync::Arc;

/// The most that may stand behind the records: addresses of some hundred brokers take a few KiB.
const MAX_TAIL: usize = 1024 * 1024;

/// Where the parts stand in one of the two answers that are streamed.
pub(super) struct Shape {
    key: ApiKey,
    responses: Field,
    endpoints: Field,
    /// Where what is behind the records begins.
    tail: tail::From,
    id: Field,
    host: Field,
    port: Field,
    first_endpoints_version: i16,
}

/// Fetch: the addresses are a tag.
pub(super) static FETCH: Shape = {
    use fetch::response::{self as res, node_endpoint};
    Shape {
        key: ApiKey::FETCH,
        responses: res::RESPONSES,
        endpoints: res::NODE_ENDPOINTS,
        tail: tail::From::Tags,
        id: node_endpoint::NODE_ID,
        host: node_endpoint::HOST,
        port: node_endpoint::PORT,
        first_endpoints_version: super::fetch_answer::FIRST_ENDPOINTS_VERSION,
    }
};

/// ShareFetch: the addresses are an ordinary array.
pub(super) static SHARE_FETCH: Shape = {
    use share_fetch::response::{self as res, node_endpoint};
    Shape {
        key: ApiKey::SHARE_FETCH,
        responses: res::RESPONSES,
        endpoints: res::NODE_ENDPOINTS,
        tail: tail::From::Field(res::NODE_ENDPOINTS),
        id: node_endpoint::NODE_ID,
        host: node_endpoint::HOST,
        port: node_endpoint::PORT,
        first_endpoints_version: 0,
    }
};

/// The state of such an answer.
pub(super) struct FetchStream {
    shape: &'static Shape,
    walker: StreamWalker,
    def: &'static MessageDef,
    version: i16,
    /// Bytes of the frame without its length, of which `header` come before the body.
    size: usize,
    header: usize,
    /// Everything up to and with the count of the array, until that count is known.
    head: Option<BytesMut>,
    denied: Vec<Node>,
    added: Rope,
    routes: Arc<Routes>,
    in_tail: bool,
    /// Brokers that were left out for want of an address.
    pub(super) unmapped: Vec<i32>,
}

impl FetchStream {
    /// Begins with an answer of which nothing was taken from the broker's bytes.
    pub(super) fn new(
        shape: &'static Shape,
        size: usize,
        header: usize,
        version: i16,
        denied: Vec<Node>,
        routes: &Arc<Routes>,
    ) -> Result<Self, WireError> {
        let def = shape.key.response_def()?;
        let mut added = Rope::new();
        for topic in &denied {
            write_element(def, version, shape.responses, topic, &mut added);
        }
        Ok(Self {
            shape,
            walker: StreamWalker::new(def, version, size.saturating_sub(header))?,
            def,
            version,
            size,
            header,
            head: Some(BytesMut::new()),
            denied,
            added,
            routes: Arc::clone(routes),
            in_tail: false,
            unmapped: Vec::new(),
        })
    }

    pub(super) fn request(&self) -> (ApiKey, i16) {
        (self.shape.key, self.version)
    }

    /// Takes what has arrived; `true` once the answer is complete.
    pub(super) fn take(&mut self, from: &mut BytesMut, to: &mut Outbox) -> Result<bool, WireError> {
        if let Some(head) = &mut self.head
            && head.is_empty()
        {
            // The caller has seen the head; the walker begins behind it.
            let start = (SIZE_LEN + self.header).min(from.len());
            head.extend_from_slice(&from.split_to(start));
        }
        loop {
            if self.in_tail {
                return self.take_tail(from, to);
            }
            let progress = self.walker.feed(from)?;
            let taken = from.split_to(progress.used).freeze();
            match &mut self.head {
                Some(head) => head.extend_from_slice(&taken),
                None => to.push(taken),
            }
            match progress.event {
                Some(Event::ArrayCount { field, at, count }) if field == self.shape.responses => {
                    self.write_head(at.len(), count.unwrap_or(0), to);
                }
                Some(Event::ArrayEnd { field, .. }) if field == self.shape.responses => {
                    to.push_rope(std::mem::replace(&mut self.added, Rope::new()));
                }
                Some(Event::ArrayStart { field, .. }) if self.shape.tail == tail::From::Field(field) => {
                    self.in_tail = true
                }
                Some(Event::Tags { .. }) => self.in_tail = true,
                Some(Event::End) => return Ok(true),
                Some(Event::ArrayStart { .. } | Event::ArrayCount { .. } | Event::ArrayEnd { .. }) => {}
                None => return Ok(false),
            }
        }
    }

    /// Writes the frame's length, the head and the new count.
    fn write_head(&mut self, old_count: usize, count: usize, to: &mut Outbox) {
        let Some(mut head) = self.head.take() else { return };
        let mut new_count = Rope::new();
        write_count(self.def, self.version, self.shape.responses, count + self.denied.len(), &mut new_count);
        let size = self.size + self.added.len() + new_count.len() - old_count;
        head.truncate(head.len().saturating_sub(old_count));
        let mut out = BytesMut::with_capacity(head.len());
        // A frame of more than 2 GiB cannot have come from a broker.
        out.put_i32(i32::try_from(size).unwrap_or(i32::MAX));
        out.extend_from_slice(head.get(SIZE_LEN..).unwrap_or_default());
        to.push(out.freeze());
        to.push_rope(new_count);
    }

    fn take_tail(&mut self, from: &mut BytesMut, to: &mut Outbox) -> Result<bool, WireError> {
        let left = self.size - self.header - self.walker.at();
        if left > MAX_TAIL {
            return Err(WireError::PeerSentTrailingBytes { at: self.walker.at(), count: left });
        }
        if from.len() < left {
            return Ok(false);
        }
        let old = from.split_to(left).freeze();
        to.push(self.rewritten(&old)?);
        Ok(true)
    }

    /// What is behind the records with told addresses, in the bytes it had; without any address where they do not fit.
    fn rewritten(&mut self, old: &Bytes) -> Result<Bytes, WireError> {
        let shape = self.shape;
        let mut node = tail::read(self.def, self.version, shape.tail, old)?;
        if self.version < shape.first_endpoints_version {
            return Ok(old.clone());
        }
        let (routes, unmapped) = (&self.routes, &mut self.unmapped);
        node.nodes_mut(shape.endpoints).retain_mut(|endpoint| {
            let id = endpoint.i32(shape.id);
            match routes.address(id) {
                Some((host, port)) => {
                    endpoint.set(shape.host, &*host);
                    endpoint.set(shape.port, port);
                    true
                }
                None => {
                    unmapped.push(id);
                    false
                }
            }
        });
        if let Some(bytes) = tail::write(self.def, self.version, shape.tail, &node, old.len()) {
            return Ok(bytes);
        }
        node.nodes_mut(shape.endpoints).clear();
        // What cannot even be filled up is as short as without any address: there was none in it.
        Ok(tail::write(self.def, self.version, shape.tail, &node, old.len()).unwrap_or_else(|| old.clone()))
    }
}
