//! Names that look alike, in the database.

use super::{
    testing::{NOW, claim, device, folder, name},
    *,
};
use crate::accounts::{
    DeviceLabel,
    change::{Change, Proof, What},
    importing::AccountPart,
    looks::looks,
};

async fn takes(store: &Store, user: &str, n: u8) -> Result<(), StoreError> {
    store.settle(claim(user, n, Proof::None), NOW).await.map(drop)
}

#[tokio::test]
async fn a_name_that_looks_like_one_that_is_taken_is_refused_with_that_one() {
    let store = Store::open(&Place::Memory).await.unwrap();
    takes(&store, "Alice", 1).await.unwrap();
    for other in ["аlice", "ａlice", "𝐚lice", "aIice"] {
        let refused = takes(&store, other, 2).await.unwrap_err();
        assert!(
            matches!(&refused, StoreError::LooksLike(taken) if taken.shown() == "Alice"),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("looks like Alice"), "{refused}");
        assert_eq!(store.taken(&looks(&name(other))).await.unwrap(), Some(name("alice")));
    }
    // Who has the name comes back, and nobody else is kept out.
    takes(&store, "alice", 1).await.unwrap();
    for (user, n) in [("bob", 2), ("Привет", 3), ("小明", 4)] {
        takes(&store, user, n).await.unwrap();
    }
}

#[tokio::test]
async fn of_two_that_come_at_once_and_look_alike_one_gets_the_name() {
    let (_parent, place) = folder();
    let (one, other) = (Store::open(&place).await.unwrap(), Store::open(&place).await.unwrap());
    for round in 0..8 {
        let (latin, cyrillic) = (format!("alice{round}"), format!("аlice{round}"));
        let (first, second) = tokio::join!(
            takes(&one, &latin, 2 * round + 1),
            takes(&other, &cyrillic, 2 * round + 2)
        );
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let refused = first.err().or(second.err()).unwrap();
        assert!(
            matches!(refused, StoreError::LooksLike(_) | StoreError::Raced),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn accounts_of_before_keep_their_names_and_the_first_keeps_others_out() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    takes(&store, "alice", 1).await.unwrap();
    // As a registry has left it that did not look.
    let mut work = store.write().await.unwrap();
    for (user, created) in [("аlice", 7), ("ali\u{fe0f}ce", 9), ("bоb", 5)] {
        let sql = "INSERT INTO accounts (name, shown, password, created, changed) VALUES (?, ?, ?, ?, ?)";
        let values = [
            Value::Text(user),
            Value::Text(user),
            Value::MaybeText(None),
            Value::Large(created),
            Value::Large(created),
        ];
        work.run(sql, &values).await.unwrap();
    }
    for sql in [
        "DROP TABLE looks",
        "DROP TABLE identity",
        "DELETE FROM schema_version WHERE version > 2",
    ] {
        work.run(sql, &[]).await.unwrap();
    }
    work.commit().await.unwrap();
    store.close().await;

    let store = Store::open(&place).await.unwrap();
    assert_eq!(store.whole().await.unwrap().1.accounts.len(), 4);
    let refused = takes(&store, "bob", 4).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::LooksLike(taken) if *taken == name("bоb")),
        "{refused:?}"
    );
    // The oldest of those that look alike.
    let taken = store.taken(&looks(&name("ａlice"))).await.unwrap();
    assert_eq!(taken, Some(name("аlice")));
    takes(&store, "alice", 1).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn what_is_imported_keeps_its_name_and_its_looks_where_they_are_free() {
    let store = Store::open(&Place::Memory).await.unwrap();
    takes(&store, "alice", 1).await.unwrap();
    let import = async |user: &str, n: u8| {
        let what = What::Import(AccountPart {
            name: name(user),
            password: None,
            created: NOW,
            devices: vec![Device {
                device: device(n),
                label: DeviceLabel::new(""),
                added_by: AddedBy::Registration,
                added: NOW,
                seen: NOW,
                revoked: None,
            }],
        });
        store.decide(&Change { at: NOW, what }).await.unwrap();
    };
    import("аlice", 2).await;
    import("bоb", 3).await;
    takes(&store, "аlice", 2).await.unwrap();
    let refused = takes(&store, "bob", 4).await.unwrap_err();
    assert!(matches!(refused, StoreError::LooksLike(_)), "{refused:?}");
    // All at once, as another node gets it.
    let (position, whole) = store.whole().await.unwrap();
    let other = Store::open(&Place::Memory).await.unwrap();
    other.install(position, &whole).await.unwrap();
    assert_eq!(other.whole().await.unwrap().1, whole);
}
