//! Where a value is in an event.

use serde::Deserialize;

use crate::json::Json;

/// A place in an event, written `metadata:/a/b` or `data:/a/0`; `~1` is a slash in a name and `~0` a tilde.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer {
    is_in_data: bool,
    names: Vec<String>,
}

impl Pointer {
    pub(crate) fn metadata(name: &str) -> Self {
        Self { is_in_data: false, names: vec![name.to_owned()] }
    }
}

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = [("metadata:/", false), ("data:/", true)]
            .into_iter()
            .find_map(|(start, is_in_data)| Some((text.strip_prefix(start)?, is_in_data)));
        let (path, is_in_data) =
            found.ok_or_else(|| format!("{text:?} must begin with metadata:/ or data:/"))?;
        // In this order: ~01 is the name ~1.
        let names = path.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
        Ok(Self { is_in_data, names })
    }
}

/// Metadata and data of an event; what is not a JSON object contains nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Documents<'a> {
    pub(crate) metadata: Option<&'a Json>,
    pub(crate) data: Option<&'a Json>,
}

impl<'a> Documents<'a> {
    /// The value at a pointer; a null is none.
    pub(crate) fn find(&self, pointer: &Pointer) -> Option<&'a Json> {
        let document = if pointer.is_in_data { self.data } else { self.metadata };
        let object = document.filter(|document| matches!(document, Json::Object(_)))?;
        let found = pointer.names.iter().try_fold(object, |value, name| value.at(name))?;
        Some(found).filter(|value| **value != Json::Null)
    }

    /// The first value that is there.
    pub(crate) fn first<'p>(&self, pointers: impl IntoIterator<Item = &'p Pointer>) -> Option<&'a Json> {
        pointers.into_iter().find_map(|pointer| self.find(pointer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_not_null() {
        let data = Json::parse(br#"{"a":{"b/~":[null,7]},"":1}"#).unwrap();
        let documents = Documents { metadata: None, data: Some(&data) };
        let find = |text: &str| {
            let pointer = Pointer::try_from(text.to_owned()).unwrap();
            documents.find(&pointer).map(ToString::to_string)
        };
        assert_eq!(find("data:/a/b~1~0/1").as_deref(), Some("7"));
        assert_eq!(find("data:/").as_deref(), Some("1"));
        for nothing in ["data:/a/b~1~0/0", "data:/a/b~1~0/2", "data:/x", "metadata:/a", "data:/a/c/d"] {
            assert_eq!(find(nothing), None, "{nothing}");
        }
        assert!(Pointer::try_from("/a".to_owned()).unwrap_err().contains("metadata:/"));
        let array = Json::parse(b"[1]").unwrap();
        let documents = Documents { metadata: Some(&array), data: None };
        assert_eq!(documents.find(&Pointer::metadata("0")), None);
    }
}
