//! How agents end, and that nothing of them is left.

use std::time::{Duration, Instant};

use drydock_agent::{AgentError, Agents, AgentsConfig, Ending};
use drydock_domain::agent::AgentStatus;
use fs_err as fs;

use crate::agent_harness::{GRACE, Scratch, built_in, config, lives, run_shell, run_shell_in, shell};

/// Long enough for a shell to have set its traps on a busy machine.
const HANG: Duration = Duration::from_secs(1);

/// Starts something in the background and waits until it wrote its process id.
fn leaves(how: &str) -> String {
    format!("{how}\nwhile [ ! -s pid ]; do sleep 0.01; done; mv pid \"$HOME/pid\"; echo over")
}

async fn is_killed(how: &str) {
    let begun = Instant::now();
    let (scratch, ran) = run_shell(&leaves(how)).await;
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{:?}", ran.text());
    assert!(ran.said("over"));
    let pid = fs::read_to_string(scratch.root().join("home/pid")).unwrap();
    assert!(!lives(&pid), "{how}: process {pid} is still there");
    assert!(begun.elapsed() < Duration::from_secs(10), "took {:?}", begun.elapsed());
}

/// Runs another agent beside `test`: what an agent leaves must be told from what the other one runs.
async fn beside_another<T>(test: impl Future<Output = T>) -> T {
    let other = Scratch::new();
    let agents = shell("exit", "touch up; while [ ! -e go ]; do sleep 0.01; done", &[]);
    let test = async {
        while !other.file("up").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let tested = test.await;
        fs::write(other.file("go"), "").unwrap();
        tested
    };
    let (ran, tested) = tokio::join!(other.run(&agents, "sh", None), test);
    assert_eq!(ran.exit.ending, Ending::Exited(0));
    tested
}

#[tokio::test]
async fn nothing_an_agent_leaves_behind_survives() {
    beside_another(async {
        // In its group, holding the output open.
        is_killed("sh -c 'echo $$ > pid; exec sleep 300' &").await;
        // A daemon: another session, no parent, output elsewhere, then holding the output open.
        is_killed("(setsid sh -c 'echo $$ > pid; exec sleep 300' >/dev/null 2>&1 &)").await;
        is_killed("(setsid sh -c 'echo $$ > pid; exec sleep 300' &)").await;
        // Away from the workspace; without its environment; deaf to everything that can be ignored.
        is_killed("(setsid sh -c 'echo $$ > pid; cd /; exec sleep 300' &)").await;
        is_killed("(env -i setsid sh -c 'echo $$ > pid; exec sleep 300' &)").await;
        is_killed("(setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > pid; while :; do sleep 1; done' &)").await;
    })
    .await;
    // All of it at once can only be found when no other agent runs.
    is_killed("(env -i setsid sh -c 'echo $$ > pid; cd /; exec sleep 300' &)").await;
}

/// The kernel tells who was started from outside of its PID namespace that its group's number is 0.
#[test]
fn the_same_for_a_worker_that_was_started_from_outside_of_its_namespace() {
    let again = r#"[ "$(cut -d' ' -f5 /proc/$$/stat)" = 0 ] && "$0" --exact "$1"; exit $?"#;
    let mut command = std::process::Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", again]).arg(std::env::current_exe().unwrap());
    let ran = command.arg("agent::nothing_an_agent_leaves_behind_survives").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn many_sessions_at_once_are_all_found() {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3 4 5; do (setsid sh -c 'echo $$ >> \"$HOME/pids\"; sleep 300; sleep 300' &); done; done; \
        while [ \"$(wc -l < \"$HOME/pids\")\" -lt 50 ]; do sleep 0.01; done";
    let (scratch, ran) = run_shell(script).await;
    assert_eq!(ran.exit.ending, Ending::Exited(0));
    let pids = fs::read_to_string(scratch.root().join("home/pids")).unwrap();
    assert_eq!(pids.lines().count(), 50);
    assert_eq!(pids.lines().filter(|pid| lives(pid)).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_one_attempt_leaves_the_others_alone() {
    let long = Scratch::new();
    let agents = shell(
        "exit",
        "(setsid sh -c 'echo $$ > pid; exec sleep 300' &); while [ ! -e go ]; do sleep 0.01; done; kill -0 $(cat pid) && echo alive",
        &[],
    );
    let others = async {
        while fs::read(long.file("pid")).map_or(true, |pid| pid.is_empty()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..20 {
            let (_, ran) = run_shell("(setsid sleep 300 &); (true &)").await;
            assert_eq!(ran.exit.ending, Ending::Exited(0));
        }
        fs::write(long.file("go"), "").unwrap();
    };
    let (ran, ()) = tokio::join!(long.run(&agents, "sh", None), others);
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{:?}", ran.text());
    assert!(ran.said("alive"));
}

#[tokio::test]
async fn a_process_that_hides_well_delays_nothing_and_lives_until_the_last_agent_ends() {
    let (pid, survived) = beside_another(async {
        let begun = Instant::now();
        let how = "(env -i setsid sh -c 'echo $$ > pid; cd /; exec sleep 300' &)";
        let (scratch, ran) = run_shell_in(Scratch::open(), &leaves(how)).await;
        assert_eq!(ran.exit.ending, Ending::Exited(0));
        assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
        let pid = fs::read_to_string(scratch.root().join("home/pid")).unwrap();
        let survived = lives(&pid);
        (pid, survived)
    })
    .await;
    assert!(survived, "it was found, so this test shows nothing");
    assert!(!lives(&pid), "process {pid} is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exit_code_is_right_when_many_run_at_once() {
    let agents = built_in();
    let runs = (0..40).map(|code| {
        let agents = &agents;
        async move {
            let argv = ["sh".to_owned(), "-c".to_owned(), format!("(setsid true &); exit {code}")];
            (code, Scratch::new().run(agents, "command", Some(&argv)).await.exit.ending)
        }
    });
    for (code, ending) in futures_util::future::join_all(runs).await {
        assert_eq!(ending, Ending::Exited(code));
    }
}

#[tokio::test]
async fn a_missing_program_is_the_jobs_error() {
    let scratch = Scratch::new();
    fs::write(scratch.file("text"), "no program").unwrap();
    for program in ["no-such-program", "/no/such", "./text", ".", "a\0b"] {
        let ran = scratch.run(&built_in(), "command", Some(&[program.to_owned()])).await;
        assert_eq!(ran.exit.ending, Ending::Missing(program.to_owned()));
        assert_eq!(scratch.result()["status"], "error");
        let said = scratch.result()["errors"][0].as_str().unwrap().to_owned();
        assert!(said.contains("is missing or cannot be run"), "{said}");
        assert!(ran.text().iter().any(|line| line.starts_with("[worker] cannot start")), "{:?}", ran.text());
    }
    let long = vec!["true".to_owned(), "x".repeat(3 << 20)];
    assert!(matches!(scratch.run(&built_in(), "command", Some(&long)).await.exit.ending, Ending::Missing(_)));
}

#[tokio::test]
async fn a_program_that_vanished_since_the_start_is_missing_too() {
    let scratch = Scratch::new();
    let program = scratch.root().join("agent");
    fs::copy("/bin/true", &program).unwrap();
    let file = scratch.root().join("agents.toml");
    fs::write(&file, format!("[[agent]]\nname='gone'\nargv=[{program:?}]\nprotocol='file'\n")).unwrap();
    let agents = Agents::load(&AgentsConfig { file: Some(file.clone()), ..config() }).unwrap();
    fs::remove_file(&program).unwrap();
    let ran = scratch.run(&agents, "gone", None).await;
    assert!(matches!(ran.exit.ending, Ending::Missing(_)));
    assert_eq!(ran.exit.result.errors.len(), 1, "{:?}", ran.exit.result);
}

#[tokio::test]
async fn exit_three_and_death_by_signal() {
    let (scratch, ran) = run_shell("echo first; echo 'it broke' >&2; exit 3").await;
    assert_eq!(ran.exit.ending, Ending::Exited(3));
    assert_eq!(ran.exit.result.errors, ["sh exited with code 3", "first\nit broke"]);
    assert_eq!(ran.exit.last_message.as_deref(), Some("first\nit broke"));
    assert_eq!(scratch.result(), serde_json::to_value(&ran.exit.result).unwrap());
    let (_, ran) = run_shell("kill -9 $$").await;
    assert_eq!(ran.exit.ending, Ending::Signaled(9));
}

#[tokio::test]
async fn a_hanging_agent_is_stopped_at_its_time_limit() {
    let mut scratch = Scratch::new();
    scratch.timeout = Some(HANG);
    let agents = shell("exit", "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.01; done", &[]);
    let ran = scratch.run(&agents, "sh", None).await;
    assert_eq!(ran.exit.ending, Ending::TimedOut);
    assert!(ran.said("up") && ran.said("asked"), "{:?}", ran.text());
    assert_eq!(ran.exit.result.errors[0], "sh was stopped at its time limit");

    let begun = Instant::now();
    let agents = shell("exit", "trap '' TERM; echo deaf; while :; do sleep 0.01; done", &[]);
    let ran = scratch.run(&agents, "sh", None).await;
    assert_eq!(ran.exit.ending, Ending::TimedOut);
    assert!(ran.said("deaf"));
    assert!(begun.elapsed() >= HANG + GRACE, "killed after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_agents_own_time_limit_holds_when_the_job_sets_none() {
    let scratch = Scratch::new();
    let file = scratch.root().join("agents.toml");
    fs::write(&file, "[[agent]]\nname='slow'\nargv=['/bin/sleep','300']\nprotocol='exit'\ntimeout='100ms'\n").unwrap();
    let agents = Agents::load(&AgentsConfig { file: Some(file.clone()), ..config() }).unwrap();
    assert_eq!(scratch.run(&agents, "slow", None).await.exit.ending, Ending::TimedOut);
}

#[tokio::test]
async fn cancel_ends_it_even_when_nobody_reads_its_output() {
    let scratch = Scratch::new();
    let agents = shell("exit", "exec yes", &[]);
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    let full = sender.clone();
    let cancel = async {
        while full.capacity() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        scratch.cancel.cancel();
    };
    let begun = Instant::now();
    let (exit, ()) = tokio::join!(scratch.launch(&agents, "sh", None, sender), cancel);
    assert_eq!(exit.unwrap().ending, Ending::Canceled);
    assert!(begun.elapsed() < Duration::from_secs(10), "took {:?}", begun.elapsed());
    assert_eq!(receiver.len(), 8);
}

#[tokio::test]
async fn what_is_cancelled_before_its_start_never_starts() {
    let scratch = Scratch::new();
    scratch.cancel.cancel();
    let agents = shell("exit", "touch up", &[]);
    let (sender, _receiver) = tokio::sync::mpsc::channel(1);
    let exit = scratch.launch(&agents, "sh", None, sender).await.unwrap();
    assert_eq!(exit.ending, Ending::Canceled);
    assert!(!scratch.file("up").exists());
    assert_eq!(scratch.result()["status"], "error");
}

#[tokio::test]
async fn a_receiver_that_went_away_does_not_stop_the_agent() {
    let scratch = Scratch::new();
    let agents = shell("exit", "head -c 1000000 /dev/zero; touch reached", &[]);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    drop(receiver);
    let exit = scratch.launch(&agents, "sh", None, sender).await.unwrap();
    assert_eq!(exit.ending, Ending::Exited(0));
    assert!(scratch.file("reached").exists());
}

#[tokio::test]
async fn a_dropped_run_kills_its_group() {
    let scratch = Scratch::new();
    let agents = shell("exit", "echo $$ > pid; exec sleep 300", &[]);
    let started = async {
        loop {
            let pid = fs::read_to_string(scratch.file("pid")).unwrap_or_default();
            if !pid.is_empty() {
                return pid;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let pid = tokio::select! {
        ran = scratch.run(&agents, "sh", None) => panic!("ended by itself: {ran:?}"),
        pid = started => pid,
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while lives(&pid) {
        assert!(Instant::now() < deadline, "process {pid} lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn our_own_inability_is_an_error_and_not_a_result() {
    let scratch = Scratch::new();
    let (sender, _receiver) = tokio::sync::mpsc::channel(8);
    let error = scratch.launch(&built_in(), "command", None, sender.clone()).await.unwrap_err();
    assert!(matches!(error, AgentError::NoArgv(_)), "{error}");
    fs::remove_dir(scratch.workspace()).unwrap();
    let argv = ["true".to_owned()];
    let error = scratch.launch(&built_in(), "command", Some(&argv), sender).await.unwrap_err();
    assert!(matches!(error, AgentError::Prepare { what: ".codex", .. }), "{error}");
}

#[tokio::test]
async fn a_removed_workspace_is_the_agents_fault() {
    let (scratch, ran) = run_shell_in(Scratch::open(), "rm -rf \"$DRYDOCK_WORKSPACE\"").await;
    assert_eq!(ran.exit.result.status, AgentStatus::Error);
    assert_eq!(ran.exit.result.errors, ["the agent removed its workspace"]);
    assert_eq!(scratch.result()["status"], "error");
}
