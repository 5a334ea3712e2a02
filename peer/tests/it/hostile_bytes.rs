//! What comes to a port that is no call of the contract, or no good one, and the services beside it.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use peerchat_proto::v1::{Frame, VersionRequest};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    harness::{DEADLINE, Peer, Site},
    wire::{Fake, address_of, channel, name_of},
};

/// What a client of HTTP/2 says first: the preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The first flight of a client that speaks TLS 1.2 at most.
const HELLO_OF_TLS12: &[u8] = b"\x16\x03\x01\x00\x45\x01\x00\x00\x41\x03\x03\
    \x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\x2a\
    \x00\x00\x04\xc0\x2b\xc0\x2f\x01\x00\x00\x14\
    \x00\x0a\x00\x04\x00\x02\x00\x1d\
    \x00\x0d\x00\x08\x00\x06\x04\x03\x08\x04\x08\x07";

/// Bytes that look random and are the same in every run.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// What is sent to a port.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let after = |bytes: &[u8]| [PREFACE, bytes].concat();
    vec![
        ("noise", noise(100_000)),
        ("zeros", vec![0; 100_000]),
        ("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("half a preface", PREFACE[..10].to_vec()),
        ("TLS 1.2", HELLO_OF_TLS12.to_vec()),
        ("half a hello of TLS", HELLO_OF_TLS12[..20].to_vec()),
        ("noise after the preface", after(&noise(100_000))),
        ("a frame cut off in its head", after(b"\0\0\x20\x01")),
        ("a frame cut off in its body", after(b"\0\x10\0\x01\x04\0\0\0\x01abc")),
        ("a frame of the greatest length", after(b"\xff\xff\xff\0\0\0\0\0\x01")),
        ("data of a stream that nobody opened", after(b"\0\0\x01\0\0\0\0\0\x63x")),
    ]
}

/// One of two says something, and the other one hears it.
fn talk(from: usize, peers: &mut [Peer], text: &str) {
    peers[from].say(text);
    peers[1 - from].hear(text);
}

/// Sends bytes, ends the sending, and waits until the other side has ended too.
fn throw(address: &str, what: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // It may be closed before all was sent.
    let _refused = stream
        .write_all(bytes)
        .and_then(|()| stream.shutdown(std::net::Shutdown::Write));
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let reset = error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(reset, "{what}: the connection is still open: {error}");
    }
}

#[test]
fn garbage_on_the_ports_of_peer_and_registry_disturbs_nobody() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let ports = [address_of(&peers[0]), site.registry.address.to_string()];
    // These say nothing, and stay.
    let silent: Vec<_> = ports.iter().map(|port| TcpStream::connect(port).unwrap()).collect();
    for (what, bytes) in garbage() {
        for port in &ports {
            throw(port, what, &bytes);
        }
        talk(0, &mut peers, what);
    }
    let mut carol = site.peer("carol");
    assert_eq!(carol.join("lobby")["version"], garbage().len());
    carol.say("the registry still finds everybody");
    peers[0].hear("the registry still finds everybody");
    drop(silent);
    assert_eq!(peers[0].version(), garbage().len() as u64 + 1);
    for peer in peers {
        peer.quit();
    }
    carol.quit();
    site.assert_sound("alice");
}

#[track_caller]
fn refused<T>(result: Result<T, Status>, code: Code, why: &str) {
    let Err(status) = result else {
        panic!("it was not refused")
    };
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(why), "{status}");
}

#[test]
fn a_link_that_does_not_start_with_a_good_hello_is_refused() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let fake = Fake::log_in(&site, "mallory");
    let alice = &peers[0];
    refused(
        fake.try_link(alice, Frame::default()),
        Code::InvalidArgument,
        "must have a hello",
    );
    let good = fake.hello();
    let with = |change: &dyn Fn(&mut peerchat_proto::v1::Hello)| {
        let mut hello = good.clone();
        change(&mut hello);
        let hello = Some(hello);
        fake.try_link(
            alice,
            Frame {
                hello,
                ..Frame::default()
            },
        )
    };
    for address in [
        "",
        "nowhere",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "a b:1",
        "\u{1b}[2J:1",
        &"x".repeat(9_999),
    ] {
        refused(
            with(&|hello| hello.address = address.into()),
            Code::InvalidArgument,
            "HOST:PORT",
        );
    }
    talk(0, &mut peers, "undisturbed");
    let told = peers[0].events();
    assert!(
        !told.iter().any(|event| event["event"] == "error"),
        "nobody came in, so nothing is told"
    );
}

#[test]
fn a_link_that_says_nothing_is_refused_in_time() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let fake = Fake::log_in(&site, "mallory");
    let mut client = fake.client(&peers[0]);
    let answer = fake.block_on(client.link(tokio_stream::pending()));
    refused(answer, Code::DeadlineExceeded, "no hello within 5s");
    talk(0, &mut peers, "undisturbed");
}

#[test]
fn a_call_about_nothing_is_refused() {
    let site = Site::new();
    let alice = site.peer("alice");
    let fake = Fake::log_in(&site, "mallory");
    let mut client = fake.client(&alice);
    let nothing = fake.block_on(client.version(VersionRequest::default()));
    refused(nothing, Code::InvalidArgument, "conversation");
}

#[test]
fn health_and_reflection_are_served_beside_the_chat() {
    use tonic_reflection::pb;
    const SERVICE: &str = "peerchat.v1.ChatService";
    let site = Site::new();
    let alice = site.peer("alice");
    let fake = Fake::log_in(&site, "asker");
    fake.block_on(async {
        let channel = channel(address_of(&alice), name_of(&alice), fake.tls()).await;
        let service = SERVICE.to_owned();
        let health = HealthClient::new(channel.clone())
            .check(HealthCheckRequest { service })
            .await;
        assert_eq!(health.unwrap().into_inner().status(), ServingStatus::Serving);

        let ask = pb::v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(pb::v1::server_reflection_request::MessageRequest::ListServices(
                String::new(),
            )),
        };
        let mut client = pb::v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
        let mut answers = client
            .server_reflection_info(tokio_stream::once(ask))
            .await
            .unwrap()
            .into_inner();
        let answer = format!("{:?}", answers.message().await.unwrap().unwrap());
        assert!(answer.contains(SERVICE), "{answer}");

        let ask = pb::v1alpha::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(pb::v1alpha::server_reflection_request::MessageRequest::ListServices(
                String::new(),
            )),
        };
        let mut client = pb::v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
        let mut answers = client
            .server_reflection_info(tokio_stream::once(ask))
            .await
            .unwrap()
            .into_inner();
        let answer = format!("{:?}", answers.message().await.unwrap().unwrap());
        assert!(answer.contains(SERVICE), "{answer}");
    });
}
