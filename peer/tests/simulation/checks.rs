//! What must always hold, and what must hold at the end.

use std::collections::{BTreeMap, BTreeSet};

use peerchat::{
    log::{Log, MemoryDisk},
    node::{
        event::{Code, Event},
        types::{Author, Conversation, Entry, EntryId, Seq},
    },
};

use crate::world::{Who, World};

fn entries(log: &Log<MemoryDisk>) -> Vec<Entry> {
    log.canonical().map(Result::unwrap).collect()
}

impl World {
    /// Nothing that was acknowledged is lost: what a peer promised before it ended is in its log after it starts again.
    pub fn check_promises(&mut self, who: Who) {
        let peer = &self.peers[who];
        let core = peer.core.as_ref().unwrap();
        for ((conversation, author), seq) in &peer.stored {
            let held = core
                .log(conversation)
                .map(|log| log.heights().of(author))
                .unwrap_or_default();
            let user = &peer.user;
            assert!(
                held >= *seq,
                "{user} has acknowledged {author:?}:{} in {conversation:?} and holds {}",
                seq.0,
                held.0
            );
        }
    }

    /// After every step: node and log agree, and nobody holds what is not his to read.
    pub fn check_step(&mut self, who: Who) {
        let peer = &self.peers[who];
        let Some(core) = &peer.core else { return };
        for (conversation, talk) in core.node().talks() {
            let logged = core.log(conversation).map_or(0, Log::version);
            assert_eq!(talk.replica.version(), logged, "{} in {conversation:?}", peer.user);
            if let Conversation::Direct(pair) = conversation {
                assert!(pair.has(&peer.user), "{} holds {conversation:?}", peer.user);
            }
            let may_hold = !self.is_private(conversation) || self.is_invited(who);
            assert!(may_hold, "{} knows of {conversation:?}", peer.user);
        }
        for ((conversation, author), seq) in &peer.stored {
            let held = core
                .log(conversation)
                .map(|log| log.heights().of(author))
                .unwrap_or_default();
            assert!(held >= *seq, "{} acks what it does not hold", peer.user);
        }
    }

    /// Whatever is shown is shown once, and after all that its author had seen.
    pub fn check_event(&mut self, who: Who, event: &Event) {
        let (line, peer) = match event {
            Event::Message(line) | Event::Sent(line) => (line, &mut self.peers[who]),
            Event::Notice(notice) => {
                assert_ne!(
                    notice.code,
                    Code::PeerMisbehaved,
                    "nobody misbehaves: {}",
                    notice.message
                );
                return;
            }
            _ => return,
        };
        assert!(peer.shown.insert(line.id), "{} is shown {:?} twice", peer.user, line.id);
        let log = peer.core.as_ref().unwrap().log(&line.conversation).unwrap();
        let entry = log.read(&line.author, line.seq).unwrap();
        assert_eq!(entry.id, line.id);
        let heights = log.heights();
        for cause in &entry.seen {
            assert!(
                heights.of(&cause.author) >= cause.seq,
                "{} is shown an effect before its cause",
                peer.user
            );
        }
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
                        .extend(entries(log).iter().map(|entry| entry.id));
                }
            }
        }
        union
    }

    /// After healing all members hold the same in the same order, and all that anybody held when healing began.
    pub fn check_the_end(&mut self, held: &BTreeMap<Conversation, BTreeSet<EntryId>>) {
        if std::env::var_os("SIMULATION_TRACE").is_some() {
            for peer in &self.peers {
                println!("{}: {:#?}", peer.user, peer.core.as_ref().map(|core| core.node()));
            }
        }
        let direct = Conversation::direct(&self.peers[0].user, &self.peers[1].user);
        let room = Conversation::Room(World::room());
        let all = self.peers.len();
        let private = self.private.as_ref().map(|private| Conversation::Room(private.room()));
        let private = private.map(|private| (private, 0..all - 1));
        for (conversation, members) in [(room, 0..all), (direct, 0..2)].into_iter().chain(private) {
            let mut first: Option<Vec<Entry>> = None;
            for who in members {
                let peer = &self.peers[who];
                let core = peer.core.as_ref().expect("everybody runs at the end");
                let log = core.log(&conversation).map(entries).unwrap_or_default();
                check_log(&log);
                let waiting = core
                    .node()
                    .talks()
                    .get(&conversation)
                    .map_or(0, |talk| talk.replica.held().len());
                assert_eq!(waiting, 0, "{} holds entries back in {conversation:?}", peer.user);
                match &first {
                    None => {
                        let ids: BTreeSet<EntryId> = log.iter().map(|entry| entry.id).collect();
                        let lost = held.get(&conversation).map_or(0, |held| held.difference(&ids).count());
                        assert_eq!(lost, 0, "{lost} entries of {conversation:?} are lost");
                        first = Some(log);
                    }
                    Some(first) => assert_eq!(first, &log, "{} differs in {conversation:?}", peer.user),
                }
            }
        }
    }
}

/// The canonical order puts every entry after its causes, every author's entries are a chain, and nothing is there twice.
fn check_log(log: &[Entry]) {
    let mut heads: BTreeMap<Author, (Seq, EntryId)> = BTreeMap::new();
    for entry in log {
        let head = heads.get(&entry.author).copied();
        assert_eq!(entry.seq, head.map(|head| head.0).unwrap_or_default().next());
        assert_eq!(entry.previous, head.map(|head| head.1));
        for cause in &entry.seen {
            assert!(
                heads.get(&cause.author).is_some_and(|head| head.0 >= cause.seq),
                "an effect sorts before its cause"
            );
        }
        heads.insert(entry.author, (entry.seq, entry.id));
    }
}
