//! What to try next: lines to copy, and what they will meet. The README shows the same, and a test runs them.

use super::events::AUDIT_TOPIC;
use super::files::{Layout, Person};

/// A line to copy into a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The command.
    pub command: String,
    /// What comes of it.
    pub outcome: &'static str,
}

/// The lines, with the ports of this demo.
pub fn lines(layout: &Layout) -> Vec<Line> {
    let [alice, bob, siem] =
        [Person::Alice, Person::Bob, Person::Siem].map(|person| format!("127.0.0.1:{}", layout.port(person)));
    let line = |command: String, outcome: &'static str| Line { command, outcome };
    vec![
        line(
            format!("echo hello | kafka-console-producer.sh --bootstrap-server {alice} --topic orders"),
            "alice may write",
        ),
        line(
            format!(
                "kafka-console-consumer.sh --bootstrap-server {alice} --topic orders --group orders-app --from-beginning --max-messages 3"
            ),
            "and read: Processed a total of 3 messages",
        ),
        line(
            format!("echo hello | kafka-console-producer.sh --bootstrap-server {bob} --topic payments"),
            "bob may not: TopicAuthorizationException",
        ),
        line(format!("kafka-topics.sh --bootstrap-server {bob} --list"), "orders, payments, but no pii.people"),
        line(
            format!(
                "kafka-console-consumer.sh --bootstrap-server {siem} --topic {AUDIT_TOPIC} --group kordon-audit-me --from-beginning --max-messages 5"
            ),
            "the auditor reads the decisions",
        ),
        line(format!("echo hello | kcat -P -b {alice} -t orders"), "alice may write"),
        line(format!("kcat -C -b {alice} -t orders -o beginning -e"), "and read"),
        line(format!("echo hello | kcat -P -b {bob} -t payments"), "bob may not: Topic authorization failed"),
    ]
}
