//! What one attempt costs its worker, stage by stage, without database and broker: `true` in a fresh workspace.
//! `cargo bench -p drydock-worker --bench attempt -- [attempts] [at once]`; any S3 settings will do, because nothing is stored.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has nothing to say")]
#![expect(clippy::print_stdout, reason = "its result is for people")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use drydock_agent::{self as agent, Agents, AgentsConfig, Launch};
use drydock_domain::{AttemptId, Digest, JobId, JobType, ObjectKind, ProjectId, TenantId, agent::AgentRequest};
use drydock_egress::Egress;
use drydock_storage::{BoxError, Limits, PackRegistry, Storage};
use drydock_worker::workspace::{self, Materialized, PushOptions, ScratchRoot};
use tokio::sync::{Semaphore, mpsc};

const STAGES: [&str; 5] = ["create scratch", "materialize", "run `true`", "push", "remove scratch"];

struct Fleet {
    agents: Agents,
    scratch: ScratchRoot,
    storage: Storage,
    times: Mutex<[Duration; STAGES.len()]>,
}

struct NoPacks;

impl PackRegistry for NoPacks {
    async fn uploading(&self, _kind: ObjectKind, _id: Digest, _bytes: u64) -> Result<(), BoxError> {
        Err("an empty workspace has no packs".into())
    }
}

async fn attempt(fleet: &Fleet) {
    let (tenant, id) = (TenantId::DEFAULT, AttemptId::generate());
    let mut times = [Duration::ZERO; STAGES.len()];
    let mut began = Instant::now();
    let mut stage = 0;
    let mut done = || {
        times[stage] = began.elapsed();
        (began, stage) = (Instant::now(), stage + 1);
    };
    let scratch = fleet.scratch.create(id).unwrap();
    done();
    let materialized = Arc::new(Materialized::empty());
    done();
    run(fleet, id, &scratch).await;
    done();
    let options = PushOptions { tenant, limits: Limits::default(), packs_dir: scratch.packs(), inline_max: 0 };
    let pushed = workspace::push(&fleet.storage, options, &materialized, scratch.workspace(), &NoPacks).await.unwrap();
    assert!(pushed.written.is_none(), "an empty workspace makes no version");
    done();
    scratch.close().await.unwrap();
    done();
    for (sum, time) in fleet.times.lock().unwrap().iter_mut().zip(times) {
        *sum += time;
    }
}

async fn run(fleet: &Fleet, id: AttemptId, scratch: &workspace::Scratch) {
    let request = AgentRequest {
        project_id: ProjectId::generate(),
        job_id: JobId::generate(),
        attempt: 1,
        job_type: JobType::Command,
        instruction: String::new(),
        workspace_path: scratch.workspace().display().to_string(),
        labels: Default::default(),
    };
    let (output, mut said) = mpsc::channel(64);
    let launch = Launch {
        spec: fleet.agents.get("command").unwrap(),
        request: &request,
        attempt: id,
        argv: Some(&["true".to_owned()]),
        workspace: scratch.workspace(),
        shared: false,
        home: &scratch.home(),
        tmp: &scratch.temp(),
        egress: &Egress::default(),
        jail: None,
        timeout: None,
        silence: None,
        cancel: Default::default(),
        hold: Default::default(),
        // The directory goes; the result stands in the attempt's row.
        completes_result: false,
        output,
    };
    let (exit, ()) = tokio::join!(agent::run(launch), async { while said.recv().await.is_some() {} });
    assert!(exit.unwrap().ending.is_success());
}

async fn all(attempts: usize, at_once: usize) {
    let directory = tempfile::tempdir().unwrap();
    let fleet = Arc::new(Fleet {
        agents: Agents::load(&AgentsConfig::default()).unwrap(),
        scratch: ScratchRoot::open(directory.path(), 0).unwrap(),
        storage: drydock_testing::storage(&drydock_testing::storage_config()),
        times: Mutex::default(),
    });
    let slots = Arc::new(Semaphore::new(at_once));
    let (began, before) = (Instant::now(), cpu());
    let mut tasks = Vec::new();
    for _ in 0..attempts {
        let slot = slots.clone().acquire_owned().await.unwrap();
        let fleet = fleet.clone();
        tasks.push(drydock_runtime::tasks::spawn("attempt", async move {
            attempt(&fleet).await;
            drop(slot);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let (wall, after) = (began.elapsed(), cpu());
    let each = |seconds: f64| seconds * 1e3 / attempts as f64;
    println!("{attempts} attempts, {at_once} at once: {:.0}/s", attempts as f64 / wall.as_secs_f64());
    for (name, time) in STAGES.iter().zip(*fleet.times.lock().unwrap()) {
        println!("  {name:<16} {:7.3} ms of slot", each(time.as_secs_f64()));
    }
    println!("  CPU: worker {:.3} ms, agents {:.3} ms", each(after.0 - before.0), each(after.1 - before.1));
}

/// CPU seconds of this process and of the children it waited for (`proc_pid_stat(5)`, fields 14 to 17), in ticks of 10 ms.
fn cpu() -> (f64, f64) {
    let stat = fs_err::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    ((ticks(11) + ticks(12)) / 100.0, (ticks(13) + ticks(14)) / 100.0)
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (attempts, at_once) = (numbers.next().unwrap_or(1000), numbers.next().unwrap_or(4));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(all(attempts, at_once));
}
