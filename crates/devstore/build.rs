//! Generates the gRPC code from `protos/` with protox, so that no `protoc` has to be installed.

use std::{env, error::Error, fs, path::Path};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=protos");
    let descriptors = protox::compile(["streams.proto", "serverfeatures.proto", "gossip.proto"], ["protos"])?;
    // For the tests, which speak to the server in messages made from JSON.
    let path = Path::new(&env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(path, descriptors.encode_to_vec())?;
    tonic_build::configure()
        // The binding to tonic's transport is only for the client's `connect`, which nobody needs here.
        .build_client(false)
        // Payloads are handed on without a copy.
        .bytes(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
