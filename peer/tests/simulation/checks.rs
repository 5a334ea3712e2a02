//! What must always hold, and what must hold at the end.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use peerchat::{
    log::{Log, MemoryDisk},
    node::{
        event::{Code, Event, ReplayReason},
        talk::Talk,
        types::{Author, Conversation, Entry, EntryId, Seq, UserName},
    },
};

use crate::world::{AUTHORITY, Who, World};

fn entries(log: &Log<MemoryDisk>) -> Vec<Entry> {
    log.canonical().map(Result::unwrap).collect()
}

impl World {
    /// Nothing that was acknowledged is lost: what a peer promised before it ended is in its log after it starts again.
    pub fn check_promises(&mut self, who: Who) {
        let peer = &self.peers[who];
        let core = peer.core.as_ref().unwrap();
        for ((conversation, author), seq) in &peer.stored {
            let held = core.log(conversation).map(|log| log.height(author)).unwrap_or_default();
            let user = &peer.user;
            assert!(
                held >= *seq,
                "{user} has acknowledged {author:?}:{} in {conversation:?} and holds {}",
                seq.0,
                held.0
            );
        }
    }

    /// After every step: node and log agree, nothing was taken away, and nobody holds what is not his to read.
    pub fn check_step(&mut self, who: Who) {
        let peer = &mut self.peers[who];
        let Some(core) = &peer.core else { return };
        for (conversation, talk) in core.node().talks() {
            let held = talk.replica.version();
            let before = peer.versions.insert(conversation.clone(), held).unwrap_or_default();
            assert!(
                before <= held,
                "{} held {before} and now {held} in {conversation:?}",
                peer.user
            );
        }
        let peer = &self.peers[who];
        let Some(core) = &peer.core else { return };
        for (conversation, talk) in core.node().talks() {
            let logged = core.log(conversation).map_or(0, Log::version);
            assert_eq!(talk.replica.version(), logged, "{} in {conversation:?}", peer.user);
            if let Conversation::Direct(pair) = conversation {
                assert!(pair.has(&peer.user), "{} holds {conversation:?}", peer.user);
            }
            let may_hold = !Self::is_private(conversation) || self.is_invited(who);
            assert!(may_hold, "{} knows of {conversation:?}", peer.user);
        }
        // Looked up once for all authors of a conversation: this is done after every step.
        let mut last = None;
        for ((conversation, author), seq) in &peer.stored {
            let log = match last {
                Some((same, log)) if same == conversation => log,
                _ => core.log(conversation),
            };
            last = Some((conversation, log));
            let held = log.map(|log| log.height(author)).unwrap_or_default();
            assert!(held >= *seq, "{} acks what it does not hold", peer.user);
        }
    }

    /// At any moment: those who hold the same entries of a conversation have them in the same order, to the last byte.
    pub fn check_same_logs(&mut self) {
        let mut logs: BTreeMap<_, Vec<Entry>> = BTreeMap::new();
        let mut compared = 0;
        for peer in &self.peers {
            let Some(core) = &peer.core else { continue };
            for log in core
                .node()
                .talks()
                .keys()
                .filter_map(|talk| Some((talk, core.log(talk)?)))
            {
                let (conversation, log) = log;
                let entries = self.equal_entries(log);
                if entries.is_empty() {
                    continue;
                }
                let ids: BTreeSet<EntryId> = entries.iter().map(|entry| entry.id).collect();
                match logs.entry((conversation.clone(), ids)) {
                    btree_map::Entry::Vacant(first) => _ = first.insert(entries),
                    btree_map::Entry::Occupied(other) => {
                        assert_eq!(*other.get(), entries, "{} differs in {conversation:?}", peer.user);
                        compared += 1;
                    }
                }
            }
        }
        self.totals.compared += compared;
    }

    /// Messages go from peer to peer while there is no registry.
    fn count_without_registry(&mut self, event: &Event) {
        match event {
            Event::Sent(line) if self.registry.down => _ = self.registry.said_without.insert(line.id),
            Event::Message(line) if self.registry.down && self.registry.said_without.contains(&line.id) => {
                self.totals.without_registry += 1;
            }
            _ => {}
        }
    }

    /// Whatever is shown is shown once, and after all that its author had seen.
    pub fn check_event(&mut self, who: Who, event: &Event) {
        self.count_without_registry(event);
        let janus = self.janus.as_ref().map(|janus| self.peers[janus.who].user.to_string());
        let two_faced = self.janus.as_ref().and_then(|janus| janus.author);
        let (line, peer) = match event {
            Event::Message(line) | Event::Sent(line) => (line, &mut self.peers[who]),
            Event::Notice(notice) => {
                self.totals.forks += u64::from(notice.code == Code::Fork);
                if janus.is_some_and(|janus| notice.message.starts_with(&janus)) {
                    return;
                }
                assert_ne!(
                    notice.code,
                    Code::PeerMisbehaved,
                    "nobody misbehaves: {}",
                    notice.message
                );
                return;
            }
            Event::Replay(replay) if replay.why == ReplayReason::Synced => {
                let peer = &mut self.peers[who];
                for line in replay.lines.iter().filter(|line| peer.shown.insert(line.id)) {
                    let place = (line.conversation.clone(), line.author, line.seq);
                    assert!(
                        !peer.answered.contains(&place),
                        "{} is shown an answer before this: {line:?}",
                        peer.user
                    );
                }
                return;
            }
            _ => return,
        };
        assert!(peer.shown.insert(line.id), "{} is shown {:?} twice", peer.user, line.id);
        let log = peer.core.as_ref().unwrap().log(&line.conversation).unwrap();
        let entry = log.read(&line.author, line.seq).unwrap();
        assert_eq!(entry.id, line.id);
        let answered = entry
            .seen
            .iter()
            .map(|seen| (line.conversation.clone(), seen.author, seen.seq));
        peer.answered.extend(answered);
        for cause in entry.seen.iter().filter(|cause| Some(cause.author) != two_faced) {
            assert!(
                log.height(&cause.author) >= cause.seq,
                "{} is shown an effect before its cause",
                peer.user
            );
        }
    }

    /// The entries of a log that others must hold as well.
    fn equal_entries(&self, log: &Log<MemoryDisk>) -> Vec<Entry> {
        self.equal(entries(log))
    }

    fn equal(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.retain(|entry| !self.is_two_faced(&entry.author));
        entries
    }

    /// All entries that anybody holds, per conversation.
    pub fn union_of_all(&self) -> BTreeMap<Conversation, BTreeSet<EntryId>> {
        let mut union: BTreeMap<Conversation, BTreeSet<EntryId>> = BTreeMap::new();
        for core in self.peers.iter().filter_map(|peer| peer.core.as_ref()) {
            for conversation in core.node().talks().keys() {
                if let Some(log) = core.log(conversation) {
                    union
                        .entry(conversation.clone())
                        .or_default()
                        .extend(self.equal_entries(log).iter().map(|entry| entry.id));
                }
            }
        }
        union
    }

    /// After healing all members hold the same in the same order, and all that anybody held when healing began.
    pub fn check_the_end(&mut self, held: &BTreeMap<Conversation, BTreeSet<EntryId>>) {
        if self.traced {
            for peer in &self.peers {
                println!("{}: {:#?}", peer.user, peer.core.as_ref().map(|core| core.node()));
            }
        }
        let [alice, bob] = self.two();
        let all: Vec<Who> = (0..self.peers.len()).collect();
        let two = self.devices_of(|user| *user == alice || *user == bob);
        let direct = Conversation::direct(&alice, &bob);
        let private = self.private.as_ref().map(|private| Conversation::Room(private.room()));
        let invited: Vec<Who> = all.iter().copied().filter(|who| self.is_invited(*who)).collect();
        let all_of = [(Conversation::Room(World::room()), all.clone()), (direct, two)].into_iter();
        for (conversation, members) in all_of.chain(private.map(|private| (private, invited))) {
            let ids = self.check_equal(&conversation, &members);
            let lost = held.get(&conversation).map_or(0, |held| held.difference(&ids).count());
            assert_eq!(lost, 0, "{lost} entries of {conversation:?} are lost");
        }
        for who in all {
            self.check_devices(who);
        }
    }

    fn devices_of(&self, is_it: impl Fn(&UserName) -> bool) -> Vec<Who> {
        (0..self.peers.len())
            .filter(|who| is_it(&self.peers[*who].user))
            .collect()
    }

    /// All devices of a user hold the same rooms and the same direct conversations, with equal logs.
    fn check_devices(&self, who: Who) {
        let user = &self.peers[who].user;
        let devices = self.devices_of(|other| other == user);
        let held = |who: Who| {
            let node = self.peers[who].core.as_ref().expect("everybody runs at the end").node();
            let talks = node.talks().iter();
            let talks = talks.filter(|(id, talk)| talk.takes_part(id));
            let said =
                |(id, talk): (&Conversation, &Talk)| talk.replica.version() > 0 || matches!(id, Conversation::Room(_));
            let held: BTreeSet<Conversation> = talks.filter(|talk| said(*talk)).map(|(id, _)| id.clone()).collect();
            let rooms: Vec<_> = node.memberships().rooms().cloned().map(Conversation::Room).collect();
            let open: Vec<_> = held
                .iter()
                .filter(|id| matches!(id, Conversation::Room(_)))
                .cloned()
                .collect();
            assert_eq!(rooms, open, "{user} is in what is remembered");
            assert_eq!(*node.memberships(), self.peers[who].memberships);
            held
        };
        let mine = held(who);
        for other in &devices {
            assert_eq!(mine, held(*other), "the devices of {user} hold different conversations");
        }
        for conversation in &mine {
            self.check_equal(conversation, &devices);
        }
    }

    /// These all hold the same of a conversation, and nothing back. Returns what they hold.
    fn check_equal(&self, conversation: &Conversation, members: &[Who]) -> BTreeSet<EntryId> {
        let mut first: Option<Vec<Entry>> = None;
        for who in members {
            let peer = &self.peers[*who];
            let core = peer.core.as_ref().expect("everybody runs at the end");
            let log = core.log(conversation).map(entries).unwrap_or_default();
            check_log(&log, |author| self.is_two_faced(author));
            let log = self.equal(log);
            let talk = core.node().talks().get(conversation);
            let held = talk.into_iter().flat_map(|talk| talk.replica.held().iter());
            let waiting = held.filter(|held| !self.is_two_faced(&held.entry.author)).count();
            assert_eq!(waiting, 0, "{} holds entries back in {conversation:?}", peer.user);
            match &first {
                None => first = Some(log),
                Some(first) => assert_eq!(*first, log, "{} differs in {conversation:?}", peer.user),
            }
        }
        first.into_iter().flatten().map(|entry| entry.id).collect()
    }
}

/// The canonical order puts every entry after its causes, every author's entries are a chain, and nothing is there twice.
fn check_log(log: &[Entry], is_two_faced: impl Fn(&Author) -> bool) {
    let mut heads: BTreeMap<Author, (Seq, EntryId)> = BTreeMap::new();
    for entry in log {
        let head = heads.get(&entry.author).copied();
        assert_eq!(entry.seq, head.map(|head| head.0).unwrap_or_default().next());
        assert_eq!(entry.previous, head.map_or(AUTHORITY.origin(), |head| head.1));
        for cause in entry.seen.iter().filter(|cause| !is_two_faced(&cause.author)) {
            assert!(
                heads.get(&cause.author).is_some_and(|head| head.0 >= cause.seq),
                "an effect sorts before its cause"
            );
        }
        heads.insert(entry.author, (entry.seq, entry.id));
    }
}
