//! What the demo prints: one line per event, in colours where they can be seen.

use super::actors::{Doing, Met};
use super::events::Event;
use super::files::{GRANT, Layout};
use super::next;
use std::io::{self, Write};
use std::time::Duration;

/// A colour of the terminal.
#[derive(Copy, Clone)]
enum Colour {
    Green,
    Red,
    Yellow,
    Grey,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Self::Green => "32",
            Self::Red => "31",
            Self::Yellow => "33",
            Self::Grey => "90",
        }
    }
}

/// Where it is printed.
pub struct Show<'o> {
    out: &'o mut dyn Write,
    coloured: bool,
}

impl<'o> Show<'o> {
    /// Prints to `out`.
    pub fn to(out: &'o mut dyn Write, coloured: bool) -> Self {
        Self { out, coloured }
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if self.coloured { format!("\x1b[{}m{text}\x1b[0m", colour.code()) } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    /// What runs, where, and what to do with it.
    pub(super) fn welcome(&mut self, layout: &Layout, grant: Duration) -> io::Result<()> {
        let mut text = format!(
            "A Kafka broker in memory, and kordon before it. Everybody who connects to a port is that person:\n\n  \
             alice  127.0.0.1:{}   reads and writes orders\n  \
             bob    127.0.0.1:{}   may write orders for {} s more, by grant {GRANT}; never payments\n  \
             siem   127.0.0.1:{}   reads the audit topic\n\n  \
             policy   {}\n           edit and save it: the next request is judged by it\n  \
             metrics  http://127.0.0.1:{}/metrics\n\n\
             Try:\n\n",
            layout.port(super::files::Person::Alice),
            layout.port(super::files::Person::Bob),
            grant.as_secs(),
            layout.port(super::files::Person::Siem),
            layout.policy().display(),
            layout.metrics(),
        );
        for line in next::lines(layout) {
            let comment = self.paint(Colour::Grey, &format!("# {}", line.outcome));
            text.push_str(&format!("  {}  {comment}\n", line.command));
        }
        text.push_str("\nDecisions as they land in the audit topic (Ctrl-C ends):\n");
        self.line(&text)
    }

    /// What a client met.
    pub(super) fn client(&mut self, met: &Met) -> io::Result<()> {
        let doing = match met.doing {
            Doing::Produce => "writes to",
            Doing::Consume => "reads",
        };
        let outcome = match &met.outcome {
            Ok(()) => self.paint(Colour::Green, "works"),
            Err(error) => self.paint(Colour::Red, error),
        };
        self.line(&format!("{}  {} {doing} {}: {outcome}", self.paint(Colour::Grey, "client  "), met.who, met.topic))
    }

    /// A sentence about what was just seen.
    pub(super) fn chapter(&mut self, text: &str) -> io::Result<()> {
        self.line(&self.paint(Colour::Yellow, &format!("          ^ {text}")))
    }

    /// An event.
    pub(super) fn event(&mut self, event: &Event) -> io::Result<()> {
        let time = event.text("/time").get(11..19).unwrap_or_default();
        let time = self.paint(Colour::Grey, time);
        let Some(granted) = event.granted() else {
            let kind = event.text("/type").trim_start_matches("kordon.").trim_end_matches(".v1");
            let words = ["/data/policyInfo", "/data/connectionInfo", "/data/auditInfo"].map(|info| {
                let part = |name: &str| clean(event.text(&format!("{info}/{name}")));
                [part("action"), part("revision"), part("reason"), part("detail"), part("problems/0")].join(" ")
            });
            // Connection events are about who connected, the others about what their type says.
            let about = clean(event.text("/subject"));
            let about = if about == kind { String::new() } else { about };
            let text = format!("{kind} {about} {}", words.join(" "));
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            return self.line(&format!("{time}  {}", self.paint(Colour::Grey, &text)));
        };
        let verdict = if granted { self.paint(Colour::Green, "allow") } else { self.paint(Colour::Red, "DENY ") };
        let [who, operation, what] = event.demand().map(clean);
        let api = clean(event.text("/data/methodName").trim_start_matches("kafka."));
        let count = match event.count() {
            0 | 1 => String::new(),
            count => format!(" x{count}"),
        };
        let code = event.text("/data/authorizationInfo/reasonCode");
        let rule = event.matched().map(|(_, id)| clean(id)).unwrap_or_default();
        let rule = rule.rsplit('/').next().unwrap_or_default();
        self.line(&format!("{time}  {verdict} {who:<11} {operation:<8} {what:<20} {api}{count}  {code} {rule}"))
    }
}

/// Text that clients have chosen, without what a terminal would obey.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(event: &serde_json::Value, coloured: bool) -> String {
        let mut out = Vec::new();
        Show::to(&mut out, coloured).event(&Event::read(event.to_string().as_bytes()).unwrap()).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn decision() -> serde_json::Value {
        json!({
            "type": "kordon.authorization.v1", "subject": "topic:pay\u{1b}[2J", "time": "2026-11-22T01:02:03.456Z",
            "data": {
                "methodName": "kafka.Produce",
                "authenticationInfo": { "principal": "User:bob" },
                "authorizationInfo": {
                    "granted": false, "operation": "Write", "reasonCode": "EXPLICIT_DENY",
                    "matched": [{ "kind": "acl", "id": "/tmp/policy.yaml:31", "effect": "deny" }],
                },
                "aggregation": { "count": 12 },
            },
        })
    }

    #[test]
    fn a_decision_is_one_line_without_the_clients_terminal_codes() {
        assert_eq!(
            shown(&decision(), false),
            "01:02:03  DENY  User:bob    Write    topic:pay?[2J        Produce x12  EXPLICIT_DENY policy.yaml:31\n"
        );
        assert!(shown(&decision(), true).contains("\x1b[31mDENY \x1b[0m"));
    }

    #[test]
    fn other_events_are_told_in_a_few_words() {
        let policy = json!({
            "type": "kordon.policy.v1", "subject": "policy", "time": "2026-11-22T01:02:03.456Z",
            "data": { "policyInfo": { "action": "loaded", "revision": "9f2c@0" } },
        });
        assert_eq!(shown(&policy, false), "01:02:03  policy loaded 9f2c@0\n");
        let refused = json!({
            "type": "kordon.policy.v1", "subject": "policy", "time": "2026-11-22T01:02:03.456Z",
            "data": { "policyInfo": { "action": "refused", "revision": "9f2c@0", "problems": ["p.yaml:3:1: what"] } },
        });
        assert_eq!(shown(&refused, false), "01:02:03  policy refused 9f2c@0 p.yaml:3:1: what\n");
    }
}
