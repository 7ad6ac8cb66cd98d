//! Compiles the contract with protox (pure Rust), so that no `protoc` is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = "../../proto";
    println!("cargo::rerun-if-changed={proto}");
    let descriptors = protox::compile(["openim/bridge/v1/friend.proto", "openim/bridge/v1/user.proto"], [proto])?;
    // For gRPC reflection.
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_client(false).generate_default_stubs(true).compile_fds(descriptors)?;
    Ok(())
}
