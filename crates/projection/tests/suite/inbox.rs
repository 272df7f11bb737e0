//! The SQL functions, called as a consumer in another language would.

use sqlx::PgPool;

use crate::world::Database;

/// (stream, revision, subindex, previous revision, previous subindex, faulty)
pub(crate) type Row<'a> = (&'a str, Option<i64>, i32, Option<i64>, i32, bool);

async fn inbox(pool: &PgPool, projection: &str) -> i32 {
    let number = sqlx::query_scalar("select aqueduct.inbox_of($1, 1, 's', 't')");
    number.bind(projection).fetch_one(pool).await.unwrap()
}

async fn receive(pool: &PgPool, rows: &[Row<'_>]) -> Vec<String> {
    receive_as(pool, "p", rows).await
}

pub(crate) async fn receive_as(pool: &PgPool, projection: &str, rows: &[Row<'_>]) -> Vec<String> {
    let inbox = inbox(pool, projection).await;
    sqlx::query_scalar("select aqueduct.inbox_receive($1, $2, $3, $4, $5, $6, $7)")
        .bind(vec![inbox; rows.len()])
        .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.4).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.5).collect::<Vec<_>>())
        .fetch_one(pool)
        .await
        .unwrap()
}

fn plain(stream: &str, revision: i64) -> Row<'_> {
    (stream, Some(revision), 0, Some(revision - 1), 0, false)
}

async fn state(database: &Database) -> Vec<String> {
    database
        .texts("select stream || ' ' || revision || '.' || subindex || ' ' || held from aqueduct.inbox order by 1")
        .await
}

#[tokio::test]
async fn records_of_one_call_are_judged_in_order() {
    let database = Database::create().await;
    let rows = [
        plain("a", 0),
        plain("a", 1),
        plain("b", 0),
        plain("a", 0),
        plain("a", 3),
        plain("a", 2),
        plain("a", 1),
        plain("b", 1),
    ];
    let verdicts = receive(&database.pool, &rows).await;
    assert_eq!(verdicts, ["apply", "apply", "apply", "duplicate", "gap", "held", "duplicate", "apply"]);
    assert_eq!(state(&database).await, ["a 1.0 true", "b 1.0 false"]);
    // And the same in one call each.
    assert_eq!(receive(&database.pool, &[plain("a", 1)]).await, ["duplicate"]);
    assert_eq!(receive(&database.pool, &[plain("a", 2)]).await, ["held"]);
    assert_eq!(receive(&database.pool, &[plain("b", 3)]).await, ["gap"]);
    assert_eq!(receive(&database.pool, &[]).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stream_may_begin_anywhere_if_the_record_says_so() {
    let database = Database::create().await;
    let pool = &database.pool;
    // The relay could not tell what came before, then what the route has no record of is passed over.
    assert_eq!(receive(pool, &[("cut", Some(41), 0, None, 0, false)]).await, ["unjudged"]);
    assert_eq!(receive(pool, &[("cut", Some(45), 0, Some(41), 0, false)]).await, ["apply"]);
    // Without the header a place that was applied is still a duplicate.
    assert_eq!(receive(pool, &[("cut", Some(45), 0, None, 0, false)]).await, ["duplicate"]);
    assert_eq!(receive(pool, &[("first", Some(3), 0, Some(-1), 0, false)]).await, ["apply"]);
    assert_eq!(receive(pool, &[("later", Some(3), 0, Some(2), 0, false)]).await, ["gap"]);
    // It says that nothing comes between 45 and 41, but 45 was applied.
    assert_eq!(receive(pool, &[("cut", Some(46), 0, Some(41), 0, false)]).await, ["gap"]);
}

#[tokio::test]
async fn sub_indices_order_what_an_upcaster_made_of_one_event() {
    let database = Database::create().await;
    let rows = [
        ("a", Some(0), 0, Some(-1), 0, false),
        ("a", Some(0), 1, Some(0), 0, false),
        ("a", Some(1), 0, Some(0), 1, false),
        ("a", Some(0), 1, Some(0), 0, false),
        ("a", Some(2), 0, Some(1), 1, false),
    ];
    let verdicts = receive(&database.pool, &rows).await;
    assert_eq!(verdicts, ["apply", "apply", "apply", "duplicate", "gap"]);
    assert_eq!(state(&database).await, ["a 1.0 true"]);
}

#[tokio::test]
async fn a_faulty_record_holds_its_stream_but_not_the_others() {
    let database = Database::create().await;
    let rows = [
        plain("a", 0),
        ("a", Some(1), 0, Some(0), 0, true),
        plain("a", 2),
        ("b", None, 0, None, 0, true),
        plain("c", 0),
    ];
    assert_eq!(receive(&database.pool, &rows).await, ["apply", "faulty", "held", "faulty", "apply"]);
    assert_eq!(state(&database).await, ["a 0.0 true", "b -1.0 true", "c 0.0 false"]);
    assert_eq!(receive(&database.pool, &[plain("b", 0)]).await, ["held"]);
}

#[tokio::test]
async fn judging_changes_nothing() {
    let database = Database::create().await;
    let inbox = inbox(&database.pool, "p").await;
    let verdicts: Vec<String> = sqlx::query_scalar(
        "select verdict from aqueduct.inbox_judge($1, '{a,a}', '{0,2}', '{0,0}', '{-1,1}', '{0,0}', '{f,f}') \
         order by ordinal",
    )
    .bind(vec![inbox; 2])
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert_eq!(verdicts, ["apply", "gap"]);
    assert_eq!(state(&database).await, Vec::<String>::new());
}

#[tokio::test]
async fn projections_generations_sources_and_topics_have_inboxes_of_their_own() {
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
        sqlx::query_as("select * from aqueduct.offsets_claim('p', 1, 't', 0, 'me')")
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
    assert_eq!(advance(2, 12).await, [1], "the owner before an operator's change");
    assert_eq!(claim().await, (4, None));
}
