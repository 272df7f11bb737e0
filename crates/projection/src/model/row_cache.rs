//! Rows that a view has read or written, so that they need not be read again.

use lru::LruCache;

/// Bytes of keys and rows that a view keeps at most.
const MAX_BYTES: usize = 32 << 20;

/// What an entry takes besides its key and its row, measured with `heaptrack`.
const OVERHEAD: usize = 128;

/// A row as Postgres has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CachedRow {
    /// The row as Postgres returns it.
    pub(crate) json: Box<str>,
    /// The transaction that wrote it: while the row has it, it is unchanged.
    pub(crate) xmin: u32,
}

/// The rows used last, by the JSON of their keys. A row in it may be stale: whoever writes it compares `xmin`.
#[derive(Debug)]
pub(crate) struct RowCache {
    rows: LruCache<Box<str>, CachedRow>,
    bytes: usize,
    limit: usize,
}

impl Default for RowCache {
    fn default() -> Self {
        Self::with_limit(MAX_BYTES)
    }
}

impl RowCache {
    fn with_limit(limit: usize) -> Self {
        Self { rows: LruCache::unbounded(), bytes: 0, limit }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<&CachedRow> {
        self.rows.get(key)
    }

    pub(crate) fn put(&mut self, key: &str, row: CachedRow) {
        self.bytes += size(key, &row);
        match self.rows.get_mut(key) {
            Some(known) => self.bytes -= size(key, &std::mem::replace(known, row)),
            None => drop(self.rows.push(key.into(), row)),
        }
        while self.bytes > self.limit
            && let Some((key, row)) = self.rows.pop_lru()
        {
            self.bytes -= size(&key, &row);
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(row) = self.rows.pop(key) {
            self.bytes -= size(key, &row);
        }
    }
}

fn size(key: &str, row: &CachedRow) -> usize {
    key.len() + row.json.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> CachedRow {
        CachedRow { json: json.into(), xmin: 7 }
    }

    #[test]
    fn the_rows_used_last_are_kept_within_the_limit() {
        let mut cache = RowCache::with_limit(3 * (OVERHEAD + 3));
        for key in ["a", "b", "c"] {
            cache.put(key, row("{}"));
        }
        assert!(cache.get("a").is_some());
        cache.put("d", row("{}"));
        assert_eq!(cache.get("b"), None);
        assert_eq!(cache.get("a"), Some(&row("{}")));

        // The new row of a key takes the place of the old one.
        cache.put("a", row("[]"));
        assert_eq!(cache.get("a"), Some(&row("[]")));
        assert_eq!(cache.bytes, 3 * (OVERHEAD + 3));
        cache.remove("a");
        cache.remove("a");
        assert_eq!(cache.bytes, 2 * (OVERHEAD + 3));
        // A row that does not fit is not kept, and pushes everything out.
        cache.put("e", row(&"x".repeat(4 * OVERHEAD)));
        assert_eq!(cache.get("e"), None);
        assert_eq!(cache.bytes, 0);
    }
}
