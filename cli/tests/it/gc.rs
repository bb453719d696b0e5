//! `drydock admin gc`, `admin retention` and `project rm`: what they say and what they do.

use drydock_domain::{Digest, TenantId};
use secrecy::ExposeSecret as _;

use crate::harness::{Api, Drydock, Ended};

/// The command as an operator has it: with the database and the bucket.
async fn admin(api: &Api, line: &str) -> Ended {
    let storage = api.storage();
    let settings = [
        ("DRYDOCK_DATABASE_URL", api.database.url.expose_secret().to_owned()),
        ("DRYDOCK_S3_ENDPOINT", storage.endpoint.clone().unwrap()),
        ("DRYDOCK_S3_BUCKET", storage.bucket.clone()),
        ("DRYDOCK_S3_PREFIX", storage.prefix.clone()),
        ("AWS_ACCESS_KEY_ID", drydock_testing::setting("AWS_ACCESS_KEY_ID")),
        ("AWS_SECRET_ACCESS_KEY", drydock_testing::setting("AWS_SECRET_ACCESS_KEY")),
    ];
    let words: Vec<&str> = ["admin"].into_iter().chain(line.split_whitespace()).collect();
    settings.iter().fold(Drydock::new(&words), |command, (name, value)| command.env(name, value)).end().await
}

async fn import(api: &Api, content: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("file"), content).unwrap();
    api.drydock_with(&["project", "import", dir.path().to_str().unwrap(), "-i", "keep this"]).ok().await.line()
}

const AT_ONCE: &str = "--gc-grace 1ms --gc-condemned-for 1ms";

/// Red when a dry run changes anything, and when a collection does not do what the dry run said.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_a_collection_then_does() {
    let api = Api::start().await;
    let (gone, _stays) = (import(&api, "this goes").await, import(&api, "this stays").await);
    let dry = async |flags: &str| admin(&api, &format!("gc --dry-run {flags}")).await.exit(0).text();
    let told = dry(AT_ONCE).await;
    assert_eq!(told, "tenant default\n  keep, nothing that named them was dropped: 4 objects, 0.0 MiB\n");
    assert_eq!(admin(&api, &format!("gc {AT_ONCE}")).await.exit(0).text(), "nothing to do\n");

    api.drydock(&format!("project rm {gone}")).ok().await.says("deleted project");
    api.drydock(&format!("project show {gone}")).end().await.exit(4);
    for _ in 0..2 {
        assert!(dry(AT_ONCE).await.contains("\n  would drop 1 deleted projects of which something is left\n"));
    }
    let dropped = admin(&api, "gc").await.exit(0).text();
    assert_eq!(dropped, "dropped 1 versions and trees of deleted projects\n", "its objects have their grace");
    assert!(dry("").await.contains("\n  keep, they lost their last name less than 3600s ago: 2 objects"));
    assert!(dry("--gc-grace 1ms").await.contains("\n  would condemn, nothing names them any more: 2 objects"));
    let condemned = admin(&api, "gc --gc-grace 1ms").await.exit(0).text();
    assert_eq!(condemned, "condemned, nothing names them any more: 2 objects, 0.0 MiB\n");
    assert!(dry(AT_ONCE).await.contains("\n  would delete, condemned for more than 1ms: 2 objects"));
    assert_eq!(admin(&api, &format!("gc {AT_ONCE}")).await.exit(0).text(), "deleted: 2 objects, 0.0 MiB\n");
    let left = dry(AT_ONCE).await;
    assert_eq!(left, "tenant default\n  keep, nothing that named them was dropped: 2 objects, 0.0 MiB\n");
}

/// Red when orphans or missing objects are not told, or told with exit code 0, and when orphans go unasked.
#[tokio::test(flavor = "multi_thread")]
async fn an_audit_tells_what_does_not_fit() {
    let api = Api::start().await;
    import(&api, "sound").await;
    assert_eq!(admin(&api, "gc --audit").await.exit(0).text(), "sound: 2 objects, 0.0 MiB\n");
    let storage = drydock_testing::storage(api.storage());
    let orphan = storage.keys(TenantId::DEFAULT).pack(Digest::of(b"orphan"));
    storage.put(&orphan, "nobody knows me".into()).await.unwrap();
    let young = admin(&api, "gc --audit --delete-orphans").await.exit(0).text();
    assert!(young.contains("unknown, but younger than 604800s: 1 object,"), "{young}");
    let told = admin(&api, "gc --audit --orphan-age 0s").await.exit(1).text();
    assert!(told.contains(&format!("orphans, nobody knows of them: 1 object, 0.0 MiB\n  {orphan}\n")), "{told}");
    let done = admin(&api, "gc --audit --orphan-age 0s --delete-orphans").await.exit(0).text();
    assert!(done.ends_with("deleted: 1 object, 0.0 MiB\n"), "{done}");
    assert!(storage.length(&orphan).await.is_err());

    let client = api.database.client().await.unwrap();
    let manifest: Vec<u8> = client.query_one("SELECT manifest_id FROM version", &[]).await.unwrap().get(0);
    let manifest = storage.keys(TenantId::DEFAULT).manifest(Digest::try_from(&manifest[..]).unwrap());
    storage.delete(&manifest).await.unwrap();
    let told = admin(&api, "gc --audit").await.exit(1).text();
    assert!(told.contains(&format!("MISSING, versions need them: 1 object, 0.0 MiB\n  {manifest}\n")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retention_is_set_and_told() {
    let api = Api::start().await;
    let project = import(&api, "x").await;
    let set = async |flags: &str| admin(&api, &format!("retention {flags}")).await;
    let told = set(&format!("--project {project} --keep-versions 3 --keep-for 1h")).await.exit(0).line();
    assert_eq!(told, format!("project {project} keeps its newest 3 versions, and all younger than 3600 s"));
    assert_eq!(
        set("--tenant default --keep-versions 5").await.exit(0).line(),
        "tenant default keeps its newest 5 versions"
    );
    let client = api.database.client().await.unwrap();
    let kept =
        "SELECT p.keep_versions, p.keep_for_s::int, t.keep_versions FROM project p JOIN tenant t ON t.id = p.tenant_id";
    let row = client.query_one(kept, &[]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1), row.get::<_, i32>(2)), (3, 3600, 5));
    set("--tenant nobody --keep-versions 5").await.exit(4).says("there is no tenant nobody");
    set("--keep-versions 5").await.exit(2);
    set(&format!("--project {project} --keep-versions 0")).await.exit(2);
}
