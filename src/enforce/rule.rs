//! What a row of the table does with a request and with its answer.

use super::fetch::FetchPlan;
use super::judge::Judge;
use super::share_plan::SharePlan;
use crate::model::{CloseReason, TopicId};
use crate::policy::{AclChange, AclChanged, ChangeRefused, Permit};
use crate::wire::header::RequestHeader;
use crate::wire::{ApiKey, Node, View, WireError};

use bytes::Bytes;

/// A request as its rule sees it: header, scanned body, and the bytes for the rare path that edits them.
#[derive(Clone, Copy)]
pub struct Request<'s, 'b> {
    /// The header.
    pub header: &'b RequestHeader<'b>,
    /// The body, walked and found well-formed.
    pub view: View<'s, 'b>,
    /// The bytes of the body.
    pub body: &'b Bytes,
}

impl Request<'_, '_> {
    /// The body as an editable tree. Unknown tags are dropped.
    pub fn decode(&self) -> Node {
        Node::read(self.view, self.body)
    }

    /// The version of the request, and so of its answer.
    pub fn version(&self) -> i16 {
        self.header.version
    }
}

/// How a request is refused, answered or passed on.
pub trait Rule: Send + Sync {
    /// Judges a request: asks `judge` for every decision that Kafka's handler would ask its authorizer for.
    ///
    /// # Errors
    /// A body that cannot be read; the connection closes.
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError>;
}

/// What happens to a request.
pub enum Verdict {
    /// All of it is allowed: the very bytes go on.
    Forward(Permit, Then),
    /// A changed request goes on.
    Rewrite(Permit, Node, Then),
    /// Another request goes to the broker in its place: another version, or another API.
    Ask {
        /// Proof that what is asked was decided.
        permit: Permit,
        /// API.
        key: ApiKey,
        /// Version, one that the broker serves.
        version: i16,
        /// Body.
        body: Node,
        /// What is done with the answer; it makes the client's answer of it.
        then: Then,
    },
    /// The ACLs change; the answer is made when the change is in force. Nothing behind it is judged before that.
    Change {
        /// Proof that the change was decided.
        permit: Permit,
        /// What is asked for.
        change: AclChange,
        /// Makes the client's answer.
        then: Box<dyn Changing>,
    },
    /// It is answered here.
    Answer(Node),
    /// It asks for nothing and wants no answer: nothing happens.
    Silence,
    /// A topic id is unknown: look it up once, then judge again (`Judge::looked_up`). The zero id asks for every topic.
    Probe(Vec<TopicId>),
    /// The connection closes, after the answers that are due.
    Refuse(CloseReason),
}

/// What happens to the answer.
pub enum Then {
    /// It goes to the client as it arrives.
    Stream,
    /// There is none (acks=0).
    Nothing,
    /// There is none, and the connection closes once the request is with the broker.
    Close(CloseReason),
    /// A Fetch answer: streamed, judged again at its first byte, merged and rewritten on the way.
    Fetch(FetchPlan),
    /// A ShareFetch answer: as `Fetch`, and nothing behind it is written to the broker before it has begun.
    Share(SharePlan),
    /// It is gathered and looked at.
    Complete(Box<dyn Complete>),
    /// As `Complete`; and nothing behind this request is written to the broker before it is done, because it may ask again.
    Alone(Box<dyn Complete>),
}

/// Finishes an answer: filters, merges what was denied, rewrites addresses.
///
/// A state without fields costs no allocation in its box.
pub trait Complete: Send {
    /// A look at the bytes: `false` = they go to the client unchanged. The default wants every answer.
    fn wants(&self, answer: View<'_, '_>) -> bool {
        let _ = answer;
        true
    }

    /// Makes the client's answer of the broker's, by the snapshot in force now.
    fn complete(self: Box<Self>, answer: Node, judge: &mut Judge<'_>) -> Completed;
}

/// Makes the answer to a change.
pub trait Changing: Send {
    /// The client's answer, once it is known what came of the change.
    fn answer(self: Box<Self>, outcome: Result<AclChanged, ChangeRefused>) -> Node;
}

/// What comes of a broker's answer.
pub enum Completed {
    /// This goes to the client.
    Answer(Node),
    /// Ask the broker another thing first (only after [`Then::Alone`]); any API, the version is the proxy's to choose.
    Ask {
        /// Proof that what is asked was decided.
        permit: Permit,
        /// API.
        key: ApiKey,
        /// Version, one that the broker serves.
        version: i16,
        /// Body.
        body: Node,
        /// What is done with the answer.
        then: Box<dyn Complete>,
    },
    /// The connection closes.
    Close(CloseReason),
}
