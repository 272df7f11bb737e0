//! The registry as clients see it over HTTP.

use aqueduct_devstack::{Data, DevStack, Options, Part};
use reqwest::Method;
use serde_json::{Value, json};

struct Registry {
    url: String,
    content_type: &'static str,
    client: reqwest::Client,
}

impl Registry {
    fn of(stack: &DevStack) -> Self {
        Self {
            url: stack.registry_url().unwrap().to_owned(),
            content_type: "application/vnd.schemaregistry.v1+json",
            client: reqwest::Client::new(),
        }
    }

    /// The status and the answer, which always has the same content type.
    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let answer = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], self.content_type);
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::POST, path, body).await
    }

    async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask(Method::PUT, path, body).await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        self.ask(Method::DELETE, path, Value::Null).await
    }

    /// The status and Confluent's code of a refusal.
    async fn refused(&self, method: Method, path: &str, body: Value) -> (u16, u64) {
        let (status, answer) = self.ask(method, path, body).await;
        (status, answer["error_code"].as_u64().expect("no refusal"))
    }
}

async fn start(data: Data) -> DevStack {
    DevStack::start(Options { data, registry: Part::start(), ..Options::none() }).await.unwrap()
}

fn record(fields: &str) -> Value {
    json!({ "schema": format!(r#"{{"type":"record","name":"shop.Order","fields":[{fields}]}}"#) })
}

const ID: &str = r#"{"name":"id","type":"string"}"#;
const ID_AND_NOTE: &str = r#"{"name":"id","type":"string"},{"name":"note","type":"string","default":""}"#;
const ID_AND_TOTAL: &str = r#"{"name":"id","type":"string"},{"name":"total","type":"long"}"#;

#[tokio::test]
async fn schemas_are_registered_looked_up_and_read() {
    let stack = start(Data::Temporary).await;
    let registry = Registry::of(&stack);
    assert_eq!(registry.get("/subjects").await, (200, json!([])));
    // The subject of a nested name, with a character that has to be escaped in a path.
    assert_eq!(registry.post("/subjects/a%2Fb/versions", record(ID)).await, (200, json!({ "id": 1 })));
    assert_eq!(
        registry.post("/subjects/a%2Fb/versions", record(ID_AND_NOTE)).await,
        (200, json!({ "id": 2 }))
    );
    let respelt =
        json!({ "schema": format!(r#" {{"name":"shop.Order", "fields":[{ID}],"type":"record"}}"#) });
    assert_eq!(registry.post("/subjects/c/versions", respelt.clone()).await, (200, json!({ "id": 1 })));
    assert_eq!(registry.post("/subjects/a%2Fb/versions", respelt.clone()).await, (200, json!({ "id": 1 })));

    assert_eq!(registry.get("/subjects").await, (200, json!(["a/b", "c"])));
    assert_eq!(registry.get("/subjects?subjectPrefix=a").await, (200, json!(["a/b"])));
    assert_eq!(registry.get("/subjects/a%2Fb/versions").await, (200, json!([1, 2])));
    let second = json!({ "subject": "a/b", "version": 2, "id": 2, "schema": record(ID_AND_NOTE)["schema"] });
    assert_eq!(registry.get("/subjects/a%2Fb/versions/latest").await, (200, second.clone()));
    assert_eq!(registry.get("/subjects/a%2Fb/versions/2").await, (200, second.clone()));
    assert_eq!(registry.post("/subjects/a%2Fb", record(ID_AND_NOTE)).await, (200, second));
    assert_eq!(registry.get("/schemas/ids/1").await, (200, json!({ "schema": record(ID)["schema"] })));
    let usages = json!([{ "subject": "a/b", "version": 1 }, { "subject": "c", "version": 1 }]);
    assert_eq!(registry.get("/schemas/ids/1/versions").await, (200, usages));
    let text = registry.get("/subjects/c/versions/1/schema").await.1;
    assert_eq!(text["name"], "shop.Order");
}

/// The calls that this project's own code makes get the same answers from another registry.
#[tokio::test]
async fn apicurio_answers_alike() {
    let options = Options { registry: Part::start(), apicurio: Part::start(), ..Options::none() };
    let stack = DevStack::start(options).await.unwrap();
    let ours = Registry::of(&stack);
    let theirs = Registry {
        url: stack.apicurio_url().unwrap().to_owned(),
        content_type: "application/json",
        client: ours.client.clone(),
    };
    for registry in [&ours, &theirs] {
        let id = registry.post("/subjects/s/versions", record(ID)).await.1["id"].clone();
        assert!(id.is_u64(), "{id}");
        assert_eq!(registry.post("/subjects/s/versions", record(ID)).await.1["id"], id);
        assert_eq!(registry.post("/subjects/s", record(ID)).await.1["id"], id);
        assert_eq!(registry.get("/subjects/s/versions/latest").await.1["version"], 1);
        let text = registry.get(&format!("/schemas/ids/{id}")).await.1["schema"].clone();
        let schema = |text: &Value| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap();
        assert_eq!(schema(&text), schema(&record(ID)["schema"]));
        assert_eq!(registry.refused(Method::GET, "/subjects/none/versions", Value::Null).await, (404, 40401));
        assert_eq!(registry.refused(Method::GET, "/schemas/ids/77", Value::Null).await, (404, 40403));
    }
    stack.shutdown().await;
}

#[tokio::test]
async fn refusals_carry_confluents_codes() {
    let stack = start(Data::Temporary).await;
    let registry = Registry::of(&stack);
    registry.post("/subjects/s/versions", record(ID)).await;
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let cases = [
        (&get, "/subjects/none/versions", Value::Null, (404, 40401)),
        (&post, "/subjects/none", record(ID), (404, 40401)),
        (&get, "/subjects/s/versions/7", Value::Null, (404, 40402)),
        (&get, "/schemas/ids/7", Value::Null, (404, 40403)),
        (&post, "/subjects/s", record(ID_AND_NOTE), (404, 40403)),
        (&delete, "/subjects/s?permanent=true", Value::Null, (404, 40405)),
        (&delete, "/subjects/s/versions/1?permanent=true", Value::Null, (404, 40407)),
        (&get, "/config/s", Value::Null, (404, 40408)),
        (&post, "/subjects/s/versions", record(ID_AND_TOTAL), (409, 409)),
        (&post, "/subjects/s/versions", json!({ "no": "schema" }), (422, 422)),
        (&post, "/subjects/s/versions", json!({ "schema": "{" }), (422, 42201)),
        (&post, "/subjects/s/versions", json!({ "schema": "{\"type\":\"recrd\"}" }), (422, 42201)),
        (&post, "/subjects/s/versions", json!({ "schema": "{}", "schemaType": "JSON" }), (422, 42201)),
        (&get, "/subjects/s/versions/0", Value::Null, (422, 42202)),
        (&get, "/subjects/s/versions/newest", Value::Null, (422, 42202)),
        (&put, "/config/s", json!({ "compatibility": "SOMEWHAT" }), (422, 42203)),
        (&get, "/contexts", Value::Null, (404, 404)),
    ];
    for (method, path, body, expected) in cases {
        let refused = registry.refused(method.clone(), path, body).await;
        assert_eq!(refused, expected, "{method} {path}");
    }
    let large = json!({ "schema": format!("\"{}\"", "x".repeat(2 << 20)) });
    assert_eq!(registry.refused(Method::POST, "/subjects/s/versions", large).await, (413, 413));
    assert_eq!(registry.get("/subjects/s/versions").await, (200, json!([1])));
}

#[tokio::test]
async fn levels_decide_what_fits() {
    let stack = start(Data::Temporary).await;
    let registry = Registry::of(&stack);
    assert_eq!(registry.get("/config").await, (200, json!({ "compatibilityLevel": "BACKWARD" })));
    assert_eq!(registry.get("/config/s?defaultToGlobal=true").await.1["compatibilityLevel"], "BACKWARD");
    registry.post("/subjects/s/versions", record(ID)).await;

    let fits = "/compatibility/subjects/s/versions/latest?verbose=true";
    assert_eq!(registry.post(fits, record(ID_AND_NOTE)).await.1["is_compatible"], true);
    let (_, misfit) = registry.post(fits, record(ID_AND_TOTAL)).await;
    assert_eq!((&misfit["is_compatible"], misfit["messages"].as_array().unwrap().len()), (&json!(false), 1));

    let forward = json!({ "compatibility": "FORWARD" });
    assert_eq!(registry.put("/config/s", forward.clone()).await, (200, forward));
    assert_eq!(registry.get("/config/s").await, (200, json!({ "compatibilityLevel": "FORWARD" })));
    assert_eq!(registry.post("/subjects/s/versions", record(ID_AND_TOTAL)).await.0, 200);
    assert_eq!(registry.delete("/config/s").await.0, 200);
    // Beside the latest version only, then beside all of them.
    assert_eq!(registry.post(fits, record(ID_AND_TOTAL)).await.1["is_compatible"], true);
    registry.put("/config", json!({ "compatibility": "BACKWARD_TRANSITIVE" })).await;
    let all = "/compatibility/subjects/s/versions";
    assert_eq!(registry.post(all, record(ID_AND_TOTAL)).await.1["is_compatible"], false);
    assert_eq!(registry.post(all, record(ID_AND_NOTE)).await.1["is_compatible"], true);
}

#[tokio::test]
async fn references_are_resolved_and_returned() {
    let stack = start(Data::Temporary).await;
    let registry = Registry::of(&stack);
    registry.post("/subjects/order/versions", record(ID)).await;
    let list = |reference: Value| {
        let schema = r#"{"type":"record","name":"shop.Orders","fields":[{"name":"o","type":"shop.Order"}]}"#;
        json!({ "schema": schema, "references": reference })
    };
    assert_eq!(
        registry.refused(Method::POST, "/subjects/list/versions", list(json!([]))).await,
        (422, 42201)
    );
    let unknown = json!([{ "name": "shop.Order", "subject": "order", "version": 2 }]);
    assert_eq!(registry.refused(Method::POST, "/subjects/list/versions", list(unknown)).await, (422, 42201));
    let known = json!([{ "name": "shop.Order", "subject": "order", "version": 1 }]);
    assert_eq!(
        registry.post("/subjects/list/versions", list(known.clone())).await,
        (200, json!({ "id": 2 }))
    );
    assert_eq!(registry.get("/schemas/ids/2").await.1["references"], known);
    assert_eq!(registry.post("/subjects/list", list(known)).await.1["version"], 1);
}

#[tokio::test]
async fn ids_survive_deletion_and_restart() {
    let dir = tempfile::tempdir().unwrap();
    let data = Data::Kept(dir.path().to_owned());
    let stack = start(data.clone()).await;
    let registry = Registry::of(&stack);
    registry.post("/subjects/s/versions", record(ID)).await;
    registry.post("/subjects/s/versions", record(ID_AND_NOTE)).await;
    assert_eq!(registry.delete("/subjects/s/versions/2").await, (200, json!(2)));
    assert_eq!(registry.get("/subjects/s/versions").await, (200, json!([1])));
    assert_eq!(registry.get("/subjects/s/versions?deleted=true").await, (200, json!([1, 2])));
    registry.put("/config/s", json!({ "compatibility": "NONE" })).await;
    drop(stack);
    // A write that was cut off by a crash: never acknowledged, and gone.
    let file = dir.path().join("registry.jsonl");
    let mut content = std::fs::read(&file).unwrap();
    content.extend_from_slice(br#"{"change":"register","subj"#);
    std::fs::write(&file, content).unwrap();

    let stack = start(data.clone()).await;
    let registry = Registry::of(&stack);
    assert_eq!(
        registry.get("/schemas/ids/2").await,
        (200, json!({ "schema": record(ID_AND_NOTE)["schema"] }))
    );
    assert_eq!(registry.get("/config/s").await.1["compatibilityLevel"], "NONE");
    // The deleted one comes back as a new version with its old id; another schema gets a new id.
    assert_eq!(registry.post("/subjects/s/versions", record(ID_AND_NOTE)).await.1["id"], 2);
    assert_eq!(registry.get("/subjects/s/versions").await, (200, json!([1, 3])));
    assert_eq!(registry.post("/subjects/s/versions", record(ID_AND_TOTAL)).await.1["id"], 3);
    assert_eq!(registry.delete("/subjects/s").await, (200, json!([1, 3, 4])));
    assert_eq!(registry.delete("/subjects/s?permanent=true").await.0, 200);
    assert_eq!(registry.get("/subjects?deleted=true").await, (200, json!([])));
    drop(stack);

    let damaged = std::fs::read_to_string(&file).unwrap().replacen("register", "regster", 1);
    std::fs::write(&file, damaged).unwrap();
    let error =
        DevStack::start(Options { data, registry: Part::start(), ..Options::none() }).await.unwrap_err();
    assert!(error.to_string().contains("registry.jsonl, line 1: not a stored schema"), "{error}");
}
