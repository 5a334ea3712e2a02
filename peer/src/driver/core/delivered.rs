//! What the user is told of the entries that others have.

use super::{Act, Core};
use crate::{
    log::{Disk, LogError},
    node::{
        DeliveryNews,
        event::{Delivered, Event},
        types::{Author, Conversation, EntryId, Seq},
    },
};

impl<D: Disk> Core<D> {
    pub(super) fn delivered(&self, news: &DeliveryNews, acts: &mut Vec<Act>) -> Result<(), LogError> {
        let DeliveryNews {
            conversation,
            author,
            from,
            upto,
            ..
        } = news;
        let ids = self.ids(conversation, author, *from, *upto)?;
        let delivered = |(seq, id)| {
            let DeliveryNews {
                conversation,
                to,
                durable,
                have,
                of,
                ..
            } = news.clone();
            Act::Tell(Event::Delivered(Delivered {
                conversation,
                id,
                seq,
                to,
                durable,
                have,
                of,
            }))
        };
        acts.extend(ids.into_iter().map(delivered));
        Ok(())
    }

    /// The ids of an author's entries from one seq to another, both included, as far as they are here. Mostly those of the last own ones
    /// are wanted, which are in memory.
    pub(in crate::driver) fn ids(
        &self,
        conversation: &Conversation,
        author: &Author,
        from: Seq,
        upto: Seq,
    ) -> Result<Vec<(Seq, EntryId)>, LogError> {
        let recent = self.recent_ids.get(conversation);
        if let Some(ids) = recent.and_then(|recent| recent.range(author, from, upto)) {
            return Ok(ids);
        }
        let log = self.logs.get(conversation);
        log.map_or(Ok(Vec::new()), |log| log.ids(author, from, upto))
    }
}
