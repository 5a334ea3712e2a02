//! Two networks with one way between them, which a test can break: network namespaces, which need no root where the kernel lets every
//! user have them.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
};

use super::{Spot, skipped};

const DEVICE: &str = "way";

/// Where frames go that nobody is to get: a hardware address that no device has.
const NOWHERE: &str = "02:00:00:00:00:99";

/// The two networks, which end with this. Each is kept by a process in it that does nothing.
pub struct Networks {
    keepers: [Child; 2],
}

impl Networks {
    /// None where this machine does not allow it; what is cut by relays is tested there all the same.
    pub fn new() -> Option<Self> {
        for tool in ["ip", "unshare", "nsenter"] {
            let found =
                Command::new(tool).arg("--version").output().is_ok() || Command::new(tool).arg("-V").output().is_ok();
            if !found {
                skipped(&format!("{tool}, of iproute2 or util-linux"));
                return None;
            }
        }
        let Some(first) = keeper(Command::new("unshare").arg("-rn")) else {
            println!("skipped: needs network namespaces");
            return None;
        };
        let second = keeper(&mut enter(first.id(), &["unshare", "-n"]));
        let networks = Self {
            keepers: [first, second.expect("one more namespace")],
        };
        let other = networks.keepers[1].id().to_string();
        let made = [
            "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", &other,
        ];
        if !networks.ip(0, &made) {
            println!("skipped: needs virtual network devices");
            return None;
        }
        for side in [0, 1] {
            let address = format!("{}/24", Self::host(side));
            assert!(networks.ip(side, &["link", "set", "lo", "up"]));
            assert!(networks.ip(side, &["addr", "add", &address, "dev", DEVICE]));
            assert!(networks.ip(side, &["link", "set", DEVICE, "up"]));
        }
        Some(networks)
    }

    /// The address of everything on one side, 0 or 1.
    pub fn host(side: usize) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, [1, 2][side]).into()
    }

    /// An address for a registry. Ports are free, as nobody else is there.
    pub fn address(side: usize, port: u16) -> SocketAddr {
        (Self::host(side), port).into()
    }

    /// Where programs of one side run.
    pub fn spot(&self, side: usize) -> Spot {
        let command = enter(self.keepers[side].id(), &["--"]);
        let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
        Spot::behind(&words)
    }

    /// From now on nothing comes through, and nobody is told so: what is sent goes to a device that is not there.
    pub fn part(&self) {
        for side in [0, 1] {
            let other = Self::host(1 - side).to_string();
            assert!(self.ip(
                side,
                &[
                    "neigh",
                    "replace",
                    &other,
                    "lladdr",
                    NOWHERE,
                    "dev",
                    DEVICE,
                    "nud",
                    "permanent"
                ]
            ));
        }
    }

    /// From now on everything comes through.
    pub fn heal(&self) {
        for side in [0, 1] {
            let other = Self::host(1 - side).to_string();
            assert!(self.ip(side, &["neigh", "del", &other, "dev", DEVICE]));
        }
    }

    fn ip(&self, side: usize, words: &[&str]) -> bool {
        let mut command = enter(self.keepers[side].id(), &["--", "ip"]);
        command.args(words).status().unwrap().success()
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
            let _ = keeper.kill();
            let _ = keeper.wait();
        }
    }
}

/// A command in the network of a process.
fn enter(process: u32, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command
        .args([
            "--target",
            &process.to_string(),
            "--user",
            "--net",
            "--preserve-credentials",
        ])
        .args(words);
    command
}

/// A process that stays where a command has brought it, until its input ends. None where it is not let in.
fn keeper(command: &mut Command) -> Option<Child> {
    let mut child = command
        .arg("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // It answers once it is there. Where it is not let in, its input is closed, or nothing comes back.
    let asked = child
        .stdin
        .as_mut()
        .is_some_and(|stdin| stdin.write_all(b"there?\n").is_ok());
    let mut line = String::new();
    let answered = BufReader::new(child.stdout.take()?)
        .read_line(&mut line)
        .is_ok_and(|length| length > 0);
    if asked && answered {
        return Some(child);
    }
    let _ = child.wait();
    None
}
