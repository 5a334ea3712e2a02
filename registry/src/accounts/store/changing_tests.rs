//! Changes in their places, and all accounts at once.

use super::{
    testing::{NOW, claim, device, folder, name},
    *,
};
use crate::accounts::{
    DeviceLabel,
    change::{Change, Done, Proof, What},
    invite::Invite,
    password::PasswordHash,
    rules::DeviceState,
};

fn at(index: u64) -> Position {
    Position { term: 103, index }
}

fn change(what: What) -> Option<Change> {
    Some(Change { at: NOW, what })
}

fn takes(user: &str, n: u8) -> Option<Change> {
    change(What::Claim(claim(user, n, Proof::None)))
}

/// One of each kind, some of which the rules are against.
fn changes() -> Vec<(Position, Option<Change>)> {
    let alice = || name("Alice");
    let changes = [
        None,
        change(What::Claim(claim("Alice", 1, Proof::New(PasswordHash::stored("hash"))))),
        takes("alice", 9),
        change(What::Approve {
            name: alice(),
            by: device(1),
            device: device(2),
            label: DeviceLabel::new("phone"),
        }),
        change(What::SetPassword {
            name: alice(),
            by: device(2),
            password: PasswordHash::stored("new hash"),
        }),
        change(What::Revoke {
            name: alice(),
            by: device(1),
            device: device(2),
        }),
        change(What::Revoke {
            name: alice(),
            by: device(2),
            device: device(1),
        }),
        change(What::AddInvite {
            invite: Invite::generate().unwrap().hash(),
            expires: NOW.after(std::time::Duration::from_secs(9)),
        }),
        takes("bob", 3),
    ];
    changes
        .into_iter()
        .zip(1..)
        .map(|(change, n)| (at(n), change))
        .collect()
}

#[tokio::test]
async fn what_was_applied_is_passed_over_and_a_refusal_has_its_place() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    assert_eq!(store.position().await.unwrap(), Position::default());
    let changes = changes();
    let outcomes = store.apply(&changes[..4]).await.unwrap();
    assert!(matches!(outcomes[0].1, Ok(Done::Plainly)));
    assert!(matches!(outcomes[1].1, Ok(Done::LetIn(_))));
    assert!(
        matches!(outcomes[2].1, Err(StoreError::Raced | StoreError::Refused(_))),
        "{:?}",
        outcomes[2]
    );
    store.close().await;

    let store = Store::open(&place).await.unwrap();
    assert_eq!(store.position().await.unwrap(), at(4));
    let outcomes = store.apply(&changes).await.unwrap();
    let applied: Vec<_> = outcomes.iter().map(|(at, _)| at.index).collect();
    assert_eq!(applied, [5, 6, 7, 8, 9]);
    assert!(matches!(outcomes[1].1, Ok(Done::Revoked { is_new: true })));
    assert!(matches!(outcomes[2].1, Err(StoreError::Refused(Refusal::NotADevice))));
    assert!(store.apply(&changes).await.unwrap().is_empty());
    assert_eq!(store.position().await.unwrap(), at(9));
}

/// Whoever does not know what became of a change wants it again.
#[tokio::test]
async fn what_is_wanted_again_does_no_harm() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    let wanted = changes();
    store.apply(&wanted).await.unwrap();
    let (_, before) = store.whole().await.unwrap();
    for (again, index) in [1, 7, 8].into_iter().zip(10..) {
        let outcomes = store.apply(&[(at(index), wanted[again].1.clone())]).await.unwrap();
        assert!(matches!(outcomes[0].1, Ok(_) | Err(StoreError::Raced)), "{outcomes:?}");
    }
    assert_eq!(store.whole().await.unwrap().1, before);
}

#[tokio::test]
async fn the_same_changes_make_the_same_accounts_however_they_are_cut() {
    let changes = changes();
    let mut wholes = Vec::new();
    for size in [1, 2, 4, changes.len()] {
        let (_parent, place) = folder();
        let store = Store::open(&place).await.unwrap();
        for some in changes.chunks(size) {
            store.apply(some).await.unwrap();
        }
        wholes.push(store.whole().await.unwrap());
    }
    assert!(wholes.iter().all(|whole| *whole == wholes[0]));
    let (position, whole) = &wholes[0];
    assert_eq!(*position, at(9));
    let sizes = (whole.accounts.len(), whole.devices.len(), whole.invites.len());
    assert_eq!(sizes, (2, 3, 1));
}

#[tokio::test]
async fn a_whole_takes_the_place_of_what_was_there() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    store.apply(&changes()).await.unwrap();
    let (position, whole) = store.whole().await.unwrap();

    let (_parent, place) = folder();
    let other = Store::open(&place).await.unwrap();
    other.apply(&[(at(1), takes("mallory", 1))]).await.unwrap();
    other.install(position, &whole).await.unwrap();
    assert_eq!(other.whole().await.unwrap(), (position, whole.clone()));
    let found = other.look_up(&name("mallory"), device(1), None, NOW).await.unwrap();
    assert_eq!(
        (found.shown, found.device),
        (None, DeviceState::OfAnother),
        "what was there is gone"
    );
    // What does not fit together leaves everything as it was.
    let mut torn = whole.clone();
    torn.devices.push(torn.devices[0].clone());
    other.install(at(99), &torn).await.unwrap_err();
    assert_eq!(other.whole().await.unwrap(), (position, whole));
}

#[tokio::test]
async fn who_is_no_longer_known_is_not_welcomed() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    store.apply(&[(at(1), takes("alice", 1))]).await.unwrap();
    let label = DeviceLabel::new("laptop");
    store.welcome(&name("alice"), device(1), &label, NOW).await.unwrap();
    for (user, n) in [("alice", 2), ("bob", 1), ("bob", 2)] {
        let raced = store.welcome(&name(user), device(n), &label, NOW).await.unwrap_err();
        assert!(matches!(raced, StoreError::Raced), "{user} {n}: {raced:?}");
    }
    assert_eq!(store.position().await.unwrap(), at(1));
}

#[tokio::test]
async fn what_a_cluster_has_decided_waits_for_no_caller() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    let mut callers = Vec::new();
    for _ in 0..store.pool.options().get_max_connections() {
        callers.push(store.read().await.unwrap());
    }
    let outcomes = store.apply(&changes()).await.unwrap();
    assert_eq!(outcomes.len(), changes().len());
    drop(callers);
    let (position, whole) = store.whole().await.unwrap();
    assert_eq!(position, at(changes().len() as u64));
    assert_eq!(whole.accounts.len(), 2);
    store.close().await;
}
