//! Comparing heights, and pulling what is missing.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Effect, Millis, Node, Now,
    event::{Code, Event},
    holdback::Held,
    limits::{
        BAD_HISTORY_AGAIN_MS, HOLD_BACK_GRACE_MS, JOIN_RETRIES_MAX, JOIN_RETRY_MS, LAG_GRACE_MS, PULL_AGAIN_MS,
        REPLAY_LAST,
    },
    replica::Refusal,
    sync::{Pull, PullId, plan},
    talk::{Stage, Talk},
    types::{Author, Conversation, DeviceId, Entry, Heights},
    window::{BadHistory, PullFailure, Pulled},
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
        let Self { talks, introduced, .. } = self;
        let Some(talk) = talks.get_mut(conversation) else {
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
        let mine = talk.needs_no_more(&self.me.device, |device| introduced.contains_key(device));
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
        let of_use = |author: &Author| !sync.forked.contains(author);
        let linked = |author: &Author| peers.get(&author.device).is_some_and(|peer| peer.link().is_some());
        let at_once = |device: DeviceId, author: &Author| {
            of_use(author) && (syncing || author.device == device || !linked(author))
        };
        if let Some(found) = plan(mine, members(), at_once) {
            return Some(found);
        }
        let found = plan(mine, members(), |_, author| of_use(author));
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
            sealed: false,
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

    pub(super) fn history(&mut self, pull: PullId, pulled: Pulled, now: Now) {
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
        let Pulled {
            entries,
            seals,
            introductions,
        } = pulled;
        for introduction in introductions {
            self.introduce(introduction);
        }
        let mut taken = BTreeMap::new();
        let mut count = 0;
        let mut bad = None;
        for entry in entries {
            if self.talk(&conversation).sync.forked.contains(&entry.author) {
                continue;
            }
            let held = Held {
                entry,
                from: Some(from),
                live: false,
                since: now.mono,
            };
            let mut offered = self.talk(&conversation).replica.offer(held);
            count += offered.taken.len() as u64;
            if let Some(known) = offered.known.take() {
                self.known_entry(&conversation, known);
            }
            self.leave_forks(&conversation, &mut offered.refused);
            bad = self.take_offered(&conversation, offered, &mut taken).or(bad);
        }
        let mut sealed = false;
        for seal in seals {
            sealed |= self.keep_seal(&conversation, seal);
        }
        self.advance(&conversation);
        self.send_acks(taken);
        if let Some(why) = &bad {
            self.misbehaved(from, why);
        }
        let talk = self.talk(&conversation);
        let Some(pull) = &mut talk.sync.pull else { return };
        pull.taken += count;
        pull.sealed |= sealed;
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

    /// Takes out of what was refused that for which its author is to blame, and not who serves it: it is sealed, and does not follow
    /// from what is held of that author. What is held stays, and no more is wanted of him here.
    fn leave_forks(&mut self, conversation: &Conversation, refused: &mut Vec<(Held, Refusal)>) {
        let is_fork =
            |(_, why): &mut (Held, Refusal)| matches!(why, Refusal::Fork { .. } | Refusal::BrokenChain { .. });
        let forks: Vec<_> = refused.extract_if(.., is_fork).collect();
        for (held, _) in forks {
            self.talk(conversation).sync.forked.insert(held.entry.author);
            let entry = held.entry;
            self.effect(Effect::Compare { entry, live: false });
        }
    }

    pub(super) fn history_end(&mut self, id: PullId, end: Result<(), PullFailure>, now: Now) {
        let Some(conversation) = self.pulls.remove(&id) else {
            return;
        };
        let user = |node: &Self, device| node.peers.get(&device).map(|peer| peer.user.clone());
        let talk = self.talk(&conversation);
        let Some(pull) = talk.sync.pull.take_if(|pull| pull.id == id) else {
            return;
        };
        let forged = match &end {
            Err(PullFailure::Bad(why)) => Some(why),
            _ => None,
        };
        let useless = end.is_err() || pull.bad || (pull.taken == 0 && !pull.sealed);
        let broken = end.is_err() && forged.is_none() && !pull.bad && pull.taken > 0;
        let mut wait_ms = if forged.is_some() {
            BAD_HISTORY_AGAIN_MS
        } else {
            PULL_AGAIN_MS
        };
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
            // All that this device can serve is here. What it sent before and still waits for a cause names one that it does not
            // hold, or that its author never sealed; if that is ever servable, this comes again with it.
            let left_over = |held: &Held| held.from == Some(pull.from) && held.since < pull.since;
            talk.replica.drop_held(left_over);
        }
        if let Some(why) = forged {
            self.bad_history(&conversation, pull.from, why);
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

    /// A member served what nobody wrote, or what it cannot prove: the user is told who.
    fn bad_history(&mut self, conversation: &Conversation, from: DeviceId, why: &BadHistory) {
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        peer.refused += 1;
        let (user, title) = (peer.user.clone(), conversation.title(&self.me.user));
        let message = format!(
            "{user} served a history of {title} that is not proved to be its authors' own: {why}; what was not proved was left \
             out, and is pulled from others"
        );
        self.notice(Code::BadHistory, message);
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
