use std::time::Instant;

use drydock_domain::{JobId, JobType, ProjectId};

use super::*;

struct Place {
    top: tempfile::TempDir,
    limits: Limits,
    cancel: CancellationToken,
}

impl Place {
    fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        for dir in ["root", "home", "tmp"] {
            fs_err::create_dir_all(top.path().join(dir)).unwrap();
        }
        let limits = Limits { timeout: Duration::from_secs(20), snippet: Duration::from_secs(5), output: 1 << 20 };
        Self { top, limits, cancel: CancellationToken::new() }
    }

    fn script(&self, text: &str) -> [String; 1] {
        fs_err::write(self.top.path().join("root/x.sh"), text).unwrap();
        ["x.sh".to_owned()]
    }

    async fn run(&self, argv: &[String]) -> (Ran, Vec<Bytes>) {
        let request = AgentRequest {
            project_id: ProjectId::generate(),
            job_id: JobId::generate(),
            attempt: 1,
            job_type: JobType::Command,
            instruction: String::new(),
            workspace_path: String::new(),
            labels: std::collections::BTreeMap::new(),
        };
        let root = fs_err::canonicalize(self.top.path().join("root")).unwrap();
        let (output, mut lines) = mpsc::channel(4);
        let command = Run {
            argv,
            policy: &Policy::new(&[]),
            limits: self.limits,
            timeout: None,
            request: &request,
            attempt: AttemptId::generate(),
            root: &root,
            home: &self.top.path().join("home"),
            tmp: &self.top.path().join("tmp"),
            cancel: self.cancel.clone(),
            output,
        };
        let said = async {
            let mut said = Vec::new();
            while let Some(line) = lines.recv().await {
                said.push(line);
            }
            said
        };
        let (ran, said) = tokio::join!(run(command), said);
        (ran.unwrap(), said)
    }

    /// Whether the process that wrote its number to `pid` is gone.
    fn is_gone(&self) -> bool {
        let pid = fs_err::read_to_string(self.top.path().join("root/pid")).unwrap();
        !Path::new(&format!("/proc/{}", pid.trim())).exists()
    }
}

#[tokio::test]
async fn both_outputs_and_the_exit_status_are_answered() {
    let place = Place::new();
    let (ran, said) = place.run(&place.script("echo out; echo err >&2; exit 3")).await;
    assert_eq!((ran.outcome, ran.detail.as_deref()), (Outcome::Failed, Some("the command exited with code 3")));
    let answer = serde_json::to_value(&ran.answer).unwrap();
    let expected = serde_json::json!({"success": false, "stdout": "out\n", "stderr": "err\n", "exit_code": 3});
    assert_eq!(answer, expected);
    assert_eq!(said.len(), 2);
    let (ran, _) = place.run(&["rm".to_owned()]).await;
    assert_eq!((ran.detail.as_deref(), ran.answer.exit_code), (Some("command 'rm' not allowed"), None));
}

#[tokio::test]
async fn its_environment_is_short() {
    let place = Place::new();
    let script =
        "env | sed 's/=.*//' | grep -v -e ^DRYDOCK_ -e PWD$ -e ^_ -e ^SHLVL | sort | tr '\\n' ' '; echo $NODE_ENV; cat";
    let (ran, _) = place.run(&place.script(script)).await;
    assert_eq!(ran.answer.stdout, "HOME LANG NODE_ENV PATH TMPDIR development\n", "and standard input is empty");
}

#[tokio::test]
async fn at_its_time_limit_it_goes_with_all_it_started() {
    let mut place = Place::new();
    place.limits.timeout = Duration::from_secs(2);
    let began = Instant::now();
    let script = "(setsid sh -c 'echo $$ > pid; exec sleep 300' &); trap '' TERM; sleep 300";
    let (ran, _) = place.run(&place.script(script)).await;
    assert_eq!((ran.outcome, ran.answer.exit_code), (Outcome::Timeout, None));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(place.is_gone());
}

#[tokio::test]
async fn what_it_left_running_goes_when_it_ends() {
    let place = Place::new();
    let script = "sh -c 'echo $$ > pid; exec sleep 300' & while [ ! -s pid ]; do :; done";
    let (ran, _) = place.run(&place.script(script)).await;
    assert_eq!(ran.outcome, Outcome::Succeeded);
    assert!(place.is_gone());
}

#[tokio::test]
async fn who_writes_too_much_is_stopped() {
    let mut place = Place::new();
    place.limits.output = 100_000;
    let (ran, said) = place.run(&place.script("while :; do echo 0123456789; echo 0123456789 >&2; done")).await;
    assert_eq!(ran.outcome, Outcome::Failed);
    assert!(ran.detail.unwrap().contains("--output-limit"));
    assert_eq!(ran.answer.stdout.len() + ran.answer.stderr.len(), 100_000);
    assert!(said.iter().map(|line| line.len() + 1).sum::<usize>() <= 100_002);
}

#[tokio::test]
async fn a_cancel_ends_it() {
    let place = Place::new();
    let cancel = place.cancel.clone();
    let script = place.script("echo $$ > pid; sleep 300");
    let (ran, ()) = tokio::join!(place.run(&script), async {
        let pid = place.top.path().join("root/pid");
        while !fs_err::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    });
    assert_eq!(ran.0.outcome, Outcome::Canceled);
    assert!(place.is_gone());
}
