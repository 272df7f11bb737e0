//! The SQL functions, called as a consumer in another language would.

use sqlx::PgPool;

use crate::support::Database;

/// (stream, revision, previous revision, invalid)
pub(crate) type Row<'a> = (&'a str, Option<i64>, Option<i64>, bool);

async fn inbox(pool: &PgPool, projection: &str) -> i32 {
    let number = sqlx::query_scalar("select aqueduct.inbox_of($1, 1, 's', 't')");
    number.bind(projection).fetch_one(pool).await.unwrap()
}

async fn receive(pool: &PgPool, rows: &[Row<'_>]) -> Vec<String> {
    receive_as(pool, "p", rows, &[]).await
}

/// `event_ids` are the ids of the first rows; those of further ones are not known.
pub(crate) async fn receive_as(
    pool: &PgPool,
    projection: &str,
    rows: &[Row<'_>],
    event_ids: &[Option<&str>],
) -> Vec<String> {
    let inbox = inbox(pool, projection).await;
    sqlx::query_scalar("select aqueduct.inbox_receive($1, $2, $3, $4, $5, $6)")
        .bind(vec![inbox; rows.len()])
        .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
        .bind(event_ids)
        .fetch_one(pool)
        .await
        .unwrap()
}

fn next(stream: &str, revision: i64) -> Row<'_> {
    (stream, Some(revision), Some(revision - 1), false)
}

async fn state(database: &Database) -> Vec<String> {
    database.texts("select stream || ' ' || revision || ' ' || blocked from aqueduct.inbox order by 1").await
}

#[tokio::test]
async fn records_of_one_call_are_checked_in_order() {
    let database = Database::create().await;
    let rows = [
        next("a", 0),
        next("a", 1),
        next("b", 0),
        next("a", 0),
        next("a", 3),
        next("a", 2),
        next("a", 1),
        next("b", 1),
    ];
    let verdicts = receive(&database.pool, &rows).await;
    assert_eq!(verdicts, ["apply", "apply", "apply", "duplicate", "gap", "blocked", "duplicate", "apply"]);
    assert_eq!(state(&database).await, ["a 1 true", "b 1 false"]);
    // The same with one record per call.
    assert_eq!(receive(&database.pool, &[next("a", 1)]).await, ["duplicate"]);
    assert_eq!(receive(&database.pool, &[next("a", 2)]).await, ["blocked"]);
    assert_eq!(receive(&database.pool, &[next("b", 3)]).await, ["gap"]);
    assert_eq!(receive(&database.pool, &[]).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stream_can_start_at_any_revision() {
    let database = Database::create().await;
    let pool = &database.pool;
    // The relay could not tell which record came before.
    assert_eq!(receive(pool, &[("cut", Some(41), None, false)]).await, ["unchecked"]);
    assert_eq!(receive(pool, &[("cut", Some(45), Some(41), false)]).await, ["apply"]);
    // A revision that was applied is a duplicate without the previous revision too.
    assert_eq!(receive(pool, &[("cut", Some(45), None, false)]).await, ["duplicate"]);
    assert_eq!(receive(pool, &[("first", Some(3), Some(-1), false)]).await, ["apply"]);
    assert_eq!(receive(pool, &[("later", Some(3), Some(2), false)]).await, ["gap"]);
    // Nothing should be between 41 and 46, but 45 was applied.
    assert_eq!(receive(pool, &[("cut", Some(46), Some(41), false)]).await, ["gap"]);
}

#[tokio::test]
async fn an_invalid_record_blocks_its_stream_but_not_the_others() {
    let database = Database::create().await;
    let rows =
        [next("a", 0), ("a", Some(1), Some(0), true), next("a", 2), ("b", None, None, true), next("c", 0)];
    assert_eq!(receive(&database.pool, &rows).await, ["apply", "invalid", "blocked", "invalid", "apply"]);
    assert_eq!(state(&database).await, ["a 0 true", "b -1 true", "c 0 false"]);
    assert_eq!(receive(&database.pool, &[next("b", 0)]).await, ["blocked"]);
}

/// Guarantee 7: two events with one revision, of which the second one is not silently dropped.
#[tokio::test]
async fn another_event_under_the_latest_revision_conflicts_and_its_stream_continues() {
    let database = Database::create().await;
    let pool = &database.pool;
    let take = async |records: &[(i64, Option<&str>)]| {
        let rows: Vec<_> = records.iter().map(|(revision, _)| next("a", *revision)).collect();
        let ids: Vec<_> = records.iter().map(|(_, id)| *id).collect();
        receive_as(pool, "p", &rows, &ids).await
    };
    assert_eq!(take(&[(0, Some("x"))]).await, ["apply"]);
    assert_eq!(take(&[(0, Some("y"))]).await, ["conflict"]);
    assert_eq!(take(&[(0, Some("x"))]).await, ["duplicate"]);
    assert_eq!(take(&[(0, None)]).await, ["duplicate"], "its id is not known");
    assert_eq!(state(&database).await, ["a 0 false"]);
    let batch =
        [(0, Some("y")), (1, Some("p")), (1, Some("q")), (1, Some("p")), (2, Some("r")), (1, Some("q"))];
    let verdicts = ["conflict", "apply", "conflict", "duplicate", "apply", "duplicate"];
    assert_eq!(take(&batch).await, verdicts);
    // A revision is missing: what is before the gap is compared as before.
    assert_eq!(
        take(&[(4, Some("t")), (2, Some("s")), (2, Some("r"))]).await,
        ["gap", "conflict", "duplicate"]
    );

    for forgotten in [
        "update aqueduct.inbox_streams set event_id = null",
        // Of a version that does not store ids.
        "update aqueduct.inbox_streams set event_id = 'r', event_revision = 1",
    ] {
        sqlx::query(forgotten).execute(pool).await.unwrap();
        assert_eq!(take(&[(2, Some("s"))]).await, ["duplicate"], "{forgotten}");
    }
}

/// An instance of the version before runs on while its successor starts.
#[tokio::test]
async fn the_ids_of_events_may_be_left_out() {
    let database = Database::create().await;
    let inbox = inbox(&database.pool, "p").await;
    let verdicts: Vec<String> = sqlx::query_scalar(
        "select unnest(aqueduct.inbox_receive($1, '{a,a,a}', '{0,0,1}', '{-1,-1,0}', '{f,f,f}'))",
    )
    .bind(vec![inbox; 3])
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(verdicts, ["apply", "duplicate", "apply"]);
}

#[tokio::test]
async fn a_check_changes_nothing() {
    let database = Database::create().await;
    let inbox = inbox(&database.pool, "p").await;
    let verdicts: Vec<String> = sqlx::query_scalar(
        "select verdict from aqueduct.inbox_check($1, '{a,a}', '{0,2}', '{-1,1}', '{f,f}') order by ordinal",
    )
    .bind(vec![inbox; 2])
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(verdicts, ["apply", "gap"]);
    assert_eq!(state(&database).await, Vec::<String>::new());
}

#[tokio::test]
async fn each_projection_generation_source_and_topic_has_an_inbox() {
    let database = Database::create().await;
    let distinct = database
        .number(
            "select count(distinct aqueduct.inbox_of(p, g, s, t)) from (values \
             ('p', 1, 's', 't'), ('q', 1, 's', 't'), ('p', 2, 's', 't'), ('p', 1, 'x', 't'), ('p', 1, 's', 'u'), \
             ('p', 1, 's', 't')) as v (p, g, s, t)",
        )
        .await;
    assert_eq!(distinct, 5);
}

#[tokio::test]
async fn only_the_last_claimer_of_a_partition_moves_its_offset() {
    let database = Database::create().await;
    let pool = &database.pool;
    let claim = async || -> (i64, Option<i64>) {
        sqlx::query_as("select claimed_epoch, resume_at from aqueduct.offsets_claim('p', 1, 't', 0, 'me')")
            .fetch_one(pool)
            .await
            .unwrap()
    };
    let advance = async |epoch: i64, next: i64| -> Vec<i64> {
        sqlx::query_scalar("select aqueduct.offsets_advance('p', 1, '{t}', '{0}', array[$1], array[$2])")
            .bind(epoch)
            .bind(next)
            .fetch_one(pool)
            .await
            .unwrap()
    };
    assert_eq!(claim().await, (1, None));
    assert_eq!(advance(1, 10).await, Vec::<i64>::new());
    assert_eq!(claim().await, (2, Some(10)));
    assert_eq!(advance(1, 20).await, [1], "the former owner");
    assert_eq!(advance(2, 11).await, Vec::<i64>::new());
    sqlx::query("select aqueduct.offsets_set('p', 1, 't', 0, null)").execute(pool).await.unwrap();
    assert_eq!(advance(2, 12).await, [1], "the owner before the operator moved the offset");
    assert_eq!(claim().await, (4, None));
}
