//! The whole daemon, but for its command line, against a fleet that is served in the test.

use std::collections::BTreeMap;

use drydock_domain::{
    AttemptId, JobId, JobType, Outcome,
    daemon::{DaemonJob, FromDaemon},
};
use rustix::process::{Signal, getpid, kill_process};

use super::{testing::Project, *};

const PATIENCE: Duration = Duration::from_secs(30);

fn settings(project: &Project, top: &std::path::Path, token: &str) -> Settings {
    fs_err::create_dir_all(top.join("dir")).unwrap();
    Settings {
        login: project.client.clone(),
        server: project.client.server().to_string(),
        project: project.id,
        dir: top.join("dir"),
        state_dir: Some(top.join("state")),
        token: Some(token.into()),
        insecure: false,
        agents: AgentsConfig { dummy_bin: Some("/bin/true".into()), ..AgentsConfig::default() },
        allow: Vec::new(),
        limits: Limits { timeout: Duration::from_secs(20), snippet: Duration::from_secs(5), output: 1 << 20 },
    }
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test]
async fn it_keeps_the_folder_runs_a_job_and_stops_at_a_signal() {
    let (top, project) = (tempfile::tempdir().unwrap(), Project::serve(&[("a", "1\n")]).await);
    let job = DaemonJob {
        attempt: AttemptId::generate(),
        job: JobId::generate(),
        project: project.id,
        number: 1,
        job_type: JobType::Command,
        instruction: String::new(),
        argv: Some(vec!["cat".to_owned(), "a".to_owned()]),
        agent: String::new(),
        labels: BTreeMap::new(),
        timeout_s: None,
        silence_timeout_s: None,
        read_only: false,
    };
    project.fleet().jobs.push(job);
    let daemon = run(settings(&project, top.path(), "good"), Arc::default());
    let scene = async {
        let is_over = |said: &FromDaemon| matches!(said, FromDaemon::Result { outcome: Outcome::Succeeded, .. });
        until(|| project.fleet().told.last().is_some_and(is_over)).await;
        let edited = std::time::Instant::now();
        fs_err::write(top.path().join("dir/b"), "2").unwrap();
        until(|| project.version() == 2).await;
        assert!(edited.elapsed() < Duration::from_secs(3), "{:?}", edited.elapsed());
        kill_process(getpid(), Signal::TERM).unwrap();
    };
    let (ended, ()) = timeout(PATIENCE * 2, async { tokio::join!(daemon, scene) }).await.unwrap();
    ended.unwrap();
    // It does not wait until its goodbye is heard.
    until(|| matches!(project.fleet().told.last(), Some(FromDaemon::Bye))).await;
    assert_eq!(project.files().len(), 2);
    let told = &project.fleet().told;
    let results = told.iter().filter(|said| matches!(said, FromDaemon::Result { .. })).count();
    assert_eq!(results, 1, "once");
}

#[tokio::test]
async fn a_token_that_is_refused_ends_it_with_a_remedy() {
    let (top, project) = (tempfile::tempdir().unwrap(), Project::serve(&[]).await);
    let ended = run(settings(&project, top.path(), "bad"), Arc::default());
    let error = timeout(PATIENCE, ended).await.unwrap().unwrap_err();
    assert!(matches!(&error, DaemonError::Ended(Final::Unauthorized(why)) if why == "Invalid token"), "{error}");
    assert!(error.exit() == crate::Exit::Config && error.remedy().is_some());
}

#[tokio::test]
async fn a_token_that_it_made_and_that_counts_no_more_is_made_anew_once() {
    let (top, project) = (tempfile::tempdir().unwrap(), Project::serve(&[]).await);
    let kept = top.path().join("state/token");
    fs_err::create_dir_all(top.path().join("state")).unwrap();
    fs_err::write(&kept, "old").unwrap();
    for hellos in 1..=2 {
        let daemon = run(Settings { token: None, ..settings(&project, top.path(), "") }, Arc::default());
        let scene = async {
            let is_hello = |said: &&FromDaemon| matches!(said, FromDaemon::Hello { .. });
            until(|| project.fleet().told.iter().filter(is_hello).count() == hellos).await;
            kill_process(getpid(), Signal::TERM).unwrap();
        };
        let (ended, ()) = timeout(PATIENCE * 2, async { tokio::join!(daemon, scene) }).await.unwrap();
        ended.unwrap();
    }
    assert_eq!(fs_err::read_to_string(&kept).unwrap(), "good");
    let tokens = project.fleet().tokens.clone();
    assert!(matches!(&tokens[..], [name] if name.ends_with("/dir")), "{tokens:?}");
}
