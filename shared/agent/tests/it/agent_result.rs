//! The `.codex` documents: written before, read after, whatever lies in the way; and the dummy agent, which follows them.

use std::os::unix::fs::symlink;

use drydock_agent::Ending;
use drydock_domain::{JobType, agent::AgentStatus};
use fs_err as fs;
use tempfile::TempDir;

use crate::agent_harness::{Ran, Scratch, built_in, shell};

async fn file_agent(script: &str) -> (Scratch, Ran) {
    let scratch = Scratch::new();
    let ran = scratch.run(&shell("file", script, &[]), "sh", None).await;
    (scratch, ran)
}

#[tokio::test]
async fn a_result_that_cannot_be_used_is_an_error_that_says_so() {
    for (script, words) in [
        ("true", "wrote no .codex/result.json"),
        ("printf '{\"status\":' > .codex/result.json", "result.json is malformed: EOF"),
        ("printf '{\"status\":\"great\"}' > .codex/result.json", "unknown variant `great`"),
        (": > .codex/result.json", "result.json is empty"),
        ("head -c 1048577 /dev/zero > .codex/result.json", "larger than 1048576 bytes"),
        ("truncate -s 1T .codex/result.json", "larger than 1048576 bytes"),
        ("mkdir -p .codex/result.json/x", "is a folder"),
        ("mkfifo .codex/result.json", "is a named pipe"),
        ("ln -s /etc/passwd .codex/result.json", "is a symbolic link"),
        ("rm -r .codex", "wrote no .codex/result.json"),
        ("rm -r .codex; touch .codex", "wrote no .codex/result.json"),
    ] {
        let (scratch, ran) = file_agent(script).await;
        assert_eq!(ran.exit.ending, Ending::Exited(0));
        assert_eq!(ran.exit.result.status, AgentStatus::Error, "{script}");
        let said = ran.exit.result.errors.join("\n");
        assert!(said.contains(words), "{script}: {said}");
        assert_eq!(scratch.result()["errors"][0], ran.exit.result.errors[0], "{script}");
    }
}

#[tokio::test]
async fn a_good_result_is_taken_over_and_can_be_written_again() {
    let script = "cp .codex/request.json seen.json; \
        printf '{\"status\":\"completed\",\"summary\":\"did it\",\"created_files\":[\"claimed\"]}' > .codex/result.json";
    let (scratch, ran) = file_agent(script).await;
    assert_eq!(ran.exit.result.status, AgentStatus::Completed);
    assert_eq!(ran.exit.result.created_files, ["claimed"]);
    assert_eq!(ran.exit.last_message.as_deref(), Some("did it"));
    let seen: serde_json::Value = serde_json::from_slice(&fs::read(scratch.file("seen.json")).unwrap()).unwrap();
    assert_eq!(seen, serde_json::to_value(&scratch.request).unwrap());
    assert_eq!(scratch.result()["summary"], serde_json::json!(ran.exit.result.summary));
}

#[tokio::test]
async fn a_result_left_by_an_earlier_version_does_not_count() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.file(".codex")).unwrap();
    fs::write(scratch.file(".codex/result.json"), r#"{"status":"completed"}"#).unwrap();
    let ran = scratch.run(&shell("file", "true", &[]), "sh", None).await;
    assert_eq!(ran.exit.result.errors, ["the agent wrote no .codex/result.json"]);
}

#[tokio::test]
async fn links_lead_nowhere() {
    let outside = TempDir::new().unwrap();
    let bait = outside.path().join("result.json");
    fs::write(&bait, r#"{"status":"completed"}"#).unwrap();

    let scratch = Scratch::new();
    symlink(outside.path(), scratch.file(".codex")).unwrap();
    let ran = scratch.run(&shell("exit", "test -f .codex/request.json", &[]), "sh", None).await;
    assert_eq!(ran.exit.ending, Ending::Exited(0));
    assert!(ran.said("[worker] .codex was a symbolic link, replaced by a folder"));

    let script = format!("rm -r .codex; ln -s {} .codex", outside.path().display());
    let (_, ran) = file_agent(&script).await;
    assert_eq!(ran.exit.result.errors, ["the agent wrote no .codex/result.json"]);

    let script = format!("cd ..; mv workspace elsewhere; ln -s {} workspace", outside.path().display());
    let scratch = Scratch::open();
    let ran = scratch.run(&shell("file", &script, &[]), "sh", None).await;
    assert!(ran.exit.result.errors.contains(&"the agent removed its workspace".to_owned()), "{:?}", ran.exit.result);
    assert!(!fs::symlink_metadata(scratch.workspace()).unwrap().is_symlink());

    let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["result.json"]);
    assert_eq!(fs::read_to_string(&bait).unwrap(), r#"{"status":"completed"}"#);
}

async fn dummy(scratch: &mut Scratch, job_type: JobType, instruction: &str) -> Ran {
    scratch.request.job_type = job_type;
    scratch.request.instruction = instruction.to_owned();
    scratch.run(&built_in(), "dummy", None).await
}

async fn python(scratch: &Scratch, arguments: &[&str]) -> Ran {
    let argv: Vec<String> = ["python3"].iter().chain(arguments).map(|&argument| argument.to_owned()).collect();
    let other = Scratch::open();
    let ran = other
        .run(
            &built_in(),
            "command",
            Some(&[vec!["env".to_owned(), "-C".to_owned(), scratch.workspace().display().to_string()], argv].concat()),
        )
        .await;
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{:?}", ran.text());
    ran
}

#[tokio::test]
async fn the_dummy_makes_a_project_and_edits_it() {
    let mut scratch = Scratch::new();
    let ran = dummy(&mut scratch, JobType::InitialProject, "Fibonacci, please").await;
    assert_eq!(ran.exit.result.status, AgentStatus::Completed, "{:?}", ran.text());
    assert_eq!(ran.exit.result.created_files, ["README.md", "app.py", "tests/test_cli.py"]);
    assert!(python(&scratch, &["app.py"]).await.said("0 1 1 2 3 5 8 13 21 34"));
    python(&scratch, &["tests/test_cli.py"]).await;
    python(&scratch, &["-m", "unittest", "tests/test_cli.py"]).await;

    let before = fs::read_to_string(scratch.file("app.py")).unwrap();
    let ran = dummy(&mut scratch, JobType::Edit, "\n  add\ta note\rimport os; os.abort()\nmore").await;
    assert_eq!(ran.exit.result.modified_files, ["app.py"]);
    let after = fs::read_to_string(scratch.file("app.py")).unwrap();
    assert_eq!(after.strip_prefix(&before), Some("# add\n"));
    python(&scratch, &["tests/test_cli.py"]).await;
}

#[tokio::test]
async fn the_dummy_creates_the_file_it_edits_and_fails_when_told_to() {
    let mut scratch = Scratch::new();
    let ran = dummy(&mut scratch, JobType::Edit, "a note").await;
    assert_eq!(ran.exit.result.created_files, ["app.py"]);
    assert_eq!(fs::read_to_string(scratch.file("app.py")).unwrap(), "# a note\n");
    let ran = dummy(&mut scratch, JobType::Edit, "please force_error now").await;
    assert_eq!(ran.exit.ending, Ending::Exited(0));
    assert_eq!(ran.exit.result.status, AgentStatus::Error);
    assert_eq!(ran.exit.result.errors, ["forced_error"]);
    assert_eq!(fs::read_to_string(scratch.file("app.py")).unwrap(), "# a note\n");
}
