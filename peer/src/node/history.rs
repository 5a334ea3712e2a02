//! What a pull brings, and how it ends.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Effect, Node, Now,
    event::{Code, Event},
    found::Found,
    holdback::Held,
    io::Compare,
    limits::{
        BAD_HISTORY_AGAIN_MS, FLOOD_PASSED_MAX, JOIN_RETRIES_MAX, JOIN_RETRY_MS, PULL_AGAIN_MS, PULL_MS_MAX,
        PULL_SLOW_MS_MAX, PULL_WINDOW_BYTES, PULL_WINDOW_ENTRIES, PULL_WINDOW_MS,
    },
    refusal::Refusal,
    sync::{PullEnd, PullId},
    types::{Conversation, DeviceId, Entry},
    window::{BadHistory, PullFailure, Pulled},
};

/// How many entries a pull must promise for its progress to be told.
const PROGRESS_FROM: u64 = 1_000;

impl Node {
    pub(super) fn history(&mut self, id: PullId, pulled: Pulled, now: Now) {
        let Some(conversation) = self.pulls.get(&id).cloned() else {
            return;
        };
        let talk = self.talk(&conversation);
        let free = talk.is_free(now.mono);
        let Some(pull) = talk.sync.pull.as_mut().filter(|pull| pull.id == id) else {
            return;
        };
        let from = pull.from;
        let Pulled {
            entries,
            seals,
            introductions,
            contradictions,
            proof_bytes,
        } = pulled;
        pull.came += entries.len();
        pull.came_bytes += proof_bytes + entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        if !std::mem::replace(&mut pull.began, true) {
            pull.judge_at = now.mono.plus(PULL_WINDOW_MS);
            self.retime = true;
        }
        for introduction in introductions {
            self.introduce(introduction);
        }
        let mut taken = BTreeMap::new();
        for proof in contradictions {
            self.prove(&conversation, proof, &mut taken, now);
        }
        let mut found = self.take_found(&conversation);
        let (mut count, mut passed) = (0, 0);
        let mut bad = false;
        for entry in entries {
            self.own_came(&conversation, &entry);
            if found.is_left(&entry.author) {
                found.add(entry);
                continue;
            }
            let held = Held {
                entry,
                from: Some(from),
                live: false,
                since: now.mono,
                seal: None,
            };
            let mut offered = self.offer(held, free, now);
            if let Some(known) = offered.known.take() {
                found.add(known.entry);
            }
            let mut refused = std::mem::take(&mut offered.refused);
            for entry in Self::leave_forks(&mut refused) {
                found.leave(entry.author);
                found.add(entry);
            }
            offered.taken.iter().for_each(|held| found.follows(&held.entry.author));
            bad |= refused.iter().any(|(held, why)| !held.live && why.is_misdeed());
            count += offered.taken.len() as u64;
            passed += offered.passed;
            self.take_offered(&conversation, offered, &mut taken);
            // Nobody is heard but the server, who is not to blame.
            let _nobody = self.blame(&conversation, refused, None);
        }
        let mut sealed = false;
        for seal in seals {
            if let Some(entries) = found.sealed(&seal) {
                self.compare(Compare {
                    entries,
                    seal: Some(seal.clone()),
                    is_refused: false,
                });
            }
            sealed |= self.keep_seal(&conversation, seal);
        }
        self.advance(&conversation);
        self.send_acks(taken);
        let talk = self.talk(&conversation);
        let Some(pull) = &mut talk.sync.pull else { return };
        pull.found = found;
        pull.taken += count;
        pull.sealed |= sealed;
        pull.bad |= bad;
        pull.passed += passed;
        pull.partial |= passed > 0;
        if pull.passed >= FLOOD_PASSED_MAX {
            return self.stop_pull(&conversation, PullEnd::Flooded, now);
        }
        self.tell_progress(conversation, from);
    }

    /// What the pull has brought that is held already, to be gone on with.
    fn take_found(&mut self, conversation: &Conversation) -> Found {
        let pull = self.talk(conversation).sync.pull.as_mut();
        pull.map(|pull| std::mem::take(&mut pull.found)).unwrap_or_default()
    }

    fn tell_progress(&mut self, conversation: Conversation, from: DeviceId) {
        let Some(pull) = &mut self.talk(&conversation).sync.pull else {
            return;
        };
        let step = (pull.of / 50).max(1);
        if pull.of < PROGRESS_FROM || pull.taken < pull.told + step {
            return;
        }
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

    /// Takes out of what was refused that for which its author is to blame, and not who serves it: it is sealed, and does not follow
    /// from what is held of that author. What is held stays, and no more is wanted of him here.
    fn leave_forks(refused: &mut Vec<(Held, Refusal)>) -> Vec<Arc<Entry>> {
        let is_fork = |(held, why): &mut (Held, Refusal)| {
            !held.live && matches!(why, Refusal::Fork { .. } | Refusal::BrokenChain { .. })
        };
        let forks = refused.extract_if(.., is_fork);
        forks.map(|(held, _)| held.entry).collect()
    }

    pub(super) fn history_end(&mut self, id: PullId, end: Result<(), PullFailure>, now: Now) {
        let Some(conversation) = self.no_longer_pulled(id) else {
            return;
        };
        let pull = self.talk(&conversation).sync.pull.as_ref();
        let Some(from) = pull.filter(|pull| pull.id == id).map(|pull| pull.from) else {
            return;
        };
        let end = match end {
            Ok(()) => PullEnd::Complete,
            Err(PullFailure::Broken(_)) => PullEnd::Broken,
            Err(PullFailure::Bad(why)) => {
                self.bad_history(&conversation, from, &why);
                PullEnd::Bad
            }
        };
        self.pull_ended(&conversation, end, now);
    }

    /// A member served what nobody wrote, or what it cannot prove: it is counted, and the user is told who. Its own entries are no
    /// worse for it, so its link stays.
    fn bad_history(&mut self, conversation: &Conversation, from: DeviceId, why: &BadHistory) {
        let is_member = self.is_member(&from);
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        peer.refused = peer.refused.saturating_add(u64::from(is_member));
        let user = peer.user.clone();
        let member = is_member.then(|| (user.clone(), from));
        self.effect(Effect::Refused(member, why.to_string()));
        let title = conversation.label(&self.me.user);
        let message = format!(
            "{user} served a history of {title} that is not proved to be its authors' own: {why}; what was not proved was left \
             out, and is pulled from others"
        );
        self.notice(Code::BadHistory, message);
    }

    /// Stops the pull that has brought too little, or has had its time. What it brought is kept.
    pub(super) fn judge_pull(&mut self, conversation: &Conversation, now: Now) {
        let due = |pull: &&mut super::sync::Pull| pull.judge_at <= now.mono;
        let Some(pull) = self.talk(conversation).sync.pull.as_mut().filter(due) else {
            return;
        };
        if pull.came < PULL_WINDOW_ENTRIES && pull.came_bytes < PULL_WINDOW_BYTES {
            return self.stop_pull(conversation, PullEnd::Slow, now);
        }
        if now.mono.since(pull.since) >= PULL_MS_MAX {
            return self.stop_pull(conversation, PullEnd::Long, now);
        }
        (pull.came, pull.came_bytes) = (0, 0);
        pull.judge_at = now.mono.plus(PULL_WINDOW_MS);
    }

    fn stop_pull(&mut self, conversation: &Conversation, end: PullEnd, now: Now) {
        self.forget_pull(conversation);
        self.pull_ended(conversation, end, now);
    }

    /// Nothing that a pull still brings is wanted.
    pub(super) fn forget_pull(&mut self, conversation: &Conversation) {
        if let Some(id) = self.talk(conversation).sync.pull.as_ref().map(|pull| pull.id) {
            self.no_longer_pulled(id);
            self.effect(Effect::StopPull(id));
        }
    }

    /// A pull runs no longer; it is somebody's turn who waits for that.
    fn no_longer_pulled(&mut self, id: PullId) -> Option<Conversation> {
        self.turns.is_due = true;
        self.pulls.remove(&id)
    }

    fn pull_ended(&mut self, conversation: &Conversation, end: PullEnd, now: Now) {
        let Some(pull) = self.talk(conversation).sync.pull.take() else {
            return;
        };
        let complete = end == PullEnd::Complete && !pull.bad;
        let peers = &self.peers;
        let Some(talk) = self.talks.get_mut(conversation) else {
            return;
        };
        talk.sync.stops.retain(|device, _| peers.contains_key(device));
        let slow = talk.sync.note_end(&pull, end);
        let wait_ms = match end {
            PullEnd::Bad => BAD_HISTORY_AGAIN_MS,
            _ if pull.bad || pull.taken == 0 && !pull.sealed && end != PullEnd::Slow => PULL_AGAIN_MS,
            PullEnd::Complete | PullEnd::Long => 0,
            PullEnd::Broken | PullEnd::Flooded => PULL_AGAIN_MS,
            PullEnd::Slow => (PULL_AGAIN_MS << slow.saturating_sub(1).min(16)).min(PULL_SLOW_MS_MAX),
        };
        if wait_ms > 0 {
            talk.sync.not_before.insert(pull.from, now.mono.plus(wait_ms));
        }
        if matches!(end, PullEnd::Broken | PullEnd::Slow) && !pull.bad {
            self.try_again(conversation, pull.from, now);
        }
        let talk = self.talk(conversation);
        if complete {
            talk.filling = None;
        }
        if complete && !pull.partial {
            // All that this device can serve is here. What it sent before and still waits for a cause names one that it does not
            // hold, or that its author never sealed; if that is ever servable, this comes again with it.
            let left_over = |held: &Held| held.from == Some(pull.from) && held.since < pull.since;
            talk.replica.held_mut().drain(left_over);
        }
        let from = self.peers.get(&pull.from).map(|peer| peer.user.clone());
        let talk = self.talk(conversation);
        if let Some(entering) = talk.entering() {
            entering.brought(from, pull.taken);
        } else if let Some(quiet) = talk.quiet.take_if(|_| complete) {
            self.show_last(conversation, &quiet);
        }
        self.unsettled.insert(conversation.clone());
        if complete && !pull.partial {
            self.claims_refuted(conversation, pull.from, &pull.claims);
        }
    }

    /// A pull failed while joining: where nobody else has anything either, its member is asked again a few times before joining ends
    /// without what he holds.
    fn try_again(&mut self, conversation: &Conversation, device: DeviceId, now: Now) {
        let mine = self.needs_no_more(conversation);
        if self.whom_to_ask(conversation, &mine, true, now).is_some() {
            return;
        }
        let talk = self.talk(conversation);
        if let Some(entering) = talk.entering().filter(|entering| entering.retries < JOIN_RETRIES_MAX) {
            entering.retries += 1;
            entering.again = Some(device);
            talk.sync.not_before.insert(device, now.mono.plus(JOIN_RETRY_MS));
        }
    }

    /// This process has stood still: what members have brought meanwhile is still to be counted, so their pace is judged later.
    pub(super) fn stalled(&mut self, now: Now) {
        for pull in self.talks.values_mut().filter_map(|talk| talk.sync.pull.as_mut()) {
            pull.judge_at = pull.judge_at.max(now.mono.plus(PULL_WINDOW_MS));
        }
        self.retime = true;
    }

    pub(super) fn salvaged(&mut self, conversation: &Conversation, entries: Vec<Arc<Entry>>, now: Now) {
        let mut taken = BTreeMap::new();
        for entry in entries {
            let held = Held {
                entry,
                from: None,
                live: false,
                since: now.mono,
                seal: None,
            };
            let mut offered = self.talk(conversation).replica.offer(held);
            // What breaks a rule was damaged in a way that its check sum does not show; it is left behind.
            let refused = std::mem::take(&mut offered.refused);
            self.take_offered(conversation, offered, &mut taken);
            let _nobody = self.blame(conversation, refused, None);
        }
        self.send_acks(taken);
    }
}
