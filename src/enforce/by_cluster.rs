//! UpdateFeatures (API 57), UnregisterBroker (64), AddRaftVoter (80), RemoveRaftVoter (81), UnregisterController (94): one
//! question about the cluster, and nothing in the request that names a resource.
//!
//! Source: Kafka 4.1 `ControllerApis.handleUpdateFeatures`, `.handleUnregisterBroker`, `.handleAddRaftVoter`,
//! `.handleRemoveRaftVoter`; KIP-1073 for the controller: ALTER on the cluster, or the whole answer fails with 31. Where
//! Kafka's text is a dump of its request object, this says the error's own.
//!
//! AddRaftVoter with a listener whose name is blank ends the process of a controller (4.3.1: `ListenerName.normalised` throws
//! within `KafkaRaftClient.handleAddVoterRequest`, and the fault handler exits), so such a request does not go on.

use super::arguments::{Bounded, text};
use super::judge::Judge;
use super::rule::{Request, Rule, Verdict};
use super::scrub::Scrub;
use crate::model::Operation;
use crate::wire::schema::{
    add_raft_voter, remove_raft_voter, unregister_broker, unregister_controller, update_features,
};
use crate::wire::{ApiKey, ErrorCode, Field, Node, View, WireError};
use serde_json::{Value as Json, json};

/// The rule of an API that changes the cluster as a whole.
pub(super) struct ByCluster {
    key: ApiKey,
    error: Field,
    message: Field,
    /// What is wrong with a request that no controller may see.
    fault: fn(View<'_, '_>) -> Option<&'static str>,
    arguments: fn(View<'_, '_>) -> String,
}

impl Rule for ByCluster {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        judge.arguments((self.arguments)(request.view));
        let refuse = |code: ErrorCode, text: &str| {
            Verdict::Answer(Node::response(self.key).with(self.error, code).with(self.message, text))
        };
        let denied = ErrorCode::CLUSTER_AUTHORIZATION_FAILED;
        Ok(match (judge.cluster(Operation::Alter).permit(), (self.fault)(request.view)) {
            (None, _) => refuse(denied, denied.message()),
            (Some(_), Some(fault)) => refuse(ErrorCode::INVALID_REQUEST, fault),
            (Some(permit), None) => Verdict::Forward(permit, Scrub::then()),
        })
    }
}

/// The rule of UpdateFeatures.
pub(super) static UPDATE_FEATURES: ByCluster = ByCluster {
    key: ApiKey::UPDATE_FEATURES,
    error: update_features::response::ERROR_CODE,
    message: update_features::response::ERROR_MESSAGE,
    fault: |_| None,
    arguments: |view| {
        use update_features::request::{self as req, feature_update_key as update};
        let mut bounded = Bounded::default();
        let features = bounded.take(view.items(req::FEATURE_UPDATES), |feature, _| {
            // 1 upgrade, 2 safe downgrade, 3 unsafe downgrade; version 0 says only whether to downgrade, and means 2.
            let kind = match (view.has(req::VALIDATE_ONLY), feature.bool(update::ALLOW_DOWNGRADE)) {
                (true, _) => feature.i8(update::UPGRADE_TYPE),
                (false, downgrade) => 1 + i8::from(downgrade),
            };
            json!({
                "feature": text(feature.str(update::FEATURE)),
                "level": feature.i16(update::MAX_VERSION_LEVEL),
                "upgradeType": kind,
            })
        });
        bounded.object([("features", features), ("validateOnly", view.bool(req::VALIDATE_ONLY).into())])
    },
};

/// The rule of UnregisterBroker.
pub(super) static UNREGISTER_BROKER: ByCluster = ByCluster {
    key: ApiKey::UNREGISTER_BROKER,
    error: unregister_broker::response::ERROR_CODE,
    message: unregister_broker::response::ERROR_MESSAGE,
    fault: |_| None,
    arguments: |view| Bounded::default().object([("broker", view.i32(unregister_broker::request::BROKER_ID).into())]),
};

/// The rule of UnregisterController.
pub(super) static UNREGISTER_CONTROLLER: ByCluster = ByCluster {
    key: ApiKey::UNREGISTER_CONTROLLER,
    error: unregister_controller::response::ERROR_CODE,
    message: unregister_controller::response::ERROR_MESSAGE,
    fault: |_| None,
    arguments: |view| {
        Bounded::default().object([("controller", view.i32(unregister_controller::request::CONTROLLER_ID).into())])
    },
};

/// The rule of AddRaftVoter.
pub(super) static ADD_RAFT_VOTER: ByCluster = ByCluster {
    key: ApiKey::ADD_RAFT_VOTER,
    error: add_raft_voter::response::ERROR_CODE,
    message: add_raft_voter::response::ERROR_MESSAGE,
    fault: blank_listener,
    arguments: |view| {
        use add_raft_voter::request::{self as req, listener};
        let mut bounded = Bounded::default();
        let listeners = bounded.take(view.items(req::LISTENERS), |at, _| {
            json!({ "name": text(at.str(listener::NAME)), "host": text(at.str(listener::HOST)), "port": at.u16(listener::PORT) })
        });
        bounded.object([
            ("voter", Json::from(view.i32(req::VOTER_ID))),
            ("directory", view.uuid(req::VOTER_DIRECTORY_ID).to_string().into()),
            ("listeners", listeners),
        ])
    },
};

fn blank_listener(view: View<'_, '_>) -> Option<&'static str> {
    use add_raft_voter::request::{self as req, listener};
    // What Java trims: a control character is blank to it as well.
    let blank = |name: &str| name.chars().all(|c| c <= ' ' || c.is_whitespace());
    let found = view.items(req::LISTENERS).any(|at| blank(at.str(listener::NAME)));
    found.then_some("the name of a listener is blank: name every listener of the voter")
}

/// The rule of RemoveRaftVoter.
pub(super) static REMOVE_RAFT_VOTER: ByCluster = ByCluster {
    key: ApiKey::REMOVE_RAFT_VOTER,
    error: remove_raft_voter::response::ERROR_CODE,
    message: remove_raft_voter::response::ERROR_MESSAGE,
    fault: |_| None,
    arguments: |view| {
        use remove_raft_voter::request as req;
        Bounded::default().object([
            ("voter", Json::from(view.i32(req::VOTER_ID))),
            ("directory", view.uuid(req::VOTER_DIRECTORY_ID).to_string().into()),
        ])
    },
};

#[cfg(test)]
mod tests;
