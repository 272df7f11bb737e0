//! The deduplication tables in Postgres, through their SQL functions (`migrations/`).

pub(crate) mod chain;
pub(crate) mod entry;
pub(crate) mod ownership;
pub(crate) mod park;
pub(crate) mod reason_code;
pub(crate) mod statement;
pub(crate) mod verdict;

use std::sync::Arc;

use foldhash::HashMap;
use parking_lot::Mutex;
use sqlx::PgPool;

/// The generation in the tables' keys. Rebuilds will use others.
pub(crate) const GENERATION: i32 = 1;

/// Ids of a projection's inboxes, which are created when they are first needed.
#[derive(Debug)]
pub(crate) struct Inboxes {
    projection: &'static str,
    /// By topic and source.
    known: Mutex<HashMap<Arc<str>, HashMap<String, i32>>>,
}

impl Inboxes {
    pub(crate) fn new(projection: &'static str) -> Self {
        Self { projection, known: Mutex::default() }
    }

    pub(crate) async fn id(&self, pool: &PgPool, source: &str, topic: &Arc<str>) -> Result<i32, sqlx::Error> {
        let known = self.known.lock().get(topic).and_then(|sources| sources.get(source)).copied();
        if let Some(id) = known {
            return Ok(id);
        }
        let id: i32 = sqlx::query_scalar("select aqueduct.inbox_of($1, $2, $3, $4)")
            .bind(self.projection)
            .bind(GENERATION)
            .bind(source)
            .bind(&**topic)
            .fetch_one(pool)
            .await?;
        self.known.lock().entry(Arc::clone(topic)).or_default().insert(source.to_owned(), id);
        Ok(id)
    }
}
