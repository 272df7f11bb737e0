use aqueduct_shop::users;
use axum::http::StatusCode;
use serde_json::json;

use crate::http::{KEY, OTHER_KEY, no_views, post};
use crate::store::{TestStore, commands};

#[tokio::test]
async fn a_customer_registers_once() {
    let store = TestStore::default();
    let router = users::router(commands(&store), no_views());
    let user =
        json!({ "userId": "17850", "country": "United Kingdom", "registeredAt": "2010-12-01T08:26:00.000" });

    let first = post(&router, "/users", KEY, &user).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    assert_eq!(first.body["stream"], "user-17850");
    assert_eq!(first.body["repeated"], false);
    assert_eq!(first.body["position"], 0);
    assert_eq!(first.body["events"][0]["type"], "UserRegistered");
    assert_eq!(first.body["events"][0]["data"]["country"], "United Kingdom");

    // The same command again, also through another process.
    for router in [router.clone(), users::router(commands(&store), no_views())] {
        let again = post(&router, "/users", KEY, &user).await;
        assert_eq!(again.status, StatusCode::OK);
        assert_eq!(again.body["repeated"], true);
        assert_eq!(again.body["events"], first.body["events"]);
    }

    // Another command.
    let refused = post(&router, "/users", OTHER_KEY, &user).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::CONFLICT, "user-exists"));
    assert_eq!(refused.detail(), "user 17850 is registered already");

    assert_eq!(store.types("user-17850").await, ["UserRegistered"]);
    let metadata = store.stream("user-17850").await[0].parse_metadata().unwrap();
    assert_eq!(metadata.command_id.to_string(), KEY);
    assert_eq!(metadata.schema_version, 1);
}

#[tokio::test]
async fn a_command_that_makes_no_sense_is_refused_with_the_field() {
    let router = users::router(commands(&TestStore::default()), no_views());
    let user = json!({ "userId": "", "country": "France", "registeredAt": "2010-12-01T08:26:00" });
    let refused = post(&router, "/users", KEY, &user).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid-command"));
    assert_eq!(refused.detail(), "userId must not be empty");
}
