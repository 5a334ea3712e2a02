//! What other peers are given of the logs.

use bytes::Bytes;

use super::{core::Core, ports::ServeError};
use crate::{
    log::{Disk, History},
    node::types::{Conversation, Heights, Reader},
};

impl<D: Disk> Core<D> {
    /// What is held of a conversation, for another peer.
    ///
    /// # Errors
    /// He may not read it.
    pub fn serve_version(&self, reader: &Reader, conversation: &Conversation) -> Result<Heights, ServeError> {
        self.may_read(reader, conversation)?;
        let talk = self.node().talks().get(conversation);
        Ok(talk.map(|talk| talk.replica.heights()).unwrap_or_default())
    }

    /// Begins to give another peer, who holds `heights`, what he lacks.
    ///
    /// # Errors
    /// He may not read it.
    pub fn serve_history(
        &self,
        reader: &Reader,
        conversation: &Conversation,
        heights: &Heights,
    ) -> Result<Option<History>, ServeError> {
        self.may_read(reader, conversation)?;
        Ok(self.log(conversation).map(|log| log.history(heights)))
    }

    /// The next part of a history; empty at its end.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn serve_part(&self, conversation: &Conversation, history: &mut History) -> Result<Vec<Bytes>, ServeError> {
        let log = self.log(conversation);
        let part = log.map(|log| log.read_batch(history)).transpose();
        Ok(part
            .map_err(|error| ServeError::Log(error.to_string()))?
            .unwrap_or_default())
    }

    /// # Errors
    /// He may not read it.
    pub(super) fn may_read(&self, reader: &Reader, conversation: &Conversation) -> Result<(), ServeError> {
        if self.node().may_read(reader, conversation) {
            Ok(())
        } else {
            Err(ServeError::NotAllowed(reader.user.clone()))
        }
    }
}
