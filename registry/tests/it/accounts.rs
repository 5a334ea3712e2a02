//! Whose a name is: first come, passwords, guesses, invites.

use std::time::Instant;

use peerchat_proto::v1;
use tonic::Code;

use crate::{caller::*, harness::*};

const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn the_first_device_gets_the_name_and_is_told_of_others() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    assert!(alice.answer.is_new_account);
    let mut stream = alice.watch(&[]).await;
    let (code, text) = refused(Caller::try_log_in(&registry, 2, login("ALICE", "127.0.0.1:1")).await);
    assert_eq!(code, Code::AlreadyExists);
    assert!(text.contains("this name is taken"), "{text}");
    assert_eq!(stream.heard().await, "attempt 2 127.0.0.1 Refused");
    registry.logged("outcome=Refused").await;

    alice.log_out().await.unwrap();
    let refusal = refused(Caller::try_log_in(&registry, 2, login("alice", "127.0.0.1:1")).await);
    assert_eq!(
        refusal.0,
        Code::AlreadyExists,
        "a name stays its owner's when he is away"
    );
    let back = Caller::try_log_in(&registry, 1, login("ALICE", "127.0.0.1:1"))
        .await
        .unwrap();
    assert!(!back.answer.is_new_account);
    let mut bob = Caller::log_in(&registry, "bob", 3).await;
    assert_eq!(
        bob.find("Alice").await.unwrap()[0].user,
        "alice",
        "as the owner took it"
    );
    let (code, text) = refused(Caller::try_log_in(&registry, 1, login("carol", "127.0.0.1:1")).await);
    assert_eq!(code, Code::PermissionDenied, "a device is one user's: {text}");
}

#[tokio::test]
async fn a_password_lets_another_device_in() {
    let registry = Registry::start();
    let mut alice = Caller::log_in_with(&registry, "alice", 1, PASSWORD).await.unwrap();
    let mut stream = alice.watch(&["alice"]).await;
    assert_eq!(stream.heard().await, "alice Here");
    let mut second = Caller::log_in_with(&registry, "alice", 2, PASSWORD).await.unwrap();
    assert!(!second.answer.is_new_account);
    assert_eq!(stream.heard().await, "attempt 2 127.0.0.1 Added");
    assert_eq!(stream.heard().await, "alice Here", "both are live");
    let mut found: Vec<_> = second.find("alice").await.unwrap();
    found.sort_by_key(|peer| peer.address.clone());
    let found: Vec<_> = found.iter().map(|peer| peer.device.to_vec()).collect();
    assert_eq!(found, [device(1), device(2)]);
    // From now on its key is enough.
    Caller::log_in(&registry, "alice", 2).await;
    assert!(!registry.log().contains(PASSWORD), "a password is never logged");
}

#[tokio::test]
async fn wrong_passwords_are_told_counted_and_then_not_heard() {
    let registry = Registry::start();
    let mut alice = Caller::log_in_with(&registry, "alice", 1, PASSWORD).await.unwrap();
    let mut stream = alice.watch(&[]).await;
    let mut heard = 0;
    let text = loop {
        let refusal = refused(Caller::log_in_with(&registry, "alice", 2, "battery staple").await);
        match refusal.0 {
            Code::PermissionDenied => assert_eq!(refusal.1, "wrong password"),
            Code::ResourceExhausted => break refusal.1,
            other => panic!("{other}: {}", refusal.1),
        }
        heard += 1;
        assert!(heard < 15, "the waits double");
        assert_eq!(stream.heard().await, "attempt 2 127.0.0.1 WrongPassword");
    };
    assert!(heard >= 5 && text.contains("too many tries; wait "), "{heard}: {text}");
    // Neither those who are known nor other names have to wait.
    Caller::log_in(&registry, "alice", 1).await;
    Caller::log_in_with(&registry, "bob", 4, PASSWORD).await.unwrap();
    assert!(!registry.log().contains("battery"), "a guess is never logged");
}

#[tokio::test]
async fn a_password_can_be_set_and_changed_later() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    assert!(!alice.devices().await.unwrap().has_password);
    let refusal = refused(Caller::log_in_with(&registry, "alice", 2, PASSWORD).await);
    assert_eq!(refusal.0, Code::AlreadyExists);
    alice.set_password(PASSWORD).await.unwrap();
    assert!(alice.devices().await.unwrap().has_password);
    Caller::log_in_with(&registry, "alice", 2, PASSWORD).await.unwrap();
    alice.set_password("battery staple").await.unwrap();
    let refusal = refused(Caller::log_in_with(&registry, "alice", 3, PASSWORD).await);
    assert_eq!(refusal.0, Code::PermissionDenied);
    Caller::log_in_with(&registry, "alice", 3, "battery staple")
        .await
        .unwrap();
}

#[tokio::test]
async fn devices_are_listed_for_their_user() {
    let registry = Registry::start();
    let request = v1::LogInRequest {
        password: PASSWORD.to_owned(),
        label: "desk\n".to_owned(),
        ..login("alice", "127.0.0.1:1")
    };
    let mut alice = Caller::try_log_in(&registry, 1, request).await.unwrap();
    let mut second = Caller::log_in_with(&registry, "alice", 2, PASSWORD).await.unwrap();
    second.log_out().await.unwrap();
    Caller::log_in(&registry, "bob", 3).await;
    let mut listed = alice.devices().await.unwrap().devices;
    listed.sort_by_key(|listed| listed.is_caller);
    let [other, own] = &listed[..] else {
        panic!("bob's is not among them: {listed:?}");
    };
    assert_eq!((other.device.to_vec(), own.device.to_vec()), (device(2), device(1)));
    assert!(own.is_caller && own.is_online && !other.is_online);
    assert_eq!((own.label.as_str(), other.label.as_str()), ("desk", ""));
    assert!(own.added_at_ms > 1_700_000_000_000 && own.seen_at_ms >= own.added_at_ms);
}

/// Whoever can dial the registry can ask for a name that is taken, as often as he likes.
#[tokio::test]
async fn many_attempts_fill_neither_a_screen_nor_the_log() {
    let registry = Registry::start();
    let mut alice = Caller::log_in_with(&registry, "alice", 1, PASSWORD).await.unwrap();
    let mut stream = alice.watch(&[]).await;
    let mut stranger = registry.client(2).await;
    let since = Instant::now();
    for _ in 0..200 {
        refused(stranger.log_in(login("alice", "127.0.0.1:1")).await);
    }
    // Twenty, and one more after 1, 3, 7, 15 … seconds.
    let told_max = 21 + (since.elapsed().as_secs() + 1).ilog2() as usize;
    Caller::log_in_with(&registry, "alice", 3, PASSWORD).await.unwrap();
    let mut told = 0;
    while stream.heard().await == "attempt 2 127.0.0.1 Refused" {
        told += 1;
    }
    assert!((20..=told_max).contains(&told), "{told} were told");
    registry.logged("outcome=Added").await;
    let logged = registry.log().matches("outcome=Refused").count();
    assert_eq!(logged, told);
}

#[tokio::test]
async fn who_may_register_is_the_operators_choice() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let (code, invite, text) = run_whole(&["invite", "--data", data]).await;
    assert_eq!(code, Some(0), "{text}");
    let registry = Registry::start_with(&["--data", data, "--registration", "invite"]);
    let refusal = refused(Caller::try_log_in(&registry, 1, login("alice", "127.0.0.1:1")).await);
    assert_eq!(refusal.0, Code::PermissionDenied);
    assert!(refusal.1.contains("only with an invite"), "{}", refusal.1);
    assert!(refusal.1.contains("--invitation-file FILE"), "{}", refusal.1);
    // Its operator sees why.
    registry.logged("alice at 127.0.0.1 was not taken as a new user").await;
    let invited = |user: &str| v1::LogInRequest {
        invitation: invite.trim().to_owned(),
        ..login(user, "127.0.0.1:1")
    };
    let alice = Caller::try_log_in(&registry, 1, invited("alice")).await.unwrap();
    assert!(alice.answer.is_new_account);
    let (code, text) = refused(Caller::try_log_in(&registry, 2, invited("bob")).await);
    assert_eq!(code, Code::PermissionDenied);
    assert!(text.contains("has been used"), "{text}");
    // One more, while it runs.
    let (code, other, text) = run_whole(&["invite", "--data", data]).await;
    assert_eq!(code, Some(0), "{text}");
    let request = v1::LogInRequest {
        invitation: other.trim().to_owned(),
        ..login("bob", "127.0.0.1:1")
    };
    Caller::try_log_in(&registry, 2, request).await.unwrap();
    assert!(!registry.log().contains(invite.trim()), "an invite is never logged");
    registry.stop().await;

    let registry = Registry::start_with(&["--data", data, "--registration", "closed"]);
    let (code, text) = refused(Caller::try_log_in(&registry, 3, login("carol", "127.0.0.1:1")).await);
    assert_eq!(code, Code::PermissionDenied);
    assert!(text.contains("takes no new users"), "{text}");
    Caller::log_in(&registry, "alice", 1).await;
}

/// No limit, but a figure: `cargo test -p peerchat-registry --test it speed -- --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_speed_of_log_ins() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start_in(folder.path());
    let callers: u8 = 32;
    let mut clients = Vec::new();
    for n in 0..callers {
        clients.push((n, registry.client(n).await));
    }
    for what in ["new users", "known devices"] {
        let since = Instant::now();
        let calls: Vec<_> = clients
            .iter()
            .cloned()
            .map(|(n, mut client)| {
                tokio::spawn(async move { client.log_in(login(&format!("user{n}"), "127.0.0.1:1")).await.unwrap() })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        let rate = f64::from(callers) / since.elapsed().as_secs_f64();
        println!("log-ins of {what}, on disk: {rate:.0} per second");
    }
}
