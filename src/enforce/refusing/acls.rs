//! DescribeAcls (API 29), CreateAcls (30), DeleteAcls (31).
//!
//! Source: Kafka 4.1 `AclApis`: DESCRIBE, or ALTER, on the cluster. DescribeAcls fails as a whole, the others in each
//! result. Kafka's text is a dump of its request object; this says the error's own.

use super::{CLUSTER, Demand, Refusing};
use crate::model::Operation;
use crate::wire::schema::{create_acls, delete_acls};
use crate::wire::{ApiKey, Node};

whole!(DESCRIBE_ACLS, describe_acls, Demand::Cluster(Operation::Describe), CLUSTER, text);

pub(in crate::enforce) static CREATE_ACLS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::Alter),
    answer: |request, _| {
        use create_acls::response::{self as res, acl_creation_result as result};
        let mut answer = Node::response(ApiKey::CREATE_ACLS);
        for _ in request.nodes(create_acls::request::CREATIONS) {
            let refused = answer.child(res::RESULTS);
            answer.push(
                res::RESULTS,
                refused.with(result::ERROR_CODE, CLUSTER).with(result::ERROR_MESSAGE, CLUSTER.message()),
            );
        }
        answer
    },
};

pub(in crate::enforce) static DELETE_ACLS: Refusing = Refusing {
    demand: Demand::Cluster(Operation::Alter),
    answer: |request, _| {
        use delete_acls::response::{self as res, delete_acls_filter_result as result};
        let mut answer = Node::response(ApiKey::DELETE_ACLS);
        for _ in request.nodes(delete_acls::request::FILTERS) {
            let refused = answer.child(res::FILTER_RESULTS);
            answer.push(
                res::FILTER_RESULTS,
                refused.with(result::ERROR_CODE, CLUSTER).with(result::ERROR_MESSAGE, CLUSTER.message()),
            );
        }
        answer
    },
};
