//! Workers that die, or sleep, between two systems: what they stored counts for nothing, and harms nothing.

use std::{path::Path, time::Duration};

use drydock_domain::{Digest, TenantId};
use drydock_storage::{ObjectKey, Storage};
use drydock_testing::{Direction, setting, until};
use rustix::process::Signal;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    outages::through_proxy,
    stack::{
        Options, PATIENCE, Stack,
        client::{id, shell},
    },
};

/// As the stack sets it.
const GRACE: Duration = Duration::from_secs(1);
/// A manifest, and more than any pack here.
const LIMIT: u64 = 64 << 20;

fn outcomes(job: &Value) -> Vec<&str> {
    job["attempts"].as_array().unwrap().iter().map(|attempt| attempt["outcome"].as_str().unwrap_or("none")).collect()
}

/// The packs that were announced and are of no version.
async fn unlisted_packs(stack: &Stack, storage: &Storage) -> Vec<ObjectKey> {
    let client = stack.database.client().await.unwrap();
    let rows = client.query("SELECT id FROM pack WHERE kind = 'pack' AND state = 'uploading'", &[]).await.unwrap();
    let ids = rows.iter().map(|row| digest(row.get(0)));
    ids.map(|id| storage.keys(TenantId::DEFAULT).pack(id)).collect()
}

fn digest(id: &[u8]) -> Digest {
    Digest::from_bytes(id.try_into().unwrap())
}

/// The newest manifest, as its object has it; that it is what its name says is checked.
async fn manifest(stack: &Stack, storage: &Storage, project: &str) -> Vec<u8> {
    let client = stack.database.client().await.unwrap();
    let newest = "SELECT manifest_id FROM version WHERE project_id = $1 ORDER BY number DESC LIMIT 1";
    let row = client.query_one(newest, &[&project.parse::<Uuid>().unwrap()]).await.unwrap();
    let id = digest(row.get(0));
    let bytes = storage.get(&storage.keys(TenantId::DEFAULT).manifest(id), LIMIT).await.unwrap();
    assert_eq!(Digest::of(&bytes), id, "the committed manifest is whole");
    bytes.to_vec()
}

/// The second attempt's files are what the project has, and only one version was made of both.
async fn has_second(stack: &Stack, project: &str, place: &Path) {
    for (name, kept) in [("own.bin", "second-own.bin"), ("same.bin", "same.bin")] {
        let stored = stack.client.bytes(&format!("/projects/{project}/files/{name}")).await;
        assert!(stored == fs_err::read(place.join(kept)).unwrap(), "{name} is as the second attempt left it");
    }
    let versions = stack.client.get(&format!("/projects/{project}/versions")).await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 2, "the initial one and one more: {versions}");
}

/// Each attempt leaves bytes of its own, keeps a copy, and ends when it is told to.
fn script(place: &Path) -> String {
    let place = place.display();
    format!(
        "if mkdir {place}/once; then me=first; else me=second; fi; cp {place}/same.bin .; \
         head -c 300000 /dev/urandom > own.bin; cp own.bin {place}/$me-own.bin; touch {place}/$me; \
         while [ ! -e {place}/end-$me ]; do sleep 0.01; done"
    )
}

async fn attempt_runs(place: &Path, name: &str) {
    until(&format!("the {name} attempt runs"), PATIENCE, || async { place.join(name).exists().then_some(()) }).await;
}

fn tell_to_end(place: &Path, name: &str) {
    fs_err::write(place.join(format!("end-{name}")), "").unwrap();
}

/// Red when the reaper does not wait for the grace.
#[tokio::test(flavor = "multi_thread")]
async fn t23_a_worker_killed_while_materializing_is_lost_at_ttl_and_grace_and_the_second_attempt_succeeds() {
    let (proxy, url) = through_proxy(&setting("DRYDOCK_TEST_S3_ENDPOINT")).await;
    let worker_settings = vec![("DRYDOCK_S3_ENDPOINT", url)];
    let mut stack = Stack::with(Options { worker_settings: worker_settings.clone(), ..Options::default() }).await;
    let project = id(&stack.client.project(json!({"instruction": "an app to materialize"})).await);
    // Those that made it would have nothing to fetch.
    stack.cold_workers(&worker_settings).await;
    proxy.stall();
    let job = stack.client.submit(&project, shell("echo x > x.txt")).await;
    stack.client.is_taken(&job).await;
    let holder = stack.holder(&job).await;
    stack.workers[holder].kill();
    proxy.heal();
    let ended = stack.client.ended(&job).await;
    assert_eq!((&ended["status"], outcomes(&ended)), (&json!("completed"), vec!["lost", "succeeded"]), "{ended}");
    let client = stack.database.client().await.unwrap();
    let lost =
        "SELECT j.losses, j.infra_faults, a.phase::text, extract(epoch FROM a.finished_at - w.lease_until)::float8
        FROM attempt a JOIN job j ON j.id = a.job_id JOIN worker w ON w.id = a.worker_id WHERE a.state = 'lost'";
    let row = client.query_one(lost, &[]).await.unwrap();
    let counts = (row.get::<_, i16>(0), row.get::<_, i16>(1), row.get::<_, &str>(2));
    assert_eq!(counts, (1, 0, "materializing"), "losses, infra faults, phase");
    let after = Duration::from_secs_f64(row.get(3));
    assert!(after >= GRACE && after < GRACE + Duration::from_secs(3), "taken back {after:?} after the lease");
}

/// Red when a finish is not fenced (`current_attempt` left out of `dd_finish_v5`), and when a pack is deleted with its attempt.
#[tokio::test(flavor = "multi_thread")]
async fn t25_what_a_worker_stored_and_did_not_commit_is_done_again_and_not_deleted() {
    let database = drydock_testing::database().await;
    let (proxy, url) = through_proxy(database.fleet_url().expose_secret()).await;
    let worker_settings = vec![("DRYDOCK_DATABASE_URL", url)];
    let mut stack = Stack::on(database, Options { worker_settings, ..Options::default() }).await;
    let storage = drydock_testing::storage(&stack.storage_config());
    let project = id(&stack.client.project(json!({"instruction": "an app stored twice"})).await);
    let mark = tempfile::tempdir().unwrap();
    fs_err::write(mark.path().join("same.bin"), "the same").unwrap();
    let job = stack.client.submit(&project, shell(&script(mark.path()))).await;
    attempt_runs(mark.path(), "first").await;
    // Everything works but the finish: no fresh connection learns the shape of its answer.
    proxy.cut_reply(b"answer", u32::MAX);
    proxy.reset();
    tell_to_end(mark.path(), "first");
    until("it is stored and not committed", PATIENCE, || async {
        stack.process_logs().contains("failed to finish, trying again").then_some(())
    })
    .await;
    let holder = stack.holder(&job).await;
    stack.workers[holder].kill();
    proxy.heal();
    let packs = unlisted_packs(&stack, &storage).await;
    assert_eq!(packs.len(), 1);
    let first = storage.get(&packs[0], LIMIT).await.unwrap();
    tell_to_end(mark.path(), "second");
    let ended = stack.client.ended(&job).await;
    assert_eq!((&ended["status"], outcomes(&ended)), (&json!("completed"), vec!["lost", "succeeded"]), "{ended}");
    let committed = manifest(&stack, &storage, &project).await;
    has_second(&stack, &project, mark.path()).await;
    // Its successor tells what it had kept, in vain.
    stack.workers[holder].restart();
    stack.await_clean().await;
    assert!(manifest(&stack, &storage, &project).await == committed);
    has_second(&stack, &project, mark.path()).await;
    assert!(storage.get(&packs[0], LIMIT).await.unwrap() == first, "somebody may be about to name it");
}

/// Red when a finish is not fenced, and when a worker that is told so deletes what it uploaded: one object is of both attempts.
#[tokio::test(flavor = "multi_thread")]
async fn t50_a_zombie_that_uploads_while_the_new_attempt_commits_changes_nothing() {
    let (proxy, url) = through_proxy(&setting("DRYDOCK_TEST_S3_ENDPOINT")).await;
    let worker_settings = vec![("DRYDOCK_S3_ENDPOINT", url)];
    let mut stack = Stack::with(Options { workers: Some(1), worker_settings, ..Options::default() }).await;
    let storage = drydock_testing::storage(&stack.storage_config());
    let project = id(&stack.client.project(json!({"instruction": "an app with a zombie"})).await);
    let mark = tempfile::tempdir().unwrap();
    // More than one pack holds: the same object of both attempts, which upload it at the same time, and one of each.
    let same: Vec<u8> =
        (0_u32..9 << 20).flat_map(|number| Digest::of(&number.to_le_bytes()).as_bytes()[..4].to_vec()).collect();
    fs_err::write(mark.path().join("same.bin"), same).unwrap();
    let job = stack.client.submit(&project, shell(&script(mark.path()))).await;
    attempt_runs(mark.path(), "first").await;
    proxy.half_open(Direction::ToServer);
    tell_to_end(mark.path(), "first");
    let packs = until("it is in the middle of its uploads", PATIENCE, || async {
        let packs = unlisted_packs(&stack, &storage).await;
        (packs.len() == 2 && proxy.held() > 0).then_some(packs)
    })
    .await;
    stack.workers[0].signal(Signal::STOP);
    for pack in &packs {
        assert!(storage.length(pack).await.is_err(), "nothing of it has arrived");
    }
    stack.add_worker(None, &[]);
    attempt_runs(mark.path(), "second").await;
    tell_to_end(mark.path(), "second");
    proxy.heal();
    stack.workers[0].signal(Signal::CONT);
    let ended = stack.client.ended(&job).await;
    assert_eq!((&ended["status"], outcomes(&ended)), (&json!("completed"), vec!["lost", "succeeded"]), "{ended}");
    let committed = manifest(&stack, &storage, &project).await;
    until("the zombie has uploaded all of it, and was told", PATIENCE, || async {
        for pack in &packs {
            storage.length(pack).await.ok()?;
        }
        stack.process_logs().contains("not ours any more: dropped").then_some(())
    })
    .await;
    assert_eq!(unlisted_packs(&stack, &storage).await.len(), 1, "one is the same, one is the zombie's alone");
    assert!(manifest(&stack, &storage, &project).await == committed);
    has_second(&stack, &project, mark.path()).await;
    stack.await_clean().await;
}
