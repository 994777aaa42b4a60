//! Delegation tokens (APIs 38 to 41), client quotas (48, 49), SCRAM credentials (50, 51).
//!
//! Source: Kafka 4.1 `KafkaApis`, `ControllerApis`, `DelegationTokenControlManager`.
//!
//! A token made through the proxy would belong to the proxy's own principal, with its rights: so tokens are off, for
//! everybody (threat 2), as on a cluster without `delegation.token.secret.key`. Of the other four, the two that only read
//! answer without a text (`ApiError` leaves the default text out), and quotas with null instead of an empty list.

use super::{CLUSTER, Demand, Refusing};
use crate::model::Operation;
use crate::wire::schema::{
    alter_client_quotas, alter_user_scram_credentials, create_delegation_token, describe_client_quotas,
    describe_user_scram_credentials,
};
use crate::wire::{ApiKey, ErrorCode, Node, Value};
use std::collections::BTreeSet;

const DISABLED: ErrorCode = ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED;

/// Kafka asks for nothing where the caller owns the token. The event needs an operation, and this is what such a token
/// would be good for: everything the proxy may do.
const TOKENS: Demand = Demand::Cluster(Operation::Alter);

pub(in crate::enforce) static CREATE_DELEGATION_TOKEN: Refusing = Refusing {
    demand: TOKENS,
    answer: |request, judge| {
        use create_delegation_token::{request as req, response as res};
        let caller = &judge.cx.subject.principal;
        let named = request.opt_str(req::OWNER_PRINCIPAL_NAME).filter(|name| !name.is_empty());
        let (kind, name) = match named {
            Some(name) => (request.str(req::OWNER_PRINCIPAL_TYPE), name),
            None => (caller.kind(), caller.name()),
        };
        Node::response(ApiKey::CREATE_DELEGATION_TOKEN)
            .with(res::ERROR_CODE, DISABLED)
            .with(res::PRINCIPAL_TYPE, kind)
            .with(res::PRINCIPAL_NAME, name)
            .with(res::TOKEN_REQUESTER_PRINCIPAL_TYPE, caller.kind())
            .with(res::TOKEN_REQUESTER_PRINCIPAL_NAME, caller.name())
    },
};

whole!(RENEW_DELEGATION_TOKEN, renew_delegation_token, TOKENS, DISABLED);
whole!(EXPIRE_DELEGATION_TOKEN, expire_delegation_token, TOKENS, DISABLED);
whole!(DESCRIBE_DELEGATION_TOKEN, describe_delegation_token, Demand::Cluster(Operation::Describe), DISABLED);

pub(in crate::enforce) static DESCRIBE_USER_SCRAM_CREDENTIALS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::Describe),
    answer: |request, _| {
        use describe_user_scram_credentials::request as req;
        use describe_user_scram_credentials::response::{
            self as res, describe_user_scram_credentials_result as result,
        };
        let mut answer = Node::response(ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS)
            .with(res::ERROR_CODE, CLUSTER)
            .with(res::ERROR_MESSAGE, Value::Null);
        // Kafka does not echo the user here. For a null list Kafka 4.1 never answers at all; nobody can rely on that.
        for _ in request.nodes(req::USERS) {
            let refused = answer.child(res::RESULTS);
            answer
                .push(res::RESULTS, refused.with(result::ERROR_CODE, CLUSTER).with(result::ERROR_MESSAGE, Value::Null));
        }
        answer
    },
};

pub(in crate::enforce) static ALTER_USER_SCRAM_CREDENTIALS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::Alter),
    answer: |request, _| {
        use alter_user_scram_credentials::request::{
            self as req, scram_credential_deletion as deletion, scram_credential_upsertion as upsertion,
        };
        use alter_user_scram_credentials::response::{self as res, alter_user_scram_credentials_result as result};
        let deleted = request.nodes(req::DELETIONS).iter().map(|n| n.str(deletion::NAME));
        let changed = request.nodes(req::UPSERTIONS).iter().map(|n| n.str(upsertion::NAME));
        let users: BTreeSet<&str> = deleted.chain(changed).collect();
        let mut answer = Node::response(ApiKey::ALTER_USER_SCRAM_CREDENTIALS);
        for user in users {
            let refused = answer
                .child(res::RESULTS)
                .with(result::USER, user)
                .with(result::ERROR_CODE, CLUSTER)
                .with(result::ERROR_MESSAGE, CLUSTER.message());
            answer.push(res::RESULTS, refused);
        }
        answer
    },
};

pub(in crate::enforce) static DESCRIBE_CLIENT_QUOTAS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::DescribeConfigs),
    answer: |_, _| {
        use describe_client_quotas::response as res;
        Node::response(ApiKey::DESCRIBE_CLIENT_QUOTAS)
            .with(res::ERROR_CODE, CLUSTER)
            .with(res::ERROR_MESSAGE, Value::Null)
            .with(res::ENTRIES, Value::Null)
    },
};

pub(in crate::enforce) static ALTER_CLIENT_QUOTAS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::AlterConfigs),
    answer: |request, _| {
        use alter_client_quotas::request::{self as req, entity_data as req_entity, entry_data as req_entry};
        use alter_client_quotas::response::{self as res, entity_data as entity, entry_data as entry};
        let mut answer = Node::response(ApiKey::ALTER_CLIENT_QUOTAS);
        for asked in request.nodes(req::ENTRIES) {
            let mut refused = answer
                .child(res::ENTRIES)
                .with(entry::ERROR_CODE, CLUSTER)
                .with(entry::ERROR_MESSAGE, CLUSTER.message());
            for part in asked.nodes(req_entry::ENTITY) {
                let echoed = refused
                    .child(entry::ENTITY)
                    .with(entity::ENTITY_TYPE, part.value(req_entity::ENTITY_TYPE).clone())
                    .with(entity::ENTITY_NAME, part.value(req_entity::ENTITY_NAME).clone());
                refused.push(entry::ENTITY, echoed);
            }
            answer.push(res::ENTRIES, refused);
        }
        answer
    },
};
