//! Redis behind Sentinel, Redis as a cluster and Redis over TLS, found and found again by the registries.

use std::{
    fs,
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::{
    caller::*,
    harness::*,
    servers::{find, free_port, secret},
    shared::in_the_end,
};

/// A Redis of some kind. Killed when dropped.
struct Part {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Part {
    /// With these lines of configuration, in which PORT stands for where it listens.
    async fn start(config: &str) -> Option<Self> {
        let Some(program) = find("redis-server") else {
            assert!(std::env::var_os("CI").is_none(), "redis-server must be installed");
            println!("skipped: needs redis-server");
            return None;
        };
        // A server of a cluster listens 10,000 above it, too.
        let mut ports = std::iter::repeat_with(free_port);
        let port = ports.find(|port| *port < 55_536).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("redis.conf");
        let all = format!(
            "port {port}\nbind 127.0.0.1\nsave \"\"\ndir {}\n{}\n",
            folder.path().display(),
            config.replace("PORT", &port.to_string()),
        );
        fs::write(&file, all).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).arg(&file);
        if config.contains("sentinel") {
            command.arg("--sentinel");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        in_the_end(async || TcpStream::connect(("127.0.0.1", port)).map(drop)).await;
        Some(Self {
            child,
            port,
            _folder: folder,
        })
    }

    async fn ask(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(("127.0.0.1", self.port))?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn registry(folder: &tempfile::TempDir, url: &str) -> Registry {
    registry_by(program(), folder, url)
}

fn registry_by(command: Command, folder: &tempfile::TempDir, url: &str) -> Registry {
    let (file, data, accounts) = (
        folder.path().join("routes"),
        folder.path().join("data"),
        folder.path().join("accounts"),
    );
    secret(&file, url);
    let arguments = [
        "--data",
        data.to_str().unwrap(),
        "--accounts",
        &format!("sqlite:{}", accounts.display()),
        "--routes-file",
        file.to_str().unwrap(),
    ];
    Registry::start_by(command, &arguments)
}

async fn two_hear_of_each_other(a: &Registry, b: &Registry) {
    let (mut alice, mut bob) = (Caller::log_in(a, "alice", 1).await, Caller::log_in(b, "bob", 2).await);
    let mut stream = alice.watch(&[]).await;
    alice.join("lobby").await.unwrap();
    assert_eq!(bob.join("lobby").await.unwrap().members.len(), 2);
    assert_eq!(stream.heard().await, "#lobby bob Here");
    bob.leave("lobby").await.unwrap();
    assert_eq!(stream.heard().await, "#lobby bob Left");
}

#[tokio::test]
async fn a_cluster_has_the_table_on_the_server_of_its_slot() {
    let cluster = "cluster-enabled yes\ncluster-node-timeout 2000";
    let Some(first) = Part::start(cluster).await else {
        return;
    };
    let second = Part::start(cluster).await.unwrap();
    first.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]).await.unwrap();
    second
        .ask(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"])
        .await
        .unwrap();
    first
        .ask(&["CLUSTER", "MEET", "127.0.0.1", &second.port.to_string()])
        .await
        .unwrap();
    for part in [&first, &second] {
        in_the_end(async || match part.ask(&["CLUSTER", "INFO"]).await.unwrap() {
            redis::Value::BulkString(text) if String::from_utf8_lossy(&text).contains("cluster_state:ok") => Ok(()),
            other => Err(other),
        })
        .await;
    }
    let folder = tempfile::tempdir().unwrap();
    // Whichever is asked says who has the slot.
    let a = registry(&folder, &format!("redis+cluster://127.0.0.1:{}", first.port));
    let b = registry(
        &folder,
        &format!("redis+cluster://127.0.0.1:1,127.0.0.1:{}", second.port),
    );
    two_hear_of_each_other(&a, &b).await;
}

#[tokio::test]
async fn sentinel_names_the_master_also_after_it_has_failed() {
    let Some(first) = Part::start("").await else { return };
    let second = Part::start(&format!("replicaof 127.0.0.1 {}", first.port))
        .await
        .unwrap();
    in_the_end(async || match second.ask(&["INFO", "replication"]).await.unwrap() {
        redis::Value::BulkString(text) if String::from_utf8_lossy(&text).contains("master_link_status:up") => Ok(()),
        other => Err(other),
    })
    .await;
    let watched = format!(
        "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000",
        first.port
    );
    let sentinel = Part::start(&watched).await.unwrap();
    // It has to have seen the replica before the master fails.
    in_the_end(
        async || match sentinel.ask(&["SENTINEL", "replicas", "main"]).await.unwrap() {
            redis::Value::Array(replicas) if !replicas.is_empty() => Ok(()),
            other => Err(other),
        },
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    // One that knows of no other Sentinel and names a master that is not there.
    let lost = format!("sentinel monitor main 127.0.0.1 {} 2", free_port());
    let lost = Part::start(&lost).await.unwrap();
    let url = format!(
        "redis+sentinel://127.0.0.1:1,127.0.0.1:{},127.0.0.1:{}/main",
        lost.port, sentinel.port
    );
    let (a, b) = (registry(&folder, &url), registry(&folder, &url));
    two_hear_of_each_other(&a, &b).await;

    drop(first);
    let back = in_the_end(async || Caller::try_log_in(&a, 1, login("alice", "127.0.0.1:1")).await).await;
    drop(back);
    in_the_end(async || Caller::try_log_in(&b, 2, login("bob", "127.0.0.1:1")).await).await;
    two_hear_of_each_other(&a, &b).await;
}

/// Certificates and keys as Redis reads them from files.
fn pem(what: &str, der: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

#[tokio::test]
async fn over_tls_with_an_authority_of_the_sites_own() {
    let folder = tempfile::tempdir().unwrap();
    let (own, key) = (|name: &str| folder.path().join(name), KeyPair::generate);
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (authority_key, server_key) = (key().unwrap(), key().unwrap());
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&server_key, &issuer).unwrap();
    fs::write(own("root.pem"), pem("CERTIFICATE", root.der())).unwrap();
    fs::write(own("server.pem"), pem("CERTIFICATE", server.der())).unwrap();
    secret(&own("server.key"), &pem("PRIVATE KEY", &server_key.serialize_der()));
    let config = format!(
        "port 0\ntls-port PORT\ntls-auth-clients no\nrequirepass hunter2\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}",
        own("server.pem").display(),
        own("server.key").display(),
        own("root.pem").display(),
    );
    let Some(redis) = Part::start(&config).await else {
        return;
    };
    let url = format!("rediss://:hunter2@127.0.0.1:{}", redis.port);
    let trusting = || {
        let mut command = program();
        command.env("SSL_CERT_FILE", own("root.pem"));
        registry_by(command, &folder, &url)
    };
    let (a, b) = (trusting(), trusting());
    two_hear_of_each_other(&a, &b).await;
    // Whom nobody vouches for is not believed.
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--routes-file",
        &own("routes").display().to_string(),
    ];
    let (code, text) = run(&arguments).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("certificate") && !text.contains("hunter2"), "{text}");
}
