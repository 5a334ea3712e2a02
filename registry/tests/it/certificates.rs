//! What a device gets at its log-in, and what its lease is good for.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use peerchat_identity::{CertificateError, DeviceCertificate, Fingerprint, Trust, connect, tls};
use peerchat_proto::v1;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::PrivateKeyDer};
use tonic::Code;

use crate::{caller::*, harness::*};

#[tokio::test]
async fn a_log_in_certifies_the_device() {
    let registry = Registry::start_with(&["--certificate-lifetime", "5s"]);
    let before = SystemTime::now();
    let alice = Caller::try_log_in(&registry, 1, login("Zoë", "127.0.0.1:1"))
        .await
        .unwrap();
    let after = SystemTime::now();
    let authority = alice.answer.authority.to_vec().into();
    assert_eq!(Fingerprint::of(&authority), registry.fingerprint().await);
    let trust = Trust::new(authority).unwrap();
    let shown = alice.answer.certificate.to_vec().into();
    let certificate = trust.valid(&shown, SystemTime::now()).unwrap();
    assert_eq!(certificate.device.to_vec(), device(1));
    assert_eq!(certificate.user.shown(), "Zoë");
    // Certificates know whole seconds.
    let second = Duration::from_secs(1);
    let lifetime = Duration::from_secs(5);
    assert!((before + lifetime - second..=after + lifetime).contains(&certificate.not_after));
    assert!(
        certificate.not_before <= before - Duration::from_secs(59),
        "clocks differ"
    );
    let over = trust.valid(&shown, certificate.not_after + second);
    assert!(matches!(over, Err(CertificateError::NotTrusted(_))), "{over:?}");
}

#[tokio::test]
async fn certificates_last_half_a_day_and_are_renewed() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let trust = Trust::new(alice.answer.authority.to_vec().into()).unwrap();
    let first = trust
        .valid(&alice.answer.certificate.to_vec().into(), SystemTime::now())
        .unwrap();
    let half_a_day = Duration::from_secs(12 * 3_600);
    let left = first.not_after.duration_since(SystemTime::now()).unwrap();
    assert!(left > half_a_day - SOON && left <= half_a_day, "{left:?}");
    let renewed = alice.renew_certificate().await.unwrap();
    let renewed = trust.valid(&renewed.into(), SystemTime::now()).unwrap();
    assert!(renewed.der != first.der && renewed.not_after >= first.not_after);
    assert_eq!((renewed.device, &renewed.user), (first.device, &first.user));
    assert_eq!(alice.answer.folder, "", "its folder is nobody's business here");
}

#[tokio::test]
async fn a_lease_is_its_devices_alone() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let mut mallory = Caller::log_in(&registry, "mallory", 2).await;
    mallory.lease = alice.lease.clone();
    for code in all_calls(&mut mallory).await {
        assert_eq!(code, Code::Unauthenticated);
    }
    // Over her own connection all of it works, so nothing else was wrong with the calls.
    alice.find("alice").await.unwrap();
    let mut stream = alice.watch(&["alice"]).await;
    assert_eq!(
        stream.heard().await,
        "alice Here",
        "her one stream was not taken from her"
    );
    assert_eq!(alice.devices().await.unwrap().devices.len(), 1);
}

#[tokio::test]
async fn who_shows_no_device_is_nobody() {
    let registry = Registry::start();
    let alice = Caller::log_in(&registry, "alice", 1).await;
    let channel = registry.nameless_channel().await;
    let refusal = refused(Caller::over(channel.clone(), login("bob", "127.0.0.1:1")).await);
    assert_eq!(refusal.0, Code::Unauthenticated);
    assert!(
        refusal.1.contains("certificate of the device's Ed25519 key"),
        "{}",
        refusal.1
    );
    let refusal = refused(Linking::ask(channel.clone(), "alice").await);
    assert_eq!(refusal.0, Code::Unauthenticated);
    let mut nobody = Caller {
        client: Client::new(channel.clone()),
        accounts: Accounts::new(channel),
        ..alice
    };
    for code in all_calls(&mut nobody).await {
        assert_eq!(code, Code::Unauthenticated);
    }
}

/// The codes with which every call that needs a lease is answered.
async fn all_calls(caller: &mut Caller) -> Vec<Code> {
    vec![
        refused(caller.find("alice").await).0,
        refused(caller.join("lobby").await).0,
        refused(caller.leave("lobby").await).0,
        refused(caller.list_rooms().await).0,
        refused(caller.renew_certificate().await).0,
        refused(caller.devices().await).0,
        refused(caller.revoke(1).await).0,
        refused(caller.set_password("correct horse").await).0,
        refused(caller.approve("ABCD-EFGH").await).0,
        refused(caller.try_watch(&[]).await).0,
        refused(caller.log_out().await).0,
    ]
}

#[tokio::test]
async fn a_key_of_another_kind_is_no_device() {
    let registry = Registry::start();
    let (_, nameless) = shown(&registry.address).await;
    drop(nameless);
    let alice = Caller::log_in(&registry, "alice", 1).await;
    let mut roots = RootCertStore::empty();
    roots.add(alice.answer.authority.to_vec().into()).unwrap();
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = CertificateParams::new(["x.device.internal".to_owned()])
        .unwrap()
        .self_signed(&pair)
        .unwrap();
    let key = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = connect::connect(&registry.address, tls::registry_name(), Arc::new(config)).await;
    // In TLS 1.3 this side is done before the other one has judged it.
    if let Ok(stream) = stream
        && let Ok(channel) = connect::grpc(stream, endpoint()).await
    {
        refused(Caller::over(channel, login("bob", "127.0.0.1:1")).await);
    }
    registry.logged("was refused").await;
}

/// A peer's own certificate shows its key as well as any other would, even when it has ended.
#[tokio::test]
async fn the_registry_looks_at_the_key_and_at_no_date() {
    let registry = Registry::start();
    let alice = Caller::log_in(&registry, "alice", 1).await;
    let trust = Trust::new(alice.answer.authority.to_vec().into()).unwrap();
    let certificate = DeviceCertificate::parse(&alice.answer.certificate.to_vec().into()).unwrap();
    let tls = tls::peer_client(key(1), &certificate, &trust, tls::system_clock()).unwrap();
    let stream = connect::connect(&registry.address, tls::registry_name(), tls)
        .await
        .unwrap();
    let channel = connect::grpc(stream, endpoint()).await.unwrap();
    let request = v1::LogInRequest {
        label: "again".to_owned(),
        ..login("alice", "127.0.0.1:1")
    };
    Caller::over(channel, request).await.unwrap();
}
