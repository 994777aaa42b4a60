//! APIs that are refused to everybody, super users included, each in the form in which Kafka refuses it.
//!
//! They are not advertised; a client that sends one all the same gets the answer that a denied one gets from Kafka, never
//! a closed connection or an error of another API. What would have been asked is written down, with the reason
//! UNSUPPORTED_API. Source of the forms: Kafka 4.1, `getErrorResponse` of each request, and kafka-authorization.md §1.

use super::judge::Judge;
use super::rule::{Request, Rule, Verdict};
use crate::model::{GroupId, Operation, ResourceName};
use crate::policy::{Decision, ReasonCode};
use crate::wire::{Field, Node, View, WireError};

/// An API whose refusal is one error of the whole answer, with or without the error's own text.
macro_rules! whole {
    ($name:ident, $api:ident, $demand:expr, $error:expr) => {
        pub(in crate::enforce) static $name: Refusing = Refusing {
            demand: $demand,
            answer: |_, _| {
                Node::response(crate::wire::ApiKey::$name).with(crate::wire::schema::$api::response::ERROR_CODE, $error)
            },
        };
    };
    ($name:ident, $api:ident, $demand:expr, $error:expr, text) => {
        pub(in crate::enforce) static $name: Refusing = Refusing {
            demand: $demand,
            answer: |_, _| {
                Node::response(crate::wire::ApiKey::$name)
                    .with(crate::wire::schema::$api::response::ERROR_CODE, $error)
                    .with(crate::wire::schema::$api::response::ERROR_MESSAGE, $error.message())
            },
        };
    };
}

pub(super) mod streams;
#[cfg(test)]
mod tests;

/// The rule of an API that is refused to everybody.
pub(super) struct Refusing {
    /// What Kafka would ask its authorizer for.
    demand: Demand,
    /// The answer that refuses, made of the request.
    answer: fn(&Node, &Judge<'_>) -> Node,
}

/// What Kafka would ask its authorizer for before anything else.
enum Demand {
    /// An operation on the group in this field.
    Group(Operation, Field),
}

impl Rule for Refusing {
    fn judge(&self, request: &Request<'_, '_>, judge: &mut Judge<'_>) -> Result<Verdict, WireError> {
        self.demand.note(request.view, judge);
        Ok(Verdict::Answer((self.answer)(&request.decode(), judge)))
    }
}

impl Demand {
    fn note(&self, view: View<'_, '_>, judge: &mut Judge<'_>) {
        let refusal = Decision::refused(ReasonCode::UnsupportedApi, judge.cx.now);
        let group = |operation: Operation, name: &str, judge: &mut Judge<'_>| {
            judge.note(operation, GroupId(name).resource(), &refusal);
        };
        match *self {
            Self::Group(operation, field) => group(operation, view.str(field), judge),
        }
    }
}
