//! Compiles the bridge's own contract, as the bridge does.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../../../proto";
    println!("cargo::rerun-if-changed={proto}");
    let files = ["friend", "group", "message", "push"].map(|part| format!("openim/bridge/v1/{part}.proto"));
    let descriptors = protox::compile(files, [proto])?;
    tonic_prost_build::configure().build_server(false).build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
