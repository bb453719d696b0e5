//! One error body on every path, whoever found the fault.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Api, table};

const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// Method, path, media type and body, where `-` is none; then status, error and what the detail begins with. `PROJECT` is one that
/// exists, `NOBODY` an id that names nothing. A path with two slashes is at the root.
const FAILURES: &str = r#"
    GET     /nothing                             -          -  => 404 not_found              Route not found
    GET     //nothing/at/all                     -          -  => 404 not_found              Route not found
    GET     //                                   -          -  => 404 not_found              Route not found
    POST    /nothing                             json       {} => 404 not_found              Route not found
    DELETE  /projects                            -          -  => 405 method_not_allowed     This path
    PUT     /projects/PROJECT/jobs               json       {} => 405 method_not_allowed     This path
    PATCH   /limits                              -          -  => 405 method_not_allowed     This path
    POST    //livez                              -          -  => 405 method_not_allowed     This path
    OPTIONS /projects                            -          -  => 405 method_not_allowed     This path
    POST    /projects                            -          {} => 415 unsupported_media_type Content-Type
    POST    /projects                            text       {} => 415 unsupported_media_type Content-Type
    POST    /projects/PROJECT/jobs               form       a  => 415 unsupported_media_type Content-Type
    POST    /projects/import?instruction=import  text       -  => 415 unsupported_media_type Content-Type
    POST    /projects                            json       -  => 400 bad_request            Body is not valid JSON
    POST    /projects                            json       {  => 400 bad_request            Body is not valid JSON
    POST    /projects                            json       {}x => 400 bad_request           Body is not valid JSON
    POST    /projects                            json       "\ud800" => 400 bad_request      Body is not valid JSON
    POST    /projects/PROJECT/jobs               json       no => 400 bad_request            Body is not valid JSON
    POST    /projects                            json       [] => 422 validation_error
    POST    /projects/import                     text       -  => 422 validation_error
    GET     /projects/not-a-uuid                 -          -  => 404 not_found              Project not found
    GET     /projects/%ff                        -          -  => 404 not_found              Project not found
    GET     /projects/NOBODY                     -          -  => 404 not_found              Project not found
    GET     /projects/NOBODY/jobs                -          -  => 404 not_found              Project not found
    POST    /projects/NOBODY/jobs                job        {} => 404 not_found              Project not found
    POST    /projects/x/jobs                     job        {} => 404 not_found              Project not found
    GET     /projects/NOBODY/files               -          -  => 404 not_found              Project not found
    GET     /projects/NOBODY/files/a             -          -  => 404 not_found              Project not found
    GET     /projects/NOBODY/versions            -          -  => 404 not_found              Project not found
    GET     /projects/NOBODY/versions/0/diff/0   -          -  => 404 not_found              Project not found
    GET     /projects/NOBODY/archive             -          -  => 404 not_found              Project not found
    GET     /jobs/12                             -          -  => 404 not_found              Job not found
    GET     /jobs/NOBODY                         -          -  => 404 not_found              Job not found
    GET     /jobs/NOBODY?wait=5s                 -          -  => 404 not_found              Job not found
    GET     /jobs/NOBODY/events                  -          -  => 404 not_found              Job not found
    GET     /projects/PROJECT/jobs/x/logs        -          -  => 404 not_found              Job not found
    GET     /projects/PROJECT/jobs/NOBODY/logs   -          -  => 404 not_found              Job not found
    GET     /projects/PROJECT/jobs/NOBODY/logs/stream -     -  => 404 not_found              Job not found
    GET     /projects/PROJECT/files?version=9    -          -  => 404 not_found              Version not found
    GET     /projects/PROJECT/files?attempt=NOBODY -        -  => 404 not_found              Attempt not found
    GET     /projects/PROJECT/versions/0/diff/1  -          -  => 404 not_found              Version not found
    GET     /projects/PROJECT/versions/-1/diff/x -          -  => 404 not_found              Version not found
"#;

#[tokio::test]
async fn every_failure_has_the_one_body() {
    let api = Api::start().await;
    let (project, _) = api.project().await;
    for (given, expected) in table(FAILURES) {
        let given = given.replace("PROJECT", &project).replace("NOBODY", NOBODY);
        let parts: Vec<&str> = given.split_whitespace().collect();
        let [method, path, media, body] = parts[..] else { panic!("{given}") };
        let mut request = api.request(method.parse().unwrap(), path);
        let (media, body) = match (media, body) {
            ("job", _) => ("json", r#"{"job_type": "edit", "instruction": "x"}"#),
            (media, "-") => (media, ""),
            other => other,
        };
        let kinds =
            [("json", "application/json"), ("text", "text/plain"), ("form", "application/x-www-form-urlencoded")];
        if let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == media) {
            request = request.header("content-type", *kind);
        }
        let answer = Answer::of(request.body(body.to_owned())).await;
        let mut words = expected.splitn(3, ' ').map(str::trim);
        let (status, error) = (words.next().unwrap().parse().unwrap(), words.next().unwrap());
        let answer = answer.expect(status);
        let (word, detail) = answer.error();
        assert_eq!(word, error, "{given}");
        let said = words.next().unwrap_or_default();
        assert!(detail.as_str().unwrap_or_default().starts_with(said), "{given}: {detail}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{given}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_text_or_too_long_are_refused() {
    let api = Api::start().await;
    let send = async |body: Vec<u8>| {
        let request = api.request(Method::POST, "/projects").header("content-type", "application/json");
        Answer::of(request.body(body)).await
    };
    let answer = send(b"{\"instruction\":\"\xff\"}".to_vec()).await.expect(400);
    assert_eq!(answer.error(), ("bad_request".to_owned(), json!("Body is not valid UTF-8")));
    let at_most = 1024 * 1024;
    let answer = send(vec![b'x'; at_most + 1]).await.expect(413);
    let said = json!("Body should have at most 1048576 bytes");
    assert_eq!(answer.error(), ("payload_too_large".to_owned(), said));
    send(vec![b'x'; at_most]).await.expect(400);
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_made() {
    let api = Api::start().await;
    let answer = api.get_with("/nothing", &[("x-request-id", "mine-1")]).await.expect(404);
    assert_eq!(answer.text("correlation_id"), "mine-1");
    let answer = api.get_with("/limits", &[("x-request-id", "mine-2")]).await;
    assert_eq!(answer.header("x-request-id"), Some("mine-2"));
    let made = api.get_with("/limits", &[("x-request-id", &"x".repeat(200))]).await;
    assert_eq!(made.header("x-request-id").unwrap().len(), 36);
}

#[tokio::test]
async fn a_trailing_slash_changes_nothing() {
    let api = Api::start().await;
    let (project, job) = api.project().await;
    let paths = "/projects /jobs /limits /workers //livez //openapi.json /projects/PROJECT /jobs/JOB \
                 /projects/PROJECT/files /PROJECT/files /projects/PROJECT/versions";
    let paths = paths.replace("PROJECT", &project).replace("JOB", &job);
    for path in paths.split_whitespace() {
        let (without, with) = (api.get(path).await.expect(200), api.get(&format!("{path}/")).await.expect(200));
        assert_eq!(without.body, with.body, "{path}");
    }
    api.get("/jobs/?limit=1").await.expect(200);
    let body = json!({"job_type": "edit", "instruction": "x"});
    api.post(&format!("/projects/{project}/jobs/"), &body).await.expect(202);
}
