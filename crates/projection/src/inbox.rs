//! The deduplication tables in Postgres, through their SQL functions (`migrations/`).

pub(crate) mod chain;
pub(crate) mod entry;
pub(crate) mod ownership;
pub(crate) mod park;
pub(crate) mod reason_code;
pub(crate) mod statement;
pub(crate) mod verdict;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::PgPool;

/// The generation in the tables' keys. Rebuilds will use others.
pub(crate) const GENERATION: i32 = 1;

/// Ids of a projection's inboxes, which are created when they are first needed.
#[derive(Debug)]
pub(crate) struct Inboxes {
    projection: &'static str,
    known: Mutex<HashMap<(String, Arc<str>), i32>>,
}

impl Inboxes {
    pub(crate) fn new(projection: &'static str) -> Self {
        Self { projection, known: Mutex::default() }
    }

    pub(crate) async fn id(&self, pool: &PgPool, source: &str, topic: &Arc<str>) -> Result<i32, sqlx::Error> {
        let key = (source.to_owned(), Arc::clone(topic));
        if let Some(id) = self.known.lock().get(&key) {
            return Ok(*id);
        }
        let id: i32 = sqlx::query_scalar("select aqueduct.inbox_of($1, $2, $3, $4)")
            .bind(self.projection)
            .bind(GENERATION)
            .bind(source)
            .bind(&**topic)
            .fetch_one(pool)
            .await?;
        self.known.lock().insert(key, id);
        Ok(id)
    }
}
