//! Schema folders made up for a test.

use std::path::Path;

use aqueduct_schema::{LoadError, SchemaSet};
use serde_json::{Value, json};

/// Loads the files (path and text); with an error, its text without the folder's own path.
pub(crate) fn load(files: &[(&str, &str)]) -> Result<SchemaSet, String> {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    SchemaSet::load(folder.path()).map_err(|error| relative(&error, folder.path()))
}

fn relative(error: &LoadError, folder: &Path) -> String {
    error.to_string().replace(&format!("{}/", folder.display()), "")
}

/// An event `a.Happened` with these fields, as versions 1, 2 …
pub(crate) fn versions(of: &[Value]) -> Result<SchemaSet, String> {
    let texts: Vec<_> = of
        .iter()
        .zip(1..)
        .map(|(fields, n)| (format!("a/Happened/v{n}.avsc"), event("Happened", fields)))
        .collect();
    let files: Vec<_> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    load(&files)
}

pub(crate) fn event(name: &str, fields: &Value) -> String {
    json!({"type": "record", "name": name, "namespace": "a", "fields": fields}).to_string()
}
