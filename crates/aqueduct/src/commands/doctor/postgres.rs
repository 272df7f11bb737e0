//! Postgres: version, migrations, rights.

use aqueduct_core::with_causes;
use jiff::Timestamp;
use sqlx::PgPool;

use super::finding::Findings;
use super::{TIMEOUT, clock};
use crate::address::{all_loopback, of_postgres};
use crate::app::App;
use crate::connections::Connections;

const AREA: &str = "postgres";
/// The oldest version with all that the migrations use, as `server_version_num`.
const OLDEST: i32 = 150_000;

pub(super) async fn check(app: &App, connections: &Connections) -> Findings {
    let mut findings = Findings::default();
    let Some(url) = connections.configuration().postgres.configured() else { return findings };
    let pool = match connections.postgres() {
        Ok(pool) => pool,
        Err(error) => {
            findings.error(AREA, with_causes(&error), "correct `postgres.url`");
            return findings;
        }
    };
    let asked = async {
        let reached = server(&pool, url, &mut findings).await;
        if let Err(error) = reached {
            findings.error(
                AREA,
                format!("cannot be used: {}", with_causes(&error)),
                "check that it runs, and host, port, user, password and database in `postgres.url`",
            );
            return;
        }
        if let Err(error) = tables(app, &pool, &mut findings).await {
            findings.error(
                AREA,
                with_causes(&error),
                "grant usage on schema aqueduct, and select, insert, update, delete on all tables in it, to the user in \
                 `postgres.url`",
            );
        }
    };
    if tokio::time::timeout(TIMEOUT, asked).await.is_err() {
        findings.error(
            AREA,
            format!("does not answer within {} s", TIMEOUT.as_secs()),
            "check that it runs, and look for locks in pg_stat_activity",
        );
    }
    findings
}

async fn server(pool: &PgPool, url: &str, findings: &mut Findings) -> Result<(), sqlx::Error> {
    let (version, number, now, encrypted): (String, i32, f64, bool) = sqlx::query_as(
        "select current_setting('server_version'), current_setting('server_version_num')::integer,
                extract(epoch from clock_timestamp())::float8,
                coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false)",
    )
    .fetch_one(pool)
    .await?;
    if number >= OLDEST {
        findings.ok(AREA, format!("reachable; version {version}"));
    } else {
        findings.error(AREA, format!("version {version} is too old"), "use PostgreSQL 15 or later");
    }
    clock::check(AREA, Timestamp::from_millisecond((now * 1000.0) as i64).ok(), findings);
    if !encrypted && !all_loopback(&of_postgres(url)) && !url.contains("host=/") {
        findings.warning(
            AREA,
            "the connection is not encrypted",
            "add `sslmode=verify-full` to `postgres.url`",
        );
    }
    Ok(())
}

async fn tables(app: &App, pool: &PgPool, findings: &mut Findings) -> Result<(), sqlx::Error> {
    let pending = aqueduct_projection::migration_state(pool).await?;
    let exists = pending.applied > 0;
    if pending.missing.is_empty() {
        findings.ok(AREA, format!("all {} migrations of schema aqueduct ran", pending.applied));
    } else {
        let names = pending.missing.join(", ");
        let (finding, action) =
            (format!("migrations of schema aqueduct did not run: {names}"), "run `setup` as a user that may");
        if app.projections.is_empty() && app.reactors.is_empty() && !exists {
            findings.warning(AREA, finding, "run `setup`, or remove `postgres.url` if nothing uses it");
        } else {
            findings.error(AREA, finding, action);
        }
    }
    if !exists {
        let may: bool = sqlx::query_scalar("select has_database_privilege(current_database(), 'create')")
            .fetch_one(pool)
            .await?;
        if !may {
            findings.error(
                AREA,
                "the user must not create schemas in the database",
                "run `setup` as a user that may, or: grant create on database <name> to <user>",
            );
        }
        return Ok(());
    }
    let denied: Vec<String> = sqlx::query_scalar(
        "select tablename::text from pg_tables
          where schemaname = 'aqueduct' and tablename <> 'projection_migrations'
            and exists (select from unnest(array['select', 'insert', 'update', 'delete']) as privilege
                         where not has_table_privilege(format('%I.%I', schemaname, tablename), privilege))
          order by 1",
    )
    .fetch_all(pool)
    .await?;
    if denied.is_empty() {
        findings.ok(AREA, "the user may use the tables of schema aqueduct");
    } else {
        findings.error(
            AREA,
            format!("the user lacks rights on aqueduct.{}", denied.join(", aqueduct.")),
            "grant select, insert, update, delete on all tables in schema aqueduct to <user>",
        );
    }
    Ok(())
}
