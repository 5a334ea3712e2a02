//! A network between the peers that a test can part: a proxy stands in front of every peer, and knows which process dials.
//!
//! A peer is announced with its proxy's address, so everything that others want of it goes through there: links, versions and
//! histories. The registry stays in reach of all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::harness::{Peer, Site, wait_for};

/// The network of a site.
#[derive(Default)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Whose process has a process id.
    processes: BTreeMap<u32, String>,
    /// The peers' proxies, and where their peers listen now.
    proxies: BTreeMap<String, SocketAddr>,
    peers: BTreeMap<String, SocketAddr>,
    cut: BTreeSet<(String, String)>,
    /// The connections that are open, each with both sockets.
    open: Vec<(String, String, TcpStream, TcpStream)>,
    /// How many connections were refused, since the two must not reach one another.
    refused: usize,
}

impl State {
    fn is_cut(&self, one: &str, other: &str) -> bool {
        self.cut.contains(&pair(one, other))
    }
}

fn pair(one: &str, other: &str) -> (String, String) {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    (first.to_owned(), second.to_owned())
}

impl Network {
    /// Starts a peer of a site behind its proxy, and waits until it is ready.
    pub fn peer(&self, site: &Site, name: &str) -> Peer {
        let known = self.state.lock().unwrap().proxies.get(name).copied();
        let proxy = known.unwrap_or_else(|| self.start_proxy(name));
        let args = ["--advertise", &proxy.to_string()];
        let mut peer = Peer::spawn(site.data.path(), &site.registry.address.to_string(), name, &args);
        let id = peer.child.id();
        self.state.lock().unwrap().processes.insert(id, name.to_owned());
        let ready = peer.wait("ready", |event| event["event"] == "ready");
        let listen = ready["listen"].as_str().unwrap().parse().unwrap();
        self.state.lock().unwrap().peers.insert(name.to_owned(), listen);
        peer
    }

    /// Starts peers and puts all of them into a room.
    pub fn room(&self, site: &Site, room: &str, names: &[&str]) -> Vec<Peer> {
        let mut peers: Vec<Peer> = names.iter().map(|name| self.peer(site, name)).collect();
        for peer in &mut peers {
            peer.join(room);
        }
        for peer in &peers {
            for other in names.iter().filter(|name| **name != peer.name) {
                peer.see(&format!("#{room}"), other);
            }
        }
        peers
    }

    /// From now on those of one group and those of the other do not reach one another.
    pub fn cut(&self, ones: &[&str], others: &[&str]) {
        let mut state = self.state.lock().unwrap();
        for one in ones {
            state.cut.extend(others.iter().map(|other| pair(one, other)));
        }
        let state = &mut *state;
        for (from, to, near, far) in &state.open {
            if state.cut.contains(&pair(from, to)) {
                // It is closed already where this fails.
                let _closed = (near.shutdown(Shutdown::Both), far.shutdown(Shutdown::Both));
            }
        }
        state.open.retain(|(from, to, ..)| !state.cut.contains(&pair(from, to)));
    }

    /// From now on all reach one another.
    pub fn heal(&self) {
        self.state.lock().unwrap().cut.clear();
    }

    /// Waits until one side of what was just cut has dialled the other in vain.
    pub fn wait_refused(&self) {
        let before = self.state.lock().unwrap().refused;
        wait_for("a refused connection", || {
            (self.state.lock().unwrap().refused > before).then_some(())
        });
    }

    fn start_proxy(&self, name: &str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        self.state.lock().unwrap().proxies.insert(name.to_owned(), address);
        let (state, name) = (Arc::clone(&self.state), name.to_owned());
        // The thread ends with the test's process.
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let (state, name) = (Arc::clone(&state), name.clone());
                thread::spawn(move || carry(&state, &name, near));
            }
        });
        address
    }
}

/// Carries one connection to the peer `to`, unless it is from one that must not reach it.
fn carry(state: &Mutex<State>, to: &str, near: TcpStream) -> Option<()> {
    let from = dialler(state, &near)?;
    let target = *state.lock().unwrap().peers.get(to)?;
    let far = TcpStream::connect(target).ok()?;
    near.set_nodelay(true).ok()?;
    far.set_nodelay(true).ok()?;
    let clone = |stream: &TcpStream| stream.try_clone().unwrap();
    {
        // Under one lock, so that no connection slips through while a cut is made.
        let mut state = state.lock().unwrap();
        if state.is_cut(&from, to) {
            state.refused += 1;
            return None;
        }
        state.open.push((from, to.to_owned(), clone(&near), clone(&far)));
    }
    let (near_too, far_too) = (clone(&near), clone(&far));
    let back = thread::spawn(move || copy(far_too, near_too));
    copy(near, far);
    back.join().unwrap();
    Some(())
}

/// Copies until either end is closed, and closes the other one.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    // However it ended, the connection is over.
    let _ended = io::copy(&mut from, &mut to);
    let _closed = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
}

/// Which peer has dialled: the one whose process holds the other end of the connection. None where that end is closed already.
fn dialler(state: &Mutex<State>, near: &TcpStream) -> Option<String> {
    let (dialler, proxy) = (near.peer_addr().ok()?, near.local_addr().ok()?);
    let mut tries = 0..500;
    loop {
        let inode = socket_inode(dialler, proxy)?;
        let processes = state.lock().unwrap().processes.clone();
        let found = processes.into_iter().find(|(process, _)| holds(*process, &inode));
        if let Some((_, name)) = found {
            return Some(name);
        }
        // A process that was just started may dial before it is registered here.
        tries.next()?;
        thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn socket_inode(local: SocketAddr, remote: SocketAddr) -> Option<String> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    // 127.0.0.1 is little-endian there: 0100007F:PORT.
    let port = |field: &str| u16::from_str_radix(field.split_once(':')?.1, 16).ok();
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = port(fields[1]) == Some(local.port()) && port(fields[2]) == Some(remote.port());
        (is_it && fields[9] != "0").then(|| fields[9].to_owned())
    })
}

fn holds(process: u32, inode: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    let socket = format!("socket:[{inode}]");
    files
        .filter_map(Result::ok)
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| target.as_os_str() == socket.as_str())
}
