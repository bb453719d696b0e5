//! What clients see while PostgreSQL or object storage is away, and what a start without them says.

use std::time::Duration;

use drydock_api::{Listeners, run};
use drydock_runtime::{Shutdown, exit::Exit};
use drydock_testing::Proxy;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{Api, Content, PATIENCE, Worker, config};

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_a_dependency_names_the_setting() {
    let database = drydock_testing::database().await;
    let bind = async || Listeners { api: TcpListener::bind("127.0.0.1:0").await.unwrap(), admin: None, sessions: None };
    let (mut no_database, mut secrets) = config(&database, &[]);
    no_database.database.database_start_timeout = Duration::from_millis(300);
    secrets.database_url = "postgres://nobody@127.0.0.1:1/none".to_owned().into();
    let error = run(no_database, secrets, bind().await, Shutdown::new()).await.unwrap_err();
    assert!(matches!(error, Exit::Unavailable(_)), "{error:?}");
    assert!(format!("{error:?}").contains("DRYDOCK_DATABASE_URL"), "{error:?}");

    let (mut no_storage, secrets) = config(&database, &[]);
    no_storage.storage.endpoint = Some("http://127.0.0.1:1".to_owned());
    no_storage.storage.timeout = Duration::from_millis(300);
    let error = run(no_storage, secrets, bind().await, Shutdown::new()).await.unwrap_err();
    assert!(matches!(error, Exit::Unavailable(_)), "{error:?}");
    assert!(format!("{error:?}").contains("DRYDOCK_S3_ENDPOINT"), "{error:?}");

    let (mut open, secrets) = config(&database, &[]);
    open.api_addr = "0.0.0.0:0".parse().unwrap();
    let error = run(open, secrets, bind().await, Shutdown::new()).await.unwrap_err();
    assert!(matches!(&error, Exit::Usage(cause) if cause.to_string().contains("DRYDOCK_API_ADDR")), "{error:?}");
}

/// `host:port` of a URL.
fn host(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    let rest = rest.split('/').next().unwrap();
    rest.rsplit('@').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_storage_files_are_503_and_the_rest_works() {
    let to_storage = Proxy::start(host(&drydock_testing::setting("DRYDOCK_TEST_S3_ENDPOINT"))).await;
    let api = Api::start_changed(&["--manifest-cache", "0"], |config, _| {
        config.storage.endpoint = Some(format!("http://{}", to_storage.address()));
    })
    .await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let (project, job) = api.project().await;
    worker.publish(&job, &[("a", Content::File(b"a"))]).await;
    let file = format!("/projects/{project}/files/a");
    assert_eq!(api.get(&file).await.expect(200).body, b"a");
    to_storage.cut();
    let away = api.get(&file).await.expect(503);
    assert_eq!(away.error(), ("unavailable".to_owned(), json!("Object storage does not answer")));
    assert_eq!(away.header("retry-after"), Some("2"));
    api.get(&format!("/jobs/{job}")).await.expect(200);
    api.get("//readyz").await.expect(200);
    to_storage.heal();
    assert_eq!(api.get(&file).await.expect(200).body, b"a");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_everything_is_503_until_it_is_back() {
    let to_database = Proxy::start(host(&drydock_testing::setting("DRYDOCK_TEST_DATABASE_URL"))).await;
    let api = Api::start_changed(&[], |_, secrets| {
        let url = secrets.database_url.expose_secret();
        secrets.database_url = url.replace(&host(url), &to_database.address().to_string()).into();
    })
    .await;
    let (project, _) = api.project().await;
    to_database.cut();
    let body = json!({"job_type": "edit", "instruction": "x"});
    let submitted = api.post(&format!("/projects/{project}/jobs"), &body).await;
    for away in [api.get("/projects").await, api.get(&format!("/projects/{project}/files/a")).await, submitted] {
        let away = away.expect(503);
        assert_eq!(away.error(), ("unavailable".to_owned(), json!("The database does not answer")));
        assert_eq!(away.header("retry-after"), Some("2"));
    }
    let unready = api.request(reqwest::Method::GET, "//readyz").send().await.unwrap();
    assert_eq!(unready.status(), 503);
    let unready: serde_json::Value = unready.json().await.unwrap();
    assert!(unready["detail"]["checks"]["database"].as_str().is_some_and(|cause| cause != "ok"), "{unready}");
    api.get("//livez").await.expect(200);
    to_database.heal();
    drydock_testing::until("the API works again", PATIENCE, async || {
        (api.get("/projects").await.status == 200).then_some(())
    })
    .await;
    let jobs = api.get("/jobs").await.json();
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1, "what was refused was not accepted");
}
