//! Who is let in by whom: certificates that are none, or somebody else's, or over; and those that are renewed while all talk.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use peerchat_identity::{DeviceCertificate, DeviceKey, Trust, connect, tls};
use peerchat_proto::v1::{Frame, HistoryRequest, VersionRequest, chat_service_client::ChatServiceClient};
use peerchat_registry::authority::Authority;
use rustls::ClientConfig;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use crate::{
    harness::{Peer, Site, wait_for},
    wire::{Fake, address_of, name_of, room},
};

/// A lifetime of certificates that a test can wait for, long enough for a busy machine to renew them in time.
const SHORT: Duration = Duration::from_secs(9);

fn user(name: &str) -> peerchat_proto::names::UserName {
    peerchat_proto::names::UserName::new(name).unwrap()
}

/// A call with some TLS, as far as there is a connection at all.
fn connected(fake: &Fake, to: &Peer, tls: std::sync::Arc<ClientConfig>) -> Option<ChatServiceClient<Channel>> {
    let (address, name) = (address_of(to), name_of(to));
    fake.block_on(async {
        let stream = connect::connect(&address, name, tls).await.ok()?;
        let channel = connect::grpc(stream, Endpoint::from_static("https://peer"))
            .await
            .ok()?;
        Some(ChatServiceClient::new(channel))
    })
}

/// What comes of every call there is.
fn all_calls(fake: &Fake, client: &mut ChatServiceClient<Channel>) -> Vec<Result<(), Status>> {
    let conversation = || Some(room("lobby"));
    fake.block_on(async {
        let version = client
            .version(VersionRequest {
                conversation: conversation(),
            })
            .await;
        let history = HistoryRequest {
            conversation: conversation(),
            heights: Vec::new(),
        };
        let history = async { client.history(history).await?.into_inner().message().await }.await;
        let hello = peerchat_proto::v1::LinkRequest {
            frame: Some(Frame {
                hello: Some(fake.hello()),
                ..Frame::default()
            }),
        };
        let link = async {
            client
                .link(tokio_stream::once(hello))
                .await?
                .into_inner()
                .message()
                .await
        }
        .await;
        vec![version.map(drop), history.map(drop), link.map(drop)]
    })
}

#[test]
fn whoever_has_no_good_certificate_is_refused_on_every_call() {
    let (site, elsewhere) = (Site::new(), Site::new());
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let mut fake = Fake::log_in(&site, "mallory");
    fake.join("lobby");
    let stranger = Fake::log_in(&elsewhere, "mallory");
    let authority = Authority::open(&site.registry.folder()).unwrap();
    let hour = Duration::from_secs(3_600);
    let issue = |key: &DeviceKey, when| {
        let der = authority.issue(&key.public(), &user("mallory"), hour, when).unwrap();
        DeviceCertificate::parse(&der).unwrap()
    };
    let over = issue(&fake.key, SystemTime::now() - 2 * hour);
    let not_yet = issue(&fake.key, SystemTime::now() + 3 * hour);
    let trust = || Trust::new(authority.trust().authority().clone()).unwrap();
    let bad = [
        ("the bare key", tls::registry_client(&fake.key).unwrap()),
        (
            "another authority's",
            tls::peer_client(&stranger.key, &stranger.certificate, &trust(), tls::system_clock()).unwrap(),
        ),
        (
            "one that has ended",
            tls::peer_client(&fake.key, &over, &trust(), tls::system_clock()).unwrap(),
        ),
        (
            "one that has not begun",
            tls::peer_client(&fake.key, &not_yet, &trust(), tls::system_clock()).unwrap(),
        ),
    ];
    for (what, tls) in bad {
        // With TLS 1.3 a caller learns only at his first call that he was refused.
        let Some(mut client) = connected(&fake, &peers[0], tls) else {
            continue;
        };
        for answer in all_calls(&fake, &mut client) {
            answer.expect_err(what);
        }
    }
    // A certificate with another device's key cannot be shown at all; one for another device is not the one that is dialled.
    let (address, other) = (address_of(&peers[0]), name_of(&peers[1]));
    let dialled = fake.block_on(connect::connect(&address, other, fake.tls()));
    dialled.expect_err("alice is not bob");
    // With her own she is let in.
    let answers = all_calls(&fake, &mut connected(&fake, &peers[0], fake.tls()).unwrap());
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    peers[0].say("undisturbed");
    peers[1].hear("undisturbed");
}

#[test]
fn a_certificate_that_ends_or_is_revoked_while_connected_ends_the_connection() {
    let site = Site::with_certificates_of(SHORT);
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let mut fake = Fake::log_in(&site, "mallory");
    fake.join("lobby");
    let mut client = fake.client(&peers[0]);
    let mut link = fake.link(&peers[0]);
    peers[0].see("#lobby", "mallory");
    // It renews its lease, but not its certificate. Everybody else does.
    while link.next().is_some() {}
    for answer in all_calls(&fake, &mut client) {
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
    }
    peers[0].say("the others go on");
    peers[1].hear("the others go on");
}

#[test]
fn certificates_are_renewed_without_a_word_being_lost_or_a_link_dropped() {
    let site = Site::with_certificates_of(SHORT);
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let certificate = |name: &str| fs::read(site.folder(name).join("certificate.der")).unwrap();
    let mut texts = Vec::new();
    let mut renewed = 0;
    let mut last = (certificate("alice"), certificate("bob"));
    let mut looked = peers.iter().map(|peer| peer.events().len()).collect::<Vec<_>>();
    while renewed < 2 {
        let text = format!("text {}", texts.len());
        peers[texts.len() % 2].say(&text);
        peers[1 - texts.len() % 2].hear(&text);
        texts.push(text);
        let now = (certificate("alice"), certificate("bob"));
        if now.0 != last.0 && now.1 != last.1 {
            (last, renewed) = (now, renewed + 1);
        }
    }
    for (peer, from) in peers.iter().zip(&mut looked) {
        let gone = peer.events()[*from..]
            .iter()
            .any(|event| event["event"] == "presence" && event["online"] == false);
        assert!(!gone, "{} lost the other one", peer.name);
    }
    for peer in peers {
        peer.quit();
    }
    assert_eq!(site.assert_same_logs(&["alice", "bob"], "#lobby"), texts);
}

#[test]
fn without_a_registry_all_talk_until_their_certificates_end_and_are_told_before() {
    let mut site = Site::with_certificates_of(SHORT);
    let mut peers = site.room("lobby", &["alice", "bob"]);
    site.registry.kill();
    peers[0].say("we do not need it");
    peers[1].hear("we do not need it");
    let soon = peers[0].error("certificate_ends");
    assert!(soon.contains("ends in"), "{soon}");
    let over = peers[0].error("certificate_ends");
    assert!(over.contains("has ended"), "{over}");
    // Whose certificate ends first is a matter of moments.
    wait_for("the end of the link", || {
        let gone = |event: &serde_json::Value| event["event"] == "presence" && event["online"] == false;
        peers[0].events().iter().any(gone).then_some(())
    });
    peers[0].say("said to nobody");
    site.registry.restart();
    peers[1].hear("said to nobody");
}

#[test]
fn a_registry_with_another_authority_at_the_same_address_is_refused() {
    let mut site = Site::new();
    let mut alice = site.peer("alice");
    let registry = site.registry.address.to_string();
    site.registry.kill();
    fs::remove_dir_all(site.registry.folder()).unwrap();
    site.registry.restart();
    let told = alice.wait("the refusal", |event| {
        event["event"] == "registry" && event["state"] == "lost"
    });
    wait_for("the reason", || {
        let events = alice.events();
        let reason = events
            .iter()
            .filter_map(|event| event["reason"].as_str())
            .next_back()?
            .to_owned();
        (reason.contains("not the one") || reason.contains("does not answer")).then_some(())
    });
    drop(told);
    alice.quit();
    let mut again = Peer::spawn(site.data.path(), &registry, "alice", &[]);
    let message = again.error("registry_untrusted");
    assert!(message.contains("not the one that was met there before"), "{message}");
    assert!(message.contains("known_registries"), "{message}");
    assert_eq!(again.child.wait().unwrap().code(), Some(1));
    // Whoever knows better says so.
    let fingerprint = Authority::open(&site.registry.folder())
        .unwrap()
        .fingerprint()
        .to_string();
    let mut trusted = site.peer_with("alice", &["--registry-fingerprint", &fingerprint]);
    trusted.join("lobby");
    trusted.quit();
    site.peer("alice").quit();
}
