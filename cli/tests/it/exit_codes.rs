//! What a command line gets that cannot work: the promised code, and words that help.

use crate::{
    harness::{Api, Drydock},
    stand_in,
};

const NOBODY: &str = "019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90";

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_codes_and_bodies() {
    let api = Api::start().await;
    let (project, job) = api.project().await;
    let cases: [(&[&str], i32, &str); 9] = [
        (&["project", "show", NOBODY], 4, "error: Project not found"),
        (&["job", "show", NOBODY], 4, "error: Job not found"),
        (&["job", "wait", NOBODY], 4, "error: Job not found"),
        (&["job", "logs", NOBODY, "-f"], 4, "error: Job not found"),
        (&["project", "cat", &project, "absent"], 4, "error: File not found"),
        (&["project", "cat", &project, "../job"], 2, "`.` or `..`"),
        (&["project", "create", "hi"], 2, "instruction: String should have at least 5 characters"),
        (&["job", "submit", &project, "-i", " "], 2, "instruction: instruction must not be empty"),
        (&["job", "logs", &job, "--attempt", "7"], 4, "error: Attempt not found"),
    ];
    for (words, code, said) in cases {
        let ended = api.drydock_with(words).end().await.exit(code).says(said);
        assert!(ended.out.is_empty(), "{words:?} wrote {}", ended.text());
    }
    let refused = api.drydock_with(&["--json", "project", "create", "hi"]).end().await.exit(2);
    let body: serde_json::Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!((&body["error"], &body["code"]), (&"validation_error".into(), &422.into()));
    assert!(refused.out.is_empty());
}

#[tokio::test]
async fn settings_that_cannot_work_are_named() {
    let show = ["project", "ls"];
    Drydock::new(&show).env("DRYDOCK_API_URL", "localhost:1").end().await.exit(3).says("DRYDOCK_API_URL");
    let both = Drydock::new(&show).env("DRYDOCK_API_KEY", "k").env("DRYDOCK_API_KEY_FILE", "/k").end().await;
    both.exit(3).says("DRYDOCK_API_KEY and DRYDOCK_API_KEY_FILE are both set");
    Drydock::new(&show).env("DRYDOCK_API_KEY_FILE", "/nowhere/k").end().await.exit(3).says("/nowhere/k");
    // Port 1 is reserved (tcpmux), and nothing listens there.
    let away = Drydock::new(&["project", "ls", "-s", "http://127.0.0.1:1"]).end().await.exit(6);
    away.says("trying again").says("error: cannot reach http://127.0.0.1:1");
    Drydock::new(&["project"]).end().await.exit(2);
    Drydock::new(&["version", "--client"]).ok().await;
}

#[tokio::test]
async fn the_key_goes_into_the_header_only() {
    const REFUSED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 72\r\nconnection: close\r\n\r\n\
        {\"error\":\"unauthorized\",\"message\":\"Unauthorized\",\"code\":401,\"detail\":\"x\"}";
    let (address, asked) = stand_in::serve(&[REFUSED]).await;
    let ended =
        Drydock::new(&["project", "ls", "-s", &address]).env("DRYDOCK_API_KEY", "dd_a_secret").end().await.exit(3);
    assert!(!ended.err.contains("dd_a_secret") && !ended.text().contains("dd_a_secret"));
    let asked = asked.lock().unwrap().join("");
    assert!(asked.contains("authorization: Bearer dd_a_secret\r\n"), "{asked}");
    assert!(asked.starts_with("GET /api/v1/projects?limit=50 "), "{asked}");
}

#[tokio::test]
async fn what_is_sent_again_has_the_same_key() {
    const BUSY: &str =
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const MADE: &str =
        "HTTP/1.1 201 Created\r\ncontent-length: 23\r\nconnection: close\r\n\r\n{\"id\":\"P\",\"job_id\":\"J\"}";
    // The second connection breaks without an answer.
    let (address, asked) = stand_in::serve(&[BUSY, "", MADE]).await;
    let ended = Drydock::new(&["project", "create", "a thing", "-s", &address]).ok().await.says("trying again");
    assert_eq!(ended.line(), "P");
    let asked = asked.lock().unwrap().clone();
    let key = |request: &String| {
        let line = request.lines().find(|line| line.starts_with("idempotency-key: ")).expect("a key");
        line.to_owned()
    };
    assert_eq!(asked.len(), 3);
    assert_eq!((key(&asked[0]), key(&asked[0])), (key(&asked[1]), key(&asked[2])));
}

#[tokio::test]
async fn other_servers_are_told_apart() {
    const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>";
    let (address, _) = stand_in::serve(&[PAGE]).await;
    Drydock::new(&["project", "ls", "-s", &address]).end().await.exit(6).says("not Drydock's");
}

#[tokio::test]
async fn a_refusal_that_was_cut_off_is_asked_for_again() {
    const REFUSED: &str = "HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 116\r\nconnection: close\r\n\r\n\
        {\"error\":\"validation_error\",\"message\":\"Validation failed\",\"code\":422,\"detail\":[{\"loc\":[\"query\",\"pool\"],\"msg\":\"no\"}]}";
    // The first connection is closed on what is being sent.
    let (address, asked) = stand_in::serve(&["", REFUSED]).await;
    let tree = tempfile::tempdir().unwrap();
    fs_err::write(tree.path().join("f"), "x").unwrap();
    let source = tree.path().to_str().unwrap();
    let words = ["project", "import", source, "-i", "a thing", "--pool", "x", "-s", &address];
    Drydock::new(&words).end().await.exit(2).says("pool: no");
    let asked = asked.lock().unwrap().clone();
    let line = |request: &String| request.lines().next().unwrap_or_default().to_owned();
    assert_eq!(line(&asked[0]), "POST /api/v1/projects/import?instruction=a+thing&pool=x HTTP/1.1");
    assert_eq!(line(&asked[0]), line(&asked[1]));
}
