//! What a user interface learns from what the peer tells.

use std::collections::BTreeSet;

use super::{Delivery, NAMES_MAX, Session, Standing, UNREAD_BYTES_MAX, UNREAD_LINES_MAX};
use crate::node::{
    event::{Code, Delivered, Event, Line, Notice, Presence, ReplayReason},
    people::News,
    types::{Conversation, UserName},
};

impl Session {
    /// Learns from what the peer tells. `keep_unread` is false where every line is shown anyway.
    pub fn learn(&mut self, event: &Event, keep_unread: bool) {
        // Messages and their deliveries come by the thousand and bring a new name once in a while.
        self.names_changed += u64::from(!matches!(
            event,
            Event::Message(_) | Event::Sent(_) | Event::Delivered(_)
        ));
        match event {
            Event::Ready(ready) => {
                self.open.extend(ready.conversations.iter().cloned());
                self.current = ready.current.clone().filter(|current| self.open.contains(current));
                ready
                    .conversations
                    .iter()
                    .for_each(|conversation| self.learn_conversation(conversation));
            }
            Event::Joined(joined) => {
                self.opening.remove(&joined.conversation);
                self.heard.remove(&joined.conversation);
                self.open.insert(joined.conversation.clone());
                self.learn_conversation(&joined.conversation);
                joined.members.iter().for_each(|user| self.learn_user(user));
                let members = joined.members.iter().map(|user| (user.clone(), Standing::Here));
                self.members.insert(joined.conversation.clone(), members.collect());
            }
            Event::Message(line) => {
                self.learn_user(&line.user);
                self.hear(&line.conversation);
                if keep_unread && !self.is_current(&line.conversation) {
                    self.keep(line);
                }
            }
            Event::Sent(line) => self.learn_sent(line),
            Event::Delivered(delivered) => self.deliver(delivered),
            Event::Presence(presence) => self.learn_presence(presence),
            Event::Who {
                conversation, members, ..
            }
            | Event::Members { conversation, members } => {
                members.iter().for_each(|member| self.learn_user(&member.user));
                let standing = |online| if online { Standing::Here } else { Standing::Away };
                let members = members
                    .iter()
                    .map(|member| (member.user.clone(), standing(member.online)));
                self.members.insert(conversation.clone(), members.collect());
            }
            Event::List { rooms, .. } => {
                let room_left = NAMES_MAX.saturating_sub(self.rooms.len());
                let rooms = rooms.iter().flatten().map(|(room, _)| room.clone());
                self.rooms.extend(rooms.take(room_left));
            }
            Event::Left { conversation, .. } => {
                // A `Left` that answers an older `/leave` than the latest `/join` is no reason to go.
                if !self.opening.contains(conversation) {
                    self.forget(conversation);
                }
            }
            Event::NotEntered { conversation, .. } => self.not_entered(conversation),
            Event::Notice(notice) => self.learn_refusal(notice),
            Event::People(News::NewDevice { user, .. }) => self.learn_user(user),
            Event::Replay(replay) => {
                // The history of one that another own device has, or that the other user has begun while this one was away.
                if replay.why == ReplayReason::Synced && !replay.lines.is_empty() {
                    self.hear(&replay.conversation);
                }
            }
            Event::People(_)
            | Event::Version { .. }
            | Event::Invitation { .. }
            | Event::Progress { .. }
            | Event::Synced { .. }
            | Event::Registry(_)
            | Event::Status { .. }
            | Event::Account(_)
            | Event::Bye => {}
        }
    }

    /// A text that was refused waits no longer; most likely it was meant for where the user is.
    fn learn_refusal(&mut self, notice: &Notice) {
        if matches!(notice.code, Code::NotJoined | Code::TextTooLong | Code::DiskFailed)
            && let Some(current) = self.current.clone()
        {
            self.written(&current);
        }
    }

    fn deliver(&mut self, delivered: &Delivered) {
        let Some(delivery) = self.delivery.get_mut(&delivered.conversation) else {
            return;
        };
        if delivery.id != delivered.id {
            return;
        }
        delivery.of = delivered.of;
        delivery.stored.insert(delivered.to.clone());
        if delivered.durable {
            delivery.durable.insert(delivered.to.clone());
        }
    }

    /// There is something in a direct conversation, which can be gone to from now on.
    fn hear(&mut self, conversation: &Conversation) {
        if matches!(conversation, Conversation::Direct(_)) && !self.is_in(conversation) {
            self.heard.insert(conversation.clone());
        }
    }

    fn keep(&mut self, line: &Line) {
        let unread = self.unread.entry(line.conversation.clone()).or_default();
        // What the user wrote at another device he has read; it is shown among the others.
        unread.count += usize::from(line.user != self.me);
        if unread.is_cut {
            return;
        }
        unread.bytes += line.text.as_ref().map_or(0, String::len);
        unread.lines.push_back(line.clone());
        if unread.lines.len() > UNREAD_LINES_MAX || unread.bytes > UNREAD_BYTES_MAX {
            unread.lines.clear();
            unread.is_cut = true;
        }
    }

    fn learn_user(&mut self, user: &UserName) {
        if *user != self.me && self.users.len() < NAMES_MAX && self.users.insert(user.clone()) {
            self.names_changed += 1;
        }
    }

    fn learn_conversation(&mut self, conversation: &Conversation) {
        match conversation {
            Conversation::Room(room) => {
                self.rooms.insert(room.clone());
            }
            Conversation::Direct(pair) => self.learn_user(&pair.other(&self.me).clone()),
        }
    }

    fn learn_sent(&mut self, line: &Line) {
        self.written(&line.conversation);
        let others = self
            .members
            .get(&line.conversation)
            .map_or(0, |members| members.keys().filter(|user| **user != self.me).count());
        let delivery = Delivery {
            id: line.id,
            stored: BTreeSet::new(),
            durable: BTreeSet::new(),
            of: others,
        };
        self.delivery.insert(line.conversation.clone(), delivery);
    }

    fn learn_presence(&mut self, presence: &Presence) {
        self.learn_user(&presence.user);
        let members = self.members.entry(presence.conversation.clone()).or_default();
        if presence.online {
            members.insert(presence.user.clone(), Standing::Here);
        } else if presence.left {
            members.remove(&presence.user);
        } else {
            members.insert(presence.user.clone(), Standing::Away);
        }
    }
}
