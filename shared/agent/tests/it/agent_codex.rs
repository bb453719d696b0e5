//! The real `codex exec` against the scripted model server. Needs the program: `make agents`, then `DRYDOCK_TEST_CODEX_BIN`
//! or `DRYDOCK_CODEX_BIN`; without it these tests fail, because a missing agent must be seen.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use drydock_agent::{Agents, AgentsConfig, Ending};
use drydock_domain::{JobType, agent::AgentStatus};
use drydock_testing::scripted_model::{Script, ScriptedModel};
use fs_err as fs;

use crate::agent_harness::{Ran, Scratch, config};

const CANARY: &str = "sk-canary-5f3a9c0b7e21";
/// One of its own: tests that run beside it have the other in their processes.
const BROKERED: &str = "sk-canary-brokered-0c4e91";
const LIMIT: Duration = Duration::from_secs(60);

fn codex() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    set("DRYDOCK_TEST_CODEX_BIN")
        .or_else(|| set("DRYDOCK_CODEX_BIN"))
        .expect("the Codex CLI is missing: run `make agents`, and set DRYDOCK_TEST_CODEX_BIN to its program")
        .into()
}

fn agents(model: &ScriptedModel) -> Agents {
    let config = AgentsConfig { codex_bin: Some(codex()), codex_base_url: model.base_url(), ..config() };
    let key = |name: &str| (name == "OPENAI_API_KEY").then(|| OsString::from(CANARY));
    Agents::load_with(&config, &key).unwrap()
}

async fn run(scratch: &Scratch, model: &ScriptedModel) -> Ran {
    scratch.run(&agents(model), "codex", None).await
}

fn scratch(job_type: JobType, instruction: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.timeout = Some(LIMIT);
    scratch.request.job_type = job_type;
    scratch.request.instruction = instruction.to_owned();
    scratch
}

/// Files below `root` that hold the canary.
fn files_with_canary(root: &Path) -> Vec<PathBuf> {
    files_with(root, CANARY.as_bytes())
}

/// The same for anything else.
fn files_with(root: &Path, what: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files_with(&entry.path(), what)),
            kind if kind.is_file() && holds(&entry.path(), what) => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

fn holds(path: &Path, what: &[u8]) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    bytes.windows(what.len()).any(|window| window == what)
}

/// Files of this name of every process that hold the canary.
fn processes_with_canary(file: &str) -> Vec<PathBuf> {
    processes_with(file, CANARY.as_bytes())
}

/// The same for anything else.
fn processes_with(file: &str, what: &[u8]) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join(file));
    all.filter(|path| holds(path, what)).collect()
}

#[tokio::test]
async fn codex_works_and_its_events_become_lines_and_progress() {
    let script = "printf 'answer = 42\\n' > answer.py; echo written; exit 3";
    let model = ScriptedModel::start(vec![script.to_owned()]).await.unwrap();
    let scratch = scratch(JobType::Edit, "write the answer");
    let ran = run(&scratch, &model).await;
    let text = ran.text();
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{text:#?}");
    assert_eq!(ran.exit.result.status, AgentStatus::Completed);
    assert_eq!(ran.exit.result.summary, "done");
    assert_eq!(ran.exit.last_message.as_deref(), Some("done"));
    assert_eq!(fs::read_to_string(scratch.file("answer.py")).unwrap(), "answer = 42\n");
    for line in ["OPENAI_API_KEY=present", "written", "[codex] exit code 3", "done"] {
        assert!(ran.said(line), "{line} is not in {text:#?}");
    }
    for start in ["$ ", "[codex] thread ", "[codex] turn completed: 20 input tokens"] {
        assert!(text.iter().any(|line| line.starts_with(start)), "{start} is not in {text:#?}");
    }
    for start in ["thread started", "turn started", "running: ", "exit code 3", "done", "turn completed"] {
        assert!(ran.progress.iter().any(|text| text.starts_with(start)), "{start} is not in {:#?}", ran.progress);
    }
}

#[tokio::test]
async fn the_key_is_in_no_argument_file_line_or_command() {
    let commands = ["echo up > started; while [ ! -e go ]; do sleep 0.02; done", "env; cat /proc/self/environ"];
    let model = ScriptedModel::start(commands.map(str::to_owned).to_vec()).await.unwrap();
    let scratch = scratch(JobType::Edit, "look around");
    let look = async {
        let started = || async { scratch.file("started").exists().then_some(()) };
        drydock_testing::until("codex runs its first command", LIMIT, started).await;
        let seen = (processes_with_canary("cmdline"), processes_with_canary("environ"));
        fs::write(scratch.file("go"), "").unwrap();
        seen
    };
    let (ran, (arguments, environments)) = tokio::join!(run(&scratch, &model), look);
    let text = ran.text();
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{text:#?}");
    assert_eq!(arguments, Vec::<PathBuf>::new(), "the key is in program arguments");
    assert!(!environments.is_empty(), "the key reached no process, so this test looked at nothing");
    assert_eq!(files_with_canary(scratch.root()), Vec::<PathBuf>::new());
    let homes = ["home/codex/sessions", "home/.codex"].map(|name| scratch.root().join(name).exists());
    assert_eq!(homes, [true, false], "Codex keeps its files in another place than it is told");
    assert!(!text.concat().contains("canary") && !ran.progress.concat().contains("canary"));
    // The model's commands ran without the key: `env` printed neither it nor what would have replaced it.
    assert!(text.iter().any(|line| line.starts_with("DRYDOCK_JOB_ID=")), "{text:#?}");
    assert!(!text.concat().contains("REDACTED"), "{text:#?}");
}

#[tokio::test]
async fn the_model_gets_the_key_in_one_header_and_the_instruction() {
    let model = ScriptedModel::start(vec!["true".to_owned()]).await.unwrap();
    let ran = run(&scratch(JobType::Edit, "-"), &model).await;
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{:#?}", ran.text());
    let asked: Vec<_> = model.requests().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!(asked.len(), 2, "{asked:#?}");
    for request in asked {
        assert_eq!(request.path, "/v1/responses");
        assert_eq!(request.header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
        assert!(!request.body.contains("canary"));
        let holding = request.headers.iter().filter(|(_, value)| value.contains("canary")).count();
        assert_eq!(holding, 1, "{:?}", request.headers);
    }
}

#[tokio::test]
async fn the_built_in_script_does_what_live_validation_asks() {
    let model = ScriptedModel::serve("127.0.0.1:0", Script::built_in()).await.unwrap();
    let mut scratch = scratch(JobType::InitialProject, "Write a Fibonacci program");
    let ran = run(&scratch, &model).await;
    assert_eq!(ran.exit.result.status, AgentStatus::Completed, "{:#?}", ran.text());
    for name in ["README.md", "app.py", "tests/test_cli.py"] {
        assert!(scratch.file(name).is_file(), "{name}");
    }
    assert_eq!(ran.text().iter().filter(|line| *line == "[codex] exit code 0").count(), 4, "{:#?}", ran.text());

    let before = fs::read_to_string(scratch.file("app.py")).unwrap();
    scratch.request.instruction = "Append a comment to app.py".to_owned();
    assert_eq!(run(&scratch, &model).await.exit.result.status, AgentStatus::Completed);
    let after = fs::read_to_string(scratch.file("app.py")).unwrap();
    assert!(after.strip_prefix(&before).is_some_and(|added| added.starts_with("# ") && added.lines().count() == 1));

    scratch.request.instruction = "Refactor app.py a little".to_owned();
    let ran = run(&scratch, &model).await;
    assert_eq!(ran.text().iter().filter(|line| *line == "[codex] exit code 0").count(), 2, "{:#?}", ran.text());
    assert!(fs::read_to_string(scratch.file("app.py")).unwrap().contains("def fibonacci_numbers("));
}

#[tokio::test]
async fn a_model_that_refuses_is_an_error_in_its_words() {
    let model = ScriptedModel::start(Vec::new()).await.unwrap();
    let config = AgentsConfig { codex_bin: Some(codex()), codex_base_url: model.base_url(), ..config() };
    let agents = Agents::load_with(&config, &|_| None).unwrap();
    let ran = scratch(JobType::Edit, "x").run(&agents, "codex", None).await;
    assert_eq!(ran.exit.ending, Ending::Exited(1));
    assert_eq!(ran.exit.result.status, AgentStatus::Error);
    assert!(ran.exit.result.errors[0].contains("OPENAI_API_KEY"), "{:?}", ran.exit.result.errors);
    assert!(ran.said("OPENAI_API_KEY=absent"));
    assert_eq!(model.requests().len(), 0);
}

#[tokio::test]
async fn with_a_broker_the_key_is_in_no_process_and_the_model_gets_it() {
    let commands = ["echo up > started; while [ ! -e go ]; do sleep 0.02; done", "env; cat /proc/self/environ"];
    let model = ScriptedModel::start(commands.map(str::to_owned).to_vec()).await.unwrap();
    let config = AgentsConfig {
        codex_bin: Some(codex()),
        codex_base_url: model.base_url(),
        codex_secrets: drydock_agent::Secrets::Broker,
        ..config()
    };
    let value = |name: &str| match name {
        "OPENAI_API_KEY" => Some(OsString::from(BROKERED)),
        "OPENAI_PROJECT" => Some(OsString::from("project-canary-17")),
        _ => None,
    };
    let agents = Agents::load_with(&config, &value).unwrap();
    let scratch = scratch(JobType::Edit, "look around");
    let look = async {
        let started = || async { scratch.file("started").exists().then_some(()) };
        drydock_testing::until("codex runs its first command", LIMIT, started).await;
        let seen = (processes_with("cmdline", BROKERED.as_bytes()), processes_with("environ", BROKERED.as_bytes()));
        let marked = processes_with("environ", b"http://drydock:drydock-");
        fs::write(scratch.file("go"), "").unwrap();
        (seen, marked)
    };
    let (ran, (seen, marked)) = tokio::join!(scratch.run(&agents, "codex", None), look);
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{:#?}", ran.text());
    assert_eq!(seen, (Vec::new(), Vec::new()), "the key is in a process");
    assert!(!marked.is_empty(), "none of its processes was looked at");
    assert!(ran.said("OPENAI_API_KEY=present") && ran.said("OPENAI_PROJECT=present"), "{:#?}", ran.text());
    assert!(!ran.text().iter().any(|line| line.contains("canary")), "{:#?}", ran.text());
    assert_eq!(files_with(scratch.root(), BROKERED.as_bytes()), [""; 0].map(PathBuf::from));
    let told = |line: &String| {
        line.starts_with("[egress] POST http://127.0.0.1:") && line.contains("/v1/responses: allowed, answered 200")
    };
    assert_eq!(ran.text().iter().filter(|line| told(line)).count(), 3, "{:#?}", ran.text());
    let asked: Vec<_> = model.requests().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!(asked.len(), 3);
    for request in asked {
        assert_eq!(request.path, "/v1/responses");
        assert_eq!(request.header("authorization"), Some(format!("Bearer {BROKERED}").as_str()));
        assert_eq!(request.header("openai-project"), Some("project-canary-17"));
        assert!(!request.body.contains("canary"));
    }
}
