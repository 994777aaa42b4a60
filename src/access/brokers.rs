//! ACLs that stay in the brokers' authorizer (`policy.protocol_acls: cluster`): asked for every so often, since Kafka tells
//! nobody that they changed (threat 21). All of them are enforced, whoever they name.

use super::InForce;
use super::asked::AllAsked;
use super::record::ChangeBy;
use super::shared::{Halt, Shared};
use crate::cluster::link::LinkError;
use crate::cluster::{AskError, Cluster};
use crate::model::{Operation, PatternType, ResourceType};
use crate::policy::{AclBinding, AclChange, AclChanged, AclFilter, AclSet, ChangeRefused, PatternFilter, Permission};
use crate::telemetry::ChangeOutcome;
use crate::wire::schema::{create_acls, delete_acls, describe_acls};
use crate::wire::{ApiKey, ErrorCode, Node};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// What a change may take: less than the 30 s for which Kafka's clients wait.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before a poll that failed is tried again, at the most.
const RETRY: Duration = Duration::from_secs(1);
/// Before a broker that does not show a change yet is asked again: twice as long each time, from the first to the second. It
/// may never show it, where somebody undid it at once.
const BEHIND: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
/// In requests: any resource type, operation, permission.
const ANY: i8 = 1;

/// Keeps up with the brokers' ACLs, and changes them.
#[derive(Debug)]
pub(super) struct Brokers {
    shared: Arc<Shared>,
    cluster: Cluster,
    every: Duration,
    /// Ends the wait for the next poll.
    now: Notify,
    /// Of the last poll that succeeded: its number, and what is in force since.
    polled: watch::Sender<(u64, AclSet)>,
    /// How many polls were begun.
    begun: AtomicU64,
    asked: AllAsked,
}

/// Why a change has no good end.
#[derive(Debug, PartialEq, Eq)]
enum Failed {
    /// Nothing was changed, or what was made of it is told.
    Refused(ChangeRefused),
    /// It was sent, and nobody says what became of it.
    Unknown(String),
}

impl Brokers {
    pub(super) fn new(shared: Arc<Shared>, cluster: Cluster, every: Duration) -> Self {
        let polled = watch::Sender::new((0, AclSet::default()));
        let (now, begun, asked) = (Notify::new(), AtomicU64::new(0), AllAsked::default());
        Self { shared, cluster, every, now, polled, begun, asked }
    }

    /// Polls for as long as the process lives.
    pub(super) async fn follow(self: Arc<Self>, target: Arc<dyn InForce>) {
        let mut known: Option<AclSet> = None;
        loop {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let asked = Instant::now();
            let wait = match ask(&self.cluster, &AclFilter::ANY).await {
                Ok(set) => {
                    let put = match &known {
                        Some(known) if *known == set => true,
                        Some(known) => target.put(set.clone(), self.asked.made_between(known, &set)).await,
                        None => target.put(set.clone(), Vec::new()).await,
                    };
                    self.shared.put(put);
                    self.shared.confirmed_at(asked);
                    if put {
                        self.shared.metrics.state_acls.set(i64::try_from(set.len()).unwrap_or(i64::MAX));
                        self.shared.in_force.send_replace(0);
                        known = Some(set.clone());
                        self.polled.send_replace((number, set));
                    }
                    self.every
                }
                Err(halt) => {
                    self.shared.halted(halt);
                    self.every.min(RETRY)
                }
            };
            // Either may be dropped: a notice that comes between is kept.
            tokio::select! {
                () = self.now.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sends a change to the brokers, and asks for the ACLs again before it returns.
    pub(super) async fn change(&self, change: AclChange, by: ChangeBy) -> Result<AclChanged, ChangeRefused> {
        let (outcome, result) = match tokio::time::timeout(PATIENCE, self.send(change, by)).await {
            Ok(Ok(changed)) => (ChangeOutcome::Done, Ok(changed)),
            Ok(Err(Failed::Refused(refused))) => (ChangeOutcome::Refused, Err(refused)),
            Ok(Err(Failed::Unknown(why))) => (ChangeOutcome::Unknown, Err(unknown(&why))),
            Err(_) => (ChangeOutcome::Unknown, Err(unknown("the brokers did not answer in time"))),
        };
        self.shared.metrics.state_change(outcome);
        result
    }

    async fn send(&self, change: AclChange, by: ChangeBy) -> Result<AclChanged, Failed> {
        // What is changed could not be seen to be in force.
        if let Some(why) = self.shared.refuses() {
            return Err(not_asked(&why));
        }
        let link = self.cluster.any_link().ok_or_else(|| not_asked("no broker is connected"))?;
        let (key, request) = match &change {
            AclChange::Create(acls) => (ApiKey::CREATE_ACLS, creation(acls)),
            AclChange::Delete(filters) => (ApiKey::DELETE_ACLS, deletion(filters)),
        };
        let under_way = self.asked.begin(&change, by);
        let answer = link.call(key, &request).await.map_err(|error| {
            // If it was made, it is in force the sooner.
            self.now.notify_one();
            not_told(&error)
        })?;
        let told = match &change {
            AclChange::Create(_) => created(&answer),
            AclChange::Delete(_) => deleted(&answer),
        };
        if let Ok(changed) = &told {
            under_way.answered(changed);
        }
        self.until_seen(&change, told.as_ref().ok()).await;
        // What was made in part may show later.
        if told.is_ok() {
            under_way.seen();
        }
        told
    }

    /// Polls until a poll that began after the change is in force, and shows it if it was made: the broker that is asked
    /// may be behind the controller that made it.
    async fn until_seen(&self, change: &AclChange, made: Option<&AclChanged>) {
        let mut polled = self.polled.subscribe();
        let [mut pause, longest] = BEHIND;
        loop {
            let after = self.begun.load(Ordering::SeqCst);
            self.now.notify_one();
            match polled.wait_for(|(number, _)| *number > after).await {
                Ok(seen) if made.is_some_and(|made| !shows(&seen.1, change, made)) => {}
                Ok(_) | Err(_) => return,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

fn unknown(why: &str) -> ChangeRefused {
    let message = format!("it is not known whether this was changed: {why}; list the ACLs before you try again");
    ChangeRefused { code: ErrorCode::REQUEST_TIMED_OUT, message }
}

/// The change was not sent.
fn not_asked(why: &str) -> Failed {
    let message = format!("the brokers cannot be asked to change their ACLs: {why}");
    Failed::Refused(ChangeRefused { code: ErrorCode::REQUEST_TIMED_OUT, message })
}

/// There is no answer to a change.
fn not_told(error: &LinkError) -> Failed {
    match error {
        LinkError::NotServed { .. } => not_asked(&error.to_string()),
        LinkError::Closed(_) | LinkError::TimedOut { .. } | LinkError::Nonsense { .. } => {
            Failed::Unknown(error.to_string())
        }
    }
}

/// Whether a change is in what the brokers say they have. Of a removal that is what they said they removed: others that the
/// same filters find may have come since.
fn shows(acls: &AclSet, change: &AclChange, told: &AclChanged) -> bool {
    match (change, told) {
        (_, AclChanged::Deleted(by_filter)) => !by_filter.iter().flatten().any(|acl| acls.contains(acl)),
        (AclChange::Create(made), AclChanged::Created) => made.iter().all(|acl| acls.contains(acl)),
        // No answer to a removal.
        (AclChange::Delete(_), AclChanged::Created) => true,
    }
}

/// The ACLs that the brokers' authorizer has, as far as the filter matches them.
async fn ask(cluster: &Cluster, wanted: &AclFilter) -> Result<AclSet, Halt> {
    use describe_acls::request as q;
    use describe_acls::response::{self as r, acl_description as one, describe_acls_resource as resource};
    let request = filter(
        Node::request(ApiKey::DESCRIBE_ACLS),
        wanted,
        &FilterFields {
            kind: q::RESOURCE_TYPE_FILTER,
            name: q::RESOURCE_NAME_FILTER,
            pattern: q::PATTERN_TYPE_FILTER,
            principal: q::PRINCIPAL_FILTER,
            host: q::HOST_FILTER,
            operation: q::OPERATION,
            permission: q::PERMISSION_TYPE,
        },
    );
    let answer = cluster.ask_the_same(ApiKey::DESCRIBE_ACLS, &request).await.map_err(|error| match error {
        AskError::NoBroker => Halt::passing(cluster.trouble().map_or_else(|| error.to_string(), |why| why.to_string())),
        AskError::Link(_) | AskError::Refused(_) => Halt::passing(error.to_string()),
    })?;
    match ErrorCode(answer.i16(r::ERROR_CODE)) {
        ErrorCode::NONE => {}
        code => return Err(refused(code, answer.opt_str(r::ERROR_MESSAGE))),
    }
    let mut acls = Vec::new();
    for of in answer.nodes(r::RESOURCES) {
        for acl in of.nodes(resource::ACLS) {
            let binding = binding(
                (
                    small(of, resource::RESOURCE_TYPE),
                    small(of, resource::PATTERN_TYPE),
                    of.str(resource::RESOURCE_NAME),
                ),
                (acl.str(one::PRINCIPAL), acl.str(one::HOST)),
                (small(acl, one::OPERATION), small(acl, one::PERMISSION_TYPE)),
            );
            // One that is not understood may be a deny: without it nothing is known.
            acls.push(binding.ok_or_else(|| {
                Halt::lasting(format!(
                    "the brokers have an ACL that this version does not know, on `{}`: upgrade this proxy",
                    of.str(resource::RESOURCE_NAME)
                ))
            })?);
        }
    }
    Ok(AclSet::new(acls, None))
}

/// Those who may change a topic behind the proxy's back, as far as the brokers' ACLs say: allows of others than these
/// principals.
///
/// # Errors
/// The brokers do not say, in words.
pub async fn strangers(cluster: &Cluster, topic: &str, own: &[String]) -> Result<Vec<AclBinding>, String> {
    let wanted = AclFilter {
        kind: Some(ResourceType::Topic),
        pattern: PatternFilter::Match,
        name: Some(topic.to_owned()),
        permission: Some(Permission::Allow),
        ..AclFilter::ANY
    };
    let acls = ask(cluster, &wanted).await.map_err(|halt| halt.what)?;
    let changes = |operation| {
        use Operation::{All, Alter, AlterConfigs, Create, Delete, Write};
        matches!(operation, All | Alter | AlterConfigs | Create | Delete | Write)
    };
    // Whom a token names is known from the cluster alone.
    let known = cluster.topology();
    let is_own = |principal: &String| own.contains(principal) || known.own.has_principal(principal);
    Ok(acls.iter().filter(|acl| changes(acl.operation) && !is_own(&acl.principal)).cloned().collect())
}

fn refused(code: ErrorCode, message: Option<&str>) -> Halt {
    match code {
        ErrorCode::SECURITY_DISABLED => Halt::lasting(
            "the brokers have no authorizer (SECURITY_DISABLED): set `authorizer.class.name` there, or \
             `policy.protocol_acls` to `state` here",
        ),
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => Halt::lasting(
            "the brokers do not show their ACLs (CLUSTER_AUTHORIZATION_FAILED): the proxy's principal needs Describe and Alter \
             on the cluster",
        ),
        code => Halt::passing(format!("{}: {}", code.name(), message.unwrap_or(code.message()))),
    }
}

/// A code of one byte.
fn small(node: &Node, field: crate::wire::Field) -> i8 {
    i8::try_from(node.i16(field)).unwrap_or_default()
}

/// Type, pattern, name; principal, host; operation, permission.
fn binding(pattern: (i8, i8, &str), who: (&str, &str), what: (i8, i8)) -> Option<AclBinding> {
    Some(AclBinding {
        kind: ResourceType::from_code(pattern.0)?,
        pattern: PatternType::from_code(pattern.1)?,
        name: pattern.2.to_owned(),
        principal: who.0.to_owned(),
        host: who.1.to_owned(),
        operation: Operation::from_code(what.0)?,
        permission: Permission::from_code(what.1)?,
    })
}

/// Where the parts of a filter stand in a request.
struct FilterFields {
    kind: crate::wire::Field,
    name: crate::wire::Field,
    pattern: crate::wire::Field,
    principal: crate::wire::Field,
    host: crate::wire::Field,
    operation: crate::wire::Field,
    permission: crate::wire::Field,
}

fn code(code: Option<u8>) -> i8 {
    code.and_then(|code| i8::try_from(code).ok()).unwrap_or(ANY)
}

fn filter(node: Node, filter: &AclFilter, at: &FilterFields) -> Node {
    node.with(at.kind, code(filter.kind.map(ResourceType::code)))
        .with(at.name, filter.name.as_deref())
        .with(at.pattern, code(Some(filter.pattern.code())))
        .with(at.principal, filter.principal.as_deref())
        .with(at.host, filter.host.as_deref())
        .with(at.operation, code(filter.operation.map(Operation::code)))
        .with(at.permission, code(filter.permission.map(Permission::code)))
}

fn creation(acls: &[AclBinding]) -> Node {
    use create_acls::request::{self as q, acl_creation as one};
    let mut request = Node::request(ApiKey::CREATE_ACLS);
    for acl in acls {
        let one = request
            .child(q::CREATIONS)
            .with(one::RESOURCE_TYPE, code(Some(acl.kind.code())))
            .with(one::RESOURCE_NAME, acl.name.as_str())
            .with(one::RESOURCE_PATTERN_TYPE, code(Some(acl.pattern.code())))
            .with(one::PRINCIPAL, acl.principal.as_str())
            .with(one::HOST, acl.host.as_str())
            .with(one::OPERATION, code(Some(acl.operation.code())))
            .with(one::PERMISSION_TYPE, code(Some(acl.permission.code())));
        request.push(q::CREATIONS, one);
    }
    request
}

fn deletion(filters: &[AclFilter]) -> Node {
    use delete_acls::request::{self as q, delete_acls_filter as one};
    let mut request = Node::request(ApiKey::DELETE_ACLS);
    for wanted in filters {
        let one = filter(
            request.child(q::FILTERS),
            wanted,
            &FilterFields {
                kind: one::RESOURCE_TYPE_FILTER,
                name: one::RESOURCE_NAME_FILTER,
                pattern: one::PATTERN_TYPE_FILTER,
                principal: one::PRINCIPAL_FILTER,
                host: one::HOST_FILTER,
                operation: one::OPERATION,
                permission: one::PERMISSION_TYPE,
            },
        );
        request.push(q::FILTERS, one);
    }
    request
}

/// What became of one part of a change.
fn told(code: i16, message: Option<&str>) -> Result<(), Failed> {
    match ErrorCode(code) {
        ErrorCode::NONE => Ok(()),
        // The client may; it is the proxy that may not, which is nothing an authorization error should say.
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => Err(Failed::Refused(ChangeRefused {
            code: ErrorCode::REQUEST_TIMED_OUT,
            message: refused(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, None).what,
        })),
        // Of the broker, which has sent it on to the controller.
        code @ ErrorCode::REQUEST_TIMED_OUT => Err(Failed::Unknown(code.name().to_owned())),
        code => Err(Failed::Refused(ChangeRefused { code, message: message.unwrap_or(code.message()).to_owned() })),
    }
}

/// The first failure, and that others were made if there are: the client is told one thing of the whole request.
fn together(parts: impl Iterator<Item = Result<(), Failed>>) -> Result<(), Failed> {
    let (mut first, mut made) = (None, 0_usize);
    for part in parts {
        match part {
            Ok(()) => made += 1,
            Err(failed) => first = first.or(Some(failed)),
        }
    }
    match first {
        None => Ok(()),
        Some(Failed::Refused(ChangeRefused { code, message })) if made > 0 => {
            let message = format!("{message}; {made} others of this request were changed: list the ACLs");
            Err(Failed::Refused(ChangeRefused { code, message }))
        }
        Some(failed) => Err(failed),
    }
}

fn created(answer: &Node) -> Result<AclChanged, Failed> {
    use create_acls::response::{self as r, acl_creation_result as one};
    let results = answer.nodes(r::RESULTS).iter();
    together(results.map(|result| told(result.i16(one::ERROR_CODE), result.opt_str(one::ERROR_MESSAGE))))?;
    Ok(AclChanged::Created)
}

fn deleted(answer: &Node) -> Result<AclChanged, Failed> {
    use delete_acls::response::{self as r, delete_acls_filter_result as one, delete_acls_matching_acl as acl};
    let mut parts = Vec::new();
    let mut by_filter = Vec::new();
    for result in answer.nodes(r::FILTER_RESULTS) {
        let whole = told(result.i16(one::ERROR_CODE), result.opt_str(one::ERROR_MESSAGE));
        // A filter changes something where it found an ACL, and that is told of the ACL.
        parts.extend(whole.err().map(Err));
        let mut gone = Vec::new();
        for a in result.nodes(one::MATCHING_ACLS) {
            parts.push(told(a.i16(acl::ERROR_CODE), a.opt_str(acl::ERROR_MESSAGE)));
            gone.extend(binding(
                (small(a, acl::RESOURCE_TYPE), small(a, acl::PATTERN_TYPE), a.str(acl::RESOURCE_NAME)),
                (a.str(acl::PRINCIPAL), a.str(acl::HOST)),
                (small(a, acl::OPERATION), small(a, acl::PERMISSION_TYPE)),
            ));
        }
        by_filter.push(gone);
    }
    together(parts.into_iter())?;
    Ok(AclChanged::Deleted(by_filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(name: &str) -> AclBinding {
        AclBinding {
            kind: ResourceType::Topic,
            pattern: PatternType::Literal,
            name: name.to_owned(),
            principal: "User:alice".to_owned(),
            host: "*".to_owned(),
            operation: Operation::Read,
            permission: Permission::Deny,
        }
    }

    #[test]
    fn a_broker_that_lags_does_not_show_a_change_yet() {
        let (before, after) = (AclSet::new([acl("a")], None), AclSet::new([acl("a"), acl("b")], None));
        let made = AclChange::Create(vec![acl("a"), acl("b")]);
        assert!(!shows(&before, &made, &AclChanged::Created));
        assert!(shows(&after, &made, &AclChanged::Created));
        let (gone, told) = (AclChange::Delete(vec![AclFilter::ANY]), AclChanged::Deleted(vec![vec![acl("b")]]));
        assert!(!shows(&after, &gone, &told));
        assert!(shows(&before, &gone, &told), "what others made since is not waited for");
    }

    #[test]
    fn only_what_was_never_sent_is_told_as_not_changed() {
        let api = "CreateAcls";
        let cause = crate::wire::WireError::PeerSentInvalidUtf8 { at: 0 };
        for error in [
            LinkError::Closed("gone".into()),
            LinkError::TimedOut { api, millis: 1 },
            LinkError::Nonsense { api, cause },
        ] {
            assert_eq!(not_told(&error), Failed::Unknown(error.to_string()));
        }
        assert_eq!(told(ErrorCode::REQUEST_TIMED_OUT.0, None), Err(Failed::Unknown("REQUEST_TIMED_OUT".to_owned())));
        let never = LinkError::NotServed { api };
        let Failed::Refused(refused) = not_told(&never) else { panic!("{never}") };
        assert!(refused.message.starts_with("the brokers cannot be asked to change their ACLs: "), "{refused}");
    }

    #[test]
    fn what_was_made_beside_what_was_refused_is_told() {
        use create_acls::response::{self as r, acl_creation_result as one};
        let answer = |codes: &[ErrorCode]| {
            let mut answer = Node::response(ApiKey::CREATE_ACLS);
            for code in codes {
                let result = answer.child(r::RESULTS).with(one::ERROR_CODE, *code).with(one::ERROR_MESSAGE, "too many");
                answer.push(r::RESULTS, result);
            }
            created(&answer)
        };
        let refused = |message: &str| {
            let message = message.to_owned();
            Err(Failed::Refused(ChangeRefused { code: ErrorCode::INVALID_REQUEST, message }))
        };
        let (made, bad) = (ErrorCode::NONE, ErrorCode::INVALID_REQUEST);
        assert_eq!(answer(&[made, made]), Ok(AclChanged::Created));
        assert_eq!(answer(&[bad, bad]), refused("too many"));
        let told = "too many; 2 others of this request were changed: list the ACLs";
        assert_eq!(answer(&[made, bad, made]), refused(told));
    }
}
