//! What reaches the port and is no call: refused, closed, and felt by nobody.

use std::time::Duration;

use peerchat_identity::{connect, tls};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::Endpoint;

use crate::{caller::*, harness::*};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first flight of a client that speaks TLS 1.2 at most.
const HELLO_OF_TLS12: &[u8] = b"\x16\x03\x01\x00\x45\x01\x00\x00\x41\x03\x03\
    \x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\
    \x00\x00\x04\xc0\x2b\xc0\x2f\x01\x00\x00\x14\
    \x00\x0a\x00\x04\x00\x02\x00\x1d\
    \x00\x0d\x00\x08\x00\x06\x04\x03\x08\x04\x08\x07";

/// A fatal alert: protocol_version.
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 70];

/// Reads until the other side closes, in whichever way.
async fn rest(stream: &mut (impl AsyncRead + Unpin), within: Duration) -> Vec<u8> {
    let mut read = Vec::new();
    let closed = tokio::time::timeout(within, stream.read_to_end(&mut read)).await;
    assert!(closed.is_ok(), "the registry keeps a useless connection");
    read
}

/// Says something and hangs up. The registry may close before it has read all of it.
async fn say(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), noise: &[u8]) {
    let _ = stream.write_all(noise).await;
    let _ = stream.shutdown().await;
    rest(stream, SOON).await;
}

async fn dial_plainly(registry: &Registry) -> TcpStream {
    TcpStream::connect(&registry.address).await.unwrap()
}

#[tokio::test]
async fn there_is_no_plain_text() {
    let registry = Registry::start();
    let plain = Endpoint::from_shared(format!("http://{}", registry.address)).unwrap();
    let called = match plain.connect().await {
        Ok(channel) => Client::new(channel).log_in(login("alice", "127.0.0.1:1")).await.is_ok(),
        Err(_) => false,
    };
    assert!(!called);
    let mut socket = dial_plainly(&registry).await;
    socket.write_all(PREFACE).await.unwrap();
    rest(&mut socket, SOON).await;
    let mut socket = dial_plainly(&registry).await;
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let answer = rest(&mut socket, SOON).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    registry.logged("a connection from 127.0.0.1").await;
}

#[tokio::test]
async fn tls_before_1_3_is_refused() {
    let registry = Registry::start();
    let mut socket = dial_plainly(&registry).await;
    socket.write_all(HELLO_OF_TLS12).await.unwrap();
    assert_eq!(rest(&mut socket, SOON).await, ALERT);
    registry.logged("was refused").await;
}

#[tokio::test]
async fn noise_disturbs_nobody() {
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
    let tls = tls::registry_client(key(2)).unwrap();
    for round in 0..60 {
        let mut noise: Vec<u8> = (0..next() % 4_096).map(|_| next() as u8).collect();
        match round % 4 {
            0 => drop(noise.splice(0..0, PREFACE.iter().copied())),
            // A record of a handshake, and a hello with bytes that are wrong.
            1 => drop(noise.splice(0..0, [0x16, 3, 1, 0x10, 0])),
            2 => {
                let mut hello = HELLO_OF_TLS12.to_vec();
                hello[11 + round % 50] ^= next() as u8;
                noise = hello;
            }
            _ => {}
        }
        if round % 2 == 0 {
            say(&mut dial_plainly(&registry).await, &noise).await;
        } else {
            let within = connect::connect(&registry.address, tls::registry_name(), tls.clone()).await;
            say(&mut within.unwrap(), &noise).await;
        }
    }
    stream.renew(&[], &["alice"]).await;
    assert_eq!(stream.heard().await, "alice Here");
    let lines = registry.log().matches("a connection from").count();
    assert!(lines <= 40, "noise fills no disk: {lines} lines");
}

#[tokio::test]
async fn who_says_nothing_is_cut_off() {
    let registry = Registry::start();
    let within = SOON + Duration::from_secs(5);
    let silent = async { rest(&mut dial_plainly(&registry).await, within).await };
    let half_a_hello = async {
        let mut socket = dial_plainly(&registry).await;
        socket.write_all(&HELLO_OF_TLS12[..20]).await.unwrap();
        rest(&mut socket, within).await
    };
    let half_a_preface = async {
        let tls = tls::registry_client(key(2)).unwrap();
        let mut stream = connect::connect(&registry.address, tls::registry_name(), tls)
            .await
            .unwrap();
        stream.write_all(&PREFACE[..6]).await.unwrap();
        rest(&mut stream, within).await;
    };
    tokio::join!(silent, half_a_hello, half_a_preface);
    registry.logged("was silent for too long").await;
}
