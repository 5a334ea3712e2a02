//! Callers that come by way of a proxy, which says where they are.

use std::net::{IpAddr, Ipv4Addr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::{caller::*, harness::*};

/// Addresses of this machine.
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Connects from one of the machine's addresses.
async fn connect(to: &str, from: IpAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to.parse().unwrap()).await.unwrap()
}

/// A way to somewhere from an address, by which something is said before anything else. Answers where it begins.
pub(crate) async fn way(to: &str, from: IpAddr, said: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, to) = (listener.local_addr().unwrap(), to.to_owned());
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                let mut far = connect(&to, from).await;
                far.write_all(said).await.unwrap();
                // It ends when one of the two does.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    address.to_string()
}

/// A header of version 2 with 198.51.100.7 and a part that means nothing to the registry.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x13\xc6\x33\x64\x07\x7f\x00\x00\x01\x12\x34\x27\x11\x04\x00\x04\0\0\0\0";

/// Somebody who is new to alice's account comes this way; what she is told of him.
async fn told_of(stream: &mut Watcher, way: &str) -> String {
    let channel = dial(way, key(9), endpoint()).await;
    refused(Caller::over(channel, login("alice", "127.0.0.1:1")).await);
    stream.heard().await
}

#[tokio::test]
async fn callers_are_where_a_proxy_says() {
    let registry = Registry::start_with(&["--proxy-protocol-from", "192.0.2.1,127.0.0.1"]);
    // Not from a proxy, so nothing is said of her.
    let direct = way(&registry.address, OTHER, b"").await;
    let mut alice = Caller::over(dial(&direct, key(1), endpoint()).await, login("alice", "0.0.0.0:7"))
        .await
        .unwrap();
    assert_eq!(alice.answer.address, "127.0.0.2:7");
    let mut stream = alice.watch(&[]).await;
    for (said, host) in [
        (&b"PROXY TCP4 203.0.113.5 127.0.0.1 4711 10001\r\n"[..], "203.0.113.5"),
        (b"PROXY TCP6 2001:db8::9 ::1 4711 10001\r\n", "2001:db8::9"),
        (BINARY, "198.51.100.7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    ] {
        let by_proxy = way(&registry.address, PROXY, said).await;
        assert_eq!(
            told_of(&mut stream, &by_proxy).await,
            format!("attempt 9 {host} Refused")
        );
    }
    // Where a peer listens everywhere, it is found where the proxy has seen it.
    let by_proxy = way(
        &registry.address,
        PROXY,
        b"PROXY TCP4 203.0.113.5 127.0.0.1 4711 10001\r\n",
    )
    .await;
    let bob = Caller::over(dial(&by_proxy, key(2), endpoint()).await, login("bob", "0.0.0.0:7"))
        .await
        .unwrap();
    assert_eq!(bob.answer.address, "203.0.113.5:7");
    assert_eq!(bob.answer.folder, "", "he is not of this machine");
}

/// What is said over a connection from an address ends it.
async fn is_refused(registry: &Registry, from: IpAddr, said: &[u8], logged: &str) {
    let mut stream = connect(&registry.address, from).await;
    stream.write_all(said).await.unwrap();
    let mut answered = Vec::new();
    // An alert of TLS may come, and the end comes in any case.
    let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut answered)).await;
    assert!(ended.is_ok(), "{:?} is not refused", String::from_utf8_lossy(said));
    registry.logged(logged).await;
}

#[tokio::test]
async fn what_comes_otherwise_is_refused_and_told() {
    let registry = Registry::start_with(&["--proxy-protocol-from", "127.0.0.1"]);
    let hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03";
    is_refused(&registry, PROXY, &[hello, &[0; 20][..]].concat(), "proxy_protocol on").await;
    is_refused(&registry, PROXY, b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "is damaged").await;
    is_refused(
        &registry,
        PROXY,
        &[b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(),
        "is longer than it may be",
    )
    .await;
    // Half a header, and then nothing: no longer than a handshake may take.
    is_refused(&registry, PROXY, b"PROXY TCP4", "timed out").await;
    // From elsewhere a header is none of TLS.
    let before = registry.log().matches("was refused").count();
    is_refused(
        &registry,
        OTHER,
        b"PROXY TCP4 203.0.113.5 127.0.0.1 4711 10001\r\n",
        "connection from 127.0.0.2:",
    )
    .await;
    assert!(registry.log().matches("was refused").count() > before);
}

#[tokio::test]
async fn a_list_of_proxies_that_makes_no_sense_is_wrong_usage() {
    let (code, text) = run(&["--proxy-protocol-from", "nginx.example"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("expected IP addresses"), "{text}");
    let list = "1=127.0.0.1:1,2=127.0.0.2:1,3=127.0.0.3:1";
    let arguments = [
        "--id",
        "1",
        "--cluster",
        list,
        "--ca",
        "x",
        "--proxy-protocol-from",
        "127.0.0.3",
    ];
    let (code, text) = run(&arguments).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("node 3 calls from an address"), "{text}");
}
