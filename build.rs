//! Compiles the contract in `proto/` without protoc, and keeps its descriptor set for server reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const PROTO_FILES: [&str; 6] = [
    "peerchat/v1/entry.proto",
    "peerchat/v1/chat.proto",
    "peerchat/v1/routing.proto",
    "peerchat/v1/account.proto",
    "peerchat/v1/cluster.proto",
    "peerchat/v1/ledger.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::Compiler::new(["proto"])?
        .include_source_info(true)
        .include_imports(true)
        .open_files(PROTO_FILES)?
        .file_descriptor_set();
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("peerchat_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Entries are passed on as the bytes that were hashed: sliced out of the frame, never copied.
        .bytes(".peerchat.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
