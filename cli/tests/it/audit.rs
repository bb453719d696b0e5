//! The audit log on the command line: who asked for what, and an export whose chain is checked.

use drydock_database::audit;

use crate::harness::{Api, Drydock, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_shown_exported_and_verified() {
    let api = Api::start().await;
    let (project, job) = api.project().await;
    api.drydock(&format!("job cancel {job}")).ok().await;
    let client = api.database.client().await.unwrap();
    let export = drydock_testing::until("four records are chained", PATIENCE, async || {
        audit::chain(&client, 100).await.unwrap();
        let export = api.drydock("audit export").ok().await.text();
        (export.lines().count() == 4).then_some(export)
    })
    .await;
    let shown = api.drydock("audit ls").ok().await.text();
    let words: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["AT", "WHO", "ACTION", "ON", "MADE", "OUTCOME", "FROM", "CHANGED"]);
    assert_eq!(words[1][1..], ["anyone", "job.cancel", &job, "done", "(200)", "127.0.0.1"]);
    assert_eq!(words[2][1..], ["anyone", "project.create", &project, "done", "(201)", "127.0.0.1"]);
    let of = api.drydock(&format!("audit ls --object {project} --action project.")).ok().await.text();
    assert_eq!(of.lines().count(), 2);

    let verified = api.drydock("audit verify").ok().await.line();
    assert!(verified.starts_with("4 records follow one another; the last is at position 4, its hash "), "{verified}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.ndjson");
    let verify = async |text: &str, flags: &[&str]| {
        fs_err::write(&file, text).unwrap();
        let words: Vec<&str> = ["audit", "verify", file.to_str().unwrap()].iter().chain(flags).copied().collect();
        Drydock::new(&words).end().await
    };
    let told = verify(&export, &["--json"]).await.exit(0).json();
    assert_eq!((&told["records"], &told["position"]), (&4.into(), &4.into()));
    let hash = told["hash"].as_str().unwrap();
    assert!(export.ends_with('\n') && export.lines().last().unwrap().contains(hash));

    verify(&export.replacen("project.create", "project.delete", 1), &[]).await.exit(1).says("record at position");
    let without: Vec<&str> = export.lines().take(1).chain(export.lines().skip(2)).collect();
    verify(&without.join("\n"), &[]).await.exit(1).says("after position 1 comes 3");
    let cut = export.trim_end().trim_end_matches('}');
    verify(cut, &[]).await.exit(1).says("after position 3 comes no line of an export");

    // From where it is known to stand; a chain that was written anew does not go on from there.
    let second: serde_json::Value = serde_json::from_str(export.lines().nth(1).unwrap()).unwrap();
    let known = second["hash"].as_str().unwrap();
    let rest = verify(&export, &["--json", "--after", "2", "--hash", known]).await.exit(0).json();
    assert_eq!(rest["records"], 2);
    verify(&export, &["--after", "2", "--hash", hash]).await.exit(1).says("no record at position 2 with");
    let first: Vec<&str> = export.lines().take(1).collect();
    verify(&first.join("\n"), &["--after", "2", "--hash", known]).await.exit(1).says("was cut off");
    api.drydock(&format!("audit verify --after 9 --hash {hash}")).end().await.exit(1).says("no record at position 9");
    api.drydock(&format!("audit verify --after 2 --hash {known}")).ok().await;
    Drydock::new(&["audit", "verify", "--after", "2"]).end().await.exit(2);
}
