//! What the user is told of the entries that others have.

use super::{Act, Core};
use crate::{
    log::{Disk, LogError},
    node::{
        DeliveryNews,
        event::{Delivered, Event},
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
        // Acks mostly come for the last entries.
        let recent = self
            .recent_ids
            .get(conversation)
            .and_then(|recent| recent.range(author, *from, *upto));
        let ids = match (recent, self.logs.get(conversation)) {
            (Some(ids), _) => ids,
            (None, Some(log)) => log.ids(author, *from, *upto)?,
            (None, None) => Vec::new(),
        };
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
}
