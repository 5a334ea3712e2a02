//! Comparing heights: whether to pull what is missing, and from whom.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Effect, Millis, Node, Now,
    found::Found,
    limits::{
        AUTHORS_MAX, FILLING_FREE_MS, HOLD_BACK_GRACE_MS, LAG_GRACE_MS, PULL_FIRST_MS, PULLS_OF_MEMBER_MAX, REPLAY_LAST,
    },
    link::Peer,
    sync::{Pull, PullId, plan},
    talk::{Stage, Talk},
    types::{Author, Conversation, DeviceId, Heights, Seen, Seq},
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

/// The conversations that wait until fewer pulls run from the member that they are to be pulled from.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Whoever waits longest comes first.
    waiting: Vec<Conversation>,
    /// A pull has ended since.
    pub(super) is_due: bool,
}

impl Node {
    pub(super) fn version_answer(&mut self, device: DeviceId, conversation: Conversation, heights: Heights) {
        self.own_height_told(device, &conversation, &heights, None);
        self.heights_told(device, &conversation, heights);
        if let Some(address) = self.peers.get(&device).and_then(|peer| peer.address.as_deref()) {
            self.dials.works(address);
        }
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
        if std::mem::take(&mut self.turns.is_due) {
            for conversation in std::mem::take(&mut self.turns.waiting) {
                self.consider(&conversation, now);
            }
        }
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
        self.talk(conversation).sync.flood_at.take_if(|at| *at <= now.mono);
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
        if talk.replica.version() == 0 && !talk.began_here {
            self.talk(conversation).began_here = self.is_empty_everywhere(conversation);
        }
        let mine = self.needs_no_more(conversation);
        let causes = self.who_has_causes(conversation, now).map(|device| (device, 0));
        let found = self.whom_to_ask(conversation, &mine, syncing, now).or(causes);
        if let Some((device, lacking)) = found {
            if !self.busy().contains(&device) {
                return self.pull(conversation, device, lacking, mine, now);
            }
            if !self.turns.waiting.contains(conversation) {
                self.turns.waiting.push(conversation.clone());
            }
            return;
        }
        let allowed = self.flood.next_end(now.mono);
        let talk = self.talk(conversation);
        let again = talk.sync.not_before.values().min().copied();
        again.into_iter().chain(allowed).for_each(|at| talk.sync.look_by(at));
        let again = talk.entering().and_then(|entering| entering.again);
        if syncing && !again.is_some_and(|device| talk.sync.not_before.contains_key(&device)) {
            self.settled_in(conversation, now);
        } else if let Some(quiet) = talk.quiet.take_if(|_| !syncing) {
            self.show_last(conversation, &quiet);
        }
    }

    /// Whether there are members, and all of them have said that they hold nothing of a conversation.
    fn is_empty_everywhere(&self, conversation: &Conversation) -> bool {
        let told = |device| self.peers.get(device).and_then(|peer| peer.heights.get(conversation));
        let members = self.talks.get(conversation).map(|talk| &talk.members);
        members.is_some_and(|members| {
            !members.is_empty()
                && members
                    .keys()
                    .all(|device| told(device).is_some_and(|told| told.0.is_empty()))
        })
    }

    /// The member to pull from, and how many entries it is ahead.
    ///
    /// Whoever holds more than we do of an author whose link to us is up is a moment ahead in the ordinary course of things, so
    /// that counts only after a time; the author himself is different: what he says he holds and has not sent before saying so
    /// was left out, since our queue was full. While a device is over its allowance, its entries are no reason to pull.
    pub(super) fn whom_to_ask(
        &mut self,
        conversation: &Conversation,
        mine: &Heights,
        syncing: bool,
        now: Now,
    ) -> Option<(DeviceId, u64)> {
        let (busy, Self { peers, flood, .. }) = (self.busy(), &*self);
        let talk = self.talks.get(conversation)?;
        let (sync, free) = (&talk.sync, talk.is_free(now.mono));
        let members = || {
            peers.iter().filter_map(|(device, peer)| {
                let usable = peer.way().is_some() && !sync.not_before.contains_key(device);
                let heights = peer.heights.get(conversation).filter(|_| usable)?;
                // Whoever is free comes first.
                let stopped = if busy.contains(device) {
                    u32::MAX
                } else {
                    sync.stopped(device)
                };
                Some((*device, stopped, heights))
            })
        };
        let too_soon = |author: &Author| sync.flood_at.is_some() && flood.is_flooding(&author.device);
        let wanted = |author: &Author| {
            !talk.replica.forked().contains(author)
                && (free || !too_soon(author) && !self.is_unwanted(talk, author, now))
        };
        let linked = |author: &Author| peers.get(&author.device).is_some_and(|peer| peer.link().is_some());
        let at_once = |device: DeviceId, author: &Author| {
            wanted(author) && (syncing || author.device == device || !linked(author))
        };
        if let Some(found) = plan(mine, members(), at_once) {
            return Some(found);
        }
        let found = plan(mine, members(), |_, author| wanted(author));
        let sync = &mut self.talk(conversation).sync;
        if found.is_none() {
            sync.lag_since = None;
            return None;
        }
        let due = sync.lag_since.get_or_insert(now.mono).plus(LAG_GRACE_MS);
        if due <= now.mono {
            return found;
        }
        sync.look_by(due);
        None
    }

    /// Whoever sent what has been held back for too long; its causes are there. What waits for an entry of a device over its allowance
    /// waits in vain for now, and so does what waits for that.
    fn who_has_causes(&mut self, conversation: &Conversation, now: Now) -> Option<DeviceId> {
        let Self {
            talks, peers, flood, ..
        } = self;
        let talk = talks.get_mut(conversation)?;
        let free = talk.is_free(now.mono);
        let Talk { replica, sync, .. } = talk;
        if replica.held().is_empty() {
            (sync.held_at, sync.in_vain) = (None, BTreeMap::new());
            return None;
        }
        let held_at = *sync.held_at.get_or_insert(now.mono.plus(HOLD_BACK_GRACE_MS));
        if held_at > now.mono {
            sync.look_by(held_at);
            return None;
        }
        let over = |author: &Author| !free && flood.is_over(&author.device, now.mono);
        let lacks = |author: &Author, seq: Seq| replica.height(author) < seq && over(author);
        let in_vain = replica.held().depends_on(|held| {
            over(&held.entry.author) || held.entry.seen.iter().any(|cause| lacks(&cause.author, cause.seq))
        });
        let oldest = replica
            .held()
            .oldest(|held| !in_vain.contains(&(held.entry.author, held.entry.seq)));
        let usable = |device: &DeviceId| {
            let peer = peers.get(device);
            peer.is_some_and(|peer| peer.link().is_some()) && !sync.not_before.contains_key(device)
        };
        let due = oldest.map_or(now.mono, |held| held.since).plus(HOLD_BACK_GRACE_MS);
        let someone = oldest.and_then(|held| {
            let sender = held.from.filter(usable);
            sender.or_else(|| talk.members.keys().copied().find(usable))
        });
        let nexts = in_vain.into_iter();
        sync.in_vain = nexts
            .filter(|(author, seq)| *seq == replica.height(author).next())
            .collect();
        if due <= now.mono && someone.is_some() {
            return someone;
        }
        let held_at = due.max(now.mono.plus(HOLD_BACK_GRACE_MS / 2));
        sync.held_at = Some(held_at);
        sync.look_by(held_at);
        None
    }

    /// The devices from which as many conversations are pulled as may be at a time.
    fn busy(&self) -> BTreeSet<DeviceId> {
        let pulls = self
            .pulls
            .values()
            .filter_map(|id| self.talks.get(id)?.sync.pull.as_ref());
        let mut running: BTreeMap<DeviceId, usize> = BTreeMap::new();
        for pull in pulls {
            *running.entry(pull.from).or_default() += 1;
        }
        running.retain(|_, count| *count >= PULLS_OF_MEMBER_MAX);
        running.into_keys().collect()
    }

    fn pull(&mut self, conversation: &Conversation, device: DeviceId, lacking: u64, mine: Heights, now: Now) {
        let Some(way) = self.peers.get(&device).and_then(Peer::way) else {
            return;
        };
        let id = PullId(self.next_pull);
        self.next_pull += 1;
        let (heights, partial) = self.wanted_beyond(conversation, device, mine, now);
        let talk = self.talk(conversation);
        if let Some(entering) = talk.entering() {
            entering.again.take_if(|again| *again == device);
        }
        talk.sync
            .lag_since
            .take_if(|since| since.plus(LAG_GRACE_MS) <= now.mono);
        if talk.replica.version() == 0 && !talk.began_here {
            let free_ms = talk.entering().map_or(0, |_| FILLING_FREE_MS);
            talk.filling.get_or_insert(now.mono.plus(free_ms));
        }
        if talk.filling.is_some() && (talk.entering().is_some() || lacking > REPLAY_LAST as u64) {
            talk.quiet.get_or_insert_default();
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
            began: false,
            judge_at: now.mono.plus(PULL_FIRST_MS),
            came: 0,
            came_bytes: 0,
            passed: 0,
            found: Found::default(),
            partial,
            claims: talk.doubts.of(&device),
        });
        self.pulls.insert(id, conversation.clone());
        let conversation = conversation.clone();
        self.effect(Effect::Pull {
            pull: id,
            device,
            way,
            conversation,
            heights,
        });
    }

    /// Beyond which heights a device's history is wanted, and whether it has more that is not: nothing is asked for of authors whose
    /// entries are of no use now, so that the others' come without theirs.
    fn wanted_beyond(
        &self,
        conversation: &Conversation,
        device: DeviceId,
        mut mine: Heights,
        now: Now,
    ) -> (Heights, bool) {
        let Some(talk) = self.talks.get(conversation) else {
            return (mine, false);
        };
        let mut over: BTreeSet<Author> = BTreeSet::new();
        if !talk.is_free(now.mono) && self.flood.next_end(now.mono).is_some() {
            let theirs = self.peers.get(&device).and_then(|peer| peer.heights.get(conversation));
            let known = mine.0.keys().chain(theirs.iter().flat_map(|heights| heights.0.keys()));
            over.extend(known.copied().filter(|author| self.is_unwanted(talk, author, now)));
        }
        let partial = !over.is_empty();
        let over = over.into_iter().map(|author| (author, Seq(u64::MAX)));
        // What one who contradicts himself wrote elsewhere does not follow from what is here, and the proof of it is wanted once.
        let proved = |author: &Author| talk.sealing.is_excused(author);
        let forked = talk.replica.forked().iter();
        let forked = forked.map(|author| (*author, Seq(if proved(author) { u64::MAX } else { u64::MAX - 1 })));
        for (author, seq) in forked.chain(over) {
            // What has no room among the heights comes, and is passed over.
            if mine.0.len() < AUTHORS_MAX || mine.0.contains_key(&author) {
                mine.0.insert(author, seq);
            }
        }
        // What this device was shown under the same numbers is to come as well, to be compared.
        for Seen { author, seq } in talk.replica.doubted(device) {
            let before = Seq(seq.0 - 1);
            let ask = mine
                .0
                .get_mut(&author)
                .filter(|have| have.0 < u64::MAX - 1 && **have > before);
            ask.into_iter().for_each(|have| *have = before);
        }
        (mine, partial)
    }
}
