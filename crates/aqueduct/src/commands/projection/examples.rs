//! `projection test`: the examples of SQL projections.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use aqueduct_projection::{ExampleReport, SqlProjection};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use crate::app::App;
use crate::connections::Connections;
use crate::failure::Failure;

/// Runs the examples of the projection with this name, or of all.
pub(super) async fn test(
    app: &App,
    name: Option<&str>,
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    let configuration = connections.configuration();
    let mut projections = configuration.sql_projections()?;
    if let Some(name) = name {
        projections.retain(|projection| projection.name() == name);
    }
    if projections.is_empty() {
        let missing = name.map_or("there is no SQL projection".to_owned(), |name| {
            format!("there is no SQL projection {name}")
        });
        return Err(format!("{missing}: `projection.directory` names the directory in which they are").into());
    }
    match configuration.postgres.configured() {
        Some(url) => run(app, &projections, connections, url).await,
        None => run_on_started(app, &projections, connections).await,
    }
}

/// Starts Postgres for the examples.
#[cfg(feature = "dev")]
async fn run_on_started(
    app: &App,
    projections: &[SqlProjection],
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    use aqueduct_devstack::{DevStack, Options, Part};

    let stack = DevStack::start(Options { postgres: Part::start(), ..Options::none() }).await?;
    let ran = match stack.postgres_url() {
        Ok(url) => run(app, projections, connections, url).await,
        Err(error) => Err(error.into()),
    };
    stack.shutdown().await;
    ran
}

#[cfg(not(feature = "dev"))]
async fn run_on_started(
    app: &App,
    projections: &[SqlProjection],
    connections: &Connections,
) -> Result<ExitCode, Failure> {
    let configuration = connections.configuration();
    run(app, projections, connections, &configuration.postgres.address(&configuration.path)?).await
}

async fn run(
    app: &App,
    projections: &[SqlProjection],
    connections: &Connections,
    url: &str,
) -> Result<ExitCode, Failure> {
    let (mut examples, mut failed) = (0, 0);
    for projection in projections {
        for report in in_own_database(app, projection, connections, url).await? {
            examples += 1;
            failed += usize::from(!report.problems.is_empty());
            print(&report);
        }
    }
    if examples == 0 {
        return Err(
            "there are no examples: write examples/<name>.yaml in the directory of a projection".into()
        );
    }
    summarize(examples, failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the examples of a projection in a database that exists only for them.
async fn in_own_database(
    app: &App,
    projection: &SqlProjection,
    connections: &Connections,
    url: &str,
) -> Result<Vec<ExampleReport>, Failure> {
    let options: PgConnectOptions = url.parse()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let name = format!("aqueduct_test_{}_{now}", std::process::id());
    let mut server = options.connect().await?;
    let created = server.execute(AssertSqlSafe(format!("create database {name}"))).await;
    created.map_err(|error| format!("a database for the examples cannot be created: {error}"))?;
    let ran = async {
        let pool = PgPoolOptions::new().connect_with(options.clone().database(&name)).await?;
        app.migrate(&pool).await?;
        projection.migrate(&pool).await?;
        let mut connection = pool.acquire().await?;
        let reports = projection.run_examples(&mut connection, &connections.topic_schemas()?).await;
        drop(connection);
        pool.close().await;
        Ok(reports?)
    };
    let ran = ran.await;
    server.execute(AssertSqlSafe(format!("drop database {name} with (force)"))).await?;
    server.close().await?;
    ran
}

#[expect(clippy::print_stdout, reason = "the result of an example is the command's output")]
fn print(ExampleReport { path, problems }: &ExampleReport) {
    let verdict = if problems.is_empty() { "ok" } else { "failed" };
    println!("{verdict:<8}{}", path.display());
    for problem in problems {
        for line in problem.lines() {
            println!("        {line}");
        }
    }
}

#[expect(clippy::print_stdout, reason = "the results are the command's output")]
fn summarize(examples: usize, failed: usize) {
    println!("\n{examples} examples, {failed} failed");
}
