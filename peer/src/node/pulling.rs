//! Comparing heights: whether to pull what is missing, and from whom.

use super::{
    Effect, Millis, Node, Now,
    holdback::Held,
    limits::{AUTHORS_MAX, HOLD_BACK_GRACE_MS, LAG_GRACE_MS, PULL_MS_MAX, REPLAY_LAST},
    sync::{Pull, PullId, plan},
    talk::{Stage, Talk},
    types::{Author, Conversation, DeviceId, Heights, Seq},
};

/// When a conversation must be looked at again.
pub(super) fn next_due(talk: &Talk) -> Option<Millis> {
    let judge_at = talk.sync.pull.as_ref().map(|pull| pull.judge_at);
    let patience = match &talk.stage {
        Stage::Syncing(entering) => entering.until.into_iter().chain(entering.knocks_until).min(),
        _ => None,
    };
    talk.sync.look_at.into_iter().chain(judge_at).chain(patience).min()
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
        if !self.talks.contains_key(conversation) {
            return;
        }
        let until = self.talk(conversation).entering().and_then(|entering| entering.until);
        if until.is_some_and(|until| until <= now.mono) {
            self.settled_in(conversation, now);
        }
        if let Some(entering) = self.talk(conversation).entering()
            && entering.knocks_until.take_if(|until| *until <= now.mono).is_some()
        {
            entering.waiting.clear();
        }
        self.judge_pull(conversation, now);
        let quitting = self.quitting;
        let talk = self.talk(conversation);
        let syncing = match &talk.stage {
            Stage::Asking(_) => return,
            Stage::Syncing(entering) if !entering.waiting.is_empty() => return,
            stage => matches!(stage, Stage::Syncing(_)),
        };
        if talk.sync.pull.is_some() || !talk.takes_part(conversation) || quitting {
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
        let allowed = self.flood.next_end(now.mono);
        let talk = self.talk(conversation);
        let again = talk.sync.not_before.values().min().copied();
        talk.sync.look_at = talk.sync.look_at.into_iter().chain(again).chain(allowed).min();
        let broken = talk.entering().and_then(|entering| entering.again);
        if syncing && !broken.is_some_and(|device| talk.sync.not_before.contains_key(&device)) {
            talk.filling = false;
            self.settled_in(conversation, now);
        }
    }

    /// The member to pull from, and how many entries it is ahead.
    ///
    /// Whoever holds more than we do of an author whose link to us is up is a moment ahead in the ordinary course of things, so
    /// that counts only after a time; the author himself is different: what he says he holds and has not sent before saying so
    /// was left out, since our queue was full. While a device is over its allowance, its entries are no reason to pull.
    fn whom_to_ask(
        &mut self,
        conversation: &Conversation,
        mine: &Heights,
        syncing: bool,
        now: Now,
    ) -> Option<(DeviceId, u64)> {
        let Self {
            talks, peers, flood, ..
        } = self;
        let sync = &mut talks.get_mut(conversation)?.sync;
        let members = || {
            peers.iter().filter_map(|(device, peer)| {
                let usable = peer.address.is_some() && !sync.not_before.contains_key(device);
                let heights = peer.heights.get(conversation).filter(|_| usable)?;
                Some((*device, peer.stopped, heights))
            })
        };
        let wanted = |author: &Author| syncing || !flood.is_over(&author.device, now.mono);
        let linked = |author: &Author| peers.get(&author.device).is_some_and(|peer| peer.link().is_some());
        let at_once = |device: DeviceId, author: &Author| {
            wanted(author) && (syncing || author.device == device || !linked(author))
        };
        if let Some(found) = plan(mine, members(), at_once) {
            return Some(found);
        }
        let found = plan(mine, members(), |_, author| wanted(author));
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
        let Self {
            talks, peers, flood, ..
        } = self;
        let talk = talks.get_mut(conversation)?;
        let Talk { replica, stage, .. } = &*talk;
        let syncing = matches!(stage, Stage::Syncing(_));
        let over = |author: &Author| !syncing && flood.is_over(&author.device, now.mono);
        let lacks = |author: &Author, seq: Seq| replica.height(author) < seq && over(author);
        let in_vain = |held: &Held| {
            over(&held.entry.author) || held.entry.seen.iter().any(|cause| lacks(&cause.author, cause.seq))
        };
        let oldest = replica.held().oldest(|held| !in_vain(held))?;
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

    fn pull(&mut self, conversation: &Conversation, device: DeviceId, lacking: u64, mine: Heights, now: Now) {
        let Some(address) = self.peers.get(&device).and_then(|peer| peer.address.clone()) else {
            return;
        };
        let id = PullId(self.next_pull);
        self.next_pull += 1;
        let (heights, partial) = self.wanted_beyond(conversation, device, mine, now);
        let talk = self.talk(conversation);
        talk.filling |= talk.replica.version() == 0;
        if talk.filling && (talk.entering().is_some() || lacking > REPLAY_LAST as u64) {
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
            began: false,
            // The wire has deadlines of its own up to the first part.
            judge_at: now.mono.plus(PULL_MS_MAX),
            came: 0,
            came_bytes: 0,
            passed: 0,
            partial,
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

    /// Beyond which heights a device's history is wanted, and whether it has more that is not: nothing is asked for of authors whose
    /// devices are over their allowance, so that the others' entries come without theirs.
    fn wanted_beyond(
        &mut self,
        conversation: &Conversation,
        device: DeviceId,
        mut mine: Heights,
        now: Now,
    ) -> (Heights, bool) {
        if self.talk(conversation).entering().is_some() || self.flood.next_end(now.mono).is_none() {
            return (mine, false);
        }
        let theirs = self.peers.get(&device).and_then(|peer| peer.heights.get(conversation));
        let known = mine.0.keys().chain(theirs.iter().flat_map(|heights| heights.0.keys()));
        let over = known.filter(|author| self.flood.is_over(&author.device, now.mono));
        let over: Vec<Author> = over.copied().collect();
        let partial = !over.is_empty();
        for author in over {
            // What has no room among the heights comes, and is passed over.
            if mine.0.len() < AUTHORS_MAX || mine.0.contains_key(&author) {
                mine.0.insert(author, Seq(u64::MAX));
            }
        }
        (mine, partial)
    }
}
