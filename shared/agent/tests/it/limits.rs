//! What a run may use of its node: whoever uses more is ended, whole, and told what it was.

use std::time::Duration;

use drydock_agent::{Agents, AgentsConfig, Ending, Limits, Resource};
use drydock_domain::Isolation;
use fs_err as fs;

use crate::agent_harness::{Ran, Scratch, config, jail_at, lives};

fn agents(script: &str, own: &str, limits: Limits) -> Agents {
    let text = format!(
        "[[agent]]\nname = 'sh'\nargv = ['/bin/sh', '-c', {script:?}]\nprotocol = 'exit'\n[agent.limits]\n{own}"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let config = AgentsConfig { file: Some(file.path().to_owned()), limits, ..config() };
    Agents::load_with(&config, &|_| None).unwrap()
}

async fn run(scratch: &Scratch, script: &str, own: &str) -> Ran {
    scratch.run(&agents(script, own, Limits::default()), "sh", None).await
}

/// Without walls and at each level that has a supervisor.
fn scratches() -> [Scratch; 3] {
    let jailed = |level| Scratch { jail: Some(jail_at(level)), ..Scratch::open() };
    [Scratch::open(), jailed(Isolation::Landlock), jailed(Isolation::Namespace)]
}

/// Ended for this, with what it said until then and nothing of it left.
fn is_over(ran: &Ran, resource: Resource, limit: u64) {
    let Ending::OverLimit(excess) = &ran.exit.ending else { panic!("{:?}: {:?}", ran.exit.ending, ran.text()) };
    assert_eq!((excess.resource, excess.limit), (resource, limit));
    assert!(excess.used > limit, "{excess:?}");
    let told = &ran.exit.result.errors[0];
    let words = format!("sh was stopped for taking more than it may: {} ", excess.used);
    assert!(told.starts_with(&words) && told.contains("DRYDOCK_LIMIT_"), "{told}");
}

#[tokio::test]
async fn memory_is_what_its_processes_have_together() {
    // Each has 24 MiB of its own; what they share with the one that started them counts once.
    let child = "python3 -c 'x = bytearray(24 << 20); print(\"up\", flush=True); import time; time.sleep(300)' &";
    let script = format!("for i in 1 2 3 4; do {child} done; wait");
    for scratch in scratches() {
        let ran = run(&scratch, &script, "memory_bytes = 67108864").await;
        is_over(&ran, Resource::Memory, 64 << 20);
    }
}

#[tokio::test]
async fn memory_that_is_shared_is_no_more_for_being_shared() {
    let script = "import os, time\n\
        x = bytearray(96 << 20)\n\
        children = [os.fork() for _ in range(1)]\n\
        for _ in range(6):\n    (0 in children) or children.append(os.fork())\n\
        0 in children and time.sleep(1.8)\n\
        0 in children or [os.wait() for _ in children]\n";
    for scratch in scratches() {
        fs::write(scratch.file("fork.py"), script).unwrap();
        let ran = run(&scratch, "python3 fork.py", "memory_bytes = 209715200").await;
        assert_eq!(ran.exit.ending, Ending::Exited(0), "seven that show 100 MiB each have no 200: {:?}", ran.text());
    }
}

#[tokio::test]
async fn time_on_processors_is_that_of_all_of_them() {
    for scratch in scratches() {
        let ran = run(&scratch, "(while :; do :; done) & while :; do :; done", "cpu_time = '1s'").await;
        is_over(&ran, Resource::CpuTime, 1000);
    }
}

#[tokio::test]
async fn processes_and_threads_are_counted() {
    for scratch in scratches() {
        let script = "for i in $(seq 40); do (echo $$ > pid; exec sleep 300) & done; wait";
        let ran = run(&scratch, script, "processes = 30").await;
        is_over(&ran, Resource::Processes, 30);
        let threads =
            "import threading, time\n[threading.Thread(target=time.sleep, args=[300]).start() for _ in range(40)]";
        fs::write(scratch.file("threads.py"), threads).unwrap();
        is_over(&run(&scratch, "python3 threads.py", "processes = 30").await, Resource::Processes, 30);
    }
}

/// The kernel shows it as dead, without memory, environment or command line.
#[tokio::test]
async fn a_process_whose_first_thread_has_ended_is_counted_like_any_other() {
    let script = "import ctypes, threading, time\n\
        def work():\n    x = bytearray(150 << 20)\n    time.sleep(300)\n\
        [threading.Thread(target=target).start() for target in [work] + 20 * [lambda: time.sleep(300)]]\n\
        ctypes.CDLL(None).pthread_exit(None)\n";
    for scratch in scratches().into_iter().skip(1) {
        fs::write(scratch.file("headless.py"), script).unwrap();
        let run = async |own: &str| run(&scratch, "python3 headless.py & wait; sleep 300", own).await;
        is_over(&run("memory_bytes = 100000000").await, Resource::Memory, 100_000_000);
        is_over(&run("processes = 15").await, Resource::Processes, 15);
    }
}

#[tokio::test]
async fn the_dead_that_nobody_reaps_are_counted() {
    for scratch in scratches().into_iter().skip(1) {
        fs::write(
            scratch.file("dead.py"),
            "import os, time\n[os.fork() or os._exit(0) for _ in range(60)]\ntime.sleep(300)",
        )
        .unwrap();
        is_over(&run(&scratch, "python3 dead.py", "processes = 40").await, Resource::Processes, 40);
    }
}

#[tokio::test]
async fn a_disk_is_filled_up_to_the_limit_only() {
    for scratch in scratches() {
        let script = "for i in $(seq 200); do head -c 1000000 /dev/zero > big$i; sleep 0.02; done; sleep 300";
        let ran = run(&scratch, script, "disk_bytes = 20000000").await;
        is_over(&ran, Resource::Disk, 20_000_000);
        // A file without a hole's blocks takes nothing.
        let ran = run(&Scratch::open(), "truncate -s 1T hole; sleep 1.5", "disk_bytes = 20000000").await;
        assert_eq!(ran.exit.ending, Ending::Exited(0), "{:?}", ran.text());
    }
}

#[tokio::test]
async fn files_are_counted_in_its_home_as_well() {
    for scratch in scratches() {
        let script = "cd \"$HOME\"; mkdir d; for i in $(seq 300); do : > d/$i; done; sleep 300";
        let ran = run(&scratch, script, "files = 250").await;
        is_over(&ran, Resource::Files, 250);
    }
}

#[tokio::test]
async fn output_is_limited_by_bytes_and_by_lines() {
    for scratch in scratches() {
        let ran = run(&scratch, "yes '' | head -n 1000000; sleep 300", "output_lines = 1000").await;
        is_over(&ran, Resource::OutputLines, 1000);
        let ran = run(&scratch, "head -c 100000000 /dev/zero | tr '\\0' x; sleep 300", "output_bytes = 100000").await;
        is_over(&ran, Resource::OutputBytes, 100_000);
    }
}

#[tokio::test]
async fn an_agents_own_limit_goes_before_the_workers_and_what_is_within_runs_on() {
    let of_worker = Limits { output_lines: Some(10), processes: Some(1000), ..Limits::default() };
    let patient = agents("seq 100; sleep 1.2", "output_lines = 1000", of_worker.clone());
    let ran = Scratch::open().run(&patient, "sh", None).await;
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{:?}", ran.exit.result);
    let ran = Scratch::open().run(&agents("seq 100; sleep 300", "", of_worker), "sh", None).await;
    is_over(&ran, Resource::OutputLines, 10);
}

#[tokio::test]
async fn whoever_is_over_a_limit_is_asked_no_more() {
    let mut scratch = Scratch::open();
    scratch.timeout = Some(Duration::from_secs(60));
    let script = "trap 'echo asked' TERM; echo $$ > pid; seq 2000; while :; do sleep 0.1; done";
    let ran = run(&scratch, script, "output_lines = 1000").await;
    is_over(&ran, Resource::OutputLines, 1000);
    assert!(!ran.said("asked") && !lives(&fs::read_to_string(scratch.file("pid")).unwrap()));
}

#[test]
fn a_limit_of_nothing_is_a_mistake_that_is_named() {
    let config = |own: &str| {
        let text = format!("[[agent]]\nname = 'a'\nargv = ['/bin/sh']\nprotocol = 'exit'\n[agent.limits]\n{own}\n");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let config = AgentsConfig { file: Some(file.path().to_owned()), ..config() };
        Agents::load_with(&config, &|_| None).unwrap_err().to_string()
    };
    for (own, told) in [
        ("memory_bytes = 0", "agent 'a': limits.memory_bytes: must be above zero"),
        ("cpu_time = '0s'", "agent 'a': limits.cpu_time: must be above zero"),
        ("memory = 5", "agent 'a': unknown field `memory`"),
        ("files = -1", "agent 'a': invalid value: integer `-1`"),
    ] {
        let said = config(own);
        assert!(said.contains(told), "{said}");
    }
}
