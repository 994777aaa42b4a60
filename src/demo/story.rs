//! What there is to see, and what was seen of it: events of the audit topic, and a client that hears of the end.

use super::actors::Met;
use super::events::Event;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    allowed: bool,
    denied: bool,
    /// What was allowed under a temporary grant: who, operation, resource.
    granted: Option<[String; 3]>,
    ended: bool,
    /// What worked for a client: who, and on which topic.
    worked: Vec<(&'static str, &'static str)>,
    /// A client was refused what had worked.
    turned: bool,
}

impl Story {
    /// Takes note of what a client met.
    pub(super) fn meet(&mut self, met: &Met) {
        let what = (met.who, met.topic);
        match met.outcome {
            Ok(()) => self.worked.push(what),
            Err(_) => self.turned |= self.worked.contains(&what),
        }
    }

    /// Takes note of an event; a sentence if it is the first of its kind.
    pub(super) fn hear(&mut self, event: &Event) -> Option<&'static str> {
        let granted = event.granted()?;
        let demand = event.demand();
        // Who only asks what there is has not done anything yet.
        let data = matches!(demand, [_, "Read" | "Write", _]);
        let same = self.granted.as_ref().is_some_and(|known| *known == demand);
        let news = match (granted, event.matched()) {
            (true, Some(("grant", _))) if self.granted.is_none() => {
                self.granted = Some(demand.map(String::from));
                "allowed by the temporary grant alone"
            }
            (true, _) if data && !self.allowed => {
                self.allowed = true;
                "allowed, as the rule in the policy says"
            }
            (false, _) if same && !self.ended => {
                self.ended = true;
                "the grant has run out: the same client on the same connection is refused"
            }
            (false, _) if data && !self.denied => {
                self.denied = true;
                "refused: no rule allows it"
            }
            (true | false, _) => return None,
        };
        Some(news)
    }

    /// What is still to be seen.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let all = [
            (self.allowed, "a decision that allows"),
            (self.denied, "a decision that refuses"),
            (self.granted.is_some(), "a decision under the temporary grant"),
            (self.ended, "the end of the temporary grant"),
            (self.turned, "a client that is refused what it could"),
        ];
        all.into_iter().filter(|(seen, _)| !seen).map(|(_, what)| what).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::actors::Doing;
    use super::*;
    use serde_json::json;

    fn event(granted: bool, who: &str, kind: &str) -> Event {
        let matched = if kind.is_empty() { json!([]) } else { json!([{ "kind": kind, "id": "x" }]) };
        let event = json!({
            "subject": "topic:orders",
            "data": {
                "authenticationInfo": { "principal": who },
                "authorizationInfo": { "granted": granted, "operation": "Write", "matched": matched },
            },
        });
        Event::read(event.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_end_of_a_grant_is_a_refusal_of_what_it_allowed() {
        let mut story = Story::default();
        assert_eq!(story.missing().len(), 5);
        story.hear(&event(true, "User:alice", "acl"));
        story.hear(&event(false, "User:bob", ""));
        assert_eq!(story.missing().len(), 3);
        assert!(story.hear(&event(true, "User:bob", "grant")).is_some());
        assert!(story.hear(&event(false, "User:alice", "")).is_none());
        assert!(story.hear(&event(false, "User:bob", "")).is_some());
        assert_eq!(story.missing(), ["a client that is refused what it could"]);
    }

    #[test]
    fn a_client_hears_of_the_end_when_what_worked_is_refused() {
        let met = |who, outcome| Met { who, doing: Doing::Produce, topic: "orders", outcome };
        let mut story = Story::default();
        story.meet(&met("alice", Ok(())));
        story.meet(&met("bob", Err("no".to_owned())));
        assert_eq!(story.missing().len(), 5);
        story.meet(&met("bob", Ok(())));
        story.meet(&met("bob", Err("no".to_owned())));
        assert_eq!(story.missing().len(), 4);
    }

    #[test]
    fn looking_around_is_not_doing() {
        let mut story = Story::default();
        let look = Event::read(
            br#"{"subject":"topic:t","data":{"authorizationInfo":{"granted":true,"operation":"Describe"}}}"#,
        );
        assert!(story.hear(&look.unwrap()).is_none());
        assert_eq!(story.missing().len(), 5);
    }

    #[test]
    fn events_that_are_no_decisions_say_nothing() {
        let event = Event::read(br#"{"type":"kordon.policy.v1","data":{"policyInfo":{"action":"loaded"}}}"#).unwrap();
        assert!(Story::default().hear(&event).is_none());
    }
}
