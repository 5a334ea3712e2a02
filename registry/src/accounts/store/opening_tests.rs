//! Accounts that cannot be opened.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use peerchat_identity::secret_file;
use peerchat_proto::names::UserName;

use super::{
    testing::{folder, settle},
    *,
};
use crate::{
    accounts::{change::Proof, rules::DeviceState},
    routes::DeviceId,
};

fn path(place: &Place) -> &Path {
    match place {
        Place::Folder(folder) => folder,
        _ => panic!("it is no folder"),
    }
}

#[tokio::test]
async fn the_accounts_are_their_owners_alone() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    settle(&store, "alice", 1, Proof::None).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path(&place)), 0o700);
    let files: Vec<_> = fs::read_dir(path(&place))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(files.len() > 1, "a write-ahead log is beside it: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    store.close().await;

    let file = path(&place).join(FILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Store::open(&place).await.unwrap_err();
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(path(&place), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = Store::open(&place).await.unwrap_err();
    assert!(refused.to_string().contains("chmod 700"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let open_error = |place: Place| async move {
        let error = Store::open(&place).await.unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", source.unwrap_or_default())
    };
    let (_parent, place) = folder();
    secret_file::private_folder(path(&place)).unwrap();
    let file = path(&place).join(FILE);
    secret_file::write(&file, &[7; 8192]).unwrap();
    let told = open_error(place.clone()).await;
    assert!(told.contains("accounts.sqlite") && told.contains("damaged"), "{told}");

    let told = open_error(Place::Folder(file.join("x"))).await;
    assert!(told.contains("accounts.sqlite/x"), "{told}");
}

#[tokio::test]
#[cfg_attr(not(feature = "shared"), ignore = "needs a URL that only the feature `shared` takes")]
async fn a_server_that_cannot_be_reached_is_named_without_its_password() {
    let error = Store::open(&Place::Url("postgres://me:hunter2@127.0.0.1:1/db".parse().unwrap())).await;
    let told = format!("{:#}", anyhow::Error::from(error.unwrap_err()));
    assert!(
        told.contains("postgres:…") && told.contains("refused") && !told.contains("hunter2"),
        "{told}"
    );
}

#[tokio::test]
async fn tables_with_a_hole_are_found_damaged() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    for n in 0..40 {
        settle(&store, &format!("user{n}"), n, Proof::None).await.unwrap();
    }
    store.close().await;
    let file = path(&place).join(FILE);
    let mut bytes = fs::read(&file).unwrap();
    // The first page has the tables' names, the others the rows.
    bytes[8192..12_288].fill(0x5a);
    fs::write(&file, bytes).unwrap();
    let error = Store::open(&place).await.unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Database {
                source: StoreError::Damaged,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_connection_on_which_there_was_no_room_is_given_up() {
    let (_parent, place) = folder();
    let store = Store::open(&place).await.unwrap();
    // None of the connections that there are may make the file any longer, as on a full disk. Those that take their places may.
    let mut connections = Vec::new();
    for _ in 0..store.pool.options().get_max_connections() {
        let mut connection = store.pool.acquire().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        connections.push(connection);
    }
    let limited = connections.len();
    drop(connections);
    let mut refused = 0;
    for n in 1..=u8::MAX {
        let user = format!("user{n}");
        while let Err(error) = settle(&store, &user, n, Proof::None).await {
            assert!(matches!(error, StoreError::Database(_)), "{error:?}");
            refused += 1;
            assert!(refused <= limited, "a connection is used again: {error:?}");
        }
        let name = UserName::new(&user).unwrap();
        let found = store.look_up(&name, DeviceId([n; 32]), None, WallTime(1));
        assert_eq!(found.await.unwrap().device, DeviceState::Live, "{user}");
    }
    assert!(refused > 0, "there was room");
    store.close().await;
}
