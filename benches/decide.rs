//! What a decision costs, by the number of rules: nanoseconds and allocations.
//!
//! ```text
//! cargo bench --bench decide
//! cargo bench --bench decide -- acls      # what a change of one ACL costs, alone
//! ```
//!
//! A policy has rules for many teams: literal names, prefixes, wildcards, for principals and for groups, allows and
//! denies. The subject that asks is in several groups; most rules have nothing to do with it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a bench fails by panicking and prints what it found"
)]

#[path = "count.rs"]
mod count;

use count::{Cost, measure};
use kordon::access::{ChangeBy, Fold, record};
use kordon::model::{Host, Operation, PatternType, Principal, Resource, ResourceType, Subject, Timestamp};
use kordon::policy::{
    AclBinding, AclChange, AclSet, Loaded, OwnTopics, Permission, PolicySource, Query, Settings, Snapshot, Use,
};
use kordon::wire::frame::SIZE_LEN;
use kordon::wire::message::{decode_response, response_frame};
use kordon::wire::{ApiKey, Node, Value};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp(1_795_338_000_000);

fn main() {
    if std::env::args().any(|arg| arg == "acls") {
        return protocol_acls();
    }
    println!("rules    question                 ns/decision   allocations   to 10 rules");
    let mut first: Vec<Cost> = Vec::new();
    for rules in [10, 1_000, 100_000] {
        let begin = Instant::now();
        let snapshot = load(&policy(rules));
        let loaded = begin.elapsed();
        let costs: Vec<Cost> = QUESTIONS.iter().map(|question| ask(&snapshot, question)).collect();
        for (i, (question, cost)) in QUESTIONS.iter().zip(&costs).enumerate() {
            let ratio = cost.nanos / first.get(i).map_or(cost.nanos, |first| first.nanos);
            let Cost { nanos, allocations } = cost;
            println!("{rules:<8} {:<24} {nanos:>11.0} {allocations:>13.2} {ratio:>13.2}", question.name);
        }
        println!("{rules:<8} (loaded in {loaded:.1?})");
        if first.is_empty() {
            first = costs;
        }
    }
    protocol_acls();
}

/// What a change of one ACL costs: everything is compiled anew from the file, understood once, and the set of ACLs.
fn protocol_acls() {
    println!("acls     compiled, with a file of 1000 rules");
    let text = policy(1_000);
    let source = loaded(&text).source;
    for count in [100, 10_000, 100_000] {
        let acl = |n: usize| AclBinding {
            kind: ResourceType::Topic,
            pattern: if n.is_multiple_of(3) { PatternType::Prefixed } else { PatternType::Literal },
            name: format!("team-{}.topic-{}", n % 97, n / 4),
            principal: format!("User:service-{}", n % 503),
            host: if n.is_multiple_of(10) { "10.1.4.7".to_owned() } else { "*".to_owned() },
            operation: if n.is_multiple_of(2) { Operation::Read } else { Operation::Describe },
            permission: if n.is_multiple_of(50) { Permission::Deny } else { Permission::Allow },
        };
        let acls = AclSet::new((0..count).map(acl), Some(1));
        let mut times: Vec<Duration> = (0..11)
            .map(|round| {
                let begin = Instant::now();
                let (acls, _) = acls.changed(&AclChange::Create(vec![acl(count + round)]), Some(2));
                black_box(source.snapshot(&acls));
                begin.elapsed()
            })
            .collect();
        times.sort();
        println!("{count:<8} {:.1?} (of 11: {:.1?} to {:.1?})", times[5], times[0], times[10]);
        followed(count, &acl, &source);
    }
    metadata();
}

/// What a change of one ACL costs from the record that was read to the policy in force, and what all of it takes.
fn followed(count: usize, acl: &impl Fn(usize) -> AclBinding, source: &PolicySource) {
    let by = Arc::new(ChangeBy {
        principal: "User:admin".to_owned(),
        address: "10.1.4.7".to_owned(),
        client_id: Some("adminclient-1".to_owned()),
        listener: "clients".to_owned(),
        instance: "p-1".to_owned(),
    });
    let record = |n: usize| record::acl(&acl(n), true, &by, "2026-11-22T03:14:42.354Z");
    let records: Vec<_> = (0..count).map(record).collect();
    let before = resident();
    let (mut fold, begin) = (Fold::default(), Instant::now());
    for (at, record) in (0..).zip(&records) {
        fold.apply(at, Some(&record.key), Some(&record.value));
    }
    let read = begin.elapsed();
    let fold = Arc::new(fold);
    let snapshot = source.snapshot(&fold.set());
    let taken = resident().saturating_sub(before);
    let times: Vec<[Duration; 4]> = (0..11)
        .map(|round| {
            let (record, begin) = (record(count + round), Instant::now());
            let mut next = Fold::clone(&fold);
            next.apply(i64::try_from(count + round).unwrap(), Some(&record.key), Some(&record.value));
            let applied = begin.elapsed();
            assert_eq!(black_box(next.made_since(&fold)).len(), 1);
            let compared = begin.elapsed();
            let set = next.set();
            let gathered = begin.elapsed();
            black_box(source.snapshot(&set));
            [applied, compared - applied, gathered - compared, begin.elapsed() - gathered]
        })
        .collect();
    let median = |part: usize| {
        let mut part: Vec<Duration> = times.iter().map(|time| time[part]).collect();
        part.sort();
        part[part.len() / 2]
    };
    println!(
        "{:<8} followed: applied {:.1?}, compared {:.1?}, gathered {:.1?}, compiled {:.1?}; all read in {read:.1?}, {taken} KiB",
        "",
        median(0),
        median(1),
        median(2),
        median(3)
    );
    drop(snapshot);
}

/// KiB of memory that the process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// What the answer about all topics of a large cluster costs, which is asked for every `cluster.metadata_refresh`.
fn metadata() {
    use kordon::wire::schema::metadata::response::{
        self as r, metadata_response_partition as p, metadata_response_topic as t,
    };
    let mut answer = Node::response(ApiKey::METADATA);
    for n in 0..10_000_u16 {
        let mut topic = answer.child(r::TOPICS).with(t::NAME, format!("team-{}.topic-{n}", n % 97).as_str());
        for index in 0..6 {
            let partition = topic.child(t::PARTITIONS).with(p::PARTITION_INDEX, index).with(p::LEADER_ID, 1);
            topic.push(
                t::PARTITIONS,
                partition
                    .with(p::REPLICA_NODES, Value::Ints(vec![1, 2, 3]))
                    .with(p::ISR_NODES, Value::Ints(vec![1, 2, 3])),
            );
        }
        answer.push(r::TOPICS, topic);
    }
    let frame = response_frame(ApiKey::METADATA, 12, 1, &answer).into_bytes().slice(SIZE_LEN..);
    let mut times: Vec<Duration> = (0..11)
        .map(|_| {
            let begin = Instant::now();
            drop(black_box(decode_response(ApiKey::METADATA, 12, &frame).unwrap()));
            begin.elapsed()
        })
        .collect();
    times.sort();
    println!("metadata of 10,000 topics with 6 partitions: {} KiB, read in {:.1?}", frame.len() / 1024, times[5]);
}

struct Question {
    name: &'static str,
    topic: &'static str,
    operation: Operation,
    allowed: bool,
}

const QUESTIONS: [Question; 4] = [
    Question { name: "allowed by a literal", topic: "orders-0", operation: Operation::Write, allowed: true },
    Question { name: "allowed by a prefix", topic: "team-1.payments.eu", operation: Operation::Read, allowed: true },
    Question { name: "denied by a rule", topic: "archive-2.2019", operation: Operation::Write, allowed: false },
    Question { name: "no rule matches", topic: "unknown", operation: Operation::Write, allowed: false },
];

fn ask(snapshot: &Snapshot, question: &Question) -> Cost {
    let subject = Subject {
        principal: Principal::user("alice"),
        groups: ["claimed-1", "claimed-2", "claimed-3"].map(Arc::from).into(),
        may_merge: true,
        may_be_super: false,
    };
    let host = Host::new([10, 1, 4, 7].into());
    let query = Query {
        subject: &subject,
        operation: question.operation,
        resource: Resource::new(ResourceType::Topic, question.topic),
        api: ApiKey::PRODUCE,
        host: &host,
        now: NOW,
        use_: Use::Normal,
    };
    assert_eq!(snapshot.decide(&query).is_allowed(), question.allowed, "{}", question.name);
    measure(200_000, || drop(black_box(snapshot.decide(black_box(&query)))))
}

/// `count` rules, of which each ten have one of the subject's: by its name, its groups, or everybody's.
fn policy(count: usize) -> String {
    let mut text =
        "version: 1\ndefault: deny\ngroups:\n  devs: [\"User:alice\"]\n  writers: [\"User:alice\"]\nacls:\n".to_owned();
    for i in 0..count {
        let n = i / 10;
        let rule = match i % 10 {
            0 => format!("allow: [Write], principals: [\"User:alice\"], resources: [\"topic:orders-{n}\"]"),
            1 => format!("allow: [Read], principals: [\"Group:devs\"], resources: [\"topic:team-{}.*\"]", n + 1),
            2 => format!("deny: [All], principals: [\"Group:writers\"], resources: [\"topic:archive-{}.*\"]", n + 2),
            3 => format!("allow: [Describe], principals: [\"Group:claimed-1\"], resources: [\"topic:shared-{n}\"]"),
            4 => "allow: [Describe], principals: [\"User:*\"], resources: [\"group:*\"]".to_owned(),
            5 => format!("deny: [Delete], principals: [\"User:*\"], resources: [\"topic:ledger-{n}\"]"),
            k => format!(
                "allow: [Read, Write], principals: [\"User:team-{n}-{k}\"], resources: [\"topic:orders-{}\"]",
                n % 7
            ),
        };
        text += &format!("  - {{ {rule} }}\n");
    }
    text + "end: true\n"
}

fn load(text: &str) -> Arc<Snapshot> {
    loaded(text).snapshot
}

fn loaded(text: &str) -> Loaded {
    let own_topics = OwnTopics { state: None, audit: vec!["kordon.audit".to_owned()] };
    let loaded =
        Snapshot::load(text.as_bytes(), "policy.yaml", &Settings { own_topics, now: NOW, ..Settings::default() });
    loaded.unwrap_or_else(|problems| panic!("{problems:?}"))
}
