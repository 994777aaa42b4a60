//! Explanations and patterns.

use super::{load, who};
use crate::model::{Operation as O, Resource, ResourceType};
use crate::policy::{Query, Use};
use crate::wire::ApiKey;

const POLICY: &str = "version: 1
super_users: ['User:root']
groups: { devs: ['User:a'] }
bindings:
  - { roles: [viewer], principals: ['Group:devs'], resources: ['topic:tx_*'] }
acls:
  - { allow: [Read, Write], principals: ['User:a'], resources: ['topic:tx_1'], hosts: ['10.9.0.0/16'] }
  - { allow: [Read], principals: ['User:b'], resources: ['topic:*'] }
  - { deny: [Delete], principals: ['User:*'], resources: ['topic:*'] }
grants:
  - { id: g, allow: [Read], principals: ['User:a'], resources: ['topic:tx_*'], not_after: 2026-11-22T08:00:00Z }
  - { id: q, deny: [Write], principals: ['User:a'], resources: ['topic:tx_9'], not_after: 2026-11-22T10:00:00Z }
end: true
";

#[test]
fn an_explanation_lists_each_rule_that_speaks_and_what_comes_of_it() {
    let policy = load(POLICY);
    let ask = who("User:a");
    let (subject, host) = (&ask.subject, &ask.host);
    let resource = Resource::new(ResourceType::Topic, "tx_1");
    let q = Query { subject, operation: O::Read, resource, api: ApiKey::FETCH, host, now: ask.now, use_: Use::Normal };
    let told = policy.explain(&q);
    assert_eq!(
        told.to_string(),
        "denied, GRANT_EXPIRED: no rule allows this: grant `g` did, until 2026-11-22T08:00:00.000Z
  acl `policy.yaml:7`: allow [Read, Write] for `User:a` on `topic:tx_1`: holds from other hosts
  acl `policy.yaml:9`: deny [Delete] for `User:*` on `topic:*`: is about other operations
  binding `policy.yaml:5` (role `viewer`): allow [Describe, DescribeConfigs] for `Group:devs` on `topic:tx_*`: is about other operations
  grant `g`: allow [Read] for `User:a` on `topic:tx_*`: has ended
"
    );
    let decided = policy.decide(&q);
    assert!(told.decision.same_cause(&decided) && told.decision.reason() == decided.reason());
}

#[test]
fn patterns_are_told_with_their_place() {
    let patterns = load(POLICY).patterns();
    let told: Vec<String> =
        patterns.iter().map(|(id, effect, p)| format!("{id} {} {}", effect.as_str(), p.in_words())).collect();
    assert_eq!(
        told,
        [
            "policy.yaml:7 allow the topic `tx_1`",
            "policy.yaml:8 allow every topic",
            "policy.yaml:9 deny every topic",
            "policy.yaml:5 allow every topic whose name begins with `tx_`",
            "g allow every topic whose name begins with `tx_`",
            "q deny the topic `tx_9`",
        ]
    );
}
