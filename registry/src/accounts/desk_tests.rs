//! Accounts as callers meet them: names, passwords, guesses, invites and approvals.

use std::{pin::pin, task::Poll};

use super::*;
use crate::{
    accounts::{
        change::{Claim, Proof},
        linking::CODE_LIFETIME,
        looks::looks,
        rules,
        throttle::PER_ACCOUNT,
    },
    routes::Millis,
};

const START: Now = Now {
    wall: WallTime(1_800_000_000),
    running: Millis(0),
};

fn later(span: Millis) -> Now {
    Now {
        wall: START.wall.after(Duration::from_millis(span.0)),
        running: START.running + span,
    }
}

async fn desk(registration: Registration) -> Accounts {
    let policy = Policy {
        registration,
        certificate_lifetime: Duration::from_secs(12 * 3_600),
    };
    Accounts::open(&Place::Memory, policy).await.unwrap()
}

fn device(n: u8) -> DeviceId {
    DeviceId([n; 32])
}

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn secret(text: &str) -> Arc<Password> {
    Arc::new(Password::new(text).unwrap())
}

#[tokio::test]
async fn a_device_that_logs_in_again_at_once_writes_nothing() {
    let desk = desk(Registration::Open).await;
    let seen = async || {
        let devices = desk.devices(&name("alice")).await.unwrap();
        (devices[0].label.as_str().to_owned(), devices[0].seen)
    };
    let at = |seconds: u64| later(Millis(seconds * 1_000));
    admit(&desk, "Alice", 1, None, START).await.unwrap();
    let again = admit(&desk, "ALICE", 1, None, at(599)).await.unwrap();
    assert_eq!(
        (again.user.shown(), again.is_new_user, again.is_new_device),
        ("Alice", false, false)
    );
    assert_eq!(seen().await.1, START.wall);
    admit(&desk, "alice", 1, None, at(601)).await.unwrap();
    assert_eq!(seen().await.1, at(601).wall);
    // A clock that was wrong does not stop it for ever.
    admit(&desk, "alice", 1, None, START).await.unwrap();
    assert_eq!(seen().await.1, START.wall);
    let arrival = Arrival {
        name: &name("alice"),
        device: device(1),
        label: &DeviceLabel::new("desktop"),
        password: None,
        invite: None,
        from: [192, 0, 2, 1].into(),
    };
    desk.admit(&arrival, at(1)).await.unwrap();
    assert_eq!(seen().await, ("desktop".to_owned(), at(1).wall));
}

/// Somebody at an address of his own, so that only accounts are counted.
async fn admit(
    desk: &Accounts,
    user: &str,
    n: u8,
    password: Option<&Arc<Password>>,
    now: Now,
) -> Result<Admission, AccountError> {
    admit_from(desk, user, n, password, [192, 0, 2, n].into(), now).await
}

async fn admit_from(
    desk: &Accounts,
    user: &str,
    n: u8,
    password: Option<&Arc<Password>>,
    from: IpAddr,
    now: Now,
) -> Result<Admission, AccountError> {
    let arrival = Arrival {
        name: &name(user),
        device: device(n),
        label: &DeviceLabel::new("laptop"),
        password,
        invite: None,
        from,
    };
    desk.admit(&arrival, now).await
}

#[tokio::test]
async fn a_password_given_with_a_free_name_becomes_its_password() {
    let desk = desk(Registration::Open).await;
    let (right, wrong) = (secret("correct horse"), secret("battery staple"));
    let first = admit(&desk, "Alice", 1, Some(&right), START).await.unwrap();
    assert!(first.is_new_user && first.is_new_device);
    let back = admit(&desk, "alice", 1, Some(&wrong), START).await.unwrap();
    assert!(
        !back.is_new_user && !back.is_new_device,
        "a known device is asked nothing"
    );
    let refused = admit(&desk, "alice", 2, None, START).await.unwrap_err();
    assert!(matches!(
        refused,
        AccountError::Refused(Refusal::NameTaken { has_password: true })
    ));
    let refused = admit(&desk, "alice", 2, Some(&wrong), START).await.unwrap_err();
    assert!(matches!(refused, AccountError::Refused(Refusal::WrongPassword)));
    let second = admit(&desk, "alice", 2, Some(&right), START).await.unwrap();
    assert!(!second.is_new_user && second.is_new_device);
    assert_eq!(second.user.shown(), "Alice");
}

#[tokio::test]
async fn guesses_are_counted_before_they_are_heard() {
    let desk = desk(Registration::Open).await;
    let (right, wrong) = (secret("correct horse"), secret("battery staple"));
    admit(&desk, "alice", 1, Some(&right), START).await.unwrap();
    let guesses = (2..8).map(|n| admit(&desk, "alice", n, Some(&wrong), START));
    let mut heard = 0;
    for told in futures(guesses).await {
        match told.unwrap_err() {
            AccountError::Refused(Refusal::WrongPassword) => heard += 1,
            AccountError::Wait(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard, PER_ACCOUNT.free);
    let told = admit(&desk, "alice", 9, Some(&right), START).await.unwrap_err();
    assert!(
        matches!(told, AccountError::Wait(_)),
        "the right one is not heard either: {told:?}"
    );
    admit(&desk, "alice", 1, None, START).await.unwrap();
    admit(&desk, "alice", 9, Some(&right), later(PER_ACCOUNT.first))
        .await
        .unwrap();
    let told = admit(&desk, "alice", 10, Some(&wrong), later(PER_ACCOUNT.first))
        .await
        .unwrap_err();
    assert!(
        matches!(told, AccountError::Refused(Refusal::WrongPassword)),
        "{told:?}"
    );
}

/// All at the same time.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (one, done) in &mut running {
            if done.is_none()
                && let Poll::Ready(told) = one.as_mut().poll(context)
            {
                *done = Some(told);
            }
        }
        match running.iter().all(|(_, done)| done.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    running.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test]
async fn one_address_takes_only_so_many_names() {
    let desk = desk(Registration::Open).await;
    let free = u8::try_from(NEW_NAMES.free).unwrap();
    for n in 0..=free {
        let told = admit_from(&desk, &format!("user{n}"), n, None, [192, 0, 2, 1].into(), START).await;
        assert_eq!(told.is_ok(), n < free);
    }
    admit_from(&desk, "user0", 0, None, [192, 0, 2, 1].into(), START)
        .await
        .unwrap();
    for n in 100..=100 + free {
        admit_from(&desk, &format!("user{n}"), n, None, [127, 0, 0, 1].into(), START)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_invite_opens_a_registry_that_takes_not_everybody() {
    let desk = desk(Registration::Invite).await;
    let refused = admit(&desk, "alice", 1, None, START).await.unwrap_err();
    assert!(matches!(refused, AccountError::Refused(Refusal::InviteNeeded)));
    let invite = desk.invite(Duration::from_secs(60), START.wall).await.unwrap();
    let (alice, bob, label) = (name("alice"), name("bob"), DeviceLabel::new(""));
    let arrival = |name, device| Arrival {
        name,
        device,
        label: &label,
        password: None,
        invite: Some(invite.hash()),
        from: [192, 0, 2, 1].into(),
    };
    desk.admit(&arrival(&alice, device(1)), START).await.unwrap();
    let refused = desk.admit(&arrival(&bob, device(2)), START).await.unwrap_err();
    assert!(matches!(refused, AccountError::Refused(Refusal::InviteUsed)));
    assert_eq!(desk.invites().await.unwrap()[0].used_by.as_deref(), Some("alice"));
    admit(&desk, "alice", 1, None, START).await.unwrap();
}

#[tokio::test]
async fn an_old_device_lets_a_new_one_in_by_its_code() {
    let desk = desk(Registration::Closed).await;
    let alice = name("alice");
    let arrival = Arrival {
        name: &alice,
        device: device(2),
        label: &DeviceLabel::new("phone"),
        password: None,
        invite: None,
        from: [192, 0, 2, 2].into(),
    };
    let refused = desk.ask_to_link(&arrival, START).await.unwrap_err();
    assert!(
        matches!(refused, AccountError::Refused(Refusal::NoSuchUser)),
        "there is no such user: {refused:?}"
    );
    let open = Claim {
        name: alice.clone(),
        device: device(1),
        label: DeviceLabel::new("laptop"),
        proof: Proof::None,
        invite: None,
        registration: Registration::Open,
        looks: looks(&alice),
    };
    desk.store.settle(open, START.wall).await.unwrap();

    let ask = async |now| match desk.ask_to_link(&arrival, now).await.unwrap() {
        Asked::Waits(ticket) => ticket,
        Asked::IsIn => panic!("nobody has approved it"),
    };
    let former = ask(START).await;
    assert_eq!(former.ends, CODE_LIFETIME);
    let ticket = ask(later(Millis(1_000))).await;
    assert_eq!((ticket.code, ticket.ends), (former.code, former.ends));
    desk.waited(&former).await;
    let code = ticket.code;
    let mut waited = pin!(desk.waited(&ticket));
    let is_waiting = std::future::poll_fn(|context| Poll::Ready(waited.as_mut().poll(context).is_pending()));
    assert!(is_waiting.await, "nothing has become of it");
    let refused = desk.approve(&alice, device(2), code, START).await.unwrap_err();
    assert!(
        matches!(refused, AccountError::Refused(Refusal::NotADevice)),
        "not by itself: {refused:?}"
    );
    let approved = desk.approve(&alice, device(1), code, START).await.unwrap();
    assert_eq!((approved.device, approved.label.as_str()), (device(2), "phone"));
    waited.await;
    assert!(matches!(desk.ask_to_link(&arrival, START).await, Ok(Asked::IsIn)));
    let back = desk.admit(&arrival, START).await.unwrap();
    assert!(!back.is_new_device);

    desk.revoke(&alice, device(1), device(2), START.wall).await.unwrap();
    let refused = desk.ask_to_link(&arrival, START).await.unwrap_err();
    assert!(matches!(refused, AccountError::Refused(Refusal::DeviceRevoked)));
    assert_eq!(desk.revoked(START.wall).await.unwrap()[0].device, device(2));
}

#[tokio::test]
async fn a_device_of_the_user_sets_the_password() {
    let desk = desk(Registration::Open).await;
    let alice = name("alice");
    admit(&desk, "alice", 1, None, START).await.unwrap();
    let password = secret("correct horse");
    let refused = admit(&desk, "alice", 2, Some(&password), START).await.unwrap_err();
    assert!(matches!(
        refused,
        AccountError::Refused(Refusal::NameTaken { has_password: false })
    ));
    let refused = desk
        .set_password(&alice, device(2), &password, START.wall)
        .await
        .unwrap_err();
    assert!(matches!(refused, AccountError::Refused(Refusal::NotADevice)));
    desk.set_password(&alice, device(1), &password, START.wall)
        .await
        .unwrap();
    admit(&desk, "alice", 2, Some(&password), START).await.unwrap();
}

#[tokio::test]
async fn a_code_whose_approval_failed_can_be_approved_again() {
    let desk = desk(Registration::Open).await;
    let (alice, password) = (name("alice"), secret("correct horse"));
    for n in 1..=u8::try_from(rules::DEVICES_MAX).unwrap() {
        admit(&desk, "alice", n, Some(&password), START).await.unwrap();
    }
    let arrival = Arrival {
        name: &alice,
        device: device(100),
        label: &DeviceLabel::new("phone"),
        password: None,
        invite: None,
        from: [192, 0, 2, 2].into(),
    };
    let refused = desk.ask_to_link(&arrival, START).await.unwrap_err();
    assert!(matches!(refused, AccountError::Refused(Refusal::TooManyDevices)));
    assert!(desk.revoke(&alice, device(1), device(2), START.wall).await.unwrap());
    assert!(
        !desk.revoke(&alice, device(1), device(2), START.wall).await.unwrap(),
        "it was revoked already"
    );
    let Asked::Waits(ticket) = desk.ask_to_link(&arrival, START).await.unwrap() else {
        panic!("it is not in");
    };
    admit(&desk, "alice", 101, Some(&password), START).await.unwrap();
    let refused = desk.approve(&alice, device(1), ticket.code, START).await.unwrap_err();
    assert!(matches!(refused, AccountError::Refused(Refusal::TooManyDevices)));
    desk.revoke(&alice, device(1), device(101), START.wall).await.unwrap();
    desk.approve(&alice, device(1), ticket.code, START).await.unwrap();
}

#[tokio::test]
async fn attempts_that_bring_nothing_are_told_ever_more_rarely() {
    let desk = desk(Registration::Open).await;
    let told = (0..100).filter(|_| desk.is_told(&name("alice"), START)).count();
    assert_eq!(told, 20);
    assert!(desk.is_told(&name("bob"), START), "each account for itself");
    assert!(desk.is_told(&name("ALICE"), later(Millis(1_000))));
}
