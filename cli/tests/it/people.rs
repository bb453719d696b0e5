//! Users, tenants, and asking with a token.

use secrecy::ExposeSecret as _;

use crate::{
    harness::{Api, Drydock},
    stand_in,
};

const WHO: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
{\"tenant\":{\"name\":\"acme\"},\"actor\":\"token\",\"role\":\"member\",\"scopes\":[\"jobs:read\"],\
\"user\":{\"id\":\"019a9c5e-6f0a-7d40-8c1e-2b8f3a5d7e90\",\"name\":\"Ada\"},\
\"identity\":{\"issuer\":\"https://login\",\"subject\":\"ada-1\"}}";

#[tokio::test(flavor = "multi_thread")]
async fn users_and_tenants_are_made_listed_and_changed() {
    let api = Api::start().await;
    let words = ["admin", "bootstrap"];
    let key = Drydock::new(&words).env("DRYDOCK_DATABASE_URL", api.database.url.expose_secret()).ok().await.line();
    let run = |line: &str| api.drydock(line).env("DRYDOCK_API_KEY", &key);
    let ada = run("user create Ada --email ada@example.org --role owner").ok().await.line();
    run("user create Bob --email bob@example.org --role member").ok().await;
    run("user create Eve --email ADA@example.org --role viewer").end().await.exit(5).says("a user with this address");
    let listed = run("user ls").ok().await.text();
    assert!(listed.contains("ada@example.org") && listed.contains("Bob") && listed.contains("active"), "{listed}");
    run(&format!("user set {ada} --disable")).end().await.exit(5).says("the last owner");
    let told = run(&format!("user set {ada} --role admin --name Augusta")).ok().await.line();
    assert_eq!(told, "Augusta is admin, active");
    let bob = run("--json user ls").ok().await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let off = run(&format!("user set {bob} --disable")).ok().await.line();
    assert!(off.starts_with("Bob is member, disabled since "), "{off}");
    assert_eq!(run(&format!("user set {bob} --enable")).ok().await.line(), "Bob is member, active");

    let made = run("--json tenant create acme --key-name ada").ok().await.json();
    let (id, theirs) = (made["id"].as_str().unwrap(), made["first_key"]["key"].as_str().unwrap());
    let first = run("tenant create beta").ok().await.says("its first key is shown this once").line();
    assert!(first.starts_with("dd_"));
    let ask = || api.drydock("project ls").env("DRYDOCK_API_KEY", theirs);
    ask().ok().await;
    assert_eq!(run(&format!("tenant set {id} --weight 3")).ok().await.line(), "acme has weight 3, active");
    let shown = run(&format!("--json tenant set {id} --max-projects 7 --max-running 9")).ok().await.json();
    assert_eq!((&shown["max_projects"], &shown["max_running"]), (&7.into(), &9.into()));
    let quotas = format!("--json tenant set {id} --max-queued 5 --max-held 6 --max-storage 2GiB");
    let shown = run(&quotas).ok().await.json();
    let told =
        ["max_queued_jobs", "max_held_jobs", "max_storage_bytes", "max_projects"].map(|name| shown[name].as_u64());
    assert_eq!(told, [Some(5), Some(6), Some(2 << 30), Some(7)], "{shown}");
    run(&format!("tenant set {id} --max-storage lots")).end().await.exit(2).says("--max-storage");
    run(&format!("tenant set {id} --max-held 0")).ok().await;
    let own = run("--json whoami").ok().await.json()["tenant"]["id"].as_str().unwrap().to_owned();
    run(&format!("tenant set {own} --max-storage 1MiB --max-queued 3")).ok().await;
    run("usage").ok().await.says("0.0 MiB of 1.0 MiB are stored now, 0 of 3 jobs wait");
    let usage = run("usage").ok().await.text();
    assert!(usage.contains("TOKENS IN"), "{usage}");
    assert!(usage.contains("SLOTS") && run("usage --by tenant").ok().await.text().contains("TENANT"), "{usage}");
    run("usage --since tomorrow").end().await.exit(2).says("like 2030-01-31");
    run(&format!("tenant set {id} --weight 0")).end().await.exit(2).says("weight");
    let off = run(&format!("tenant set {id} --disable")).ok().await.line();
    assert!(off.starts_with("acme has weight 3, disabled since "), "{off}");
    ask().end().await.exit(3).says("The tenant of this API key is disabled");
    let listed = run("tenant ls").ok().await.text();
    assert!(listed.contains("beta") && listed.contains("disabled since"), "{listed}");
    run(&format!("tenant set {id} --enable --name acme2")).ok().await;
    assert_eq!(run("--json tenant ls").ok().await.json()["items"][1]["name"], "acme2");
    ask().ok().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_as_a_key_does() {
    let (server, asked) = stand_in::serve(&[WHO]).await;
    let home = tempfile::tempdir().unwrap();
    let token = format!("{}.{}.{}", "h".repeat(40), "c".repeat(8000), "s".repeat(340));
    let file = home.path().join("token");
    fs_err::write(&file, format!("{token}\n")).unwrap();
    let run = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        Drydock::new(&words).env("DRYDOCK_CONFIG", home.path().join("config.toml").to_str().unwrap())
    };
    let told = run(&format!("login -s {server} --token-file {}", file.display())).ok().await;
    assert!(!told.text().contains(&token) && !told.err.contains(&token));
    let text = run("whoami").ok().await.text();
    assert!(text.contains("token   ada-1 of https://login") && text.contains("user    Ada\n"), "{text}");
    assert!(!text.contains("everybody may do everything"), "{text}");
    let header = format!("authorization: Bearer {token}\r\n");
    assert!(asked.lock().unwrap().iter().all(|asked| asked.contains(&header)), "sent whole, both times");
    assert!(run("context show").ok().await.line().ends_with(", a token"));
    run("logout").ok().await.says("it still counts until it expires");
}
