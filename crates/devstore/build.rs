//! Generates the gRPC code from `protos/` with protox, so that no `protoc` has to be installed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=protos");
    let descriptors = protox::compile(["streams.proto", "serverfeatures.proto", "gossip.proto"], ["protos"])?;
    tonic_build::configure()
        // The binding to tonic's transport is only for the client's `connect`, which nobody needs here.
        .build_client(false)
        // Payloads are handed on without a copy.
        .bytes(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
