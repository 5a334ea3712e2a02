//! Under which authority a node is: names mean something only there, and so do conversations.
//!
//! A node is under one authority for as long as it runs. Before any registry has let the device in there is none: then rooms and direct
//! conversations can be asked for and texts wait, but nothing is written, since nobody could say whose names it would be for.

use super::{
    Node, Now,
    talk::Stage,
    types::{Authority, Conversation},
};

/// What the user is told where a registry is of another authority than his conversations.
pub fn other_authority(address: &str, own: Authority, found: Authority) -> String {
    format!(
        "the registry at {address} belongs to the authority {found}, and your conversations here are under {own}: quit and start again to \
         have those under {found}; the others stay where they are"
    )
}

impl Node {
    /// A registry of this authority has let the device in: where there was none, the conversations are its from now on.
    pub(super) fn belongs_to(&mut self, authority: Authority, now: Now) {
        if self.authority.is_some() {
            return;
        }
        self.authority = Some(authority);
        for talk in self.talks.values_mut() {
            talk.replica.belong_to(authority);
        }
        // Of rooms the registry is asked anew.
        let waits = |(id, talk): (&Conversation, &super::Talk)| {
            let asks = matches!(talk.stage, Stage::Asking(_)) && matches!(id, Conversation::Direct(_));
            asks.then(|| id.clone())
        };
        let waiting: Vec<_> = self.talks.iter().filter_map(waits).collect();
        for conversation in waiting {
            self.entered(&conversation, false, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{
        net::convert::encode_entry,
        node::{
            Ask, Effect, Identity, Input, Millis, Node, Now, Step,
            event::{Event, RegistryState},
            memberships::Memberships,
            types::{Authority, Body, Conversation, DeviceId, Encode, RoomName, Seq, UserName, WallTime},
        },
    };

    const NOW: Now = Now {
        mono: Millis(0),
        wall: WallTime(0),
    };
    const OURS: Authority = Authority([1; 32]);
    const OTHER: Authority = Authority([2; 32]);

    fn alice() -> UserName {
        UserName::new("alice").unwrap()
    }

    fn node(authority: Option<Authority>) -> Node {
        let me = Identity {
            user: alice(),
            device: DeviceId([1; 32]),
        };
        let mut node = Node::new(me, authority, Encode(Arc::new(encode_entry)), 1);
        node.handle(Input::Start(Memberships::default()), NOW);
        node
    }

    fn lobby() -> RoomName {
        RoomName::new("lobby").unwrap()
    }

    fn up(node: &mut Node, authority: Authority) -> Step {
        let address = "127.0.0.1:1".to_owned();
        let hosting = false;
        node.handle(
            Input::RegistryUp {
                hosting,
                address,
                authority,
            },
            NOW,
        )
    }

    fn asks_to_join(step: &Step) -> bool {
        let asks = |effect: &Effect| matches!(effect, Effect::Registry(Ask::Join(_)));
        step.then.iter().any(asks)
    }

    #[test]
    fn what_is_said_before_any_registry_waits_and_begins_under_the_first_one() {
        let mut node = node(None);
        let (room, notes) = (Conversation::Room(lobby()), Conversation::direct(&alice(), &alice()));
        node.handle(Input::Join(lobby()), NOW);
        let refused = Input::RoomRefused {
            room: lobby(),
            refused: None,
        };
        node.handle(refused, NOW);
        node.handle(Input::Open(alice()), NOW);
        for conversation in [&room, &notes] {
            let step = node.handle(Input::Write(conversation.clone(), "early".into()), NOW);
            assert!(step.persist.is_empty(), "{conversation:?}");
        }
        let step = up(&mut node, OURS);
        assert!(asks_to_join(&step));
        let [entry] = &step.persist[..] else {
            panic!("the note alone: {step:?}")
        };
        assert_eq!(
            (entry.seq, entry.previous, &entry.conversation),
            (Seq::FIRST, OURS.origin(), &notes)
        );
        let joined = Input::RoomJoined {
            room: lobby(),
            created: true,
            members: Vec::new(),
        };
        let step = node.handle(joined, NOW);
        let [entry] = &step.persist[..] else {
            panic!("what waited: {step:?}")
        };
        assert_eq!((entry.previous, &entry.conversation), (OURS.origin(), &room));
        assert_eq!(entry.body, Body::Text("early".into()));
    }

    #[test]
    fn whoever_ends_before_any_registry_is_told_what_was_not_sent() {
        let mut node = node(None);
        node.handle(Input::Join(lobby()), NOW);
        node.handle(Input::Write(Conversation::Room(lobby()), "early".into()), NOW);
        let step = node.handle(Input::LastWords, NOW);
        assert!(step.persist.is_empty());
        let told = step.then.iter().any(|effect| {
            matches!(effect, Effect::Tell(Event::NotEntered { notice, .. })
                if notice.message == "no registry has let this device in; the message was not sent")
        });
        assert!(told, "{step:?}");
    }

    #[test]
    fn another_authority_is_no_registry_of_this_node() {
        let mut node = node(Some(OURS));
        node.handle(Input::Join(lobby()), NOW);
        let step = up(&mut node, OTHER);
        assert!(!asks_to_join(&step), "it is not told a room");
        let barred = step.then.iter().any(|effect| {
            matches!(effect, Effect::Tell(Event::Registry(RegistryState::Barred { reason }))
                if reason.contains(&OTHER.to_string()) && reason.contains(&OURS.to_string()))
        });
        assert!(barred, "{step:?}");
        assert!(asks_to_join(&up(&mut node, OURS)));
    }
}
