//! Compiles the bridge's contract and the transcoders'.

use std::env;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-env-changed=GOOGLEAPIS");
    let googleapis = env::var("GOOGLEAPIS")
        .map_err(|_| "GOOGLEAPIS must name the folder that holds google/api/annotations.proto: see ../build")?;
    let includes = ["../../../proto", "../proto", &googleapis];
    for include in &includes[..2] {
        println!("cargo::rerun-if-changed={include}");
    }
    let bridge = ["friend", "group", "message", "push"].map(|part| format!("openim/bridge/v1/{part}.proto"));
    let files = bridge.into_iter().chain(["bench/v1/openim.proto".to_owned()]);
    // The annotation is for the transcoders alone: nothing of google.api is wanted as code.
    let mut descriptors = protox::compile(files, includes)?;
    descriptors.file.retain(|file| file.package() != "google.api");
    tonic_prost_build::configure()
        .build_client(false)
        .generate_default_stubs(true)
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
