//! ACLs that stay in the brokers.

use super::*;
use crate::wire::schema::create_acls::request::{self as creations, acl_creation as creation};
use crate::wire::schema::describe_acls::response::{self as d, acl_description as one, describe_acls_resource as of};

/// What a broker with an authorizer does to its ACLs.
#[derive(Default)]
struct Authorizer {
    acls: Mutex<Vec<AclBinding>>,
    /// Changes the answer to a request for all ACLs.
    refuses: Mutex<Option<ErrorCode>>,
    /// Makes what it is asked to, and says nothing.
    silent: AtomicBool,
}

impl Authorizer {
    fn step(&self, seen: &Seen) -> Step {
        match seen.key {
            ApiKey::DESCRIBE_ACLS => Step::Answer(self.described()),
            ApiKey::CREATE_ACLS => {
                let names = seen.body.nodes(creations::CREATIONS).iter().map(|c| acl(c.str(creation::RESOURCE_NAME)));
                let made: Vec<AclBinding> = names.collect();
                let mut answer = Node::response(ApiKey::CREATE_ACLS);
                for _ in &made {
                    let result = answer.child(crate::wire::schema::create_acls::response::RESULTS);
                    answer.push(crate::wire::schema::create_acls::response::RESULTS, result);
                }
                self.acls.lock().unwrap().extend(made);
                if self.silent.load(Ordering::Relaxed) { Step::Close } else { Step::Answer(answer) }
            }
            _ => Step::Serve,
        }
    }

    fn described(&self) -> Node {
        let code = self.refuses.lock().unwrap().unwrap_or(ErrorCode::NONE);
        let mut answer = Node::response(ApiKey::DESCRIBE_ACLS).with(d::ERROR_CODE, code);
        for acl in self.acls.lock().unwrap().iter() {
            let mut resource = answer
                .child(d::RESOURCES)
                .with(of::RESOURCE_TYPE, i16::from(acl.kind.code()))
                .with(of::RESOURCE_NAME, acl.name.as_str())
                .with(of::PATTERN_TYPE, i16::from(acl.pattern.code()));
            let row = resource
                .child(of::ACLS)
                .with(one::PRINCIPAL, acl.principal.as_str())
                .with(one::HOST, acl.host.as_str())
                .with(one::OPERATION, i16::from(acl.operation.code()))
                .with(one::PERMISSION_TYPE, i16::from(acl.permission.code()));
            resource.push(of::ACLS, row);
            answer.push(d::RESOURCES, resource);
        }
        answer
    }
}

/// A proxy whose ACLs are those of the brokers; it polls seldom, so that what is seen soon was asked for.
async fn bench() -> (Bench, Arc<Authorizer>) {
    let authorizer = Arc::new(Authorizer::default());
    let acts = Arc::clone(&authorizer);
    let tape = Tape::before(move |seen: &Seen| acts.step(seen));
    let settings = Settings {
        script: Some(Box::new(Arc::clone(&tape))),
        scripted: vec![ApiKey::DESCRIBE_ACLS, ApiKey::CREATE_ACLS],
        ..Settings::default()
    };
    let broker = Broker::start(settings).await.unwrap();
    let mut config = configuration(&broker, "");
    (config.policy.protocol_acls, config.policy.acl_poll) = (ProtocolAcls::Cluster, Duration::from_secs(60));
    (Bench::with(broker, tape, config), authorizer)
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_told_as_unknown_and_looked_for_at_once() {
    let (bench, authorizer) = bench().await;
    let bench = bench.ready().await;
    assert_eq!(bench.create("a").await, Ok(AclChanged::Created));
    assert_eq!(bench.names(), ["a"], "in force when it is told");
    authorizer.silent.store(true, Ordering::Relaxed);
    let refused = bench.create("b").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::REQUEST_TIMED_OUT);
    assert!(refused.message.starts_with("it is not known whether this was changed: the connection"), "{refused}");
    bench.in_force("b").await;
    // Past the proxy: somebody at the brokers.
    authorizer.silent.store(false, Ordering::Relaxed);
    authorizer.acls.lock().unwrap().push(acl("c"));
    assert_eq!(bench.create("d").await, Ok(AclChanged::Created));
    let made = bench.target.made.lock().unwrap().clone();
    let made: Vec<_> = made.into_iter().map(|made| (made.acl.name, made.present, made.by)).collect();
    let ours = |name: &str| (name.to_owned(), true, Some(by()));
    assert_eq!(
        made,
        [ours("a"), ours("b"), ("c".to_owned(), true, None), ours("d")],
        "who did it, as far as it is known"
    );
    let text = bench.metrics.render().unwrap();
    assert!(text.contains("kordon_state_changes_total{outcome=\"unknown\"} 1\n"), "{text}");
}

#[tokio::test]
async fn brokers_that_do_not_show_their_acls_are_not_asked_to_change_them() {
    let (bench, authorizer) = bench().await;
    *authorizer.refuses.lock().unwrap() = Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    bench.obstacle("the brokers do not show their ACLs").await;
    let refused = bench.create("a").await.unwrap_err();
    let told = "the brokers cannot be asked to change their ACLs: the brokers do not show their ACLs";
    assert!(refused.message.starts_with(told), "{refused}");
    assert!(!bench.tape.seen().iter().any(|seen| seen.key == ApiKey::CREATE_ACLS));
}

#[tokio::test]
async fn acls_of_the_brokers_that_cannot_be_put_in_force_let_nobody_in() {
    let (bench, authorizer) = bench().await;
    let bench = bench.ready().await;
    *bench.target.fails.lock().unwrap() = Some("a");
    authorizer.silent.store(true, Ordering::Relaxed);
    bench.create("a").await.unwrap_err();
    let obstacle = bench.obstacle("what was read could not be put in force").await;
    assert!(obstacle.starts_with("state of the brokers: "), "{obstacle}");
    assert!(!bench.access.admits(Duration::ZERO).await);
}
