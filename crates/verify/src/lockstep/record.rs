//! A record, and what it says about its event.

/// A committed record, as a consumer reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// How many more it has, whose names are not UTF-8.
    pub unnamed_headers: usize,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// The first header of that name, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        str::from_utf8(value).ok()
    }

    /// Bytes of key, headers and value.
    pub(crate) fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        headers + self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }

    /// A header that is a whole number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }
}

/// The id of the writer's schema, if the value is in Confluent's wire format.
pub(crate) fn schema_id(record: &Record) -> Option<u32> {
    match record.value.as_deref()? {
        [0, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}
