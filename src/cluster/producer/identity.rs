//! Who numbers what the proxy writes.

use crate::cluster::{AskError, Cluster};
use crate::wire::schema::init_producer_id::{request, response};
use crate::wire::{ApiKey, ErrorCode, Node, Value};

/// An idempotent producer's id and epoch.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The id.
    pub producer: i64,
    /// The epoch.
    pub epoch: i16,
}

impl Cluster {
    /// Asks for a new producer id.
    ///
    /// # Errors
    /// An [`AskError`].
    pub async fn producer_identity(&self) -> Result<Identity, AskError> {
        let ask = Node::request(ApiKey::INIT_PRODUCER_ID)
            .with(request::TRANSACTIONAL_ID, Value::Null)
            .with(request::TRANSACTION_TIMEOUT_MS, i32::MAX);
        let answer = self.ask(ApiKey::INIT_PRODUCER_ID, &ask).await?;
        match ErrorCode(answer.i16(response::ERROR_CODE)) {
            ErrorCode::NONE => Ok(Identity {
                producer: answer.int(response::PRODUCER_ID),
                epoch: answer.i16(response::PRODUCER_EPOCH),
            }),
            code => Err(AskError::Refused(code)),
        }
    }
}
