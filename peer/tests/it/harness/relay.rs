//! A way to a registry that a test can break: whoever comes is handed on to it, byte for byte.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use super::{lasting_address, wait_for};

/// A relay at an address that stays the same when it is killed and started again.
pub struct Relay {
    pub address: SocketAddr,
    target: SocketAddr,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_up: bool,
    /// Nothing passes.
    is_held: bool,
    open: Vec<TcpStream>,
}

impl Relay {
    pub fn start(target: SocketAddr) -> Self {
        let mut relay = Self::down(target);
        relay.restart();
        relay
    }

    /// One at whose address nothing listens yet.
    pub fn down(target: SocketAddr) -> Self {
        Self {
            address: lasting_address(),
            target,
            gate: Arc::default(),
        }
    }

    /// Listens again.
    pub fn restart(&mut self) {
        let listener = wait_for("the relay's port", || TcpListener::bind(self.address).ok());
        self.gate.state.lock().unwrap().is_up = true;
        let (gate, target) = (Arc::clone(&self.gate), self.target);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if !gate.state.lock().unwrap().is_up {
                    break;
                }
                carry(&gate, near, target);
            }
        });
    }

    /// Nothing listens there any more, and every connection is broken.
    pub fn kill(&mut self) {
        let mut state = self.gate.state.lock().unwrap();
        for stream in state.open.drain(..) {
            // It is closed already where this fails.
            let _closed = stream.shutdown(Shutdown::Both);
        }
        (state.is_up, state.is_held) = (false, false);
        drop(state);
        self.gate.changed.notify_all();
        // Whoever waits for a caller notices with the next one.
        wait_for("the end of the relay", || {
            TcpStream::connect(self.address).is_err().then_some(())
        });
    }

    /// From now on nothing passes, until it is killed.
    pub fn hold(&self) {
        self.gate.state.lock().unwrap().is_held = true;
    }
}

fn carry(gate: &Arc<Gate>, near: TcpStream, target: SocketAddr) -> Option<()> {
    let far = TcpStream::connect(target).ok()?;
    near.set_nodelay(true).ok()?;
    far.set_nodelay(true).ok()?;
    let clone = |stream: &TcpStream| stream.try_clone().unwrap();
    gate.state.lock().unwrap().open.extend([clone(&near), clone(&far)]);
    for (from, to) in [(clone(&near), clone(&far)), (far, near)] {
        let gate = Arc::clone(gate);
        thread::spawn(move || copy(&gate, from, to));
    }
    Some(())
}

/// Copies until either end is closed, and closes the other one.
fn copy(gate: &Gate, mut from: TcpStream, mut to: TcpStream) {
    let mut part = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut part) {
        let state = gate.state.lock().unwrap();
        drop(gate.changed.wait_while(state, |state| state.is_held).unwrap());
        if to.write_all(&part[..length]).is_err() {
            break;
        }
    }
    let _closed = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
}
