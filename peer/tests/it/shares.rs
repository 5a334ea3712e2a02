//! Whoever takes all places keeps nobody else out.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use peerchat_identity::{connect, open_files};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, task::JoinSet, time::sleep};

use crate::{
    harness::{Peer, Site, program, wait_for},
    wire::{Fake, address_of, name_of, room},
};

/// How many files the peer may open, and so how many connections it takes: half as many.
const FILES: usize = 512;

/// What a client of HTTP/2 says first: the preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Connections that are held, and dialled again whenever one is closed, until this is dropped.
struct Crowd {
    stop: Arc<AtomicBool>,
    /// How often somebody got in.
    dialled: Arc<AtomicUsize>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Crowd {
    fn start(address: String, name: ServerName<'static>, tls: Arc<ClientConfig>, size: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (stop, dialled) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&dialled));
        runtime.spawn(async move {
            let mut all = JoinSet::new();
            for _ in 0..size {
                let (address, name, tls) = (address.clone(), name.clone(), Arc::clone(&tls));
                let (stop, dialled) = (Arc::clone(&stopped), Arc::clone(&count));
                all.spawn(async move {
                    while !stop.load(Relaxed) {
                        if let Ok(mut stream) = connect::connect(&address, name.clone(), Arc::clone(&tls)).await {
                            dialled.fetch_add(1, Relaxed);
                            // It speaks HTTP/2, and asks nothing.
                            let _ = stream.write_all(PREFACE).await;
                            let mut heard = [0; 256];
                            while stream.read(&mut heard).await.is_ok_and(|read| read > 0) {}
                        }
                        sleep(Duration::from_secs(5)).await;
                    }
                });
            }
            all.join_all().await;
        });
        Self {
            stop,
            dialled,
            runtime: Some(runtime),
        }
    }

    /// Waits until so many have got in, some of them more than once.
    fn wait(&self, count: usize) {
        wait_for("the crowd", || (self.dialled.load(Relaxed) >= count).then_some(()));
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A peer that may open no more than [`FILES`].
fn with_few_files(site: &Site, name: &str) -> Peer {
    let peerchat = program();
    let mut command = Command::new("sh");
    let script = format!(r#"ulimit -n {FILES} && exec "$0" "$@""#);
    command.args(["-c", &script]).arg(peerchat.get_program());
    let settings = peerchat.get_envs();
    for (key, value) in settings {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command.args(["chat", name, "--json", "--no-host-registry", "--registry"]);
    command
        .arg(site.registry.address.to_string())
        .arg("--data")
        .arg(site.data.path());
    let mut peer = Peer::run(name, command);
    peer.wait("ready", |event| event["event"] == "ready");
    peer
}

#[test]
fn a_device_that_takes_all_places_of_a_peer_keeps_no_member_from_what_it_missed() {
    open_files::allow_most();
    let site = Site::new();
    let mut alice = with_few_files(&site, "alice");
    alice.join("lobby");
    let mut bob = site.peer("bob");
    bob.join("lobby");
    bob.quit();
    let mut others = site.room("elsewhere", &["carol", "dave"]);
    let mallory = Fake::log_in(&site, "mallory");
    let mut member = Fake::log_in(&site, "member");
    member.join("lobby");
    alice.see("#lobby", "member");

    let crowd = Crowd::start(address_of(&alice), name_of(&alice), mallory.tls(), FILES);
    crowd.wait(FILES);
    alice.say("missed by bob");
    // Who comes anew dials her as often as he likes.
    for _ in 0..20 {
        assert_eq!(member.ask_version(&alice, room("lobby")).unwrap(), 1);
    }
    let begun = Instant::now();
    let mut bob = site.peer("bob");
    bob.hear("missed by bob");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for n in 0..20 {
        let text = format!("undisturbed {n}");
        others[n % 2].say(&text);
        others[1 - n % 2].hear(&text);
    }
    drop(crowd);
    for peer in others.into_iter().chain([alice, bob]) {
        peer.quit();
    }
    site.assert_same_logs(&["alice", "bob"], "#lobby");
}
