//! Pulls that fail half-way.

use peerchat::{
    driver::serve::{self, ServedPart},
    net::convert,
    node::{
        Identity, Input,
        sync::PullId,
        types::{Conversation, Heights},
        window::PullFailure,
    },
    seal::{HistoryReader, Part},
};

use crate::world::{Happening, Who, World};

/// A pull that is being served.
#[derive(Debug)]
pub struct Serving {
    reader: Who,
    reader_life: u64,
    server: Who,
    server_life: u64,
    pull: PullId,
    conversation: Conversation,
    serving: Option<serve::Serving>,
    /// The reader's end of it.
    judge: HistoryReader,
}

impl World {
    /// A peer pulls from `server`; none where the link has ended over which it does.
    pub fn pull(&mut self, who: Who, pull: PullId, server: Option<Who>, conversation: Conversation, heights: Heights) {
        let (life, delay) = (self.peers[who].lives, self.delay());
        self.totals.pulls += 1;
        let Some(server) = server.filter(|server| self.connected(who, *server)) else {
            return self.end_pull(who, life, pull, false);
        };
        self.check_told(server, &conversation);
        let core = self.peers[server].core.as_ref().unwrap();
        let reader = &self.peers[who];
        let Ok(history) = core.serve_history(&reader.reader(), &conversation, &heights) else {
            self.totals.refused += 1;
            return self.end_pull(who, life, pull, false);
        };
        let me = Identity {
            user: reader.user.clone(),
            device: reader.device,
        };
        let judge = HistoryReader::new(reader.notary.clone(), &me, conversation.clone(), heights);
        let server_life = self.peers[server].lives;
        let serving = Serving {
            reader: who,
            reader_life: life,
            server,
            server_life,
            pull,
            conversation,
            serving: history,
            judge,
        };
        self.after(delay, Happening::ServePart(Box::new(serving)));
    }

    fn end_pull(&mut self, who: Who, life: u64, pull: PullId, good: bool) {
        if !good {
            self.totals.failed_pulls += 1;
        }
        let end = if good {
            Ok(())
        } else {
            Err(PullFailure::Broken("broken".into()))
        };
        let input = Box::new(Input::HistoryEnd(pull, end));
        let delay = self.delay();
        self.after(
            if good { 3 } else { delay + 200 },
            Happening::Input { who, life, input },
        );
    }

    pub fn serve_part(&mut self, mut serving: Serving) {
        let Serving {
            reader,
            reader_life,
            server,
            server_life,
            pull,
            ..
        } = serving;
        let breaks = !self.peace && self.rng.u8(..15) == 0;
        if breaks || !self.connected(reader, server) || self.peers[server].life() != Some(server_life) {
            return self.end_pull(reader, reader_life, pull, false);
        }
        let core = self.peers[server].core.as_ref().unwrap();
        let part = match &mut serving.serving {
            Some(history) => core.serve_part(&serving.conversation, history).unwrap(),
            None => ServedPart::default(),
        };
        if part.is_empty() {
            // Nobody serves what he cannot prove.
            assert_eq!(serving.judge.finish(), Ok(()));
            return self.end_pull(reader, reader_life, pull, true);
        }
        // In pieces, so that the end can come between them.
        let entries = part.entries.into_iter();
        let part = Part {
            entries: entries
                .map(|bytes| convert::decode_entry(bytes).unwrap().into())
                .collect(),
            seals: part.seals,
            introductions: part.introductions,
            contradictions: part.contradictions,
        };
        let pulled = serving.judge.take(part).unwrap();
        self.after(
            1,
            Happening::Input {
                who: reader,
                life: reader_life,
                input: Box::new(Input::History(pull, pulled)),
            },
        );
        self.after(2, Happening::ServePart(Box::new(serving)));
    }
}
