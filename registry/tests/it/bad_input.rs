//! Input that breaks the rules is refused with a status that says why, and disturbs nobody.

use std::time::Duration;

use peerchat_proto::v1;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn bad_log_ins() {
    let registry = Registry::start();
    let mut client = registry.client().await;
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
        ("alice", long_address.as_str(), "at most 255 characters"),
    ] {
        let (code, text) = refused(client.log_in(login(user, 1, address)).await);
        assert_eq!(code, Code::InvalidArgument, "{user:?} {address:?}");
        assert!(text.contains(reason), "{user:?} {address:?}: {text}");
    }
    for bytes in [0, 31, 33] {
        let mut request = login("alice", 1, good);
        request.device = vec![1; bytes].into();
        let (code, text) = refused(client.log_in(request).await);
        assert_eq!(code, Code::InvalidArgument);
        assert!(text.contains(&format!("32 bytes; this one has {bytes}")), "{text}");
    }
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
        let list = v1::ListRoomsRequest {
            lease: alice.lease.clone().into(),
            ..Default::default()
        };
        assert_eq!(refused(alice.client.list_rooms(list).await).0, expected);
        let watch = v1::WatchRequest {
            lease: alice.lease.clone().into(),
            users: Vec::new(),
        };
        let mut stream = alice
            .client
            .watch(tokio_stream::once(watch))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(refused(stream.message().await).0, expected);
    }
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
    let mut client = registry.client().await;
    let (code, text) = refused(client.log_in(login(&"x".repeat(600 * 1024), 1, "127.0.0.1:1")).await);
    assert_eq!(code, Code::OutOfRange, "{text}");
    client.log_in(login("alice", 1, "127.0.0.1:1")).await.unwrap();
}

#[tokio::test]
async fn random_bytes_on_the_port_disturb_nobody() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let mut stream = alice.watch(&[]).await;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..50 {
        let mut noise: Vec<u8> = (0..next() % 4_096).map(|_| next() as u8).collect();
        if round % 2 == 0 {
            noise.splice(0..0, *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        }
        let mut socket = TcpStream::connect(&registry.address).await.unwrap();
        // The registry may close before it has read all of it.
        let _ = socket.write_all(&noise).await;
        let _ = socket.shutdown().await;
        let read = tokio::time::timeout(SOON, socket.read_to_end(&mut Vec::new())).await;
        assert!(read.is_ok(), "the registry keeps a useless connection");
    }
    stream.renew(&[], &["alice"]).await;
    assert_eq!(stream.heard().await, "alice Here");
}

#[tokio::test]
async fn a_caller_that_says_nothing_is_cut_off() {
    let registry = Registry::start();
    let mut socket = TcpStream::connect(&registry.address).await.unwrap();
    socket.write_all(b"PRI * ").await.unwrap();
    let read = tokio::time::timeout(SOON + Duration::from_secs(5), socket.read_to_end(&mut Vec::new())).await;
    assert!(read.is_ok(), "the registry keeps a silent connection");
}
