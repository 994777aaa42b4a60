//! ACLs over the protocol: what the three APIs answer, compared with a broker that has an authorizer, and Kafka's own
//! tools through the proxy.

use kordon::enforce::Verdict;
use kordon::model::{Principal, Subject};
use kordon::policy::{AclSet, PolicySource, ProtocolAcls, Settings, Snapshot};
use kordon::wire::message::decode_response;
use kordon::wire::schema::{create_acls, delete_acls, describe_acls};
use kordon::wire::{ApiKey, Node};
use std::sync::Arc;

use super::judged::judged;
use crate::support::cluster::Cluster;
use crate::support::raw::Raw;
use crate::support::{needs, say, soon};

/// The three rules and a set of ACLs, in place of a broker: the caller is a super user.
struct Rules {
    source: Arc<PolicySource>,
    acls: AclSet,
}

impl Rules {
    fn new() -> Self {
        let settings = Settings { protocol_acls: ProtocolAcls::State, ..Settings::default() };
        let policy = b"version: 1\nsuper_users: [\"User:ANONYMOUS\"]\n";
        let source = Snapshot::load(policy, "policy.yaml", &settings).unwrap().source;
        Self { source, acls: AclSet::default() }
    }

    /// The answer; none where the connection closes.
    fn ask(&mut self, key: ApiKey, version: i16, request: &Node) -> Option<Node> {
        let snapshot = self.source.snapshot(&self.acls);
        let subject =
            Subject { principal: Principal::user("ANONYMOUS"), groups: [].into(), may_merge: true, may_be_super: true };
        judged(&snapshot, &subject, "PLAINTEXT", (key, version), request, |verdict| match verdict {
            Verdict::Answer(node) => Some(node),
            Verdict::Change { change, then, .. } => {
                let (acls, changed) = self.acls.changed(&change, None);
                self.acls = acls;
                Some(then.answer(Ok(changed)))
            }
            Verdict::Refuse(_) => None,
            _ => panic!("neither answered nor changed"),
        })
    }
}

/// An answer of which the order of lists does not count.
fn plain(answer: &Node) -> String {
    let mut answer = answer.clone();
    let sort = |nodes: &mut Vec<Node>| nodes.sort_by_key(|node| format!("{node:?}"));
    if std::ptr::eq(answer.def(), &describe_acls::response::THIS) {
        use describe_acls::response::{RESOURCES, describe_acls_resource::ACLS};
        answer.nodes_mut(RESOURCES).iter_mut().for_each(|resource| sort(resource.nodes_mut(ACLS)));
        sort(answer.nodes_mut(RESOURCES));
    }
    if std::ptr::eq(answer.def(), &delete_acls::response::THIS) {
        use delete_acls::response::{FILTER_RESULTS, delete_acls_filter_result::MATCHING_ACLS};
        answer.nodes_mut(FILTER_RESULTS).iter_mut().for_each(|result| sort(result.nodes_mut(MATCHING_ACLS)));
    }
    format!("{answer:?}")
}

/// Repeatable choices.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        // xorshift64*: any spread will do.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % n
    }

    fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const NAMES: &[&str] = &["a", "ab", "abc", "b", "*", "kafka-cluster", "User:a", "a b/c"];
const PRINCIPALS: &[&str] = &["User:a", "User:*", "User:", ":", "Group:g", "User:a:b"];
const HOSTS: &[&str] = &["*", "127.0.0.1", "::1", "localhost", "10.0.0.0/8"];

fn creation(dice: &mut Dice, version: i16) -> Node {
    use create_acls::request::{self as req, acl_creation as acl};
    let mut request = Node::request(ApiKey::CREATE_ACLS);
    let wild = dice.below(8) == 0;
    for _ in 0..=dice.below(3) {
        // Users are resources from version 3 on; what cannot be is rare, so that something is left to be compared.
        let kind = dice.of(if version < 3 { &[2, 2, 3, 4, 5, 6][..] } else { &[2, 2, 3, 4, 5, 6, 7] });
        let odd = wild && dice.below(3) == 0;
        let name = if odd {
            dice.of(&["", "x"])
        } else if kind == 4 {
            "kafka-cluster"
        } else {
            dice.of(NAMES)
        };
        let principal = if odd && dice.below(2) == 0 { dice.of(&["alice", ""]) } else { dice.of(PRINCIPALS) };
        let code = |dice: &mut Dice, usual: &[i64]| {
            if odd && dice.below(4) == 0 { dice.of(&[1, 2, 77, -3]) } else { dice.of(usual) }
        };
        let row = request
            .child(req::CREATIONS)
            .with(acl::RESOURCE_TYPE, if odd && dice.below(4) == 0 { dice.of(&[1, 99]) } else { kind })
            .with(acl::RESOURCE_NAME, name)
            .with(acl::RESOURCE_PATTERN_TYPE, code(dice, &[3, 3, 4]))
            .with(acl::PRINCIPAL, principal)
            .with(acl::HOST, dice.of(HOSTS))
            .with(acl::OPERATION, code(dice, &[2, 3, 4, 8]))
            .with(acl::PERMISSION_TYPE, code(dice, &[2, 3]));
        request.push(req::CREATIONS, row);
    }
    request
}

/// The seven parts of a filter: type, name, pattern, principal, host, operation, permission.
type Filter = (i64, Option<&'static str>, i64, Option<&'static str>, Option<&'static str>, i64, i64);

const EVERYTHING: Filter = (1, None, 1, None, None, 1, 1);

fn filter(dice: &mut Dice) -> Filter {
    let some = |dice: &mut Dice, of: &[&'static str]| if dice.below(2) == 0 { None } else { Some(dice.of(of)) };
    let code = |dice: &mut Dice, usual: &[i64]| if dice.below(25) == 0 { dice.of(&[77, -9]) } else { dice.of(usual) };
    (
        code(dice, &[1, 2, 2, 3, 4]),
        some(dice, NAMES),
        code(dice, &[1, 2, 2, 3, 4]),
        some(dice, PRINCIPALS),
        if dice.below(3) == 0 { some(dice, HOSTS) } else { None },
        code(dice, &[1, 1, 1, 2, 3]),
        code(dice, &[1, 1, 2, 3]),
    )
}

fn description((kind, name, pattern, principal, host, operation, permission): Filter) -> Node {
    use describe_acls::request as req;
    Node::request(ApiKey::DESCRIBE_ACLS)
        .with(req::RESOURCE_TYPE_FILTER, kind)
        .with(req::RESOURCE_NAME_FILTER, name)
        .with(req::PATTERN_TYPE_FILTER, pattern)
        .with(req::PRINCIPAL_FILTER, principal)
        .with(req::HOST_FILTER, host)
        .with(req::OPERATION, operation)
        .with(req::PERMISSION_TYPE, permission)
}

fn deletion(filters: &[Filter]) -> Node {
    use delete_acls::request::{self as req, delete_acls_filter as field};
    let mut request = Node::request(ApiKey::DELETE_ACLS);
    for (kind, name, pattern, principal, host, operation, permission) in filters.iter().copied() {
        let row = request
            .child(req::FILTERS)
            .with(field::RESOURCE_TYPE_FILTER, kind)
            .with(field::RESOURCE_NAME_FILTER, name)
            .with(field::PATTERN_TYPE_FILTER, pattern)
            .with(field::PRINCIPAL_FILTER, principal)
            .with(field::HOST_FILTER, host)
            .with(field::OPERATION, operation)
            .with(field::PERMISSION_TYPE, permission);
        request.push(req::FILTERS, row);
    }
    request
}

/// What the broker answers; none where it closes, and then the next request finds a new connection.
fn broker_says(raw: &mut Raw, address: &str, key: ApiKey, version: i16, request: &Node) -> Option<Node> {
    raw.send(key, version, request);
    match raw.read_frame() {
        Ok(Some(frame)) => Some(decode_response(key, version, &frame).unwrap().1),
        _ => {
            *raw = Raw::connect(address);
            None
        }
    }
}

#[test]
fn acls_are_made_found_and_removed_as_by_a_broker_with_an_authorizer() {
    needs!(Java);
    // One broker: what is compared does not depend on their number.
    let cluster = Cluster::authorizing();
    let address = format!("127.0.0.1:{}", cluster.node(1).direct);
    let mut raw = Raw::connect(&address);
    let (mut rules, mut dice) = (Rules::new(), Dice(0x006b_6f72_646f_6e2d));
    broker_says(&mut raw, &address, ApiKey::DELETE_ACLS, 3, &deletion(&[EVERYTHING])).unwrap();
    let (mut compared, mut differences) = ([0usize; 3], Vec::new());
    let mut made = 0;
    for round in 0..300 {
        let version = dice.of(&[1, 2, 3]);
        let (key, request) = match dice.below(4) {
            0 | 1 => (ApiKey::CREATE_ACLS, creation(&mut dice, version)),
            2 => (ApiKey::DESCRIBE_ACLS, description(filter(&mut dice))),
            _ => {
                let filters: Vec<Filter> = (0..=dice.below(3)).map(|_| filter(&mut dice)).collect();
                (ApiKey::DELETE_ACLS, deletion(&filters))
            }
        };
        let ours = rules.ask(key, version, &request).map_or("closed".to_owned(), |node| plain(&node));
        let theirs = broker_says(&mut raw, &address, key, version, &request);
        let theirs = theirs.map_or("closed".to_owned(), |node| plain(&node));
        compared[usize::try_from(key.0 - ApiKey::DESCRIBE_ACLS.0).unwrap()] += 1;
        if ours != theirs {
            differences
                .push(format!("{round}: {} v{version} {request:?}\n  ours   {ours}\n  theirs {theirs}", key.name()));
        }
        // The broker's authorizer follows its controller: what was changed is shown a moment later.
        if key != ApiKey::DESCRIBE_ACLS {
            made = made.max(rules.acls.len());
            let everything = description(EVERYTHING);
            let ours = plain(&rules.ask(ApiKey::DESCRIBE_ACLS, 3, &everything).unwrap());
            soon("the broker has the same acls", || {
                let theirs = broker_says(&mut raw, &address, ApiKey::DESCRIBE_ACLS, 3, &everything).unwrap();
                let theirs = plain(&theirs);
                if ours == theirs {
                    Ok(())
                } else {
                    Err(format!("{round}\n{request:?}\n  ours   {ours}\n  theirs {theirs}"))
                }
            });
        }
    }
    say(format!("acls: {compared:?} requests compared, up to {made} acls"));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared.iter().all(|n| *n > 50) && made > 10, "{compared:?} {made}");
}

#[test]
fn a_code_of_0_closes_the_connection_as_a_broker_does() {
    needs!(Java);
    // One broker: what is compared does not depend on their number.
    let address = format!("127.0.0.1:{}", Cluster::authorizing().node(1).direct);
    for unknown in [
        (0, None, 1, None, None, 1, 1),
        (1, None, 0, None, None, 1, 1),
        (1, None, 1, None, None, 0, 1),
        (1, None, 1, None, None, 1, 0),
    ] {
        for (key, request) in
            [(ApiKey::DESCRIBE_ACLS, description(unknown)), (ApiKey::DELETE_ACLS, deletion(&[unknown]))]
        {
            let mut raw = Raw::connect(&address);
            raw.send(key, 3, &request);
            assert!(!matches!(raw.read_frame(), Ok(Some(_))), "{} {unknown:?}", key.name());
            assert!(Rules::new().ask(key, 3, &request).is_none());
        }
    }
}

#[test]
#[ignore = "thousands of ACLs take a broker ten seconds; a unit test pins what this found out"]
fn one_request_makes_or_removes_as_many_acls_as_a_controller_takes() {
    use create_acls::request::{self as req, acl_creation as acl};
    needs!(Java);
    // A broker of its own: it is left with thousands of ACLs.
    let cluster = Cluster::start_authorizing();
    let address = format!("127.0.0.1:{}", cluster.node(1).direct);
    let (mut raw, mut rules) = (Raw::connect(&address), Rules::new());
    let creation = |from: usize, count: usize| {
        let mut request = Node::request(ApiKey::CREATE_ACLS);
        for n in from..from + count {
            let row = request
                .child(req::CREATIONS)
                .with(acl::RESOURCE_TYPE, 2)
                .with(acl::RESOURCE_NAME, format!("t{n}").as_str())
                .with(acl::RESOURCE_PATTERN_TYPE, 3)
                .with(acl::PRINCIPAL, "User:a")
                .with(acl::HOST, "*")
                .with(acl::OPERATION, 3)
                .with(acl::PERMISSION_TYPE, 3);
            request.push(req::CREATIONS, row);
        }
        request
    };
    let every_topic = (2, None, 1, None, None, 1, 1);
    let requests = [
        (ApiKey::CREATE_ACLS, creation(0, 10_001)),
        (ApiKey::CREATE_ACLS, creation(0, 6_000)),
        (ApiKey::CREATE_ACLS, creation(5_000, 6_000)),
        (ApiKey::DELETE_ACLS, deletion(&[EVERYTHING, every_topic])),
    ];
    for (key, request) in requests {
        let theirs = broker_says(&mut raw, &address, key, 3, &request).map(|node| plain(&node));
        let ours = rules.ask(key, 3, &request).map(|node| plain(&node));
        let cut = |text: Option<String>| text.map(|t| t.chars().take(300).collect::<String>());
        assert!(ours == theirs, "{}\n  ours   {:?}\n  theirs {:?}", key.name(), cut(ours), cut(theirs));
    }
}
