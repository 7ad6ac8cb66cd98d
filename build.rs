//! Compiles the public contract in `proto/` with protox (pure Rust), so that no `protoc` is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 2] = ["proto/openim/bridge/v1/decision.proto", "proto/openim/bridge/v1/friend.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    // For gRPC reflection in the mock, and for the test that holds the registry against the contract.
    let out = PathBuf::from(env::var("OUT_DIR")?).join("openim_bridge_descriptor.bin");
    fs::write(out, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
