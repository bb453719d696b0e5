//! The first key, and what the command does with keys: logs in, keeps contexts, makes and revokes.

use std::path::Path;

use secrecy::ExposeSecret as _;

use crate::harness::{Api, Drydock, Ended};

async fn bootstrap(url: &str, flags: &[&str]) -> Ended {
    let words: Vec<&str> = ["admin", "bootstrap"].iter().chain(flags).copied().collect();
    Drydock::new(&words).env("DRYDOCK_DATABASE_URL", url).end().await
}

/// A command of somebody with a home.
fn at_home(home: &Path, line: &str) -> Drydock {
    Drydock::new(&line.split(' ').collect::<Vec<_>>()).env("HOME", home.to_str().unwrap())
}

#[tokio::test]
async fn the_first_key_is_made_once() {
    let database = drydock_testing::database().await;
    let url = database.url.expose_secret();
    bootstrap(url, &["--tenant", "nobody"]).await.exit(4).says("there is no tenant 'nobody'");
    let made = bootstrap(url, &[]).await.exit(0).says("of tenant 'default'; it is shown this once");
    assert!(made.line().starts_with("dd_"), "{}", made.line());
    let refused = bootstrap(url, &[]).await.exit(5).says("drydock key create").says("--again");
    assert!(refused.out.is_empty());
    let again = bootstrap(url, &["--json", "--again", "--name", "rescue"]).await.exit(0).json();
    assert_eq!((&again["name"], &again["role"]), (&"rescue".into(), &"admin".into()));
    assert!(again["key"].as_str().unwrap().starts_with("dd_"));
}

#[tokio::test]
async fn what_is_made_at_once_is_made_once() {
    let database = drydock_testing::database().await;
    let url = database.url.expose_secret();
    let all = tokio::join!(bootstrap(url, &[]), bootstrap(url, &[]), bootstrap(url, &[]));
    let mut codes = [all.0.code, all.1.code, all.2.code];
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(5), Some(5)]);
}

#[tokio::test]
async fn bootstrap_needs_the_schema() {
    let database = drydock_testing::empty_database().await;
    bootstrap(database.url.expose_secret(), &[]).await.exit(5).says("drydock admin migrate");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_key_to_a_revoked_one() {
    let api = Api::start().await;
    let home = tempfile::tempdir().unwrap();
    let run = |line: &str| at_home(home.path(), line);
    let server = format!("http://{}", api.address);
    let key = bootstrap(api.database.url.expose_secret(), &[]).await.exit(0).line();
    let file = home.path().join("key.txt");
    fs_err::write(&file, format!("{key}\n")).unwrap();
    let (file, secret) = (file.to_str().unwrap(), key.rsplit_once('_').unwrap().1.to_owned());

    // The API may have seen a moment ago that no key existed.
    drydock_testing::until("the API asks for keys", crate::harness::PATIENCE, async || {
        (run(&format!("whoami -s {server}")).end().await.code == Some(3)).then_some(())
    })
    .await;
    run(&format!("whoami -s {server}")).end().await.exit(3).says("Missing API key").says("drydock login");
    let wrong = home.path().join("wrong.txt");
    fs_err::write(&wrong, key.replace(&secret[..8], "00000000")).unwrap();
    run(&format!("login -s {server} --token-file {}", wrong.display())).end().await.exit(3).says("Unknown API key");
    run("context show").end().await.exit(3).says("there is no context 'default'");

    let told = run(&format!("login -s {server} --token-file {file}")).ok().await.says("context 'default' is in use");
    assert!(told.text().contains("tenant  default") && told.text().contains("role    admin"), "{}", told.text());
    assert!(!told.text().contains(&secret) && !told.err.contains(&secret));
    assert_eq!(run("--json whoami").ok().await.json()["key"]["name"], "admin");

    let made = run("--json key create ci --role member --scope jobs:read --expires 1h").ok().await.json();
    assert_eq!((&made["role"], &made["scopes"]), (&"member".into(), &serde_json::json!(["jobs:read"])));
    let (id, lesser) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let who = run("--json whoami").env("DRYDOCK_API_KEY", lesser).ok().await.json();
    assert_eq!(who["key"]["name"], "ci", "the environment wins over the context");
    let who = run(&format!("--json whoami --token-file {file}")).env("DRYDOCK_API_KEY", lesser).ok().await.json();
    assert_eq!(who["key"]["name"], "admin", "and a flag over the environment");
    run("project ls").env("DRYDOCK_API_KEY", lesser).end().await.exit(3).says("needs the scope projects:read");
    let piped = run("key create other --role viewer").ok().await.says("it is shown this once").line();
    assert!(piped.starts_with("dd_"));
    let listed = run("key ls").ok().await.text();
    assert!(listed.contains(" ci ") && listed.contains("valid") && !listed.contains(&secret), "{listed}");
    run(&format!("key revoke {id}")).ok().await.says(&format!("revoked key {id}"));
    run("whoami").env("DRYDOCK_API_KEY", lesser).end().await.exit(3).says("API key is revoked");

    run("logout").ok().await.says("it still counts until it is revoked");
    run("logout").ok().await.says("has no key");
    run("whoami").end().await.exit(3).says("Missing API key");
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_are_switched_and_a_key_goes_to_its_server_alone() {
    let api = Api::start().await;
    let home = tempfile::tempdir().unwrap();
    let run = |line: &str| at_home(home.path(), line);
    let server = format!("http://{}", api.address);
    let key = bootstrap(api.database.url.expose_secret(), &[]).await.exit(0).line();
    let file = home.path().join("key.txt");
    fs_err::write(&file, &key).unwrap();
    for name in ["one", "two"] {
        run(&format!("login -s {server} --context {name} --token-file {}", file.display())).ok().await;
    }
    let listed = run("--json context ls").ok().await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!((&listed["items"][1]["name"], &listed["items"][1]["current"]), (&"two".into(), &true.into()));
    run("context use one").ok().await.says("context 'one' is in use");
    assert!(run("context show").ok().await.line().starts_with(&format!("one: {server}, key dd_")));
    run("whoami --context two").ok().await;
    run("whoami --context three").end().await.exit(3).says("there is no context 'three'");
    run("context use three").end().await.exit(3).says("drydock context ls");
    run("context rm one").ok().await.says("removed context 'one'");
    run("whoami").env("DRYDOCK_CONTEXT", "two").ok().await;

    const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (elsewhere, asked) = crate::stand_in::serve(&[NOT_FOUND]).await;
    run(&format!("whoami --context two -s {elsewhere}")).end().await.exit(4);
    let asked = asked.lock().unwrap().join("");
    assert!(asked.starts_with("GET /api/v1/whoami ") && !asked.contains("authorization"), "{asked}");
}
