//! FindCoordinator (API 10).
//!
//! Source: Kafka 4.1 `KafkaApis.handleFindCoordinatorRequest`, `.getCoordinator`,
//! `FindCoordinatorRequest.getErrorResponse`. A group needs DESCRIBE on it, a transactional id likewise; a share
//! coordinator CLUSTER_ACTION, without which every key fails. Error rows carry node -1, host "", port -1; from version
//! 4 on a denied key has the message "", a request that fails as a whole the default text.

use super::judge::Judge;
use super::rows::interleave;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::scrub::scrub;
use crate::model::{GroupId, Operation, TransactionalId};
use crate::policy::{Decision, Permit};
use crate::wire::schema::find_coordinator::request as req;
use crate::wire::schema::find_coordinator::response::{self as res, coordinator};
use crate::wire::{ApiKey, ErrorCode, Field, Node, Value, View, WireError};

/// The rule of FindCoordinator.
pub(super) struct FindCoordinator;

const NO_NODE: i32 = -1;
const NO_PORT: i32 = -1;

/// What a key names (`CoordinatorType`).
#[derive(Copy, Clone)]
enum Kind {
    Group,
    Transaction,
    Share,
}

impl Kind {
    fn of(id: i8) -> Option<Self> {
        match id {
            0 => Some(Self::Group),
            1 => Some(Self::Transaction),
            2 => Some(Self::Share),
            _ => None,
        }
    }

    fn decide(self, key: &str, judge: &mut Judge<'_>) -> Decision {
        match self {
            Self::Group => judge.decide(Operation::Describe, GroupId(key)),
            Self::Transaction => judge.decide(Operation::Describe, TransactionalId(key)),
            Self::Share => judge.cluster(Operation::ClusterAction),
        }
    }

    fn denial(self) -> ErrorCode {
        match self {
            Self::Group => ErrorCode::GROUP_AUTHORIZATION_FAILED,
            Self::Transaction => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            Self::Share => ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        }
    }
}

impl Rule for FindCoordinator {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        let Some(kind) = Kind::of(view.i8(req::KEY_TYPE)) else {
            // As a live Kafka 4.3.1 does.
            return Ok(Verdict::Answer(failed(view, ErrorCode::INVALID_REQUEST)));
        };
        if !view.has(req::COORDINATOR_KEYS) {
            return Ok(single(view, kind, judge));
        }
        match kind {
            Kind::Share => Ok(share(request, judge)),
            Kind::Group | Kind::Transaction => batch(request, kind, judge),
        }
    }
}

fn single(view: View<'_, '_>, kind: Kind, judge: &mut Judge<'_>) -> Verdict {
    if matches!(kind, Kind::Share) {
        return Verdict::Answer(failed(view, ErrorCode::INVALID_REQUEST));
    }
    match kind.decide(view.str(req::KEY), judge).permit() {
        Some(permit) => Verdict::Forward(permit, Then::Complete(Box::new(Addresses { denied: Vec::new() }))),
        None => Verdict::Answer(failed(view, kind.denial())),
    }
}

/// A share coordinator's keys name partitions (`group:topicId:partition`); the demand is on the cluster alone.
fn share(request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Verdict {
    let view = request.view;
    if request.version() < 6 {
        let mut answer = Node::response(ApiKey::FIND_COORDINATOR);
        for key in view.strs(req::COORDINATOR_KEYS) {
            let row = row(&answer, key, ErrorCode::INVALID_REQUEST, "");
            answer.push(res::COORDINATORS, row);
        }
        return Verdict::Answer(answer);
    }
    match Kind::Share.decide("", judge).permit() {
        Some(permit) => Verdict::Forward(permit, Then::Complete(Box::new(Addresses { denied: Vec::new() }))),
        None => Verdict::Answer(failed(view, Kind::Share.denial())),
    }
}

fn batch(request: &Request<'_, '_>, kind: Kind, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
    let mut answer = Node::response(ApiKey::FIND_COORDINATOR);
    let mut permit: Option<Permit> = None;
    let (mut kept, mut denied) = (Vec::new(), Vec::new());
    for (place, key) in request.view.strs(req::COORDINATOR_KEYS).enumerate() {
        match kind.decide(key, judge).permit() {
            Some(allowed) => {
                permit = Some(allowed);
                kept.push(Value::from(key));
            }
            None => denied.push((place, row(&answer, key, kind.denial(), ""))),
        }
    }
    let Some(permit) = permit else {
        answer.nodes_mut(res::COORDINATORS).extend(denied.into_iter().map(|(_, row)| row));
        return Ok(Verdict::Answer(answer));
    };
    if denied.is_empty() {
        return Ok(Verdict::Forward(permit, Then::Complete(Box::new(Addresses { denied }))));
    }
    let node = request.decode().with(req::COORDINATOR_KEYS, kept);
    Ok(Verdict::Rewrite(permit, node, Then::Complete(Box::new(Addresses { denied }))))
}

/// The answer in which the request as a whole, or every key of it, has failed.
fn failed(view: View<'_, '_>, error: ErrorCode) -> Node {
    let mut answer = Node::response(ApiKey::FIND_COORDINATOR);
    if view.has(req::COORDINATOR_KEYS) {
        for key in view.strs(req::COORDINATOR_KEYS) {
            let row = row(&answer, key, error, error.message());
            answer.push(res::COORDINATORS, row);
        }
        return answer;
    }
    answer.set(res::ERROR_CODE, error);
    answer.set(res::ERROR_MESSAGE, error.message());
    answer.set(res::NODE_ID, NO_NODE);
    answer.set(res::PORT, NO_PORT);
    answer
}

fn row(answer: &Node, key: &str, error: ErrorCode, message: &str) -> Node {
    answer
        .child(res::COORDINATORS)
        .with(coordinator::KEY, key)
        .with(coordinator::NODE_ID, NO_NODE)
        .with(coordinator::PORT, NO_PORT)
        .with(coordinator::ERROR_CODE, error)
        .with(coordinator::ERROR_MESSAGE, message)
}

/// Puts told addresses in, and the denied keys back in their places.
struct Addresses {
    denied: Vec<(usize, Node)>,
}

/// The fields of one address; they stand at the top level or in a row.
struct Fields {
    node: Field,
    host: Field,
    port: Field,
    error: Field,
    message: Field,
}

const TOP: Fields = Fields {
    node: res::NODE_ID,
    host: res::HOST,
    port: res::PORT,
    error: res::ERROR_CODE,
    message: res::ERROR_MESSAGE,
};
const ROW: Fields = Fields {
    node: coordinator::NODE_ID,
    host: coordinator::HOST,
    port: coordinator::PORT,
    error: coordinator::ERROR_CODE,
    message: coordinator::ERROR_MESSAGE,
};

impl Complete for Addresses {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        scrub(&mut answer);
        rewrite(&mut answer, &TOP, judge);
        for row in answer.nodes_mut(res::COORDINATORS) {
            rewrite(row, &ROW, judge);
        }
        interleave(answer.nodes_mut(res::COORDINATORS), self.denied);
        Completed::Answer(answer)
    }
}

/// An address of a broker becomes the told one. A broker without one cannot be reached by this client: the coordinator
/// is not available to it (retriable).
fn rewrite(node: &mut Node, fields: &Fields, judge: &mut Judge<'_>) {
    let absent = node.int(fields.node) < 0 || (node.int(fields.error) == 0 && node.str(fields.host).is_empty());
    if absent || judge.rewrite_address(node, fields.node, fields.host, fields.port) {
        return;
    }
    let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    node.set(fields.node, NO_NODE);
    node.set(fields.host, "");
    node.set(fields.port, NO_PORT);
    node.set(fields.error, error);
    node.set(fields.message, error.message());
}

#[cfg(test)]
mod tests;
