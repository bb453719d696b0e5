//! Agents behind walls, at each level that has a supervisor to end them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use drydock_agent::{AgentError, Ending};
use drydock_domain::Isolation;
use fs_err as fs;
use tokio::sync::mpsc;

use crate::agent_harness::{Ran, Scratch, built_in, jail_at, shell};

const LEVELS: [Isolation; 2] = [Isolation::Landlock, Isolation::Namespace];

fn jailed(level: Isolation) -> Scratch {
    Scratch { jail: Some(jail_at(level)), ..Scratch::new() }
}

async fn run(scratch: &Scratch, script: &str) -> Ran {
    scratch.run(&shell("exit", script, &[]), "sh", None).await
}

/// Processes whose command line holds `mark`, seen from outside: ids inside a namespace are no ids here.
fn marked(mark: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let holds = |pid: &String| {
        let line = fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
        line.windows(mark.len()).any(|part| part == mark.as_bytes())
    };
    entries.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())).filter(holds).collect()
}

/// A length of sleep that no other test has, and which no process may be seen with afterwards.
fn mark() -> String {
    format!("300.{:09}", rand::RngExt::random_range(&mut rand::rng(), 0..1_000_000_000_u32))
}

/// Ways to stay behind, each with a process that has `MARK` in its command line; the last leaves every trace by which others are found.
const WAYS: [&str; 5] = [
    "sleep MARK &",
    "setsid sleep MARK &",
    "(setsid sh -c 'trap \"\" TERM HUP INT; exec sleep MARK' &)",
    "(setsid sh -c 'setsid sh -c \"sleep MARK & sleep MARK\" &' &)",
    "(env -i setsid sh -c 'cd /; exec sleep MARK' &)",
];

#[tokio::test]
async fn whatever_an_agent_leaves_ends_with_it() {
    for level in LEVELS {
        for way in WAYS {
            let (mark, scratch) = (mark(), jailed(level));
            let script = format!(
                "{}\nwhile ! grep -qszx '{mark}' /proc/[0-9]*/cmdline; do :; done; exit 7",
                way.replace("MARK", &mark)
            );
            let ran = run(&scratch, &script).await;
            assert_eq!(ran.exit.ending, Ending::Exited(7), "{level} {way}: {:?}", ran.text());
            assert_eq!(marked(&mark), [""; 0], "{level}: {way}");
        }
    }
}

#[tokio::test]
async fn an_agent_that_is_stopped_leaves_nothing_however_deaf_and_stopped_itself() {
    for level in LEVELS {
        let mark = mark();
        let scratch = Scratch { timeout: Some(Duration::from_millis(300)), ..jailed(level) };
        let script = format!("trap '' TERM; setsid sleep {mark} & sh -c 'kill -STOP $$; sleep {mark}' & sleep {mark}");
        let ran = run(&scratch, &script).await;
        assert_eq!(ran.exit.ending, Ending::TimedOut);
        assert_eq!(marked(&mark), [""; 0], "{level}");
    }
}

#[tokio::test]
async fn a_polite_stop_is_heard() {
    for level in LEVELS {
        let scratch = Scratch { timeout: Some(Duration::from_millis(300)), ..jailed(level) };
        let ran = run(&scratch, "trap 'echo heard; exit 0' TERM; while :; do sleep 0.05; done").await;
        assert_eq!(ran.exit.ending, Ending::TimedOut);
        assert!(ran.said("heard"), "{level}: {:?}", ran.text());
    }
}

#[tokio::test]
async fn how_a_program_ended_is_told_as_without_walls() {
    for level in LEVELS {
        for (script, ending) in [
            ("exit 0", Ending::Exited(0)),
            ("exit 125", Ending::Exited(125)),
            ("kill -KILL $$", Ending::Signaled(9)),
            ("kill -SEGV $$", Ending::Signaled(11)),
        ] {
            let ran = run(&jailed(level), script).await;
            assert_eq!(ran.exit.ending, ending, "{level}: {script}: {:?}", ran.text());
        }
        let argv = ["/no/such".to_owned()];
        let ran = jailed(level).run(&built_in(), "command", Some(&argv)).await;
        assert_eq!(ran.exit.ending, Ending::Missing("/no/such".to_owned()), "{level}");
    }
}

#[tokio::test]
async fn a_program_outside_of_what_jobs_may_read_is_not_started_and_the_remedy_is_told() {
    let scratch = jailed(Isolation::Landlock);
    let other = tempfile::tempdir().unwrap();
    let script = other.path().join("script");
    fs::copy("/bin/true", &script).unwrap();
    std::os::unix::fs::symlink(&script, scratch.file("link")).unwrap();
    let argv = ["./link".to_owned()];
    let ran = scratch.run(&built_in(), "command", Some(&argv)).await;
    assert_eq!(ran.exit.ending, Ending::Missing("./link".to_owned()));
    assert!(ran.text().iter().any(|line| line.contains("DRYDOCK_JAIL_READ")), "{:?}", ran.text());
}

/// What an operator's entry names may be executed; what a job names only where that may be read anyway.
#[tokio::test]
async fn a_job_that_names_a_program_gains_no_right_to_it() {
    for level in LEVELS {
        let other = tempfile::tempdir().unwrap();
        let outside = other.path().join("tool");
        fs::copy("/bin/true", &outside).unwrap();
        let argv = [outside.display().to_string()];
        let ran = jailed(level).run(&built_in(), "command", Some(&argv)).await;
        assert_eq!(ran.exit.ending, Ending::Missing(argv[0].clone()), "{level}");
        let climbing = [format!("{}/../{}/tool", other.path().display(), other.path().file_name().unwrap().display())];
        let ran = jailed(level).run(&built_in(), "command", Some(&climbing)).await;
        assert_eq!(ran.exit.ending, Ending::Missing(climbing[0].clone()), "{level}");
    }
}

#[tokio::test]
async fn a_jail_that_cannot_be_made_runs_nothing() {
    for level in LEVELS {
        let scratch = jailed(level);
        let mut jail = jail_at(level);
        jail.read.push("/no/such".into());
        let scratch = Scratch { jail: Some(jail), ..scratch };
        let (sender, _receiver) = mpsc::channel(8);
        let error = scratch.launch(&shell("exit", "touch ran", &[]), "sh", None, sender).await.unwrap_err();
        let AgentError::Spawn { source, .. } = &error else { panic!("{level}: {error:?}") };
        assert!(source.to_string().contains("'/no/such'"), "{level}: {source}");
        assert!(!scratch.file("ran").exists(), "{level}");
    }
}

/// Its supervisor is beyond its reach; from outside, somebody may kill it all the same: then the worker sweeps.
#[tokio::test]
async fn an_agent_whose_supervisor_is_killed_is_an_error_and_leaves_nothing() {
    for level in LEVELS {
        let (mark, scratch) = (mark(), jailed(level));
        let script = format!("setsid sleep {mark} & echo on > ready; sleep {mark}");
        let (sender, mut receiver) = mpsc::channel(64);
        let agents = shell("exit", &script, &[]);
        let running = scratch.launch(&agents, "sh", None, sender);
        let killing = async {
            let ready = || async { scratch.file("ready").exists().then_some(()) };
            drydock_testing::until("the agent runs", Duration::from_secs(10), ready).await;
            let workspace = scratch.workspace().display().to_string();
            // The supervisor alone, which is this process's child: what it started is for the worker to find.
            let parent = format!("PPid:\t{}\n", std::process::id());
            let is_ours = |pid: &String| {
                fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| status.contains(&parent))
            };
            let supervisors: Vec<_> = marked(&workspace).into_iter().filter(is_ours).collect();
            assert!(!supervisors.is_empty());
            for pid in supervisors {
                let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            }
            while receiver.recv().await.is_some() {}
        };
        let (result, ()) = tokio::join!(running, killing);
        assert!(matches!(result, Err(AgentError::Processes { .. })), "{level}: {result:?}");
        assert_eq!(marked(&mark), [""; 0], "{level}");
    }
}

#[tokio::test]
async fn a_tree_of_a_thousand_processes_ends_with_one_order() {
    for level in LEVELS {
        let mark = mark();
        let scratch = jailed(level);
        let script = format!(
            "i=0; while [ $i -lt 1000 ]; do setsid sleep {mark} & i=$((i+1)); done; wait $! & echo on > ready; wait"
        );
        let agents = shell("exit", &script, &[]);
        let cancel = scratch.cancel.clone();
        let stopping = async {
            let ready = || async { scratch.file("ready").exists().then_some(()) };
            drydock_testing::until("all of it runs", Duration::from_secs(60), ready).await;
            scratch.hold.condemn();
            cancel.cancel();
            Instant::now()
        };
        let (ran, begun) = tokio::join!(scratch.run(&agents, "sh", None), stopping);
        let took = begun.elapsed();
        assert_eq!(ran.exit.ending, Ending::Canceled);
        assert_eq!(marked(&mark), [""; 0], "{level}");
        // The bar of 1 s is the benchmark's; this one tells a kill from a wait for 1,000 sleeps.
        assert!(took < Duration::from_secs(20), "{level}: {took:?}");
    }
}

#[tokio::test]
async fn a_held_agent_stands_still_and_goes_on() {
    for level in LEVELS {
        let scratch = jailed(level);
        let script = "echo on > ready; i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i > count; done";
        let agents = shell("exit", script, &[]);
        let count = || fs::read_to_string(scratch.file("count")).unwrap_or_default();
        let holding = async {
            let ready = || async { scratch.file("ready").exists().then_some(()) };
            drydock_testing::until("the agent runs", Duration::from_secs(10), ready).await;
            assert!(scratch.hold.freeze());
            let held = count();
            for _ in 0..50 {
                tokio::task::yield_now().await;
                assert_eq!(count(), held, "{level}: it goes on");
            }
            assert!(scratch.hold.thaw());
            let goes_on = || async { (!count().is_empty() && count() != held).then_some(()) };
            drydock_testing::until("it goes on", Duration::from_secs(10), goes_on).await;
            fs::write(scratch.file("stop"), "").unwrap();
        };
        let (ran, ()) = tokio::join!(scratch.run(&agents, "sh", None), holding);
        assert_eq!(ran.exit.ending, Ending::Exited(0), "{level}");
    }
}
