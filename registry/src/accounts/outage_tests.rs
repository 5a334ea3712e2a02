//! A database that is stopped, and comes back.

use std::{sync::Arc, time::Instant};

use peerchat_proto::names::UserName;

use super::{
    AccountError, Accounts, Admission, Arrival, DeviceLabel, Now, Policy, WallTime,
    rules::{DeviceState, Registration},
    store::{StoreError, tests::fresh},
};
use crate::{
    accounts::password::Password,
    authority::LIFETIME_MAX,
    routes::{DeviceId, Millis},
    servers::{Kind, Server},
};

const NOW: Now = Now {
    wall: WallTime(1_800_000_000),
    running: Millis(1_000),
};

/// Within what a call may take.
const CALL: std::time::Duration = crate::service::CALL_DEADLINE;

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn device(n: u8) -> DeviceId {
    DeviceId([n; 32])
}

async fn admit(accounts: &Accounts, user: &str, n: u8) -> Result<Admission, AccountError> {
    let password = Arc::new(Password::new("correct horse").unwrap());
    let arrival = Arrival {
        name: &name(user),
        device: device(n),
        label: &DeviceLabel::new("laptop"),
        password: Some(&password),
        invite: None,
        from: [127, 0, 0, 1].into(),
    };
    let since = Instant::now();
    let admitted = accounts.admit(&arrival, NOW).await;
    assert!(since.elapsed() < CALL, "its caller has to hear of it");
    admitted
}

fn is_away<T: std::fmt::Debug>(answer: &Result<T, AccountError>) -> bool {
    matches!(answer, Err(AccountError::Store(StoreError::Away)))
}

async fn is_back(accounts: &Accounts, user: &UserName) {
    let deadline = Instant::now() + CALL;
    while is_away(&accounts.devices(user).await) {
        assert!(Instant::now() < deadline, "it has been back for a while");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn stopped_and_back(kind: Kind) {
    let Some(mut server) = Server::start(kind).await else {
        return;
    };
    let policy = Policy {
        registration: Registration::Open,
        certificate_lifetime: LIFETIME_MAX,
    };
    let accounts = Accounts::open(&fresh(&server, "accounts").await, policy).await.unwrap();
    admit(&accounts, "Alice", 1).await.unwrap();
    admit(&accounts, "alice", 2).await.unwrap();
    admit(&accounts, "bob", 3).await.unwrap();
    accounts
        .revoke(&name("alice"), device(1), device(2), NOW.wall)
        .await
        .unwrap();
    assert_eq!(accounts.revoked(NOW.wall).await.unwrap().len(), 1);

    server.kill();
    for _ in 0..3 {
        let known = admit(&accounts, "ALICE", 1).await.unwrap();
        assert_eq!(known.user.shown(), "Alice");
        for (user, n) in [("carol", 4), ("alice", 2), ("alice", 3), ("alice", 5)] {
            let refused = admit(&accounts, user, n).await;
            assert!(is_away(&refused), "{user} {n}: {refused:?}");
        }
    }
    let (alice, wall) = (name("alice"), NOW.wall);
    assert_eq!(
        accounts.shown(&alice, device(3), wall).await.unwrap().unwrap().shown(),
        "Alice"
    );
    assert_eq!(
        accounts.state(&alice, device(1), wall).await.unwrap(),
        DeviceState::Live
    );
    assert!(
        is_away(&accounts.state(&alice, device(2), wall).await),
        "it was revoked"
    );
    assert_eq!(accounts.revoked(wall).await.unwrap().len(), 1);
    assert!(is_away(&accounts.devices(&alice).await));
    assert!(is_away(&accounts.revoke(&alice, device(1), device(2), wall).await));
    accounts.forget(device(1));
    assert!(
        is_away(&admit(&accounts, "alice", 1).await),
        "another registry revoked it"
    );

    server.resume().await;
    is_back(&accounts, &alice).await;
    assert!(admit(&accounts, "carol", 4).await.unwrap().is_new_user);
    assert!(!admit(&accounts, "alice", 1).await.unwrap().is_new_device);

    // It takes what is sent and answers nothing, as if the way to it were cut. Of PostgreSQL this would only stop what takes
    // new connections.
    if kind == Kind::MariaDb {
        server.freeze(true);
        for _ in 0..3 {
            assert!(!admit(&accounts, "alice", 1).await.unwrap().is_new_device);
            assert!(is_away(&admit(&accounts, "dave", 6).await));
        }
        server.freeze(false);
        is_back(&accounts, &alice).await;
        assert!(admit(&accounts, "dave", 6).await.unwrap().is_new_user);
    }
    accounts.close().await;
}

#[tokio::test]
async fn mariadb_is_stopped_and_comes_back() {
    stopped_and_back(Kind::MariaDb).await;
}

#[tokio::test]
async fn postgres_is_stopped_and_comes_back() {
    stopped_and_back(Kind::Postgres).await;
}
