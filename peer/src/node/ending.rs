//! How a node ends: what waits is written, or named, and the links are closed.

use super::{Effect, Node, Now, event::Code, link::ByeReason};

impl Node {
    /// The process is about to end: nothing waits any longer.
    pub(super) fn last_words(&mut self, now: Now) {
        self.quitting = true;
        let waiting: Vec<_> = match self.ends_without_authority() {
            true => Vec::new(),
            false => self.talks.keys().cloned().collect(),
        };
        for conversation in waiting {
            // Better in the log with an early place than nowhere: they reach the others at the next start.
            for text in std::mem::take(&mut self.talk(&conversation).waiting_texts) {
                self.write_now(&conversation, text, now);
            }
        }
        let opening: Vec<_> = self.opening.keys().cloned().collect();
        for user in opening {
            self.not_opened(
                &user,
                Code::RegistryUnavailable,
                &format!("{user} was not found before the end"),
            );
        }
    }

    pub(super) fn quit(&mut self) {
        self.quitting = true;
        let links: Vec<_> = self.links.keys().copied().collect();
        for link in links {
            self.effect(Effect::Close(link, ByeReason::Quit, "the peer ends".into()));
        }
    }

    /// The process ends and there was no authority: what waited was never written. False where there is one.
    fn ends_without_authority(&mut self) -> bool {
        if self.authority.is_some() {
            return false;
        }
        let waiting: Vec<_> = self.talks.keys().cloned().collect();
        for conversation in waiting {
            let unsent = std::mem::take(&mut self.talk(&conversation).waiting_texts).len();
            if unsent > 0 {
                let why = "no registry has let this device in";
                self.not_entered(conversation, Code::RegistryUnavailable, why, unsent);
            }
        }
        true
    }
}
