//! What this machine can do at best, with as little as possible: the measure for what the product adds. Each end is a process of its
//! own, as peers are.
//!
//! `mesh` is gRPC over mutual TLS without anything of Peerchat, `tcp` a bare socket, `disk` one sync.

mod calls;
mod disk;
mod mesh;
mod part;
mod tcp;

pub use self::{disk::syncs, mesh::Mesh, part::run, tcp::Echo as TcpEcho};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// What an end of a floor is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum FloorOrder {
    /// Echo gRPC streams. Answered by `Ready`.
    Serve(Papers),
    /// Open a stream to each of these. Answered by `Done`.
    Dial {
        /// Whom.
        to: Vec<To>,
    },
    /// Send to all, and wait until all have answered, so often. Answered by `Samples`.
    Talk {
        /// How often.
        count: u64,
        /// How many bytes.
        payload: usize,
    },
    /// Send as fast as it goes. Answered by `Streamed`.
    Stream {
        /// How many messages.
        count: u64,
        /// How many bytes each.
        payload: usize,
    },
    /// Ask the first one who was dialled for messages, all with one question. Answered by `Streamed`.
    Many {
        /// For how many.
        count: u64,
        /// How many bytes each.
        payload: usize,
    },
    /// Ask for a message at a time over all connections that were dialled. Answered by `Streamed`, with how long each took.
    One {
        /// How many questions are under way over each connection.
        at_once: usize,
        /// How often.
        count: u64,
        /// How many bytes.
        payload: usize,
    },
    /// Echo bare sockets. Answered by `Ready`.
    ServeTcp,
    /// Send and wait for the echo over a bare socket. Answered by `Samples`.
    TalkTcp {
        /// With whom.
        to: String,
        /// How often.
        count: u64,
        /// How many bytes.
        payload: usize,
    },
}

/// Who an end is, in hexadecimal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Papers {
    /// The key as PKCS#8.
    pub key: String,
    /// The certificate.
    pub certificate: String,
    /// The authority that issued all.
    pub authority: String,
}

/// Another end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct To {
    /// HOST:PORT.
    pub address: String,
    /// Its device, in hexadecimal.
    pub device: String,
}

fn to_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn from_hex(text: &str) -> anyhow::Result<Vec<u8>> {
    Ok(HEXLOWER.decode(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_hexadecimal_is_read() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)).unwrap(), bytes);
        assert!(from_hex("0").is_err() && from_hex("xy").is_err() && from_hex("ää").is_err());
    }
}
