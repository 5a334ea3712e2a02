//! How the user enters conversations, leaves them and writes in them.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Ask, Effect, Node, Now,
    event::{Code, Event, Notice},
    limits::{AUTHORS_MAX, JOIN_PATIENCE_MS, KNOCK_WAIT_MS, REPLAY_LAST, TEXT_BYTES_MAX, WAITING_TEXTS_MAX},
    line,
    link::{HeightsNews, Outgoing, Peer},
    memberships::Memberships,
    replica::Replica,
    sealing::Sealing,
    talk::{Entering, Quiet, Stage, Talk},
    types::{Body, Conversation, RoomName, UserName},
};

impl Node {
    pub(super) fn start(&mut self, memberships: Memberships, now: Now) {
        let rooms: Vec<_> = memberships.rooms().cloned().collect();
        self.memberships = memberships;
        for room in rooms {
            let Some(at_registry) = self.at_registry(&room) else {
                self.not_invited(&room);
                continue;
            };
            self.enter(Conversation::Room(room), false, false);
            self.effect(Effect::Registry(Ask::Join(at_registry)));
        }
        self.watch_users();
        self.next_heights_at = now.mono;
    }

    /// Asks the registry to tell of the user's other devices, and of all with whom there is a direct conversation, unless it is one
    /// that was begun and in which nothing was said.
    pub(super) fn watch_users(&mut self) {
        let used = self.talks.iter().filter(|(_, talk)| !talk.is_unused());
        let partners = used.filter_map(|(id, _)| self.partner(id));
        let users: Vec<UserName> = std::iter::once(self.me.user.clone()).chain(partners).collect();
        for user in users {
            self.effect(Effect::Registry(Ask::Watch(user)));
        }
    }

    /// The user with whom a direct conversation is; none in a room and in notes.
    pub(super) fn partner(&self, conversation: &Conversation) -> Option<UserName> {
        match conversation {
            Conversation::Direct(pair) => Some(pair.other(&self.me.user).clone()).filter(|user| *user != self.me.user),
            Conversation::Room(_) => None,
        }
    }

    pub(super) fn join(&mut self, room: RoomName) {
        let Some(at_registry) = self.at_registry(&room) else {
            return self.not_invited(&room);
        };
        self.enter(Conversation::Room(room), true, false);
        self.effect(Effect::Registry(Ask::Join(at_registry)));
    }

    pub(super) fn open(&mut self, user: UserName, now: Now) {
        if user == self.me.user {
            let conversation = Conversation::direct(&user, &user);
            self.enter(conversation.clone(), true, false);
            return self.entered(&conversation, false, now);
        }
        self.opening.entry(user.clone()).or_default();
        self.effect(Effect::Registry(Ask::Find(user)));
    }

    /// The registry has answered, or cannot, and the direct conversation can be opened.
    pub(super) fn opened(&mut self, user: &UserName, now: Now) {
        let Some(texts) = self.opening.remove(user) else { return };
        let conversation = Conversation::direct(&self.me.user, user);
        self.effect(Effect::Registry(Ask::Watch(user.clone())));
        self.enter(conversation.clone(), true, false);
        self.talk(&conversation).waiting_texts.extend(texts);
        self.entered(&conversation, false, now);
    }

    /// The direct conversation cannot be opened.
    pub(super) fn not_opened(&mut self, user: &UserName, code: Code, why: &str) {
        let Some(texts) = self.opening.remove(user) else { return };
        let conversation = Conversation::direct(&self.me.user, user);
        self.not_entered(conversation, code, why, texts.len());
    }

    /// A conversation cannot be entered, nor can what waits for it be sent.
    pub(super) fn not_entered(&mut self, conversation: Conversation, code: Code, why: &str, unsent: usize) {
        let unsent = match unsent {
            0 => String::new(),
            1 => "; the message was not sent".into(),
            n => format!("; {n} messages were not sent"),
        };
        let message = format!("{why}{unsent}");
        self.tell(Event::NotEntered {
            conversation,
            notice: Notice { code, message },
        });
    }

    /// The conversation, which is made where it is not there.
    pub(super) fn talk(&mut self, conversation: &Conversation) -> &mut Talk {
        let (me, authority) = (self.me.device, self.authority);
        self.talks.entry(conversation.clone()).or_insert_with(|| {
            Talk::new(
                Replica::new(conversation.clone(), authority),
                Sealing::default(),
                me,
                None,
            )
        })
    }

    pub(super) fn enter(&mut self, conversation: Conversation, announce: bool, by_other_device: bool) {
        self.begin_direct(&conversation);
        let talk = self.talk(&conversation);
        // Entering again starts over, without forgetting what a first attempt still owes the user.
        let announce = announce || talk.entering().is_some_and(|entering| entering.announce);
        talk.stage = Stage::Asking(Entering {
            announce,
            by_other_device,
            ..Entering::default()
        });
    }

    /// Who else is there is known as far as it can be: says so, and asks them what they hold.
    pub(super) fn entered(&mut self, conversation: &Conversation, created: bool, now: Now) {
        if self.authority.is_none() {
            return;
        }
        if let Conversation::Room(room) = conversation {
            // Not before: a room that the registry refuses is none of the user's, at no device.
            self.membership_changed(room, true);
        }
        let devices: Vec<_> = self.talk(conversation).members.keys().copied().collect();
        let reachable = devices.into_iter().filter_map(|device| {
            let peer = self.peers.get(&device)?;
            let there = peer.listed || peer.link().is_some();
            Some((device, peer.way().filter(|_| there)?))
        });
        let reachable: Vec<_> = reachable.collect();
        // A call would name the room to one who may not know it: who has not knocked tells over the link what he holds.
        let named = self.talk(conversation).named.clone();
        let named: Vec<_> = named.into_iter().filter(|device| self.is_online(device)).collect();
        let talk = self.talk(conversation);
        let mut entering = talk.entering().map(std::mem::take).unwrap_or_default();
        entering.waiting = reachable.iter().map(|(device, _)| *device).chain(named).collect();
        entering.until = Some(now.mono.plus(JOIN_PATIENCE_MS));
        entering.knocks_until = Some(now.mono.plus(KNOCK_WAIT_MS));
        let (announce, by_other_device) = (entering.announce, entering.by_other_device);
        talk.stage = Stage::Syncing(entering);
        talk.sync.not_before.clear();
        if announce {
            let me = self.me.user.clone();
            let mut members = self.talk(conversation).other_users(&me);
            members.insert(me);
            if let Some(partner) = self.partner(conversation) {
                let shown = self.shown_name(&partner);
                members.insert(shown);
            }
            let members = members.into_iter().collect();
            let held = self.talk(conversation).replica.heights();
            self.effect(Effect::TellJoined {
                conversation: conversation.clone(),
                created,
                members,
                by_other_device,
                held,
            });
        }
        let members = self.who(conversation);
        self.tell(Event::Members {
            conversation: conversation.clone(),
            members,
        });
        for (device, way) in reachable {
            self.ask_version(conversation, device, way);
        }
        self.unsettled.insert(conversation.clone());
    }

    /// All that the members hold has been pulled, as far as they can be reached, or it takes too long: the user is in.
    pub(super) fn settled_in(&mut self, conversation: &Conversation, now: Now) {
        let running = self.talk(conversation).sync.pull.as_ref();
        let running = running.map(|pull| (pull.from, pull.taken));
        let from = running
            .and_then(|(from, _)| self.peers.get(&from))
            .map(|peer| peer.user.clone());
        let talk = self.talk(conversation);
        let mut entering = talk.entering().map(std::mem::take).unwrap_or_default();
        entering.brought(from, running.map_or(0, |(_, taken)| taken));
        talk.stage = Stage::Open;
        let version = talk.replica.version();
        let texts = std::mem::take(&mut talk.waiting_texts);
        if let Some(quiet) = talk.quiet.take() {
            // What a pull that goes on still brings is history as well.
            talk.quiet = (talk.filling.is_some() && running.is_some()).then(Quiet::default);
            self.show_last(conversation, &quiet);
        }
        if entering.announce || entering.pulled > 0 {
            let Entering { from, pulled, .. } = entering;
            self.tell(Event::Synced {
                conversation: conversation.clone(),
                version,
                from,
                pulled,
            });
        }
        for text in texts {
            self.write_now(conversation, text, now);
        }
    }

    pub(super) fn leave(&mut self, conversation: &Conversation) {
        let talk = self.talks.get(conversation);
        if !talk.is_some_and(|talk| talk.takes_part(conversation)) {
            let title = conversation.label(&self.me.user);
            return self.notice(Code::NotJoined, format!("you are not in {title}"));
        }
        self.go_out(conversation, false);
        if let Conversation::Room(room) = conversation {
            self.membership_changed(room, false);
        }
    }

    /// The user is in a conversation no longer.
    pub(super) fn go_out(&mut self, conversation: &Conversation, by_other_device: bool) {
        let left = Event::Left {
            conversation: conversation.clone(),
            by_other_device,
        };
        let talk = self.talk(conversation);
        let texts = std::mem::take(&mut talk.waiting_texts);
        if let Some(quiet) = talk.quiet.take() {
            self.show_last(conversation, &quiet);
        }
        if !texts.is_empty() {
            let title = conversation.label(&self.me.user);
            let message = format!("{} messages that waited for {title} were not sent", texts.len());
            self.notice(Code::Refused, message);
        }
        let Conversation::Room(room) = conversation else {
            self.talk(conversation).stage = Stage::Closed;
            return self.tell(left);
        };
        self.forget_pull(conversation);
        let me = self.me.device;
        let talk = self.talk(conversation);
        talk.stage = Stage::Closed;
        (talk.filling, talk.began_here) = (None, false);
        talk.sync.pull = None;
        (talk.tell_at, talk.tell_short_at) = (None, None);
        talk.told.clear();
        talk.told_short.clear();
        let heights = talk.sealing.servable().clone();
        let named = std::mem::take(&mut talk.named);
        let members = std::mem::take(&mut talk.members);
        if talk.sealing.lacks_seals_of(&me) {
            talk.owed_seals.extend(members.keys());
        }
        for device in members.keys() {
            if let Some(link) = self.peers.get(device).and_then(super::Peer::link_with_room) {
                let news = HeightsNews {
                    conversation: conversation.clone(),
                    heights: heights.clone(),
                    reply_wanted: false,
                    left: true,
                    relay_wanted: false,
                };
                self.effect(Effect::Send(link, Outgoing::Heights(news)));
            }
        }
        for peer in self.peers.values_mut() {
            peer.heights.remove(conversation);
        }
        for device in members.into_keys().chain(named) {
            self.forget_stranger(device);
        }
        if let Some(room) = self.at_registry(room) {
            self.effect(Effect::Registry(Ask::Leave(room)));
        }
        self.tell(left);
    }

    pub(super) fn write(&mut self, conversation: &Conversation, text: String, now: Now) {
        if text.len() > TEXT_BYTES_MAX {
            let found = text.len();
            return self.notice(
                Code::TextTooLong,
                format!("the text has {found} bytes; the limit is {TEXT_BYTES_MAX}: send it in parts"),
            );
        }
        let waiting: Option<&mut VecDeque<String>> = match self.partner(conversation) {
            Some(user) if self.opening.contains_key(&user) => self.opening.get_mut(&user),
            _ => match self.talks.get_mut(conversation) {
                Some(talk) if matches!(talk.stage, Stage::Asking(_) | Stage::Syncing(_)) => {
                    Some(&mut talk.waiting_texts)
                }
                Some(talk) if talk.takes_part(conversation) => None,
                _ => {
                    let title = conversation.label(&self.me.user);
                    let first = match conversation {
                        Conversation::Room(room) => format!("/join {}", room.label()),
                        Conversation::Direct(pair) => format!("/msg {}", pair.other(&self.me.user)),
                    };
                    return self.notice(Code::NotJoined, format!("you are not in {title}: {first} comes first"));
                }
            },
        };
        let Some(waiting) = waiting else {
            return self.write_now(conversation, text, now);
        };
        if waiting.len() >= WAITING_TEXTS_MAX {
            let title = conversation.label(&self.me.user);
            let message = format!("{WAITING_TEXTS_MAX} messages wait for {title} to be joined: this one was not sent");
            return self.notice(Code::Refused, message);
        }
        waiting.push_back(text);
    }

    pub(super) fn write_now(&mut self, conversation: &Conversation, text: String, now: Now) {
        let (device, user) = (self.me.device, self.me.user.clone());
        let incarnation = self.rng.u64(..);
        // It answers all that is held, and is shown at once.
        if let Some(quiet) = self.talk(conversation).quiet.as_mut().map(std::mem::take) {
            self.show_last(conversation, &quiet);
        }
        let talk = self.talk(conversation);
        // What may never be served is named no longer, and an author whose entries named it writes as another one: nothing else could
        // be served either.
        let overdue = talk.sealing.is_overdue(now.mono);
        let author = talk.next_author(device, incarnation, now.mono);
        let authors = talk.replica.authors();
        if authors.len() >= AUTHORS_MAX && !authors.contains_key(&author) {
            let title = conversation.label(&user);
            let message = format!(
                "{title} has {AUTHORS_MAX} authors, which is the limit, and takes no new one: your message was not sent; make another room"
            );
            return self.notice(Code::Refused, message);
        }
        talk.write_as(author);
        let frontier = if overdue {
            talk.sealing.frontier()
        } else {
            talk.replica.frontier()
        };
        let draft = talk.replica.draft(author, &user, Body::Text(text), now.wall, frontier);
        let entry = (self.encode.0)(draft);
        let Self {
            talks, peers, me, step, ..
        } = self;
        let Some(talk) = talks.get_mut(conversation) else {
            return;
        };
        talk.replica.write(&entry);
        talk.sealing.take(&entry, now.mono);
        for device in talk.members.keys() {
            if let Some(link) = peers.get(device).and_then(Peer::link_with_room) {
                step.then.push(Effect::Send(link, Outgoing::Entry(Arc::clone(&entry))));
            }
        }
        let line = line(me, &entry, &talk.replica, talk.replica.version());
        self.tell(Event::Sent(line));
        self.step.persist.push(entry);
    }

    /// Shows the last ones of what was hidden while a newcomer's log was filled. What is older is passed over for good: effects of it may
    /// be on the screen from now on.
    pub(super) fn show_last(&mut self, conversation: &Conversation, quiet: &Quiet) {
        let hidden = quiet.hidden(&self.talk(conversation).replica);
        if !hidden.is_empty() {
            self.effect(Effect::TellLast(conversation.clone(), REPLAY_LAST + quiet.live, hidden));
        }
    }
}
