use std::{collections::HashSet, path::PathBuf};

use drydock_agent::AgentsConfig;
use drydock_domain::{JobId, JobType, daemon::FromDaemon};
use tokio::time::timeout;

use super::*;
use crate::daemon::{spool::Key, testing::Project};

const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    top: tempfile::TempDir,
    project: Project,
    spool: Arc<Spool>,
    jobs: Jobs,
    work: Option<mpsc::UnboundedReceiver<Task>>,
}

impl Bench {
    async fn new() -> Self {
        let (top, project) = (tempfile::tempdir().unwrap(), Project::serve(&[("a", "1\n")]).await);
        fs_err::create_dir_all(top.path().join("dir")).unwrap();
        Self::begin(top, project)
    }

    /// As a daemon starts on what is on disk.
    fn begin(top: tempfile::TempDir, project: Project) -> Self {
        let file = top.path().join("agents.toml");
        let script = "echo hello; cat a; echo made > made; test -z \"$WAIT\" || sleep 300";
        let agent = |name: &str, script: &str, protocol: &str| {
            format!("[[agent]]\nname='{name}'\nargv=['/bin/sh','-c','''{script}''']\nprotocol='{protocol}'\n")
        };
        let result = "echo '{\"status\":\"completed\",\"summary\":\"done\"}' > .codex/result.json";
        let waits = "echo made > made; while test ! -e .go; do sleep 0.05; done";
        let text = [
            agent("waits", waits, "exit"),
            agent("plain", script, "exit"),
            agent("slow", "echo > .runs-$DRYDOCK_ATTEMPT_ID; sleep 300", "exit"),
            agent("exact", result, "file"),
        ];
        fs_err::write(&file, text.concat()).unwrap();
        let agents = Agents::load(&AgentsConfig {
            file: Some(file),
            grace: Duration::from_millis(200),
            dummy_bin: Some("/bin/true".into()),
            ..AgentsConfig::default()
        });
        let folder = Arc::new(project.folder(&top.path().join("dir"), &top.path().join("index")));
        let spool = Arc::new(Spool::open(top.path().join("attempts")).unwrap());
        let (jobs, work) = Jobs::new(Workshop {
            folder,
            spool: Arc::clone(&spool),
            agents: agents.unwrap(),
            policy: Policy::new(&[]),
            limits: Limits { timeout: Duration::from_secs(20), snippet: Duration::from_secs(5), output: 1 << 20 },
            events: Arc::new(Events::new(Arc::default())),
        });
        Self { top, project, spool, jobs, work: Some(work) }
    }

    fn job(&self, agent: &str) -> DaemonJob {
        DaemonJob {
            attempt: AttemptId::generate(),
            job: JobId::generate(),
            project: self.project.id,
            number: 1,
            job_type: JobType::Edit,
            instruction: "do".to_owned(),
            argv: None,
            agent: agent.to_owned(),
            labels: std::collections::BTreeMap::new(),
            timeout_s: None,
            silence_timeout_s: None,
            read_only: false,
        }
    }

    fn command(&self, argv: &[&str]) -> DaemonJob {
        let argv = Some(argv.iter().map(|&word| word.to_owned()).collect());
        DaemonJob { job_type: JobType::Command, argv, ..self.job("") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join("dir").join(name)
    }

    /// Works until `until` resolves.
    async fn work<T>(&mut self, until: impl Future<Output = T>) -> T {
        let work = self.work.take().unwrap();
        tokio::select! {
            () = self.jobs.work(work) => panic!("no more work"),
            done = timeout(PATIENCE, until) => done.unwrap(),
        }
    }

    /// Acknowledges everything up to this many results: what was told.
    async fn told(spool: &Spool, mut results: usize) -> Told {
        let mut told = Told::default();
        while results > 0 {
            for (key, frame) in spool.next(&HashSet::new(), 100) {
                match &frame {
                    FromDaemon::Log { text, .. } => told.log.push_str(text),
                    FromDaemon::Command { .. } => told.commands.push(frame.clone()),
                    _ => {
                        told.results.push(frame.clone());
                        results -= 1;
                    }
                }
                spool.known(key);
                assert!(!matches!(key, Key::Log(..)) || results > 0);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        told
    }

    async fn run(&mut self, job: DaemonJob) -> Told {
        self.jobs.start(job);
        let spool = Arc::clone(&self.spool);
        self.work(Self::told(&spool, 1)).await
    }
}

#[derive(Default)]
struct Told {
    log: String,
    commands: Vec<FromDaemon>,
    results: Vec<FromDaemon>,
}

impl Told {
    fn result(&self) -> (Outcome, Option<i32>, &serde_json::Value) {
        match &self.results[0] {
            FromDaemon::Result { outcome, version, report, .. } => (*outcome, *version, report),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_agent_works_in_the_folder_and_what_it_made_is_a_version() {
    let mut bench = Bench::new().await;
    let told = bench.run(bench.job("plain")).await;
    let dir = fs_err::canonicalize(bench.top.path().join("dir")).unwrap();
    let first = format!("[worker] Workspace: {} (live folder)", dir.display());
    let lines: Vec<&str> = told.log.lines().filter(|line| !line.starts_with("OPENAI_")).collect();
    let rest =
        ["hello", "1", "[worker] Generation complete", "[worker] Generated files:", "[worker]   - made (1 lines)"];
    assert_eq!(lines, [&[first.as_str()], &rest[..]].concat());
    let (outcome, version, report) = told.result();
    assert_eq!((outcome, version), (Outcome::Succeeded, Some(2)));
    assert_eq!(report["created_files"], serde_json::json!(["made"]));
    assert_eq!(report["log_bytes"], told.log.len());
    assert_eq!(bench.project.files().len(), 2, "no .codex");
    assert!(bench.path(".codex/result.json").exists() && bench.spool.in_hand().is_empty());
    assert_eq!(fs_err::read_dir(bench.top.path().join("attempts")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_command_answers_and_is_noted() {
    let mut bench = Bench::new().await;
    let told = bench.run(bench.command(&["cat", "a"])).await;
    let (outcome, version, report) = told.result();
    assert_eq!((outcome, version), (Outcome::Succeeded, None));
    let answer = serde_json::json!({"success": true, "stdout": "1\n", "stderr": "", "exit_code": 0});
    assert_eq!((&report["result"], &report["output"]), (&answer, &serde_json::json!("1\n")));
    assert!(matches!(&told.commands[..], [FromDaemon::Command { exit_code: Some(0), detail: None, .. }]));
}

#[tokio::test]
async fn a_refused_command_is_noted_too() {
    let mut bench = Bench::new().await;
    let told = bench.run(bench.command(&["rm", "a"])).await;
    let (outcome, _, report) = told.result();
    assert_eq!((outcome, &report["detail"]), (Outcome::Failed, &serde_json::json!("command 'rm' not allowed")));
    assert!(
        matches!(&told.commands[..], [FromDaemon::Command { exit_code: None, detail: Some(why), .. }] if why.contains("rm"))
    );
    assert!(told.log.contains("[worker] command 'rm' not allowed"));
}

#[tokio::test]
async fn jobs_run_beside_each_other_and_a_stop_is_told_by_its_reason() {
    let mut bench = Bench::new().await;
    let [first, second, third] = ["slow", "slow", "slow"].map(|agent| bench.job(agent));
    let ids = [first.attempt, second.attempt, third.attempt];
    for job in [&first, &second, &third, &first] {
        bench.jobs.start(job.clone());
    }
    let (spool, jobs) = (Arc::clone(&bench.spool), bench.jobs.clone());
    let runs = ids.map(|id| bench.path(&format!(".runs-{id}")));
    let told = bench
        .work(async {
            until(|| runs.iter().all(|path| path.exists())).await;
            assert!(jobs.phases().iter().all(|(_, phase)| *phase == Phase::Running));
            jobs.cancel(ids[0]);
            jobs.lose(ids[1]);
            let mut told = Bench::told(&spool, 1).await;
            jobs.stop_all();
            told.results.extend(Bench::told(&spool, 1).await.results);
            jobs.idle().await;
            told
        })
        .await;
    let outcomes: Vec<_> = told
        .results
        .iter()
        .map(|frame| match frame {
            FromDaemon::Result { attempt, outcome, .. } => (*attempt, *outcome),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(outcomes, [(ids[0], Outcome::Canceled), (ids[2], Outcome::Interrupted)], "and of the lost one nothing");
    assert!(bench.spool.in_hand().is_empty());
    bench.jobs.start(bench.job("plain"));
    assert!(bench.spool.in_hand().is_empty(), "nothing more is taken");
}

#[tokio::test]
async fn who_was_killed_tells_that_its_jobs_were_interrupted() {
    let bench = Bench::new().await;
    let job = bench.job("plain");
    bench.spool.begin(&job).unwrap();
    bench.spool.log(job.attempt, "so far\n").unwrap();
    let Bench { top, project, .. } = bench;
    let mut bench = Bench::begin(top, project);
    bench.jobs.resume();
    // The fleet sends it again, not knowing.
    bench.jobs.start(job);
    let spool = Arc::clone(&bench.spool);
    let told = bench.work(Bench::told(&spool, 1)).await;
    let (outcome, version, report) = told.result();
    assert_eq!((outcome, version), (Outcome::Interrupted, None));
    assert_eq!(report["detail"], "the daemon stopped while it ran");
    assert!(told.log.starts_with("so far\n") && !told.log.contains("hello"), "{}", told.log);
}

#[tokio::test]
async fn what_ended_while_the_fleet_was_away_is_told_after_a_restart_with_its_version() {
    let mut bench = Bench::new().await;
    let job = bench.job("exact");
    bench.jobs.start(job.clone());
    let (jobs, project, spool) = (bench.jobs.clone(), bench.project.clone(), Arc::clone(&bench.spool));
    let made = bench.path("by-hand");
    bench
        .work(async {
            // The comparison before it is over.
            while !jobs.phases().iter().any(|(_, phase)| *phase == Phase::Running) {
                tokio::task::yield_now().await;
            }
            project.fleet().is_away = true;
            let asked = project.fleet().asked;
            fs_err::write(&made, "x").unwrap();
            until(|| spool.unfinished().first().is_some_and(|(_, ended)| ended.is_some())).await;
            // It has asked in vain.
            until(|| project.fleet().asked > asked).await;
        })
        .await;
    assert_eq!(bench.project.version(), 1);
    let Bench { top, project, .. } = bench;
    project.fleet().is_away = false;
    let mut bench = Bench::begin(top, project);
    bench.jobs.resume();
    let spool = Arc::clone(&bench.spool);
    let told = bench.work(Bench::told(&spool, 1)).await;
    let (outcome, version, report) = told.result();
    assert_eq!((outcome, version), (Outcome::Succeeded, Some(2)));
    assert_eq!(
        (&report["summary"], &report["created_files"]),
        (&serde_json::json!("done"), &serde_json::json!(["by-hand"]))
    );
    assert_eq!(bench.project.version(), 2);
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_comes_down_meanwhile_is_not_the_jobs_nor_is_the_version_of_others() {
    let mut bench = Bench::new().await;
    bench.jobs.start(bench.job("waits"));
    let (jobs, project, spool) = (bench.jobs.clone(), bench.project.clone(), Arc::clone(&bench.spool));
    let (made, go) = (bench.path("made"), bench.path(".go"));
    let told = bench
        .work(async {
            until(|| fs_err::read(&made).is_ok_and(|text| text == b"made\n")).await;
            project.by_others(&[("theirs", Some("t")), ("a", None)]);
            let folder = &jobs.0.workshop.folder;
            assert_eq!(folder.sync(crate::daemon::sync::Look::Newest).await.unwrap(), 3);
            project.by_others(&[("later", Some("l"))]);
            assert_eq!(folder.sync(crate::daemon::sync::Look::Newest).await.unwrap(), 4);
            fs_err::write(go, "").unwrap();
            Bench::told(&spool, 1).await
        })
        .await;
    let (outcome, version, report) = told.result();
    assert_eq!((outcome, version), (Outcome::Succeeded, Some(3)));
    let lists = [&report["created_files"], &report["modified_files"], &report["deleted_files"]];
    assert_eq!(lists, [&serde_json::json!(["made"]), &serde_json::json!([]), &serde_json::json!([])]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_done_again() {
    let mut bench = Bench::new().await;
    bench.project.fleet().refuses = Some(("made", 403, "No"));
    let told = bench.run(bench.job("plain")).await;
    let (outcome, version, report) = told.result();
    assert_eq!((outcome, version), (Outcome::Succeeded, None));
    assert_eq!(report["errors"], serde_json::json!(["the changed files could not be stored: No"]));
}

#[tokio::test]
async fn what_is_in_no_version_is_named() {
    let mut bench = Bench::new().await;
    bench.project.fleet().refuses = Some(("made", 413, "No"));
    let told = bench.run(bench.job("plain")).await;
    let (outcome, _, report) = told.result();
    assert_eq!(outcome, Outcome::Succeeded);
    assert_eq!(report["errors"], serde_json::json!(["'made' is in no version: the server does not take it"]));
}

#[tokio::test]
async fn a_result_is_kept_as_soon_as_the_disk_takes_it() {
    let mut bench = Bench::new().await;
    let job = bench.command(&["cat", "a"]);
    let attempt = bench.top.path().join("attempts").join(job.attempt.to_string());
    bench.jobs.start(job);
    let blocks = ["result.new", "command.0.new"].map(|name| attempt.join(name));
    blocks.iter().for_each(|path| fs_err::create_dir(path).unwrap());
    let spool = Arc::clone(&bench.spool);
    let told = bench
        .work(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            blocks.iter().for_each(|path| fs_err::remove_dir(path).unwrap());
            Bench::told(&spool, 1).await
        })
        .await;
    assert_eq!((told.result().0, told.commands.len()), (Outcome::Succeeded, 1));
}

#[tokio::test]
async fn a_command_that_a_killed_daemon_ran_is_noted() {
    for has_run in [true, false] {
        let bench = Bench::new().await;
        let job = bench.command(&["cat", "a"]);
        bench.spool.begin(&job).unwrap();
        if has_run {
            fs_err::create_dir_all(bench.spool.scratch(job.attempt)).unwrap();
        }
        let Bench { top, project, .. } = bench;
        let mut bench = Bench::begin(top, project);
        bench.jobs.resume();
        let spool = Arc::clone(&bench.spool);
        let told = bench.work(Bench::told(&spool, 1)).await;
        assert_eq!(told.result().0, Outcome::Interrupted);
        let is_it = |frame: &FromDaemon| matches!(frame, FromDaemon::Command { refused: false, exit_code: None, detail: Some(why), .. } if why == STOPPED);
        assert_eq!(told.commands.iter().filter(|frame| is_it(frame)).count(), usize::from(has_run));
    }
}
