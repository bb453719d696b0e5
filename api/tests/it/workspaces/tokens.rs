//! What lets a daemon in, and what it does not.

use reqwest::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use super::daemon::{Daemon, token};
use crate::harness::{Answer, Api, Content, Worker, pick, tar};

#[tokio::test]
async fn a_token_is_shown_once_listed_and_revoked() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    let path = format!("/workspaces/{project}/tokens");
    let made = api.post(&path, &json!({"name": "a laptop", "expires_in_s": 3600})).await.expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let (id, text) = (made.text("id"), made.text("token"));
    assert!(made.header("location").unwrap().ends_with(&path));
    let list = api.get(&path).await.expect(200).json();
    assert_eq!(pick(&list["items"][0], "id workspace_id name"), json!([id, project, "a laptop"]));
    assert!(!list.to_string().contains(&text), "no secret is in the list");
    assert_eq!(api.get("/keys").await.expect(200).json()["items"], json!([]), "it is no key");
    let one = format!("{path}/{id}");
    api.delete(&one).await.expect(204);
    api.delete(&one).await.expect(204);
    assert!(api.get(&path).await.expect(200).json()["items"][0]["revoked_at"].is_string());
    let (other, _) = api.project().await;
    for (path, word) in [
        (format!("/workspaces/{other}/tokens/{id}"), "Token not found"),
        (format!("{path}/{}", Uuid::now_v7()), "Token not found"),
    ] {
        assert_eq!(api.delete(&path).await.expect(404).text("detail"), word);
    }
    let missing = format!("/workspaces/{}/tokens", Uuid::now_v7());
    api.get(&missing).await.expect(404);
    api.post(&missing, &json!({"name": "x"})).await.expect(404);
    let refused = api.post(&path, &json!({"expires_in_s": 1})).await.expect(422);
    assert_eq!(refused.json()["detail"].as_array().unwrap().len(), 2, "{:?}", refused.json());
}

#[tokio::test]
async fn nobody_opens_the_socket_without_the_workspaces_own_token() {
    let api = Api::start().await;
    let ((project, _), (other, _)) = (api.project().await, api.project().await);
    let (own, others) = (token(&api, &project).await, token(&api, &other).await);
    let unknown = drydock_domain::ApiKey::generate();
    let unknown = secrecy::ExposeSecret::expose_secret(&unknown.text()).to_owned();
    let workspace = ("x-workspace-id", project.as_str());
    for headers in [
        vec![],
        vec![workspace],
        vec![("x-daemon-token", own.as_str())],
        vec![workspace, ("x-daemon-token", "nonsense")],
        vec![workspace, ("x-daemon-token", unknown.as_str())],
        vec![workspace, ("x-daemon-token", others.as_str())],
        vec![workspace, ("x-daemon-token", own.as_str()), ("x-daemon-token", own.as_str())],
        vec![("x-workspace-id", "7"), ("x-daemon-token", own.as_str())],
        vec![workspace, ("authorization", "Bearer x")],
    ] {
        assert_eq!(Daemon::open(api.address, &headers).await.err(), Some(StatusCode::UNAUTHORIZED), "{headers:?}");
    }
    let plain = api.get_with("/workspaces/ws", &[workspace, ("x-daemon-token", &own)]).await.expect(400);
    assert!(plain.text("detail").contains("Upgrade: websocket"), "{}", plain.text("detail"));
    assert!(Daemon::open(api.address, &[workspace, ("x-daemon-token", &own)]).await.is_ok());
}

/// Red when a daemon's token is taken for a key, or for one of another project.
#[tokio::test]
async fn a_token_opens_its_projects_files_and_nothing_else() {
    let api = Api::start().await;
    let worker = Worker::start(&api, &["dummy"]).await;
    let ((project, job), (other, _)) = (api.project().await, api.project().await);
    worker.publish(&job, &[("README.md", Content::File(b"hello"))]).await;
    let token = token(&api, &project).await;
    let ask = async |method: Method, path: String, body: Vec<u8>| {
        let request = api.request(method, &path).bearer_auth(&token);
        Answer::of(request.header("content-type", "application/x-tar").body(body)).await
    };
    let files = format!("/projects/{project}/files");
    assert_eq!(ask(Method::GET, files.clone(), vec![]).await.expect(200).json()["version"], 1);
    ask(Method::GET, format!("{files}/README.md"), vec![]).await.expect(200);
    ask(Method::GET, format!("/projects/{project}/archive"), vec![]).await.expect(200);
    let change = tar(&[("new.md", Content::File(b"by a daemon"))]);
    assert_eq!(ask(Method::PATCH, files, change).await.expect(201).json()["version"], 2);
    let versions = ask(Method::GET, format!("/projects/{project}/versions"), vec![]).await.expect(200).json();
    assert_eq!(versions["items"][0]["author_kind"], "daemon", "{versions}");

    ask(Method::GET, format!("/projects/{other}/files"), vec![]).await.expect(404);
    for (method, path) in [
        (Method::GET, "/projects".to_owned()),
        (Method::GET, "/jobs".to_owned()),
        (Method::GET, "/whoami".to_owned()),
        (Method::GET, "/keys".to_owned()),
        (Method::POST, format!("/projects/{project}/jobs")),
        (Method::DELETE, format!("/projects/{project}")),
        (Method::PUT, format!("/projects/{project}/files/x")),
        (Method::POST, format!("/workspaces/{project}/tokens")),
        (Method::GET, format!("/workspaces/{project}")),
    ] {
        let refused = ask(method.clone(), path.clone(), vec![]).await.expect(403);
        assert!(refused.text("detail").starts_with("This is a daemon's token"), "{method} {path}");
    }
    api.get("/projects").await.expect(200);
}
