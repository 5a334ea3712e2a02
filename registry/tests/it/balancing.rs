//! nginx before several registries, with the file that sites are given.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    caller::*,
    harness::*,
    proxies::way,
    servers::{Kind, find, free_port},
    shared::{Site, in_the_end},
};

const CONFIG: &str = include_str!("../../../deploy/nginx.conf");

/// A running nginx. Ended when dropped.
pub(crate) struct Nginx {
    child: Child,
    pub(crate) address: String,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts it before these registries; none where it is not installed.
    pub(crate) async fn start(registries: &[&Registry]) -> Option<Self> {
        let modules = Path::new("/usr/lib/nginx/modules/ngx_stream_module.so");
        let Some(program) = find("nginx").filter(|_| modules.exists()) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "nginx and its stream module must be installed"
            );
            println!("skipped: needs nginx with libnginx-mod-stream");
            return None;
        };
        let (folder, address) = (tempfile::tempdir().unwrap(), format!("127.0.0.1:{}", free_port()));
        configure(folder.path(), &address, registries);
        // Debian's line for the module is relative to where everything else of nginx is.
        symlink("/usr/lib/nginx/modules", folder.path().join("modules")).unwrap();
        let command = |test: bool| {
            let mut command = Command::new("setpriv");
            command
                .args(["--pdeathsig", "KILL", "--"])
                .arg(&program)
                .args(["-p", folder.path().to_str().unwrap()]);
            command.args(["-c", "nginx.conf", "-e", "stderr", "-g", "daemon off; pid nginx.pid;"]);
            command
                .args(test.then_some("-t"))
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            command
        };
        let checked = command(true).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let child = command(false).stderr(Stdio::null()).spawn().unwrap();
        in_the_end(async || TcpStream::connect(&address).map(drop)).await;
        Some(Self { child, address, folder })
    }

    /// Goes on before other registries.
    pub(crate) fn reload(&self, registries: &[&Registry]) {
        configure(self.folder.path(), &self.address, registries);
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", "HUP", &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Logs in by way of it.
    async fn log_in(&self, n: u8) -> Caller {
        let channel = dial(&self.address, key(n), endpoint()).await;
        Caller::over(channel, login(&format!("user{n}"), &address(n)))
            .await
            .unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // In order, so that it takes its workers along.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &id]).status();
        let _ = self.child.wait();
    }
}

/// The file as it is shipped, with the addresses of the test.
fn configure(folder: &Path, address: &str, registries: &[&Registry]) -> PathBuf {
    let mut servers = registries.iter().map(|registry| registry.address.clone());
    let mut lines = Vec::new();
    for line in CONFIG.lines() {
        if line.trim_start().starts_with("server registry-") {
            // Of as many lines as there are registries; the last one is repeated.
            let Some(server) = servers.next() else { continue };
            let (_, rest) = line.split_once(":10001").expect("a server has a port");
            lines.push(format!("server {server}{rest}"));
        } else {
            lines.push(line.replace("listen 10001", &format!("listen {address}")));
        }
    }
    assert_eq!(servers.len(), 0, "the file has a line for each");
    let path = folder.join("nginx.conf");
    fs::write(&path, lines.join("\n")).unwrap();
    path
}

/// One more registry, which believes nginx of whom it connects.
pub(crate) fn behind_nginx(site: &Site) -> Registry {
    site.registry_with(&["--proxy-protocol-from", "127.0.0.1"])
}

/// How many have logged in at each.
fn log_ins(registries: &[&Registry]) -> Vec<usize> {
    registries
        .iter()
        .map(|registry| registry.log().matches("logs in").count())
        .collect()
}

#[tokio::test]
async fn nginx_spreads_connections_and_goes_around_what_has_failed() {
    let Some(site) = Site::start(Kind::Postgres).await else {
        return;
    };
    let (a, b) = (behind_nginx(&site), behind_nginx(&site));
    let Some(nginx) = Nginx::start(&[&a, &b]).await else {
        return;
    };
    let mut first = nginx.log_in(0).await;
    first.join("lobby").await.unwrap();
    let mut stream = first.watch(&[]).await;
    let mut callers = Vec::new();
    for n in 1..=8 {
        let mut caller = nginx.log_in(n).await;
        caller.join("lobby").await.unwrap();
        stream.renew(&first.lease, &[]).await;
        assert_eq!(stream.heard().await, format!("#lobby user{n} Here"));
        callers.push(caller);
    }
    let counts = log_ins(&[&a, &b]);
    assert!(
        counts[0] > counts[1] && counts[1] >= 2,
        "the weights are 2 and 1: {counts:?}"
    );

    // Registries see where callers are, and not where nginx is.
    let elsewhere = way(&nginx.address, [127, 0, 0, 2].into(), b"").await;
    let stranger = dial(&elsewhere, key(200), endpoint()).await;
    refused(Caller::over(stranger, login("user0", "127.0.0.1:1")).await);
    assert_eq!(stream.heard().await, "attempt 200 127.0.0.2 Refused");

    // Another one is added: nobody is disturbed, and it gets its share.
    let c = behind_nginx(&site);
    nginx.reload(&[&a, &b, &c]);
    let deadline = Instant::now() + SOON;
    let mut n = 9;
    while log_ins(&[&c])[0] == 0 {
        assert!(Instant::now() < deadline, "the new one gets nobody");
        let mut caller = nginx.log_in(n).await;
        caller.join("lobby").await.unwrap();
        stream.renew(&first.lease, &[]).await;
        assert_eq!(stream.heard().await, format!("#lobby user{n} Here"));
        callers.push(caller);
        n += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // One is killed: whoever comes is given another one at once.
    drop(b);
    for n in 100..106 {
        let mut caller = nginx.log_in(n).await;
        assert!(
            caller
                .join("tea")
                .await
                .unwrap()
                .members
                .iter()
                .any(|member| member.device.to_vec() == device(n))
        );
        callers.push(caller);
    }
}
