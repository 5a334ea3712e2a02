//! Accounts, devices and invites in the database, also when many want the same at once: each case in each database.

use std::time::Duration;

use super::{testing::*, *};
use crate::{
    accounts::{
        DeviceLabel,
        change::{Claim, Proof},
        invite::Invite,
        password::PasswordHash,
        rules::{DEVICES_MAX, Decision, DeviceState, InviteState, Registration, Stored},
    },
    servers::{Kind, Server},
};
use tokio::task::JoinSet;

/// Each case with SQLite as a test of its own, and all of them with each of the servers, each in a database of its own.
macro_rules! cases {
    ($($case:ident)*) => {
        mod sqlite {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    let (_parent, place) = folder();
                    super::$case(place).await;
                }
            )*
        }

        async fn all_on(kind: Kind) {
            let Some(server) = Server::start(kind).await else { return };
            $(
                println!("{}", stringify!($case));
                // The name of a database has 63 characters at most.
                $case(fresh(&server, &stringify!($case)[..20]).await).await;
            )*
        }
    };
}

cases! {
    a_name_is_its_first_devices
    of_fifty_devices_that_want_one_name_exactly_one_gets_it
    one_device_that_wants_many_names_gets_one
    all_is_there_after_a_restart
    a_password_counts_only_while_it_is_the_stored_one
    a_revoked_device_never_comes_back
    devices_that_are_approved_at_once_are_no_more_than_can_be
    an_invite_is_used_once_and_not_too_late
    many_who_start_at_once_make_the_tables_once
    the_tables_of_a_newer_registry_are_left_alone
}

#[tokio::test]
async fn all_on_mariadb() {
    all_on(Kind::MariaDb).await;
}

#[tokio::test]
async fn all_on_postgres() {
    all_on(Kind::Postgres).await;
}

/// A new database of a server.
pub(crate) async fn fresh(server: &Server, name: &str) -> Place {
    Place::Url(server.create(name).await.parse().unwrap())
}

async fn a_name_is_its_first_devices(place: Place) {
    let store = Store::open(&place).await.unwrap();
    let settled = settle(&store, "Alice", 1, Proof::None).await.unwrap();
    assert_eq!(settled.decision, Decision::Create { uses_invite: false });
    let settled = settle(&store, "ALICE", 1, Proof::None).await.unwrap();
    assert_eq!(settled.decision, Decision::Welcome);
    assert_eq!(
        settled.user.shown(),
        "Alice",
        "the name is shown as it was first written"
    );

    let refused = settle(&store, "alice", 2, Proof::None).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Refused(Refusal::NameTaken { has_password: false })),
        "{refused:?}"
    );
    let refused = settle(&store, "bob", 1, Proof::None).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Refused(Refusal::DeviceOfAnother)),
        "{refused:?}"
    );
    let found = store.look_up(&name("bob"), device(3), None, NOW).await.unwrap();
    assert_eq!((found.stored, found.device), (Stored::Nothing, DeviceState::Unknown));
}

async fn of_fifty_devices_that_want_one_name_exactly_one_gets_it(place: Place) {
    // Two of them, as two processes would have them.
    let stores = [Store::open(&place).await.unwrap(), Store::open(&place).await.unwrap()];
    let mut tasks = JoinSet::new();
    for n in 0..50 {
        let store = stores[usize::from(n % 2)].clone();
        tasks.spawn(async move {
            let settled = settle(&store, "alice", n, Proof::None).await;
            // Between servers two may insert it at once; who lost sees so when he looks again.
            match settled {
                Err(StoreError::Raced) => settle(&store, "alice", n, Proof::None).await,
                settled => settled,
            }
        });
    }
    let (mut winners, mut losers) = (0, 0);
    while let Some(settled) = tasks.join_next().await {
        match settled.unwrap() {
            Ok(_) => winners += 1,
            Err(StoreError::Refused(Refusal::NameTaken { .. })) => losers += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((winners, losers), (1, 49));
    assert_eq!(stores[0].devices(&name("alice")).await.unwrap().len(), 1);
}

async fn one_device_that_wants_many_names_gets_one(place: Place) {
    let store = Store::open(&place).await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let store = store.clone();
        tasks.spawn(async move { settle(&store, &format!("user{n}"), 1, Proof::None).await.is_ok() });
    }
    let got = tasks.join_all().await.into_iter().filter(|got| *got).count();
    assert_eq!(got, 1);
}

async fn all_is_there_after_a_restart(place: Place) {
    let store = Store::open(&place).await.unwrap();
    let password = PasswordHash::stored("$argon2id$…");
    settle(&store, "Zoë", 1, Proof::New(password.clone())).await.unwrap();
    store
        .approve(&name("zoë"), device(1), device(2), &DeviceLabel::new("phone"), NOW)
        .await
        .unwrap();
    store.revoke(&name("zoë"), device(1), device(2), NOW).await.unwrap();
    let before = store.devices(&name("zoë")).await.unwrap();
    store.close().await;

    let store = Store::open(&place).await.unwrap();
    assert_eq!(store.devices(&name("zoë")).await.unwrap(), before);
    assert_eq!(before[1].label.as_str(), "phone");
    assert_eq!((before[1].added_by, before[1].revoked), (AddedBy::Approval, Some(NOW)));
    let found = store.look_up(&name("ZOË"), device(1), None, NOW).await.unwrap();
    assert_eq!(found.password, Some(password));
    assert_eq!(found.shown.unwrap().shown(), "Zoë");
    let expected = Stored::Account {
        live: 1,
        ever: 2,
        has_password: true,
    };
    assert_eq!((found.stored, found.device), (expected, DeviceState::Live));
}

async fn a_password_counts_only_while_it_is_the_stored_one(place: Place) {
    let store = Store::open(&place).await.unwrap();
    let (old, new) = (PasswordHash::stored("old"), PasswordHash::stored("new"));
    settle(&store, "alice", 1, Proof::New(old.clone())).await.unwrap();
    let compared = |with: &PasswordHash, is_right| Proof::Compared {
        with: with.clone(),
        is_right,
    };
    let refused = settle(&store, "alice", 2, compared(&old, false)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused(Refusal::WrongPassword)));
    let settled = settle(&store, "alice", 2, compared(&old, true)).await.unwrap();
    assert_eq!(settled.decision, Decision::AddDevice);

    store.set_password(&name("alice"), device(2), &new, NOW).await.unwrap();
    let raced = settle(&store, "alice", 3, compared(&old, true)).await.unwrap_err();
    assert!(matches!(raced, StoreError::Raced), "{raced:?}");
    let raced = settle(&store, "alice", 3, Proof::New(old)).await.unwrap_err();
    assert!(
        matches!(raced, StoreError::Raced),
        "it was free when the caller looked: {raced:?}"
    );
    let refused = store
        .set_password(&name("alice"), device(3), &new, NOW)
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Refused(Refusal::NotADevice)));
    settle(&store, "alice", 3, compared(&new, true)).await.unwrap();
}

async fn a_revoked_device_never_comes_back(place: Place) {
    let store = Store::open(&place).await.unwrap();
    settle(&store, "alice", 1, Proof::None).await.unwrap();
    settle(&store, "bob", 9, Proof::None).await.unwrap();
    let alone = store
        .revoke(&name("alice"), device(1), device(1), NOW)
        .await
        .unwrap_err();
    assert!(matches!(alone, StoreError::Refused(Refusal::LastDevice)));
    let label = DeviceLabel::new("phone");
    store
        .approve(&name("alice"), device(1), device(2), &label, NOW)
        .await
        .unwrap();
    for (by, of) in [(9, 2), (1, 9), (3, 2), (1, 3)] {
        let refused = store
            .revoke(&name("alice"), device(by), device(of), NOW)
            .await
            .unwrap_err();
        assert!(matches!(refused, StoreError::Refused(Refusal::NotADevice)), "{by} {of}");
    }
    store.revoke(&name("alice"), device(1), device(2), NOW).await.unwrap();
    store
        .revoke(&name("alice"), device(1), device(2), NOW.after(Duration::from_secs(9)))
        .await
        .unwrap();

    for user in ["alice", "carol"] {
        let refused = settle(&store, user, 2, Proof::None).await.unwrap_err();
        assert!(matches!(refused, StoreError::Refused(Refusal::DeviceRevoked)), "{user}");
    }
    let refused = store
        .approve(&name("alice"), device(1), device(2), &label, NOW)
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Refused(Refusal::DeviceRevoked)));
    let refused = store
        .approve(&name("alice"), device(2), device(4), &label, NOW)
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Refused(Refusal::NotADevice)));

    let hour = Duration::from_secs(3_600);
    let told = RevokedDevice {
        device: device(2),
        revoked: NOW,
    };
    assert_eq!(store.revoked_within(hour, NOW.after(hour)).await.unwrap(), [told]);
    let later = NOW.after(hour + Duration::from_secs(1));
    assert_eq!(
        store.revoked_within(hour, later).await.unwrap(),
        [],
        "its certificate has ended"
    );
}

async fn devices_that_are_approved_at_once_are_no_more_than_can_be(place: Place) {
    let store = Store::open(&place).await.unwrap();
    settle(&store, "alice", 0, Proof::None).await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 1..=40 {
        let store = store.clone();
        tasks.spawn(async move {
            let (alice, label) = (name("alice"), DeviceLabel::new(""));
            store.approve(&alice, device(0), device(n), &label, NOW).await.is_ok()
        });
    }
    let approved = tasks.join_all().await.into_iter().filter(|approved| *approved).count();
    assert_eq!(approved, DEVICES_MAX - 1);
}

async fn an_invite_is_used_once_and_not_too_late(place: Place) {
    let registry = Store::open(&place).await.unwrap();
    // The operator's command, while the registry runs.
    let command = Store::open(&place).await.unwrap();
    let day = Duration::from_secs(86_400);
    let (good, old, unknown) = (
        Invite::generate().unwrap(),
        Invite::generate().unwrap(),
        Invite::generate().unwrap(),
    );
    command.add_invite(good.hash(), NOW.after(2 * day), NOW).await.unwrap();
    command.add_invite(old.hash(), NOW.after(day), NOW).await.unwrap();

    let now = NOW.after(day);
    let mut tasks = JoinSet::new();
    for (n, invite) in [(1, &good), (2, &good), (3, &old), (4, &unknown)] {
        let (store, invite) = (registry.clone(), invite.hash());
        tasks.spawn(async move {
            let claim = Claim {
                invite: Some(invite),
                registration: Registration::Invite,
                ..claim(&format!("user{n}"), n, Proof::None)
            };
            let settled = match store.settle(claim.clone(), now).await {
                Err(StoreError::Raced) => store.settle(claim, now).await,
                settled => settled,
            };
            settled.err().map(|error| error.to_string())
        });
    }
    let mut told = tasks.join_all().await;
    told.sort();
    let refusals = [Refusal::InviteExpired, Refusal::InviteUsed, Refusal::InviteUnknown];
    let mut expected: Vec<_> = refusals.iter().map(|refusal| Some(refusal.to_string())).collect();
    expected.insert(0, None);
    expected.sort();
    assert_eq!(told, expected);

    let stored = command.invites().await.unwrap();
    assert_eq!(stored.len(), 2);
    let used = stored.iter().find(|stored| stored.hash == good.hash()).unwrap();
    assert!(used.used_by.as_deref().unwrap().starts_with("user"));
    let found = registry
        .look_up(&name("x"), device(9), Some(good.hash()), NOW)
        .await
        .unwrap();
    assert_eq!(found.invite, InviteState::Used);
    command.add_invite(unknown.hash(), now.after(day), now).await.unwrap();
    assert_eq!(
        command.invites().await.unwrap().len(),
        2,
        "what has expired unused is forgotten"
    );
}

async fn the_tables_of_a_newer_registry_are_left_alone(place: Place) {
    let store = Store::open(&place).await.unwrap();
    let mut work = store.write().await.unwrap();
    work.run("INSERT INTO schema_version (version) VALUES (?)", &[Value::Number(99)])
        .await
        .unwrap();
    work.commit().await.unwrap();
    let error = Store::open(&place).await.unwrap_err();
    let is_newer = matches!(
        error,
        OpenError::Database {
            source: StoreError::Newer { found: 99, .. },
            ..
        }
    );
    assert!(is_newer, "{error:?}");
}

async fn many_who_start_at_once_make_the_tables_once(place: Place) {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let place = place.clone();
        tasks.spawn(async move { Store::open(&place).await.map(drop) });
    }
    for opened in tasks.join_all().await {
        opened.unwrap();
    }
}
