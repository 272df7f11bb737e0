//! Which fields of an event a statement reads, compared with the schema of the version for which it is written.

use std::fs;
use std::sync::Arc;

use aqueduct_projection::SqlProjection;
use aqueduct_schema::{SchemaSet, TopicSchemas};

use crate::sql::write;
use crate::support::Database;

const SCHEMA: &str = r#"{"type": "record", "name": "Placed", "namespace": "shop", "fields": [
    {"name": "id", "type": "string"},
    {"name": "customer", "type": {"type": "record", "name": "Customer", "fields": [
        {"name": "name", "type": "string"},
        {"name": "address", "type": ["null", {"type": "record", "name": "Address", "fields": [
            {"name": "zip", "type": "string"}]}], "default": null}]}},
    {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
        {"name": "sku", "type": "string"}, {"name": "quantity", "type": "int"},
        {"name": "tags", "type": {"type": "array", "items": "string"}}]}}},
    {"name": "labels", "type": {"type": "map", "values": "string"}}]}"#;

const TABLES: &str = "create table bank.seen (a text primary key, n numeric);
                      create table bank.docs (id text primary key, data jsonb)";

/// The warnings, or the error, about a statement of a type with that schema.
struct Checks {
    database: Database,
    schemas: TopicSchemas,
    directory: tempfile::TempDir,
}

impl Checks {
    async fn start() -> Self {
        let database = Database::create().await;
        sqlx::raw_sql(TABLES).execute(&database.pool).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let placed = directory.path().join("schemas/shop/Placed");
        fs::create_dir_all(&placed).unwrap();
        write(&placed, "v1.avsc", SCHEMA);
        let files = Some(Arc::new(SchemaSet::load(directory.path().join("schemas")).unwrap()));
        write(
            directory.path(),
            "projection.toml",
            "name = \"seen\"\ntopics = [\"shop\"]\n[types]\nPlaced = 1",
        );
        Self { database, schemas: TopicSchemas { files, ..TopicSchemas::default() }, directory }
    }

    async fn of(&self, statement: &str) -> Result<Vec<String>, String> {
        write(self.directory.path(), "Placed.sql", statement);
        let projection = SqlProjection::load(self.directory.path()).unwrap();
        let mut connection = self.database.pool.acquire().await.unwrap();
        let checked = projection.check(&mut connection, &self.schemas).await;
        checked.map_err(|error| aqueduct_core::with_causes(&error))
    }
}

/// An insert of what is selected.
fn seen(select: &str) -> String {
    format!("insert into bank.seen (a) select {select}")
}

#[tokio::test]
async fn fields_that_exist_raise_nothing() {
    let checks = Checks::start().await;
    for statement in [
        seen("e.data->>'id' from $events e"),
        seen("data->>'id' from $events as e"),
        seen("coalesce(lower(e.data->'customer'->>'name'), '') from $events e where e.data->>'id' is distinct from ''"),
        seen("e.data#>>'{customer,address,zip}' from $events e"),
        seen("e.data #> array['lines', '0'] ->> 'sku' from $events e"),
        seen("e.data->'lines'->-1->>'sku' from $events e"),
        seen("e.data['customer']['name']::text from $events e"),
        seen("e.data->'labels'->>'whatever' from $events e"),
        seen("(coalesce(e.data->'lines', '[]'::jsonb)->0->>'quantity')::numeric(9, 2)::text from $events e"),
        seen("jsonb_array_length(e.data->'lines')::text from $events e"),
        seen("e.data->'id'#>>'{}' from $events e"),
        "update bank.docs d set data['state'] = to_jsonb(e.data->>'id') from $events e where d.id = e.data->>'id'".to_owned(),
        seen("l->>'sku' from $events e, jsonb_array_elements(e.data->'lines') l"),
        seen("l.value->>'sku' from $events e cross join lateral jsonb_array_elements(e.data->'lines') as l where l->>'quantity' <> ''"),
        seen("line->>'sku' || n from $events e, jsonb_array_elements(e.data->'lines') with ordinality as l(line, n)"),
        seen("t from $events e, jsonb_array_elements(e.data->'lines') l, jsonb_array_elements_text(l->'tags') t"),
        seen("(select sum((l->>'quantity')::int) from jsonb_array_elements(e.data->'lines') l)::text from $events e"),
        seen("x.c->>'name' from (select e.data->'customer' as c from $events e offset 0) x"),
        seen("x.data->>'id' from (select * from $events v) x"),
        seen("case when e.data->>'id' = '' then e.data->>'id' else e.data->'customer'->>'name' end from $events e"),
        seen("e.data->>'id' from $events e join bank.docs d on d.data->>'anything' = e.data->>'id'"),
        seen("e.data->>'id' from $events e group by 1 having count(*) > 0 union all select data->>'id' from $events v"),
        format!("with n as (select e.data as d from $events e), m (c) as (select d->'customer' from n) {}",
                seen("m.c->>'name' from m")),
        "insert into bank.docs (id, data) select e.data->>'id', e.data from $events e
             on conflict (id) do update set data = excluded.data".to_owned(),
        "update bank.docs d set data = d.data || jsonb_build_object('who', e.data->'customer')
           from $events e where d.id = e.data->>'id' and d.data->>'other' is null".to_owned(),
        "delete from bank.docs d using $events e where d.id = e.data->>'id'".to_owned(),
        "merge into bank.docs d using (select data->>'id' as id, data->'customer' as c from $events v) e on d.id = e.id
          when matched then update set data = e.c->'address'
          when not matched then insert (id) values (e.c->>'name')".to_owned(),
        "update bank.seen s set n = (e.data->'lines'->0->>'quantity')::numeric from $events e where s.a = e.data->>'id'".to_owned(),
    ] {
        assert_eq!(checks.of(&statement).await, Ok(Vec::new()), "{statement}");
    }
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_an_error_with_its_line() {
    let checks = Checks::start().await;
    let no_field =
        "shop.Placed has no field \"idd\", it has id, customer, lines, labels (version 1 of Placed)";
    for (statement, line, expected) in [
        (seen("\ne.data->>'idd' from $events e"), 2, no_field),
        (seen("data->>'idd' from $events e"), 1, no_field),
        (seen("coalesce(e.data->>'id',\n\nlower(e.data->>'idd')) from $events e"), 3, no_field),
        (seen("e.data->>'id' from $events e\n where e.data->>'idd' = ''"), 2, no_field),
        (
            seen("e.data->'customer'->>'id' from $events e"),
            1,
            "shop.Customer has no field \"id\", it has name, address",
        ),
        (seen("e.data#>>'{customer,address,zap}' from $events e"), 1, "shop.Address has no field \"zap\""),
        (seen("e.data['customer']['nome']::text from $events e"), 1, "shop.Customer has no field \"nome\""),
        (seen("e.data->'id'->>'x' from $events e"), 1, "there is no field \"x\" in string"),
        (seen("e.data->'lines'->>'sku' from $events e"), 1, "there is no field \"sku\" in array"),
        (seen("e.data->'customer'->>0 from $events e"), 1, "record is not an array"),
        (
            seen("l->>'skew' from $events e,\njsonb_array_elements(e.data->'lines') l"),
            1,
            "shop.Line has no field \"skew\"",
        ),
        (
            seen("l::text from $events e,\njsonb_array_elements(e.data->'customer') l"),
            2,
            "record is not an array",
        ),
        (
            seen("x.c->>'nome' from (select data->'customer' as c from $events v) x"),
            1,
            "shop.Customer has no field \"nome\"",
        ),
        (
            format!("with n as (select e.data as d\nfrom $events e)\n{}", seen("n.d->>'idd' from n")),
            3,
            no_field,
        ),
        ("update bank.seen s set n = 1 from $events e\n where s.a = e.data->>'idd'".to_owned(), 2, no_field),
        (
            "merge into bank.docs d using $events e on d.id = e.data->>'id'
           when matched then update set data = e.data->'idd'"
                .to_owned(),
            2,
            no_field,
        ),
        (
            "insert into bank.seen select e.data->>'id' from $events e
          on conflict (a) do update set n = 1 returning (select e.data->>'idd' from $events e)"
                .to_owned(),
            2,
            no_field,
        ),
    ] {
        let Err(problem) = checks.of(&statement).await else { panic!("{statement}") };
        let expected = format!("Placed.sql, line {line}: {expected}");
        assert!(problem.contains(&expected), "{statement}\n{problem}\ndoes not contain\n{expected}");
    }
}

#[tokio::test]
async fn what_cannot_be_followed_is_a_warning_with_its_line() {
    let checks = Checks::start().await;
    for (statement, line, expected) in [
        (seen("e.data->>e.type from $events e"), 1, "the name of the field is not a literal"),
        (seen("e.data#>>\narray[e.type] from $events e"), 2, "the path is not a literal"),
        (seen("l.key from $events e,\njsonb_each(e.data) l"), 2, "what jsonb_each reads"),
        (
            seen("l.sku from $events e, jsonb_to_recordset(e.data->'lines') as l(sku text)"),
            1,
            "what jsonb_to_recordset reads",
        ),
        (seen("e.type from $events e\nwhere e.data ? 'id'"), 2, "an operator that searches"),
        (seen("to_jsonb(e)->'data'->>'id' from $events e"), 1, "it is not known from which part"),
        (seen("(e.data || '{}')->>'idd' from $events e"), 1, "it is not known from which part"),
        // A text may itself be JSON.
        (seen("(e.data->>'id')::jsonb->>'idd' from $events e"), 1, "it is not known from which part"),
        (
            seen("coalesce(e.data->'customer', e.data->'lines'->0)->>'sku' from $events e"),
            1,
            "it is not known from which part",
        ),
    ] {
        let warnings = checks.of(&statement).await.unwrap_or_else(|problem| panic!("{statement}\n{problem}"));
        let expected = format!("Placed.sql, line {line}: {expected}");
        assert!(
            warnings.iter().any(|warning| warning.contains(&expected)),
            "{statement}\n{warnings:?}\n{expected}"
        );
    }
}
