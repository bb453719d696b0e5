//! Workspaces: who holds one, and what lets daemons in. What a daemon does, `shared/e2e` shows.

use crate::harness::Api;

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_written_once_listed_and_revoked() {
    let api = Api::start().await;
    let project = api.drydock("project create --instruction build-it -q").ok().await.line();
    let shown = api.drydock(&format!("workspace show {project}")).ok().await.text();
    assert!(shown.contains("no daemon was ever connected") && shown.contains("run on the fleet"), "{shown}");
    let made = api.drydock(&format!("workspace grant {project} laptop --expires 30d")).ok().await;
    let token = made.line();
    assert!(token.starts_with("dd_"), "it can be given to a daemon as it is");
    let made = made.says("it is shown this once");
    let id = made.err.split("made token ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    let listed = api.drydock(&format!("workspace tokens {project}")).ok().await.text();
    let row = listed.lines().nth(1).unwrap();
    assert!(
        row.starts_with(&format!("{id}  laptop  ")) && row.contains("until 2") && row.contains("never"),
        "{listed}"
    );
    assert!(!listed.contains(&token));
    api.drydock(&format!("workspace revoke {project} {id}")).ok().await.says(&format!("revoked token {id}"));
    assert!(api.drydock(&format!("workspace tokens {project}")).ok().await.text().contains("revoked"));
    let missing = "01a22b02-e7df-75b8-975f-a043d972259f";
    api.drydock(&format!("workspace revoke {project} {missing}")).end().await.exit(4).says("Token not found");
    api.drydock(&format!("workspace show {missing}")).end().await.exit(4).says("Project not found");
}
