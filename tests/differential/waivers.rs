//! What may differ, each with its reason. `docs/differences.md` is held to this list.

use kordon::wire::schema::{alter_configs, describe_user_scram_credentials, fetch};
use kordon::wire::{ApiKey, Node, Versions};

use crate::names;
use crate::normal::Delta;

/// A difference in its place.
pub struct Look<'a> {
    /// The request, as it was made: ids and the like still stand for those of the sides.
    pub body: &'a Node,
    /// The difference.
    pub delta: &'a Delta,
    /// All differences of the answer.
    pub all: &'a [Delta],
}

/// A difference that is meant.
pub struct Waiver {
    /// Its name in the documentation.
    pub name: &'static str,
    /// The APIs in which it shows; none: in all that name such a thing.
    pub apis: &'static [ApiKey],
    /// The versions in which it shows.
    pub versions: Versions,
    /// Whether it is this one.
    pub is: fn(&Look<'_>) -> bool,
    /// Why.
    pub why: &'static str,
}

/// All of them.
pub static WAIVERS: &[Waiver] = &[
    Waiver {
        name: "fetch sessions",
        apis: &[ApiKey::FETCH],
        versions: Versions::new(7, 18),
        is: |look| look.delta.path == "SessionId" && look.delta.reference == "<session>" && look.delta.proxied == "0",
        why: "A full fetch of which some partition is refused is served without a session: the client sends full \
              fetches, so that what was refused is judged anew each time (threat 1).",
    },
    Waiver {
        name: "fetch sessions that lost a right",
        apis: &[ApiKey::FETCH],
        versions: Versions::new(7, 18),
        is: |look| {
            let begins_anew =
                |d: &Delta| d.path == "ErrorCode" && d.reference == "0" && d.proxied == "FETCH_SESSION_ID_NOT_FOUND";
            // A topic may have gone after the right on it.
            let ended = ["TOPIC_AUTHORIZATION_FAILED", "UNKNOWN_TOPIC_ID"];
            let lost = |d: &Delta| {
                d.path == "Responses(count)" && d.proxied == "[]" && ended.iter().any(|e| d.reference.contains(e))
            };
            names::slot(look.body.int(fetch::request::SESSION_ID)).is_some()
                && look.all.iter().any(begins_anew)
                && look.all.iter().any(lost)
        },
        why: "When a right on a topic of a session ends, the client is told that there is no such session, and asks in \
              full; Kafka goes on with the session and answers 29 for those partitions in it, or that their \
              topic is gone (threat 1).",
    },
    Waiver {
        name: "ids of topics that are gone",
        apis: &[
            ApiKey::PRODUCE,
            ApiKey::FETCH,
            ApiKey::METADATA,
            ApiKey::DELETE_TOPICS,
            ApiKey::OFFSET_COMMIT,
            ApiKey::OFFSET_FETCH,
            ApiKey::TXN_OFFSET_COMMIT,
        ],
        versions: Versions::new(6, 18),
        is: |look| {
            let gone = |d: &Delta| d.reference == "UNKNOWN_TOPIC_ID" && d.proxied == "TOPIC_AUTHORIZATION_FAILED";
            look.all.iter().any(gone)
        },
        why: "Until the proxy has asked the brokers again for their topics, who may not see a topic that was just deleted \
              is told so, and not yet that its id is none.",
    },
    Waiver {
        name: "isolation levels that are none",
        apis: &[ApiKey::FETCH],
        versions: Versions::new(4, 18),
        is: |look| {
            let refused = |d: &Delta| d.reference.contains("UNKNOWN_SERVER_ERROR") && d.proxied.contains("_FAILED");
            let failed = look.delta.path == "Responses(count)" && look.delta.reference == "[]";
            look.body.int(fetch::request::ISOLATION_LEVEL) > 1 && (failed || refused(look.delta))
        },
        why: "A broker fails over a fetch with such a level as soon as it comes to a partition that exists, with what it \
              refused beside it; here what is refused says so.",
    },
    Waiver {
        name: "the zero topic id",
        apis: &[ApiKey::FETCH],
        versions: Versions::new(13, 18),
        is: |look| {
            use fetch::request::{TOPICS, fetch_topic as topic};
            let partitions = |t: &Node| t.nodes(topic::PARTITIONS).len();
            let topics = look.body.nodes(TOPICS);
            let zero = topics.iter().any(|t| t.uuid(topic::TOPIC_ID).is_zero() && partitions(t) > 0);
            let several = topics.iter().map(partitions).sum::<usize>() > 1;
            zero && several && look.all.iter().any(|d| d.path == "ErrorCode" && d.reference == "UNKNOWN_SERVER_ERROR")
        },
        why: "Kafka fails a whole fetch that asks for a partition of the zero id, which is none, and for another one \
              (`FetchResponse.matchingTopic` meets a topic without a name); here the former has its own error, and the \
              other is served.",
    },
    Waiver {
        name: "unknown ids in share fetches",
        apis: &[ApiKey::SHARE_FETCH, ApiKey::SHARE_ACKNOWLEDGE],
        versions: Versions::new(1, 2),
        is: |look| {
            let failed = |d: &Delta| d.path == "ErrorCode" && d.reference == "UNKNOWN_SERVER_ERROR" && d.proxied == "0";
            look.all.iter().any(failed)
        },
        why: "Kafka with an authorizer fails a whole request that names a topic id it does not know; here that id has its \
              own error, as on a broker without an authorizer.",
    },
    Waiver {
        name: "addresses in configs of brokers",
        apis: &[ApiKey::DESCRIBE_CONFIGS],
        versions: Versions::new(1, 4),
        is: |look| {
            look.delta.path.ends_with("Value") && look.delta.proxied.is_empty() && look.delta.reference.contains(':')
        },
        why: "Where brokers listen is not for clients of the proxy: listeners and voters are blank (threat 7).",
    },
    Waiver {
        name: "credentials of everybody, denied",
        apis: &[ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS],
        versions: Versions::new(0, 0),
        is: |look| {
            look.delta.reference == "(silence)" && look.body.is_null(describe_user_scram_credentials::request::USERS)
        },
        why: "A broker never answers who may not see credentials and asks for those of all users; here the refusal is told.",
    },
    Waiver {
        name: "addresses of controllers",
        apis: &[ApiKey::DESCRIBE_QUORUM],
        versions: Versions::new(2, 2),
        is: |look| look.delta.path == "Nodes.Listeners(count)" && look.delta.proxied == "[]",
        why: "Where controllers listen is not for clients of the proxy (threat 7).",
    },
    Waiver {
        name: "quotas that would hold the proxy",
        apis: &[ApiKey::ALTER_CLIENT_QUOTAS],
        versions: Versions::new(0, 1),
        is: |look| {
            let denied = |d: &Delta| d.proxied == "CLUSTER_AUTHORIZATION_FAILED";
            let body = format!("{:?}", look.body);
            ["EntityName: null", "\"10.1.2.3\""].iter().any(|name| body.contains(name)) && look.all.iter().any(denied)
        },
        why: "To the brokers all clients are the proxy: a default quota of users, or one of addresses, would hold them \
              all, the audit included (threat 18).",
    },
    Waiver {
        name: "quotas of an entity named twice",
        apis: &[ApiKey::ALTER_CLIENT_QUOTAS],
        versions: Versions::new(0, 1),
        is: |look| look.delta.path == "Entries(count)" && look.delta.reference.contains("Ignoring duplicate entity"),
        why: "A controller answers once, for all of its mentions, that it ignores an entity named twice; here one that would \
              hold the proxy is refused as often as it is named.",
    },
    Waiver {
        name: "the wildcard is every name",
        apis: &[],
        versions: Versions::new(0, i16::MAX),
        is: |look| {
            let told = |text: &str| text.contains("GroupId: *x,");
            format!("{:?}", look.body).contains("\"*x\"") || told(&look.delta.reference) || told(&look.delta.proxied)
        },
        why: "Kafka's index of ACLs skips the wildcard for names that begin with an asterisk and go on: a deny of `*` \
              is escaped by such a name, and an allow does not reach it. Here `*` is every name.",
    },
    Waiver {
        name: "subscriptions by a pattern of the broker",
        apis: &[ApiKey::CONSUMER_GROUP_HEARTBEAT],
        versions: Versions::new(1, 1),
        is: |look| {
            look.delta.proxied.contains("INVALID_REGULAR_EXPRESSION")
                || look.delta.proxied.contains("subscriptions by a pattern")
        },
        why: "A broker resolves the pattern with the rights of its client, which here is the proxy: a member would be \
              told of topics that it may not see. The refusal comes before the broker looks at the rest (threat 22).",
    },
    Waiver {
        name: "heartbeats of streams groups",
        apis: &[ApiKey::STREAMS_GROUP_HEARTBEAT],
        versions: Versions::new(0, 1),
        is: |look| {
            // What the proxy says: that a broker refuses what here goes on is no such difference.
            let refused =
                ["INVALID_REQUEST", "TOPIC_AUTHORIZATION_FAILED", "STREAMS_INVALID_TOPOLOGY", "FENCED_MEMBER_EPOCH"];
            match look.all.iter().find(|d| d.path == "ErrorCode") {
                Some(code) => refused.contains(&code.proxied.as_str()),
                None => look.delta.path == "ErrorMessage",
            }
        },
        why: "A broker creates the internal topics of a topology with the rights of its client, which here is the proxy: a \
              heartbeat goes on only if the caller could create them all, names no pattern of source topics, and brings its \
              topology when it joins, on each of its connections (FENCED_MEMBER_EPOCH). What is refused for that is refused before the broker looks at the form (threats 6 \
              and 22).",
    },
    Waiver {
        name: "configs of brokers",
        apis: &[ApiKey::ALTER_CONFIGS, ApiKey::INCREMENTAL_ALTER_CONFIGS],
        versions: Versions::new(0, 2),
        is: |look| {
            let refused = ["CLUSTER_AUTHORIZATION_FAILED", "Cluster authorization failed."];
            // Beside an operation that is none the refusal is that of the controller, which fails over all it gets.
            let with_it = ["UNKNOWN_SERVER_ERROR", "null"].contains(&look.delta.proxied.as_str())
                && ["Responses.ErrorCode", "Responses.ErrorMessage"].contains(&look.delta.path.as_str())
                && format!("{:?}", look.body).contains("ConfigOperation: 9");
            let invalid = |d: &Delta| ["INVALID_CONFIG", "INVALID_REQUEST"].contains(&d.reference.as_str());
            (refused.contains(&look.delta.proxied.as_str()) || with_it) && look.all.iter().any(invalid)
        },
        why: "A broker looks at the values of its own configs before it asks whether they may be changed. The proxy does \
              not know what is valid, and says first that they may not.",
    },
    Waiver {
        name: "a broker that never answers",
        apis: &[ApiKey::ALTER_CONFIGS],
        versions: Versions::new(0, 2),
        is: |look| {
            use alter_configs::request::{RESOURCES, alter_configs_resource as resource};
            let resources = look.body.nodes(RESOURCES).iter();
            let mut named: Vec<_> =
                resources.map(|r| (r.int(resource::RESOURCE_TYPE), r.str(resource::RESOURCE_NAME))).collect();
            named.sort_unstable();
            let twice = named.windows(2).any(|pair| pair[0] == pair[1]);
            twice && look.delta.path == "(outcome)" && look.delta.reference == "(silence)"
        },
        why: "Kafka 4.3 with an authorizer never answers an AlterConfigs that names a resource twice; the proxy hands \
              on the error of a broker without one.",
    },
];

/// The waiver for a difference.
pub fn of(key: ApiKey, version: i16, look: &Look<'_>) -> Option<&'static Waiver> {
    let about = |w: &Waiver| (w.apis.is_empty() || w.apis.contains(&key)) && w.versions.contains(version);
    WAIVERS.iter().find(|w| about(w) && (w.is)(look))
}

/// The page of the documentation.
pub fn page() -> String {
    let mut text = HEAD.to_owned();
    for waiver in WAIVERS {
        let apis: Vec<&str> = waiver.apis.iter().map(|key| key.name()).collect();
        let apis = if apis.is_empty() { "every API that names one".to_owned() } else { apis.join(", ") };
        let versions = if waiver.versions.max == i16::MAX { "all".to_owned() } else { waiver.versions.to_string() };
        text.push_str(&format!("| {} | {apis} | {versions} | {} |\n", waiver.name, waiver.why));
    }
    text.push_str(TAIL);
    text
}

const HEAD: &str = "# Where the proxy answers otherwise than a broker

With the same ACLs, the proxy before an open broker answers as a broker with `StandardAuthorizer` does: error codes, defaults,
order where Kafka has one, silence, closed connections, and effects. `tests/differential` asks both the same requests and
compares. What may differ is this list, which is made from `tests/differential/waivers.rs`; a difference that no longer shows
fails the full run.

| what | where | versions | why |
|---|---|---|---|
";

const TAIL: &str = "
Besides, what two clusters cannot have in common is not compared: ids, members, producers, ports, directories, the time, sizes
and offsets of the brokers' own topics, names of loggers, share partitions that a broker fails to initialise behind a fetch, and the order of lists that Kafka takes out of hash maps. The text of
a denied cluster operation, which in Kafka is a dump of its request object, is the default text of the error here. Topics of
the proxy itself are hidden from everybody. What has two readings on the wire (duplicate or descending tags, bytes behind the
last field) closes the connection here; brokers read on. So does, without an answer, a request other than a token between
SaslHandshake and the first token. AddRaftVoter with a listener whose name is blank, which ends the process of a 4.3.1
controller, is refused here with INVALID_REQUEST.
";
