//! The shop's own binaries on the product's configuration file.

use std::path::Path;
use std::process::Command;

const BINARIES: [&str; 3] = [
    env!("CARGO_BIN_EXE_shop-users"),
    env!("CARGO_BIN_EXE_shop-orders"),
    env!("CARGO_BIN_EXE_shop-inventory"),
];

fn sample() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/local/aqueduct.toml");
    std::fs::read_to_string(path).unwrap()
}

/// What a binary says of a configuration that it can't use.
fn said(binary: &str, configuration: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aqueduct.toml");
    let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas");
    std::fs::write(&file, configuration.replace("../../schemas", schemas)).unwrap();
    let output = Command::new(binary).arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{binary}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_sample_is_read_and_lacks_only_addresses() {
    for binary in BINARIES {
        let said = said(binary, &sample());
        assert!(said.contains("`eventstore.url` is not configured"), "{binary}: {said}");
        assert!(said.contains("AQUEDUCT_EVENTSTORE__URL"), "{binary}: {said}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    for binary in BINARIES {
        let name = Path::new(binary).file_name().unwrap();
        for (header, line, says) in [
            ("[http]", "user = 'a'", "there is no key `http.user`, did you mean `users`?"),
            ("[eventstore]", "uri = 'a'", "there is no key `eventstore.uri`, did you mean `url`?"),
            ("[projection]", "batchs = 1", "there is no key `projection.batchs`, did you mean `batch_size`?"),
            ("[projection]", "[projections]", "there is no key `projections`, did you mean `projection`?"),
        ] {
            let said = said(binary, &sample().replacen(header, &format!("{header}\n{line}"), 1));
            assert!(said.contains(says), "{name:?}: {said}");
        }
    }
}
