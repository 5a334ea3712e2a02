//! Accounts about which somebody else decides: what is asked of him, and what is refused without.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use peerchat_proto::names::UserName;
use tokio::sync::mpsc;

use super::{
    AccountError, Accounts, Arrival, Asked, DeviceLabel, Now, Policy, WallTime,
    change::Change,
    decider::{Decider, Undecided, Wish},
    importing::{AccountPart, Fate},
    invite::Invite,
    linking::NotApproved,
    rules::{DeviceState, Refusal, Registration},
    store::{AddedBy, Device, Place, Position},
};
use crate::routes::{DeviceId, Millis};

const NOW: Now = Now {
    wall: WallTime(1_800_000_000),
    running: Millis(0),
};

/// Two registries whose changes go through one order, of which the second hears only when it asks to catch up.
struct Two {
    near: Arc<Accounts>,
    far: Arc<Accounts>,
    caught_up: Arc<AtomicUsize>,
}

async fn two(registration: Registration) -> Two {
    let policy = Policy {
        registration,
        certificate_lifetime: Duration::from_secs(3_600),
    };
    let open = async || {
        let (decider, wishes) = Decider::new();
        let accounts = Accounts::open(&Place::Memory, policy).await.unwrap();
        (Arc::new(accounts.decided_by(decider)), wishes)
    };
    let ((near, near_wishes), (far, far_wishes)) = (open().await, open().await);
    let order = Arc::new(tokio::sync::Mutex::new(Vec::new()));
    let caught_up = Arc::<AtomicUsize>::default();
    for (accounts, wishes) in [(&near, near_wishes), (&far, far_wishes)] {
        let decided = decide(Arc::clone(accounts), wishes, Arc::clone(&order), Arc::clone(&caught_up));
        tokio::spawn(decided);
    }
    Two { near, far, caught_up }
}

type Order = Arc<tokio::sync::Mutex<Vec<(Position, Option<Change>)>>>;

async fn decide(accounts: Arc<Accounts>, mut wishes: mpsc::Receiver<Wish>, order: Order, caught_up: Arc<AtomicUsize>) {
    while let Some(wish) = wishes.recv().await {
        let mut order = order.lock().await;
        match wish {
            Wish::Change { change, answer, .. } => {
                let index = order.len() as u64 + 1;
                order.push((Position { term: 103, index }, Some(*change)));
                let (_, outcome) = accounts.apply(&order).await.unwrap().pop().unwrap();
                let _ = answer.send(Ok(outcome));
            }
            Wish::CatchUp { answer, .. } => {
                caught_up.fetch_add(1, Ordering::Relaxed);
                accounts.apply(&order).await.unwrap();
                let _ = answer.send(Ok(()));
            }
        }
    }
}

static LABEL: LazyLock<DeviceLabel> = LazyLock::new(|| DeviceLabel::new("laptop"));

fn arrival(name: &UserName, n: u8) -> Arrival<'_> {
    Arrival {
        name,
        device: DeviceId([n; 32]),
        label: &LABEL,
        password: None,
        invite: None,
        from: [127, 0, 0, 1].into(),
    }
}

async fn log_in(at: &Accounts, user: &str, n: u8) -> Result<bool, AccountError> {
    let name = UserName::new(user).unwrap();
    let admission = at.admit(&arrival(&name, n), NOW).await?;
    Ok(admission.is_new_user)
}

#[tokio::test]
async fn who_was_let_in_elsewhere_a_moment_ago_is_not_refused() {
    let Two { near, far, caught_up } = two(Registration::Open).await;
    let times = || caught_up.load(Ordering::Relaxed);
    assert!(log_in(&near, "alice", 1).await.unwrap());
    // It would give her the name, and in its place that is none.
    assert!(!log_in(&far, "alice", 1).await.unwrap());
    assert_eq!(times(), 0);
    // Only who is refused waits.
    let refused = log_in(&far, "alice", 2).await.unwrap_err();
    assert!(matches!(refused, AccountError::Refused(Refusal::NameTaken { .. })));
    assert_eq!(times(), 1);
    let alice = UserName::new("alice").unwrap();
    assert!(log_in(&near, "bob", 2).await.unwrap());
    let state = far.state(&alice, DeviceId([2; 32]), NOW.wall).await.unwrap();
    assert_eq!((state, times()), (DeviceState::OfAnother, 2));

    let Two { near, far, caught_up } = two(Registration::Invite).await;
    let (invite, day) = (Invite::generate().unwrap().hash(), Duration::from_secs(86_400));
    near.add_invite(invite, NOW.wall.after(day), NOW.wall).await.unwrap();
    let name = UserName::new("alice").unwrap();
    let arrival = Arrival {
        invite: Some(invite),
        ..arrival(&name, 1)
    };
    assert!(far.admit(&arrival, NOW).await.unwrap().is_new_user);
    assert_eq!(caught_up.load(Ordering::Relaxed), 1, "it knew of no such invite");
}

#[tokio::test]
async fn without_a_decision_a_known_device_is_in_and_nobody_else() {
    let (decider, mut wishes) = Decider::new();
    let policy = Policy {
        registration: Registration::Open,
        certificate_lifetime: Duration::from_secs(3_600),
    };
    let accounts = Accounts::open(&Place::Memory, policy).await.unwrap();
    log_in(&accounts, "alice", 1).await.unwrap();
    let accounts = accounts.decided_by(decider);
    let too_few = || Undecided::TooFew {
        reached: 1,
        nodes: 3,
        needed: 2,
    };
    tokio::spawn(async move {
        while let Some(wish) = wishes.recv().await {
            let _ = match wish {
                Wish::Change { answer, .. } => answer.send(Err(too_few())).is_ok(),
                Wish::CatchUp { answer, .. } => answer.send(Err(too_few())).is_ok(),
            };
        }
    });
    assert!(!log_in(&accounts, "alice", 1).await.unwrap());
    // Nobody can know whether she has approved it elsewhere.
    for (user, n) in [("alice", 2), ("bob", 3)] {
        let refused = log_in(&accounts, user, n).await.unwrap_err();
        assert!(
            matches!(refused, AccountError::Undecided(Undecided::TooFew { .. })),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("1 of 3"), "{refused}");
    }
    // What stays so for ever can be said.
    let refused = log_in(&accounts, "bob", 1).await.unwrap_err();
    assert!(matches!(refused, AccountError::Refused(Refusal::DeviceOfAnother)));
}

#[tokio::test]
async fn an_import_that_leaves_a_device_out_lets_it_wait() {
    let Two { near, .. } = two(Registration::Open).await;
    let name = UserName::new("alice").unwrap();
    log_in(&near, "alice", 1).await.unwrap();
    let Asked::Waits(ticket) = near.ask_to_link(&arrival(&name, 2), NOW).await.unwrap() else {
        panic!("it is none of hers yet");
    };
    let device = |n: u8| Device {
        device: DeviceId([n; 32]),
        label: LABEL.clone(),
        added_by: AddedBy::Registration,
        added: WallTime(7),
        seen: WallTime(7),
        revoked: None,
    };
    let part = |devices| AccountPart {
        name: name.clone(),
        password: None,
        created: WallTime(7),
        devices,
    };
    // Another alice, whose device wants to be one of this one's.
    let became = near.import(part(vec![device(2)]), NOW.wall).await.unwrap();
    assert_eq!(became.account, Fate::NameTaken);
    let by = DeviceId([1; 32]);
    let waiting = near.approve(&name, by, ticket.code, NOW).await.unwrap();
    assert_eq!(waiting.device, DeviceId([2; 32]));

    // One that was taken needs no approval any more.
    let Asked::Waits(ticket) = near.ask_to_link(&arrival(&name, 3), NOW).await.unwrap() else {
        panic!("it is none of hers yet");
    };
    let became = near.import(part(vec![device(1), device(3)]), NOW.wall).await.unwrap();
    assert_eq!((became.account, became.added), (Fate::Known, 1));
    let refused = near.approve(&name, by, ticket.code, NOW).await.unwrap_err();
    assert!(
        matches!(refused, AccountError::NotApproved(NotApproved::Unknown)),
        "{refused:?}"
    );
}
