//! The contract of Peerchat, generated from `proto/peerchat/v1/*.proto`.
//!
//! Only the edges of the programs use these types: they convert them into types of their own, which are valid by
//! construction.

pub mod base32;
pub mod names;

/// Messages and services of package `peerchat.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("peerchat.v1");
}

/// The encoded `FileDescriptorSet` of the contract, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/peerchat_descriptor.bin"));
