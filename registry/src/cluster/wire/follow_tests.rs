//! What is said comes out as it went in, and what makes no sense does not.

use std::sync::Arc;

use peerchat_proto::{names::UserName, v1};
use proptest::prelude::*;

use super::follow::{from_down, from_up, to_down, to_up};
use crate::{
    cluster::{
        table::{
            message::{Down, Hello, Part, Up},
            order::{Entry, Order, Position},
            replica::Replica,
        },
        term::{NodeId, Term},
    },
    routes::{
        AttemptOutcome, Command, DeviceId, LeaseToken, Millis, Note,
        limits::NOTE_BYTES_MAX,
        random::{Script, calls},
    },
};

fn position() -> Position {
    Position {
        term: Term::new(302).unwrap(),
        revision: 7,
    }
}

fn entry(order: Order, now: Millis) -> Entry {
    Entry {
        position: position(),
        now,
        origin: NodeId::new(3).unwrap(),
        ticket: 8,
        order,
    }
}

fn passes_up(said: &dyn Fn() -> Up) {
    assert_eq!(format!("{:?}", from_up(to_up(said()))), format!("{:?}", Some(said())));
}

fn passes_down(said: &dyn Fn() -> Down) {
    let came = from_down(to_down(said()).unwrap());
    assert_eq!(format!("{came:?}"), format!("{:?}", Some(said())));
}

#[test]
fn every_word_passes() {
    let nodes = vec![1, 2, 3];
    let (term, position) = (Term::new(302).unwrap(), position());
    passes_up(&|| {
        Up::Hello(Hello {
            nodes: nodes.clone(),
            term,
            position,
        })
    });
    passes_up(&|| Up::ClaimsEnd);
    passes_up(&|| Up::Part(Part::End));
    passes_up(&|| Up::Part(Part::Offline((UserName::new("Zo\u{eb}").unwrap(), Millis(5)))));
    passes_down(&|| Down::TableWanted);
    passes_down(&|| Down::GoOn(term));
    passes_down(&|| Down::Ready);
    assert!(to_down(Down::Table(Vec::new())).is_none(), "a table goes in parts");
    for outcome in [
        AttemptOutcome::Refused,
        AttemptOutcome::WrongPassword,
        AttemptOutcome::Waits,
        AttemptOutcome::Added,
    ] {
        let order = Order::Call(Command::TellAttempt {
            user: UserName::new("alice").unwrap(),
            device: DeviceId([1; 32]),
            from: [192, 0, 2, 1].into(),
            outcome,
        });
        passes_up(&|| Up::Submit {
            ticket: 1,
            order: order.clone(),
        });
    }
    let many = Order::RenewMany(vec![LeaseToken([1; 16]), LeaseToken([2; 16])]);
    let lost = Order::StreamsLost(NodeId::new(9).unwrap());
    let say = Order::Call(Command::Say {
        note: Note::new(vec![7; NOTE_BYTES_MAX]).unwrap(),
    });
    for order in [many, lost, say, Order::Call(Command::Expire)] {
        passes_down(&|| Down::Entry(Arc::new(entry(order.clone(), Millis(1)))));
    }
}

#[test]
fn what_makes_no_sense_is_nothing() {
    assert!(from_up(v1::FollowRequest { step: None }).is_none());
    let Some(sent) = to_down(Down::Entry(Arc::new(entry(Order::Call(Command::Expire), Millis(1))))) else {
        panic!("it is sent");
    };
    let altered = |alter: &dyn Fn(&mut v1::TableEntry)| {
        let mut sent = sent.clone();
        let Some(v1::follow_response::Step::Entry(entry)) = &mut sent.step else {
            panic!("it is an entry");
        };
        alter(entry);
        from_down(sent)
    };
    assert!(altered(&|_| {}).is_some());
    assert!(altered(&|entry| entry.position = None).is_none());
    assert!(altered(&|entry| entry.origin = 100).is_none());
    assert!(altered(&|entry| entry.order = None).is_none());
    assert!(altered(&|entry| entry.position.as_mut().unwrap().term = 5).is_none());
    let lease = vec![1; 15].into();
    let order = v1::table_order::Order::LogOut(v1::OrderLease { lease });
    assert!(altered(&|entry| entry.order.as_mut().unwrap().order = Some(order.clone())).is_none());
    let note = vec![1; NOTE_BYTES_MAX + 1].into();
    let order = v1::table_order::Order::Say(v1::OrderSay { note });
    assert!(altered(&|entry| entry.order.as_mut().unwrap().order = Some(order.clone())).is_none());
}

proptest! {
    #[test]
    fn orders_and_tables_pass(calls in calls(80)) {
        let (mut replica, mut script) = (Replica::default(), Script::new());
        replica.begin(position().term);
        for call in calls {
            let Some(command) = script.command(&call) else {
                continue;
            };
            let mut entry = entry(Order::Call(command), script.now);
            entry.position = replica.position().next();
            passes_down(&|| Down::Entry(Arc::new(entry.clone())));
            let _ = replica.apply(&entry).unwrap();
        }
        for part in replica.parts() {
            passes_down(&|| Down::Part(part.clone()));
            passes_up(&|| Up::Part(part.clone()));
        }
        for lease in replica.routes.records() {
            passes_up(&|| Up::Claim(lease.clone()));
        }
    }
}
