//! A secret is in the answer that made the key, and nowhere else: in no line of the log and in no row.

use std::{
    io,
    sync::{Arc, Mutex},
};

use drydock_database::GenericClient as _;
use reqwest::Method;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::Made;
use crate::harness::{Answer, Api};

const TABLES: &str =
    "SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace";

/// All that is logged.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Tables with a row whose text, bytes in hex included, has `needle` in it.
async fn tables_with(api: &Api, needle: &str) -> Vec<String> {
    let client = api.database.client().await.unwrap();
    let mut found = Vec::new();
    for row in client.query(TABLES, &[]).await.unwrap() {
        let table: String = row.get(0);
        let look = format!("SELECT EXISTS (SELECT FROM \"{table}\" t WHERE position($1 IN t::text) > 0)");
        if client.query_one(&look, &[&needle]).await.unwrap().get(0) {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn a_secret_is_in_no_log_line_and_in_no_row() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(captured.clone());
    // For this process, whose threads all log: a run of all tests in one process has the lines of the others in it as well.
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let api = Api::start().await;
    let admin = api.first_key().await;
    let second = api.tenant(&admin.key, "second").await;
    let mine = api.key(&second.key, &json!({"name": "mine", "role": "member"})).await;
    let body = json!({"instruction": "build a thing"});
    api.post_as(&mine.key, "/projects", &body).await.expect(201);
    api.post_as(&mine.key, "/projects", &json!({"instruction": "no"})).await.expect(422);
    api.post_as(&mine.key, "/keys", &json!({"name": "n", "role": "viewer"})).await.expect(403);
    let wrong = format!("{}0", mine.key);
    api.get_as(&wrong, "/projects").await.expect(401);
    Answer::of(api.request(Method::GET, &format!("/projects?key={}", mine.key))).await.expect(401);
    api.with(&mine.key, Method::DELETE, &format!("/keys/{}", mine.id), &Value::Null).await.expect(403);
    api.with(&second.key, Method::DELETE, &format!("/keys/{}", mine.id), &Value::Null).await.expect(204);
    api.get_as(&mine.key, "/projects").await.expect(401);
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("request refused") && log.contains("a key exists"), "the log is captured: {log}");
    for Made { key, .. } in [admin, second, mine] {
        let (head, secret) = key.rsplit_once('_').unwrap();
        let prefix = head.rsplit_once('_').unwrap().1;
        assert_eq!(tables_with(&api, prefix).await, ["api_key"], "the search finds what is there");
        assert_eq!(tables_with(&api, secret).await, Vec::<String>::new());
        let line = log.lines().find(|line| {
            // The client of this test logs what it sends at this level; only our own lines are looked at.
            line.contains(secret) && !["hyper", "reqwest", "h2"].iter().any(|ours| line.contains(ours))
        });
        assert_eq!(line, None);
    }
}
