//! Changes of ACLs that the client asks for.

use super::Link;
use crate::access::ChangeBy;
use crate::policy::{AclChanged, ChangeRefused};
use std::future::Future;
use std::pin::Pin;

/// A change under way.
pub(super) type Changing<'a> = Pin<Box<dyn Future<Output = Result<AclChanged, ChangeRefused>> + Send + 'a>>;

impl<'a> Link<'a> {
    /// Begins the change that the machine asks for, if it does.
    pub(super) fn begin_change(&mut self) -> Option<Changing<'a>> {
        let change = self.outputs.change.take()?;
        let (shared, facts) = (self.shared, &self.facts);
        let by = ChangeBy {
            principal: self.machine.subject().principal.to_string(),
            address: facts.address().map_or_else(|| "unknown".to_owned(), |address| address.to_string()),
            client_id: self.machine.client_id().map(str::to_owned),
            listener: facts.listener.to_string(),
            instance: shared.instance.to_string(),
        };
        Some(Box::pin(shared.access.change(change, by)))
    }
}
