//! DescribeClientQuotas (API 48), AlterClientQuotas (API 49).
//!
//! Source: Kafka 4.1 `KafkaApis.handleDescribeClientQuotasRequest`: DESCRIBE_CONFIGS on the cluster, or the whole answer
//! fails with 31, no text, entries null. `ControllerApis.handleAlterClientQuotas`: ALTER_CONFIGS on the cluster, or every
//! entry fails with 31 and its default text, the entity echoed.
//!
//! Who describes the cluster by `ClusterRead` is not shown which users there are: of quotas of users only the default and his
//! own (threat 36).
//!
//! A quota can mute the proxy's own connections, and with them audit, policy state and every client (threat 18): so
//! nobody sets, through the proxy, a quota that its own traffic falls under. That is one of its users at the brokers, of the
//! client id of its own requests, of the default of either, or of an IP address: to the brokers all who come through the
//! proxy have its address, and which that is a network in between decides. Those entries fail with 31; the others are served.
//! What of those has a fault of form (42) only the broker knows, which looks up names of hosts too: such an entry goes to it
//! with nothing to change, so that nothing can take effect, and is told 31 if the broker finds no fault.

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::rows::interleave;
use super::rule::{Complete, Completed, Request, Rule, Then, Verdict};
use super::scrub::{Scrub, scrub};
use crate::model::{Operation, Resource};
use crate::policy::{Decision, ReasonCode};
use crate::wire::schema::alter_client_quotas::request::{self as req, entity_data, entry_data, op_data};
use crate::wire::schema::alter_client_quotas::response::{
    self as res, entity_data as res_entity, entry_data as res_entry,
};
use crate::wire::schema::describe_client_quotas::response::{
    self as list, entity_data as list_entity, entry_data as list_entry,
};
use crate::wire::{ApiKey, ErrorCode, Field, Node, Value, View, WireError};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashMap, HashSet};

/// `ClientQuotaEntity.USER`.
const USER: &str = "user";
/// `ClientQuotaEntity.CLIENT_ID`.
const CLIENT: &str = "client-id";
/// `ClientQuotaEntity.IP`.
const ADDRESS: &str = "ip";

const DENIED: ErrorCode = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;

/// The rule of DescribeClientQuotas.
pub(super) struct DescribeClientQuotas;

impl Rule for DescribeClientQuotas {
    fn judge(&self, _: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let decision = judge.cluster(Operation::DescribeConfigs);
        let limited = decision.is_limited_to_names();
        Ok(match decision.permit() {
            Some(permit) if limited => Verdict::Forward(permit, Then::Complete(Box::new(HideUsers))),
            Some(permit) => Verdict::Forward(permit, Scrub::then()),
            None => Verdict::Answer(
                Node::response(ApiKey::DESCRIBE_CLIENT_QUOTAS)
                    .with(list::ERROR_CODE, DENIED)
                    .with(list::ERROR_MESSAGE, Value::Null)
                    .with(list::ENTRIES, Value::Null),
            ),
        })
    }
}

/// Takes out quotas of users other than the caller.
struct HideUsers;

impl Complete for HideUsers {
    fn complete(self: Box<Self>, mut answer: Node, judge: &mut Judge<'_>) -> Completed {
        let caller = judge.cx.subject.principal.name();
        if !answer.is_null(list::ENTRIES) {
            answer.nodes_mut(list::ENTRIES).retain(|entry| {
                let parts = entry.nodes(list_entry::ENTITY).iter();
                let mut users = parts.filter(|part| part.str(list_entity::ENTITY_TYPE) == USER);
                users.all(|user| user.opt_str(list_entity::ENTITY_NAME).is_none_or(|name| name == caller))
            });
        }
        scrub(&mut answer);
        Completed::Answer(answer)
    }
}

/// The rule of AlterClientQuotas.
pub(super) struct AlterClientQuotas;

impl Rule for AlterClientQuotas {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        let view = request.view;
        judge.arguments(arguments(view));
        let mut node = request.decode();
        let decision = judge.weigh(Operation::AlterConfigs, Resource::CLUSTER);
        let permit = decision.permit();
        let mut refused: Vec<(usize, Node)> = Vec::new();
        let mut doubtful: HashMap<usize, Vec<Node>> = HashMap::new();
        for (place, (entry, asked)) in view.items(req::ENTRIES).zip(node.nodes(req::ENTRIES)).enumerate() {
            if permit.is_none() {
                refused.push((place, row(asked)));
            } else if reaches_proxy(entry, judge) {
                match harmless(entry) {
                    Some(ops) => drop(doubtful.insert(place, ops)),
                    None => refused.push((place, row(asked))),
                }
            }
        }
        let nothing_left = !refused.is_empty() && refused.len() == view.items(req::ENTRIES).len();
        // Where all of it is the proxy's own, nothing is granted.
        if permit.is_none() || !nothing_left {
            judge.note(Operation::AlterConfigs, Resource::CLUSTER, &decision);
        }
        let Some(permit) = permit.filter(|_| !nothing_left) else {
            let rows: Vec<Node> = refused.into_iter().map(|(_, row)| row).collect();
            return Ok(Verdict::Answer(Node::response(ApiKey::ALTER_CLIENT_QUOTAS).with(res::ENTRIES, rows)));
        };
        if refused.is_empty() && doubtful.is_empty() {
            return Ok(Verdict::Forward(permit, Scrub::then()));
        }
        let mut denied = HashSet::new();
        for (place, entry) in node.nodes_mut(req::ENTRIES).iter_mut().enumerate() {
            if let Some(ops) = doubtful.remove(&place) {
                denied.insert(entity(
                    entry.nodes(entry_data::ENTITY),
                    entity_data::ENTITY_TYPE,
                    entity_data::ENTITY_NAME,
                ));
                entry.set(entry_data::OPS, ops);
            }
        }
        let places: HashSet<usize> = refused.iter().map(|(place, _)| *place).collect();
        let mut place = 0..;
        node.nodes_mut(req::ENTRIES).retain(|_| place.next().is_some_and(|place| !places.contains(&place)));
        Ok(Verdict::Rewrite(permit, node, Then::Complete(Box::new(Merge { refused, denied }))))
    }
}

/// Whether the proxy's own traffic could fall under a quota of this entity; it is then recorded as refused.
fn reaches_proxy(entry: View<'_, '_>, judge: &mut Judge<'_>) -> bool {
    let (mut user, mut client, mut address) = (None, None, false);
    for part in entry.items(entry_data::ENTITY) {
        let name = part.opt_str(entity_data::ENTITY_NAME);
        match part.str(entity_data::ENTITY_TYPE) {
            USER => user = Some(name),
            CLIENT => client = Some(name),
            ADDRESS => address = true,
            // Brokers refuse any other.
            _ => {}
        }
    }
    let own = &judge.cx.topology.own;
    let reaches = match (user, client) {
        // A quota of a user goes before one of his client id: whatever the client id, it is the proxy's user.
        (Some(user), _) => user.is_none_or(|name| own.has_user(name)),
        (None, Some(client)) => client.is_none_or(|id| *own.client_id == *id),
        (None, None) => false,
    };
    if reaches || address {
        let refusal = Decision::refused(ReasonCode::Protected, judge.cx.now);
        judge.note(Operation::AlterConfigs, Resource::CLUSTER, &refusal);
    }
    reaches || address
}

/// An entity as brokers read it: of a type that is named twice, the last.
type Entity = BTreeMap<String, Option<String>>;

fn entity(parts: &[Node], kind: Field, name: Field) -> Entity {
    parts.iter().map(|part| (part.str(kind).to_owned(), part.opt_str(name).map(str::to_owned))).collect()
}

/// What stands for the changes of an entry that may be malformed, and changes nothing; none if the form of the entity is
/// right.
fn harmless(entry: View<'_, '_>) -> Option<Vec<Node>> {
    let (mut address, mut others, mut faulty) = (false, false, false);
    for part in entry.items(entry_data::ENTITY) {
        let name = part.opt_str(entity_data::ENTITY_NAME);
        faulty |= name == Some("");
        match part.str(entity_data::ENTITY_TYPE) {
            USER | CLIENT => others = true,
            ADDRESS => {
                address = true;
                faulty |= name.is_some_and(|name| !is_address(name));
            }
            _ => faulty = true,
        }
    }
    let mut keys = HashSet::new();
    let twice = entry.items(entry_data::OPS).any(|op| !keys.insert(op.str(op_data::KEY)));
    // No quota has this key: there is nothing to remove.
    let nothing = || Node::new(&op_data::THIS).with(op_data::KEY, "").with(op_data::REMOVE, true);
    match (twice, faulty || (address && others)) {
        (true, _) => Some(vec![nothing(), nothing()]),
        (false, true) => Some(Vec::new()),
        (false, false) => None,
    }
}

/// Whether brokers take it for an address without looking it up.
fn is_address(name: &str) -> bool {
    name.contains(':') || name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn row(asked: &Node) -> Node {
    let mut row = Node::new(&res_entry::THIS)
        .with(res_entry::ERROR_CODE, DENIED)
        .with(res_entry::ERROR_MESSAGE, DENIED.message());
    for part in asked.nodes(entry_data::ENTITY) {
        let echoed = Node::new(&res_entity::THIS)
            .with(res_entity::ENTITY_TYPE, part.value(entity_data::ENTITY_TYPE).clone())
            .with(res_entity::ENTITY_NAME, part.value(entity_data::ENTITY_NAME).clone());
        row.push(res_entry::ENTITY, echoed);
    }
    row
}

fn arguments(view: View<'_, '_>) -> String {
    let mut bounded = Bounded::default();
    let entries = bounded.take(view.items(req::ENTRIES), |entry, bounded| {
        let entity = bounded.take(entry.items(entry_data::ENTITY), |part, _| {
            // Null is the default of all.
            json!({
                "type": text(part.str(entity_data::ENTITY_TYPE)),
                "name": part.opt_str(entity_data::ENTITY_NAME).map(text),
            })
        });
        let ops = bounded.take(entry.items(entry_data::OPS), |op, _| {
            let value = if op.bool(op_data::REMOVE) { Json::Null } else { op.f64(op_data::VALUE).into() };
            json!({ "key": text(op.str(op_data::KEY)), "value": value })
        });
        json!({ "entity": entity, "ops": ops })
    });
    bounded.object([("entries", entries), ("validateOnly", view.bool(req::VALIDATE_ONLY).into())])
}

/// Puts the refused entries back in their places.
struct Merge {
    refused: Vec<(usize, Node)>,
    /// Entities that the broker was asked about without anything to change.
    denied: HashSet<Entity>,
}

impl Complete for Merge {
    fn complete(self: Box<Self>, mut answer: Node, _: &mut Judge<'_>) -> Completed {
        let rows = if self.denied.is_empty() { &mut [] } else { answer.nodes_mut(res::ENTRIES).as_mut_slice() };
        for row in rows {
            let of = entity(row.nodes(res_entry::ENTITY), res_entity::ENTITY_TYPE, res_entity::ENTITY_NAME);
            if row.int(res_entry::ERROR_CODE) == 0 && self.denied.contains(&of) {
                row.set(res_entry::ERROR_CODE, DENIED);
                row.set(res_entry::ERROR_MESSAGE, DENIED.message());
            }
        }
        interleave(answer.nodes_mut(res::ENTRIES), self.refused);
        scrub(&mut answer);
        Completed::Answer(answer)
    }
}

#[cfg(test)]
mod tests;
