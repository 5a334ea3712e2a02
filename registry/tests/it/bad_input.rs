//! Input that breaks the rules is refused with a status that says why, and disturbs nobody.

use peerchat_proto::v1;
use tonic::Code;

use crate::{caller::*, harness::*};

#[tokio::test]
async fn bad_log_ins() {
    let registry = Registry::start();
    let mut client = registry.client(1).await;
    let long = "x".repeat(65);
    let long_address = format!("{}:1", "a".repeat(254));
    let good = "127.0.0.1:1";
    for (user, address, reason) in [
        ("", good, "at least one character"),
        (long.as_str(), good, "at most 64 characters; this one has 65"),
        ("a b", good, "U+0020"),
        ("a\u{1b}[2J", good, "U+001B"),
        ("a/b", good, "none of # @ / :"),
        ("#a", good, "none of # @ / :"),
        ("@a", good, "none of # @ / :"),
        ("..", good, "folder"),
        ("alice", "", "HOST:PORT"),
        ("alice", "nowhere", "HOST:PORT"),
        ("alice", "127.0.0.1:0", "port from 1 to 65535"),
        ("alice", "a b:1", "HOST:PORT"),
        ("alice", "239.1.1.1:1", "group of hosts"),
        ("alice", "169.254.169.254:80", "service for its machines"),
        ("alice", "[fd00:ec2::254]:80", "service for its machines"),
        ("alice", "169.254.7.7:1", "--allow-link-local"),
        ("alice", "[fe80::1]:1", "--allow-link-local"),
        ("alice", long_address.as_str(), "at most 255 characters"),
    ] {
        let (code, text) = refused(client.log_in(login(user, address)).await);
        assert_eq!(code, Code::InvalidArgument, "{user:?} {address:?}");
        assert!(text.contains(reason), "{user:?} {address:?}: {text}");
    }
    for (password, reason) in [
        ("short", "at least 8 characters"),
        ("tab\tin the middle", "control characters"),
    ] {
        let request = v1::LogInRequest {
            password: password.to_owned(),
            ..login("alice", good)
        };
        let (code, text) = refused(client.log_in(request).await);
        assert_eq!(code, Code::InvalidArgument);
        assert!(text.contains(reason) && !text.contains(password), "{text}");
    }
    let request = v1::LogInRequest {
        invitation: "open sesame".to_owned(),
        ..login("alice", good)
    };
    let (code, text) = refused(client.log_in(request).await);
    assert_eq!(code, Code::InvalidArgument, "{text}");
    let fresh = Caller::log_in(&registry, "alice", 1).await;
    assert!(fresh.answer.is_new_account, "what was refused left nothing behind");
}

#[tokio::test]
async fn link_local_addresses_are_told_where_the_registry_allows_them() {
    let registry = Registry::start_with(&["--allow-link-local"]);
    let alice = Caller::try_log_in(&registry, 1, login("alice", "169.254.7.7:1")).await;
    assert_eq!(alice.unwrap().answer.address, "169.254.7.7:1");
    let bob = Caller::try_log_in(&registry, 2, login("bob", "169.254.169.254:80")).await;
    let (code, text) = refused(bob);
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.contains("service for its machines"), "{text}");
}

#[tokio::test]
async fn bad_leases_and_names_in_other_calls() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    // The last one is what the members of a private room call it: it is not for the registry.
    for name in ["", "a b", "a/b", "..", "\n", ":", "plans:77777777777777777777777774"] {
        assert_eq!(refused(alice.find(name).await).0, Code::InvalidArgument, "{name:?}");
        assert_eq!(refused(alice.join(name).await).0, Code::InvalidArgument, "{name:?}");
        assert_eq!(refused(alice.leave(name).await).0, Code::InvalidArgument, "{name:?}");
    }
    for (lease, expected) in [
        (vec![7; 16], Code::Unauthenticated),
        (vec![7; 15], Code::InvalidArgument),
    ] {
        alice.lease = lease;
        assert_eq!(refused(alice.find("alice").await).0, expected);
        assert_eq!(refused(alice.join("lobby").await).0, expected);
        assert_eq!(refused(alice.leave("lobby").await).0, expected);
        assert_eq!(refused(alice.log_out().await).0, expected);
        assert_eq!(refused(alice.list_rooms().await).0, expected);
        assert_eq!(refused(alice.renew_certificate().await).0, expected);
        assert_eq!(refused(alice.devices().await).0, expected);
        assert_eq!(refused(alice.revoke(2).await).0, expected);
        assert_eq!(refused(alice.set_password("correct horse").await).0, expected);
        assert_eq!(refused(alice.approve("ABCD-EFGH").await).0, expected);
        assert_eq!(refused(alice.try_watch(&[]).await).0, expected);
    }
}

#[tokio::test]
async fn bad_calls_for_accounts() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    for bytes in [0, 31, 33] {
        let request = v1::RevokeDeviceRequest {
            lease: alice.lease.clone().into(),
            device: vec![1; bytes].into(),
        };
        let (code, text) = refused(alice.accounts.revoke_device(request).await);
        assert_eq!(code, Code::InvalidArgument);
        assert!(text.contains(&format!("32 bytes; this one has {bytes}")), "{text}");
    }
    assert_eq!(
        refused(alice.revoke(9).await).0,
        Code::NotFound,
        "there is no such device"
    );
    for code in ["", "ABCD-EFG", "ABCD-EFGHJ", "ABCD-EFG0", "ÄBCD-EFGH"] {
        assert_eq!(refused(alice.approve(code).await).0, Code::InvalidArgument, "{code:?}");
    }
    let (code, text) = refused(alice.set_password("short").await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(text.contains("at least 8 characters"), "{text}");
    let asked = Linking::ask(registry.channel(2).await, "a b").await;
    assert_eq!(refused(asked).0, Code::InvalidArgument);
    let (code, text) = refused(Linking::ask(registry.channel(2).await, "carol").await);
    assert_eq!(code, Code::NotFound);
    assert!(text.contains("nobody has this name"), "{text}");
}

#[tokio::test]
async fn bad_requests_on_an_open_stream_end_it() {
    let registry = Registry::start();
    for (lease, users, expected) in [
        (vec![7; 16], vec!["bob".to_owned()], Code::InvalidArgument),
        (vec![], vec!["a b".to_owned()], Code::InvalidArgument),
        (
            vec![],
            (0..1_025).map(|n| format!("user{n}")).collect(),
            Code::ResourceExhausted,
        ),
    ] {
        let mut alice = Caller::log_in(&registry, "alice", 1).await;
        let mut stream = alice.watch(&[]).await;
        let lease = lease.into();
        stream.requests.send(v1::WatchRequest { lease, users }).await.unwrap();
        assert_eq!(refused(stream.next().await).0, expected);
    }
}

#[tokio::test]
async fn a_request_over_the_limit_is_refused() {
    let registry = Registry::start();
    let mut client = registry.client(1).await;
    let (code, text) = refused(client.log_in(login(&"x".repeat(600 * 1024), "127.0.0.1:1")).await);
    assert_eq!(code, Code::OutOfRange, "{text}");
    client.log_in(login("alice", "127.0.0.1:1")).await.unwrap();
}
