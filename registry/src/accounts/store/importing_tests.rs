//! Accounts of another registry: in each database, and in the same way in all.

use super::{
    testing::{NOW, claim, device, folder, name},
    tests::fresh,
    *,
};
use crate::{
    accounts::{
        DeviceLabel,
        change::{Change, Done, Proof, What},
        importing::{AccountPart, Fate, Imported, Skipped, first_part, next_part},
        password::PasswordHash,
        rules::{DEVICES_MAX, DeviceState},
    },
    routes::DeviceId,
    servers::{Kind, Server},
};

const EARLIER: WallTime = WallTime(1_700_000_000);

fn known(n: u16, revoked: Option<WallTime>) -> Device {
    let mut key = [7; 32];
    key[..2].copy_from_slice(&n.to_be_bytes());
    Device {
        device: DeviceId(key),
        label: DeviceLabel::new("my phone"),
        added_by: AddedBy::Approval,
        added: WallTime(EARLIER.0 + u64::from(n)),
        seen: NOW,
        revoked,
    }
}

fn part(user: &str, password: Option<&str>, devices: Vec<Device>) -> AccountPart {
    AccountPart {
        name: name(user),
        password: password.map(PasswordHash::stored),
        created: EARLIER,
        devices,
    }
}

async fn import(store: &Store, part: &AccountPart) -> Imported {
    let what = What::Import(part.clone());
    match store.decide(&Change { at: NOW, what }).await.unwrap() {
        Done::Imported(imported) => imported,
        other => panic!("{other:?}"),
    }
}

async fn all_is_as_it_was(place: Place) {
    let store = Store::open(&place).await.unwrap();
    let alice = part("Alice", Some("hash"), vec![known(1, None), known(2, Some(EARLIER))]);
    let became = import(&store, &alice).await;
    assert_eq!((became.account, became.added), (Fate::Made, 2));
    let (_, whole) = store.whole().await.unwrap();
    let account = &whole.accounts[0];
    assert_eq!((account.name.shown(), account.created), ("Alice", EARLIER));
    assert_eq!(account.password, alice.password);
    let devices: Vec<_> = whole.devices.iter().map(|of| of.device.clone()).collect();
    assert_eq!(devices, alice.devices);
    assert!(whole.devices.iter().all(|of| of.account == "alice"));

    let again = import(&store, &alice).await;
    assert_eq!((again.account, again.added, again.skipped.len()), (Fate::Known, 0, 0));
    assert_eq!(store.whole().await.unwrap().1, whole);

    // Somebody has the name, and somebody the device.
    store
        .settle(claim("bob", 9, Proof::New(PasswordHash::stored("bobs"))), NOW)
        .await
        .unwrap();
    let before = store.whole().await.unwrap();
    let other = import(&store, &part("Bob", None, vec![known(3, None)])).await;
    assert_eq!((other.account, other.added), (Fate::NameTaken, 0));
    assert_eq!(store.whole().await.unwrap(), before);
    let carol = part(
        "carol",
        None,
        vec![
            Device {
                device: device(9),
                ..known(4, None)
            },
            known(5, None),
        ],
    );
    let became = import(&store, &carol).await;
    assert_eq!((became.account, became.added), (Fate::Made, 1));
    assert_eq!(became.skipped[0].why, Skipped::OfAnother("bob".to_owned()));
    let found = store.look_up(&name("bob"), device(9), None, NOW).await.unwrap();
    assert_eq!(found.device, DeviceState::Live);
    store.close().await;
}

/// As many as an account can ever have, all but a few of them revoked.
async fn an_account_of_very_many_devices_comes_in_parts(place: Place) {
    let store = Store::open(&place).await.unwrap();
    let live = u16::try_from(DEVICES_MAX).unwrap();
    let devices: Vec<_> = (0..1_024).map(|n| known(n, (n >= live).then_some(EARLIER))).collect();
    let account = StoredAccount {
        name: name("alice"),
        password: None,
        created: EARLIER,
    };
    // Her laptop was there first.
    let taken = part("alice", None, vec![known(3, None)]);
    assert_eq!(import(&store, &taken).await.account, Fate::Made);
    for round in 0..2 {
        let (first, mut rest) = first_part(&account, devices.clone());
        let became = import(&store, &first).await;
        assert!(became.skipped.is_empty());
        let mut added = became.added;
        while let Some(next) = next_part(&first, &became, &mut rest) {
            added += import(&store, &next).await.added;
        }
        assert_eq!(added, if round == 0 { 1_023 } else { 0 });
        assert_eq!(store.devices(&account.name).await.unwrap(), devices);
    }
    store.close().await;
}

#[tokio::test]
async fn accounts_are_imported_into_sqlite() {
    let (_parent, place) = folder();
    all_is_as_it_was(place).await;
    let (_parent, place) = folder();
    an_account_of_very_many_devices_comes_in_parts(place).await;
}

#[tokio::test]
async fn accounts_are_imported_into_the_databases_of_a_site() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let Some(server) = Server::start(kind).await else {
            continue;
        };
        all_is_as_it_was(fresh(&server, "whole").await).await;
        an_account_of_very_many_devices_comes_in_parts(fresh(&server, "parts").await).await;
    }
}

/// All nodes of a cluster decide alike, in one transaction with the place.
#[tokio::test]
async fn an_import_that_was_applied_is_passed_over() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    let at = Position { term: 103, index: 1 };
    let what = What::Import(part("alice", None, vec![known(1, None)]));
    let change = [(at, Some(Change { at: NOW, what }))];
    let outcomes = store.apply(&change).await.unwrap();
    assert!(matches!(&outcomes[0].1, Ok(Done::Imported(imported)) if imported.added == 1));
    assert!(store.apply(&change).await.unwrap().is_empty());
    assert_eq!(store.position().await.unwrap(), at);
}
