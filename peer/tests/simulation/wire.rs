//! The simulated network: links that delay, lose, double, swap, fill up and break.

use std::collections::BTreeMap;

use peerchat::{
    driver::ports::Order,
    node::{
        Input,
        link::{ByeReason, Frame, LinkId, LinkUp, Outgoing, Way},
        types::Conversation,
    },
    seal,
};

use crate::{
    notary::certificate,
    peer::SimPeer,
    world::{Happening, Who, World},
};

/// One end of a link.
#[derive(Debug, Clone, Copy)]
pub struct End {
    pub other: Who,
    pub other_life: u64,
    pub other_link: LinkId,
    /// When this end is told that the link is up.
    pub up_at: u64,
    /// Not before this does anything that is sent now arrive: a stream keeps its order.
    pub arrives: u64,
    /// Its queue has no room before this time.
    pub full_until: u64,
}

/// All links.
#[derive(Debug, Default)]
pub struct Wire {
    pub ends: BTreeMap<(Who, LinkId), End>,
    next_link: u64,
    /// Which side of the partition each peer is on.
    pub sides: BTreeMap<Who, u8>,
}

impl World {
    /// Whether two peers can reach one another.
    pub fn connected(&self, a: Who, b: Who) -> bool {
        let side = |who| self.wire.sides.get(&who).copied().unwrap_or(0);
        self.peers[a].core.is_some() && self.peers[b].core.is_some() && side(a) == side(b)
    }

    /// Who is at the end of a way; nobody where its link has ended.
    fn end_of(&self, who: Who, way: &Way) -> Option<Who> {
        match way {
            Way::Address(address) => Some(SimPeer::who(address)),
            Way::Link(link) => self.wire.ends.get(&(who, *link)).map(|end| end.other),
        }
    }

    pub fn delay(&mut self) -> u64 {
        // Mostly quick, sometimes very slow.
        if self.rng.u8(..20) == 0 {
            self.rng.u64(1..2_000)
        } else {
            self.rng.u64(1..10)
        }
    }

    /// Whoever does not have the invitation is not told that there is such a room.
    pub fn check_told(&self, other: Who, conversation: &Conversation) {
        let may_hear = !Self::is_private(conversation) || self.is_invited(other);
        assert!(may_hear, "{} hears of {conversation:?}", self.peers[other].user);
    }

    pub fn order(&mut self, who: Who, order: Order) {
        let life = self.peers[who].lives;
        let delay = self.delay();
        match order {
            Order::Dial(device, address) => {
                let other = SimPeer::who(&address);
                if self.connected(who, other) && self.peers[other].device == device {
                    self.link(who, other);
                } else {
                    let input = Box::new(Input::DialFailed(device));
                    self.after(delay + 500, Happening::Input { who, life, input });
                }
            }
            Order::AskVersion(device, way, conversation) => {
                let other = self.end_of(who, &way).filter(|other| self.connected(who, *other));
                let other = other.filter(|_| self.rng.u8(..10) > 0);
                let input = if let Some(other) = other {
                    self.check_told(other, &conversation);
                    let core = self.peers[other].core.as_ref().unwrap();
                    match core.serve_version(&self.peers[who].reader(), &conversation) {
                        Ok(heights) => Input::VersionAnswer(device, conversation, heights),
                        // The member has not heard of the newcomer yet.
                        Err(_) => {
                            self.totals.refused += 1;
                            Input::VersionFailed(device, conversation)
                        }
                    }
                } else {
                    Input::VersionFailed(device, conversation)
                };
                self.after(
                    delay,
                    Happening::Input {
                        who,
                        life,
                        input: Box::new(input),
                    },
                );
            }
            Order::Pull {
                pull,
                way,
                conversation,
                heights,
                ..
            } => {
                let server = self.end_of(who, &way);
                self.pull(who, pull, server, conversation, heights);
            }
            // What is under way still comes, and must be passed over.
            Order::StopPull(_) => {}
            Order::Registry(ask) => self.ask_registry(who, ask),
            Order::ListRooms(_) | Order::RegistryStatus(_) | Order::Account(..) => {}
        }
    }

    fn link(&mut self, dialer: Who, dialed: Who) {
        let (a, b) = (LinkId(self.wire.next_link), LinkId(self.wire.next_link + 1));
        self.wire.next_link += 2;
        let (a_up, b_up) = (self.now + self.delay(), self.now + self.delay());
        for (who, link, up_at, other, other_link, other_up, dialed_by_us) in [
            (dialer, a, a_up, dialed, b, b_up, true),
            (dialed, b, b_up, dialer, a, a_up, false),
        ] {
            let (life, other_life) = (self.peers[who].lives, self.peers[other].lives);
            self.wire.ends.insert(
                (who, link),
                End {
                    other,
                    other_life,
                    other_link,
                    up_at,
                    // Nothing may be there before the link is.
                    arrives: other_up,
                    full_until: 0,
                },
            );
            let certificate = certificate(&self.peers[other].device, &self.peers[other].user);
            let introduction = seal::introduction(certificate, self.peers[who].notary.as_ref()).unwrap();
            self.after(
                up_at - self.now,
                Happening::Input {
                    who,
                    life,
                    input: Box::new(Input::Introduced(introduction)),
                },
            );
            let up = LinkUp {
                link,
                device: self.peers[other].device,
                user: self.peers[other].user.clone(),
                session: other_life,
                address: SimPeer::address(other),
                dialed_by_us,
            };
            self.after(
                up_at - self.now,
                Happening::Input {
                    who,
                    life,
                    input: Box::new(Input::LinkUp(up)),
                },
            );
        }
    }

    pub fn send(&mut self, who: Who, link: LinkId, what: Outgoing) -> Option<Input> {
        let peace = self.peace;
        if let Outgoing::Ack(ack) = &what {
            let key = (ack.conversation.clone(), ack.author);
            let promise = |promises: &mut crate::peer::Promises, seq: peerchat::node::types::Seq| {
                let known = promises.entry(key.clone()).or_default();
                *known = seq.max(*known);
            };
            promise(&mut self.peers[who].stored, ack.stored);
            promise(&mut self.peers[who].durable, ack.durable);
        }
        if let Some(end) = self.wire.ends.get(&(who, link)) {
            match &what {
                Outgoing::Entry(entry) => self.check_told(end.other, &entry.conversation),
                Outgoing::Seal(conversation, _) => self.check_told(end.other, conversation),
                Outgoing::Ack(ack) => self.check_told(end.other, &ack.conversation),
                Outgoing::Heights(news) => self.check_told(end.other, &news.conversation),
                Outgoing::Knock(_) => self.totals.knocks += 1,
                Outgoing::Memberships(news) => {
                    for told in news {
                        self.check_told(end.other, &Conversation::Room(told.room.clone()));
                    }
                }
            }
        }
        let now = self.now;
        let fills = !peace && self.rng.u8(..200) == 0;
        let end = self.wire.ends.get_mut(&(who, link))?;
        if end.full_until > now {
            return Some(Input::LinkFull(link));
        }
        if fills {
            self.totals.full_links += 1;
            let (life, ms) = (self.peers[who].lives, self.rng.u64(1..3_000));
            self.wire.ends.get_mut(&(who, link))?.full_until = now + ms;
            self.after(
                ms,
                Happening::Input {
                    who,
                    life,
                    input: Box::new(Input::LinkDrained(link)),
                },
            );
            return Some(Input::LinkFull(link));
        }
        let is_entry = matches!(what, Outgoing::Entry(_));
        let is_state = matches!(
            what,
            Outgoing::Heights(_) | Outgoing::Knock(_) | Outgoing::Memberships(_)
        );
        // A stream neither loses nor swaps nor doubles; a peer must not depend on it all the same, but for what says how things are.
        let chance = if peace || is_state { 99 } else { self.rng.u8(..100) };
        if chance == 0 {
            self.totals.lost += 1;
            return None;
        }
        let other = self.wire.ends.get(&(who, link))?.other;
        let two_faced = self.two_faced(who, other, &what);
        let frame = || match &what {
            _ if two_faced.is_some() => {
                let (entries, seals) = two_faced.clone().unwrap_or_default();
                Frame {
                    entries,
                    seals,
                    ..Frame::default()
                }
            }
            Outgoing::Entry(entry) => Frame {
                entries: vec![entry.clone()],
                ..Frame::default()
            },
            Outgoing::Seal(conversation, seal) => Frame {
                seals: vec![(conversation.clone(), (**seal).clone())],
                ..Frame::default()
            },
            Outgoing::Ack(ack) => Frame {
                acks: vec![ack.clone()],
                ..Frame::default()
            },
            Outgoing::Heights(news) => Frame {
                heights: vec![news.clone()],
                ..Frame::default()
            },
            Outgoing::Knock(knock) => Frame {
                knocks: vec![*knock],
                ..Frame::default()
            },
            Outgoing::Memberships(news) => Frame {
                memberships: news.clone(),
                ..Frame::default()
            },
        };
        let delay = self.delay();
        let end = self.wire.ends.get_mut(&(who, link))?;
        let swapped = chance == 1 && is_entry;
        let at = end.arrives.max(self.now + delay) + if swapped { 50 } else { 0 };
        if !swapped {
            end.arrives = at;
        }
        let (other, other_life, other_link) = (end.other, end.other_life, end.other_link);
        self.totals.swapped += u64::from(swapped);
        let copies = if chance == 2 { 2 } else { 1 };
        self.totals.doubled += copies - 1;
        for copy in 0..copies {
            let input = Box::new(Input::Frame(other_link, frame()));
            self.after(
                at - self.now + copy * 7,
                Happening::Input {
                    who: other,
                    life: other_life,
                    input,
                },
            );
        }
        None
    }

    /// One end closes a link in order: what was sent before still arrives.
    pub fn close(&mut self, who: Who, link: LinkId, reason: ByeReason) {
        let Some(end) = self.wire.ends.remove(&(who, link)) else {
            return;
        };
        let frame = Frame {
            bye: Some(reason),
            ..Frame::default()
        };
        let at = end.arrives.max(self.now + 1) - self.now;
        let (other, life) = (end.other, end.other_life);
        let bye = Input::Frame(end.other_link, frame);
        self.after(
            at,
            Happening::Input {
                who: other,
                life,
                input: Box::new(bye),
            },
        );
        let down = |link| Box::new(Input::LinkDown(link, "closed".into()));
        self.after(
            at + 1,
            Happening::Input {
                who: other,
                life,
                input: down(end.other_link),
            },
        );
        let life = self.peers[who].lives;
        self.after(
            at + 2,
            Happening::Input {
                who,
                life,
                input: down(link),
            },
        );
        self.wire.ends.remove(&(other, end.other_link));
    }

    /// Breaks every link for which `breaks` says so: what is under way is lost.
    pub fn break_links(&mut self, breaks: impl Fn(Who, Who) -> bool) {
        let broken = self.wire.ends.iter().filter(|((who, _), end)| breaks(*who, end.other));
        let broken: Vec<_> = broken.map(|(key, end)| (*key, end.up_at)).collect();
        for ((who, link), up_at) in broken {
            self.wire.ends.remove(&(who, link));
            let life = self.peers[who].lives;
            // An end is told that a link is up before it is told that it is down, as the task of a link does it. Where it was the other way
            // round the link would stay up for ever, which keepalive does not allow.
            let ms = self.rng.u64(1..6_000).max(up_at.saturating_sub(self.now));
            let input = Box::new(Input::LinkDown(link, "broken".into()));
            self.after(ms, Happening::Input { who, life, input });
        }
        // Frames that are under way for a broken link are dropped by `Happening::Input` only if the process is another one; the
        // rest arrives late, as the last bytes of a broken stream may.
    }
}
