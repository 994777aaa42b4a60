//! Two clusters that should not be told apart: one whose broker authorizes, one that is open and has the proxy before it.
//! Both know the same people by the same passwords and hold the same ACLs.

use std::sync::OnceLock;

use kordon::wire::schema::create_acls;
use kordon::wire::{ApiKey, ErrorCode, Node};
use serde_json::{Value, json};

use super::cluster::{Cluster, Options, SASL_PASSWORD, SASL_USER};
use super::java::Java;
use super::people::{PLAIN, java_login, known, librdkafka_login};
use super::proxy::Kordon;
use super::raw::Raw;

/// Who may log in: alice has all rights, bob some, carol none, dave may read everything.
pub const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Who has which rights: principal, allowed or denied, operation, and what in the policy file's way of writing.
/// Names begin with the right that bob has to them.
pub const ACLS: &[(&str, &str, &str, &str)] = &[
    ("alice", "allow", "All", "topic:*"),
    ("alice", "allow", "All", "group:*"),
    ("alice", "allow", "All", "transactional_id:*"),
    ("alice", "allow", "All", "cluster"),
    ("bob", "allow", "All", "topic:full-*"),
    ("bob", "allow", "All", "group:full-*"),
    ("bob", "allow", "All", "transactional_id:full-*"),
    ("bob", "allow", "Read", "topic:read-*"),
    ("bob", "allow", "Read", "group:read-*"),
    ("bob", "allow", "Write", "topic:write-*"),
    ("bob", "allow", "Write", "transactional_id:write-*"),
    ("bob", "allow", "Describe", "topic:seen-*"),
    ("bob", "allow", "Describe", "group:seen-*"),
    ("bob", "allow", "Describe", "transactional_id:seen-*"),
    ("bob", "allow", "Create", "topic:create-*"),
    ("bob", "allow", "Delete", "topic:delete-*"),
    ("bob", "allow", "Delete", "group:delete-*"),
    ("bob", "allow", "Alter", "topic:alter-*"),
    ("bob", "allow", "AlterConfigs", "topic:alter-*"),
    ("bob", "allow", "AlterConfigs", "group:alter-*"),
    ("bob", "allow", "DescribeConfigs", "topic:config-*"),
    ("bob", "allow", "DescribeConfigs", "group:config-*"),
    ("bob", "allow", "Read", "topic:app-*"),
    ("bob", "allow", "Write", "topic:app-*"),
    ("bob", "allow", "All", "group:app-*"),
    ("bob", "allow", "All", "topic:mixed-*"),
    ("bob", "deny", "Read", "topic:mixed-*"),
    ("bob", "deny", "Alter", "topic:mixed-*"),
    ("bob", "allow", "DescribeConfigs", "cluster"),
    ("dave", "allow", "Read", "topic:*"),
    ("dave", "allow", "Read", "group:*"),
];

/// The password of a person.
pub fn password(name: &str) -> String {
    format!("{name}-secret")
}

/// The two.
pub struct Pair {
    /// Kafka with its `StandardAuthorizer`.
    pub reference: Cluster,
    /// Kafka without.
    pub open: &'static Cluster,
    /// The proxy before it.
    pub kordon: Kordon<'static>,
}

impl Pair {
    /// The pair that tests share. One broker each: who may do what is not told by the number of brokers, and with one the
    /// coordinators and leaders are the same on both sides.
    pub fn shared() -> &'static Pair {
        static SHARED: OnceLock<Pair> = OnceLock::new();
        SHARED.get_or_init(Pair::start)
    }

    fn start() -> Pair {
        let (reference, open) = std::thread::scope(|scope| {
            let start = |properties: Vec<_>| {
                // records have a time of their own, long ago
                let keep = ("log.retention.hours", "-1".to_owned());
                Cluster::start(Options {
                    nodes: 1,
                    properties: [properties, vec![keep]].concat(),
                    ..Options::default()
                })
            };
            let reference = scope.spawn(move || start(authorizing()));
            let open = start(Vec::new());
            (reference.join().expect("a cluster"), open)
        });
        let open: &'static Cluster = Box::leak(Box::new(open));
        create_acls(&reference);
        let kordon = Kordon::before(open)
            .listener("front", PLAIN)
            .users(&PEOPLE.map(|name| (name, password(name))))
            .policy(&policy())
            .state("kordon.state")
            .start();
        for at in [reference.direct(), open.direct()] {
            // the first who asks for a coordinator waits until its topic is there: nobody whose trace counts
            let java = Java::same();
            java.producer(&at, &[("transactional.id", "first")]).init().expect("a producer id");
            java.consumer(&at, &[("group.id", "first")])
                .ask("committed", json!({ "partitions": [["none", 0]] }))
                .expect("offsets");
        }
        Pair { reference, open, kordon }
    }

    /// What a Java client needs to come in as `name`, at the reference and at the proxy.
    pub fn java(&self, name: &str) -> [Value; 2] {
        self.fronts().map(|at| {
            let mut config = json!({ "bootstrap.servers": at });
            for (key, value) in java_login("PLAIN", name, &password(name)) {
                config[key] = json!(value);
            }
            config
        })
    }

    /// What librdkafka needs to come in as `name`, at the reference and at the proxy.
    pub fn librdkafka(&self, name: &str) -> [Value; 2] {
        self.fronts().map(|at| {
            let mut config = librdkafka_login("PLAIN", name, &password(name));
            config["bootstrap.servers"] = json!(at);
            config
        })
    }

    /// Where people come in.
    fn fronts(&self) -> [String; 2] {
        [self.reference.sasl(), self.kordon.at("front").to_owned()]
    }

    /// Where a test prepares and looks, behind everybody's back.
    pub fn backs(&self) -> [String; 2] {
        [self.reference.direct(), self.open.direct()]
    }
}

fn authorizing() -> Vec<(&'static str, String)> {
    let mut people = PEOPLE.map(|name| (name, password(name))).to_vec();
    people.push((SASL_USER, SASL_PASSWORD.to_owned()));
    vec![
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
        ("super.users", "User:ANONYMOUS".to_owned()),
        known(&people),
    ]
}

/// The policy file that says what [`ACLS`] say.
fn policy() -> String {
    let lines: Vec<String> = ACLS
        .iter()
        .map(|(who, permission, operation, what)| {
            format!("  - {{ {permission}: [{operation}], principals: [\"User:{who}\"], resources: [\"{what}\"] }}\n")
        })
        .collect();
    format!("version: 1\ndefault: deny\nacls:\n{}end: true\n", lines.concat())
}

fn create_acls(cluster: &Cluster) {
    use create_acls::request::{CREATIONS, acl_creation as acl};
    use create_acls::response::{RESULTS, acl_creation_result};
    let mut request = Node::request(ApiKey::CREATE_ACLS);
    for (who, permission, operation, what) in ACLS {
        let (kind, name) = what.split_once(':').unwrap_or((what, "kafka-cluster"));
        let kind = match kind {
            "topic" => 2,
            "group" => 3,
            "cluster" => 4,
            "transactional_id" => 5,
            other => panic!("unknown type `{other}`"),
        };
        let operation = match *operation {
            "All" => 2,
            "Read" => 3,
            "Write" => 4,
            "Create" => 5,
            "Delete" => 6,
            "Alter" => 7,
            "Describe" => 8,
            "DescribeConfigs" => 10,
            "AlterConfigs" => 11,
            other => panic!("unknown operation `{other}`"),
        };
        let (pattern, name) = match name.strip_suffix('*') {
            Some(prefix) if !prefix.is_empty() => (4, prefix),
            _ => (3, name),
        };
        let one = request
            .child(CREATIONS)
            .with(acl::RESOURCE_TYPE, kind)
            .with(acl::RESOURCE_NAME, name)
            .with(acl::RESOURCE_PATTERN_TYPE, pattern)
            .with(acl::PRINCIPAL, format!("User:{who}"))
            .with(acl::HOST, "*")
            .with(acl::OPERATION, operation)
            .with(acl::PERMISSION_TYPE, if *permission == "allow" { 3 } else { 2 });
        request.push(CREATIONS, one);
    }
    let answer = Raw::connect(&cluster.direct()).ask(ApiKey::CREATE_ACLS, 3, &request);
    for result in answer.nodes(RESULTS) {
        assert_eq!(ErrorCode(result.i16(acl_creation_result::ERROR_CODE)), ErrorCode::NONE, "{answer:?}");
    }
}
