//! Comparing heights, and pulling what is missing.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Effect, Millis, Node, Now,
    event::Event,
    holdback::Held,
    limits::{HOLD_BACK_GRACE_MS, JOIN_RETRIES_MAX, JOIN_RETRY_MS, LAG_GRACE_MS, PULL_AGAIN_MS, REPLAY_LAST},
    sync::{Pull, PullId, plan},
    talk::{Stage, Talk},
    types::{Author, Conversation, DeviceId, Entry, Heights},
};

/// How many entries a pull must promise for its progress to be told.
const PROGRESS_FROM: u64 = 1_000;

/// When a conversation must be looked at again.
pub(super) fn next_due(talk: &Talk) -> Option<Millis> {
    talk.sync.look_at
}

impl Node {
    pub(super) fn version_answer(&mut self, device: DeviceId, conversation: Conversation, heights: Heights) {
        self.own_height_told(&conversation, &heights);
        self.heights_told(device, &conversation, heights);
        self.version_failed(device, conversation);
    }

    pub(super) fn version_failed(&mut self, device: DeviceId, conversation: Conversation) {
        if let Some(entering) = self.talk(&conversation).entering() {
            entering.waiting.remove(&device);
        }
        self.unsettled.insert(conversation);
    }

    /// Decides for every conversation where something has changed whether to pull.
    pub(super) fn settle(&mut self, now: Now) {
        while let Some(conversation) = self.unsettled.pop_first() {
            self.consider(&conversation, now);
        }
        if self.retime {
            self.retime = false;
            self.due = self.compute_due();
        }
    }

    fn consider(&mut self, conversation: &Conversation, now: Now) {
        self.retime = true;
        let Some(talk) = self.talks.get_mut(conversation) else {
            return;
        };
        let syncing = match &talk.stage {
            Stage::Asking(_) => return,
            Stage::Syncing(entering) if !entering.waiting.is_empty() => return,
            stage => matches!(stage, Stage::Syncing(_)),
        };
        if talk.sync.pull.is_some() || !talk.takes_part(conversation) || self.quitting {
            return;
        }
        talk.sync.look_at = None;
        talk.sync.not_before.retain(|_, until| *until > now.mono);
        let mine = talk.replica.heights();
        if let Some((device, lacking)) = self.whom_to_ask(conversation, &mine, syncing, now) {
            return self.pull(conversation, device, lacking, mine, now);
        }
        if let Some(device) = self.who_has_causes(conversation, now) {
            return self.pull(conversation, device, 0, mine, now);
        }
        let talk = self.talk(conversation);
        let again = talk.sync.not_before.values().min().copied();
        talk.sync.look_at = talk.sync.look_at.into_iter().chain(again).min();
        let broken = talk.entering().and_then(|entering| entering.again);
        if syncing && !broken.is_some_and(|device| talk.sync.not_before.contains_key(&device)) {
            self.settled_in(conversation, now);
        }
    }

    /// The member to pull from, and how many entries it is ahead.
    ///
    /// Whoever holds more than we do of an author whose link to us is up is a moment ahead in the ordinary course of things, so
    /// that counts only after a time; the author himself is different: what he says he holds and has not sent before saying so
    /// was left out, since our queue was full.
    fn whom_to_ask(
        &mut self,
        conversation: &Conversation,
        mine: &Heights,
        syncing: bool,
        now: Now,
    ) -> Option<(DeviceId, u64)> {
        let Self { talks, peers, .. } = self;
        let sync = &mut talks.get_mut(conversation)?.sync;
        let members = || {
            peers.iter().filter_map(|(device, peer)| {
                let usable = peer.address.is_some() && !sync.not_before.contains_key(device);
                let heights = peer.heights.get(conversation).filter(|_| usable)?;
                Some((*device, heights))
            })
        };
        let linked = |author: &Author| peers.get(&author.device).is_some_and(|peer| peer.link().is_some());
        let at_once = |device: DeviceId, author: &Author| syncing || author.device == device || !linked(author);
        if let Some(found) = plan(mine, members(), at_once) {
            return Some(found);
        }
        let found = plan(mine, members(), |_, _| true);
        let since = match found {
            None => {
                sync.lag_since = None;
                return None;
            }
            Some(_) => *sync.lag_since.get_or_insert(now.mono),
        };
        let due = since.plus(LAG_GRACE_MS);
        if due <= now.mono {
            sync.lag_since = None;
            return found;
        }
        sync.look_at = Some(due);
        None
    }

    /// Whoever sent what has been held back for too long; its causes are there.
    fn who_has_causes(&mut self, conversation: &Conversation, now: Now) -> Option<DeviceId> {
        let Self { talks, peers, .. } = self;
        let talk = talks.get_mut(conversation)?;
        let oldest = talk.replica.held().oldest()?;
        let due = oldest.since.plus(HOLD_BACK_GRACE_MS);
        let usable = |device: &DeviceId| {
            let peer = peers.get(device);
            peer.is_some_and(|peer| peer.link().is_some() && peer.address.is_some())
                && !talk.sync.not_before.contains_key(device)
        };
        let someone = oldest
            .from
            .filter(usable)
            .or_else(|| talk.members.keys().copied().find(usable));
        if due <= now.mono && someone.is_some() {
            return someone;
        }
        let look_at = due.max(now.mono.plus(HOLD_BACK_GRACE_MS / 2));
        talk.sync.look_at = Some(talk.sync.look_at.map_or(look_at, |at| at.min(look_at)));
        None
    }

    fn pull(&mut self, conversation: &Conversation, device: DeviceId, lacking: u64, heights: Heights, now: Now) {
        let Some(address) = self.peers.get(&device).and_then(|peer| peer.address.clone()) else {
            return;
        };
        let id = PullId(self.next_pull);
        self.next_pull += 1;
        let talk = self.talk(conversation);
        let newcomer = talk.replica.version() == 0;
        if newcomer && (talk.entering().is_some() || lacking > REPLAY_LAST as u64) {
            talk.quiet = Some(0);
        }
        talk.sync.pull = Some(Pull {
            id,
            from: device,
            since: now.mono,
            of: lacking,
            taken: 0,
            told: 0,
            bad: false,
        });
        self.pulls.insert(id, conversation.clone());
        let conversation = conversation.clone();
        self.effect(Effect::Pull {
            pull: id,
            device,
            address,
            conversation,
            heights,
        });
    }

    pub(super) fn history(&mut self, pull: PullId, entries: Vec<Arc<Entry>>, now: Now) {
        let Some(conversation) = self.pulls.get(&pull).cloned() else {
            return;
        };
        let Some(from) = self
            .talk(&conversation)
            .sync
            .pull
            .as_ref()
            .filter(|p| p.id == pull)
            .map(|p| p.from)
        else {
            return;
        };
        let mut taken = BTreeMap::new();
        let mut count = 0;
        let mut bad = None;
        for entry in entries {
            if entry.conversation != conversation {
                bad = Some(format!(
                    "it sent an entry of another conversation as one of {conversation:?}"
                ));
                break;
            }
            let held = Held {
                entry,
                from: Some(from),
                live: false,
                since: now.mono,
            };
            let offered = self.talk(&conversation).replica.offer(held);
            count += offered.taken.len() as u64;
            bad = self.take_offered(&conversation, offered, &mut taken).or(bad);
        }
        self.send_acks(taken);
        if let Some(why) = &bad {
            self.misbehaved(from, why);
        }
        let talk = self.talk(&conversation);
        let Some(pull) = &mut talk.sync.pull else { return };
        pull.taken += count;
        pull.bad |= bad.is_some();
        let step = (pull.of / 50).max(1);
        if pull.of >= PROGRESS_FROM && pull.taken >= pull.told + step {
            pull.told = pull.taken;
            let (have, of) = (pull.taken, pull.of.max(pull.taken));
            if let Some(from) = self.peers.get(&from).map(|peer| peer.user.clone()) {
                self.tell(Event::Progress {
                    conversation,
                    from,
                    have,
                    of,
                });
            }
        }
    }

    /// A history is left since it breaks a rule that the node has not found broken itself.
    pub(super) fn bad_history(&mut self, id: PullId, why: &str) {
        let Some(conversation) = self.pulls.get(&id).cloned() else {
            return;
        };
        let pull = self.talk(&conversation).sync.pull.as_mut();
        if let Some(pull) = pull.filter(|pull| pull.id == id && !pull.bad) {
            pull.bad = true;
            let from = pull.from;
            self.misbehaved(from, why);
        }
    }

    pub(super) fn history_end(&mut self, id: PullId, end: Result<(), String>, now: Now) {
        let Some(conversation) = self.pulls.remove(&id) else {
            return;
        };
        let user = |node: &Self, device| node.peers.get(&device).map(|peer| peer.user.clone());
        let talk = self.talk(&conversation);
        let Some(pull) = talk.sync.pull.take_if(|pull| pull.id == id) else {
            return;
        };
        let useless = end.is_err() || pull.bad || pull.taken == 0;
        let broken = end.is_err() && !pull.bad && pull.taken > 0;
        let mut wait_ms = PULL_AGAIN_MS;
        if let Some(entering) = talk.entering() {
            let again = broken && entering.broken < JOIN_RETRIES_MAX;
            entering.again = again.then_some(pull.from);
            if again {
                entering.broken += 1;
                wait_ms = JOIN_RETRY_MS;
            }
        }
        if useless {
            talk.sync.not_before.insert(pull.from, now.mono.plus(wait_ms));
        }
        if end.is_ok() && !pull.bad {
            // All that this device holds is here. What it sent before and still waits for a cause names one that it does not
            // hold: it has lost it since, with its disk, or its process never had it.
            let left_over = |held: &Held| held.from == Some(pull.from) && held.since < pull.since;
            let dropped = talk.replica.drop_held(left_over);
            let session = self.peers.get(&pull.from).and_then(|peer| peer.session);
            let absurd = dropped
                .iter()
                .find(|held| session.is_some_and(|(_, since)| held.since >= since));
            if let Some(held) = absurd {
                let why = format!("entry {:?} names entries that its sender does not hold", held.entry);
                self.misbehaved(pull.from, &why);
            }
        }
        let from = user(self, pull.from);
        let talk = self.talk(&conversation);
        if let Some(entering) = talk.entering() {
            entering.pulled += pull.taken;
            let news = from.filter(|user| pull.taken > 0 && !entering.from.contains(user));
            entering.from.extend(news);
        } else if let Some(live) = talk.quiet.take() {
            self.show_last(&conversation, live);
        }
        self.unsettled.insert(conversation);
    }

    pub(super) fn salvaged(&mut self, conversation: &Conversation, entries: Vec<Arc<Entry>>, now: Now) {
        let mut taken = BTreeMap::new();
        for entry in entries {
            let held = Held {
                entry,
                from: None,
                live: false,
                since: now.mono,
            };
            let offered = self.talk(conversation).replica.offer(held);
            // What breaks a rule was damaged in a way that its check sum does not show; it is left behind.
            let _refused = self.take_offered(conversation, offered, &mut taken);
        }
        self.send_acks(taken);
    }
}
