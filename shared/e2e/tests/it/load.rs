//! Submitters that go on through faults. What was answered with 2xx is a promise; agents note which attempt they are.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use drydock_testing::until;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::stack::{
    PATIENCE, Stack,
    client::{http, id, shell},
};

/// How long a submitter waits for an answer before it asks for another job.
const ANSWER: Duration = Duration::from_secs(2);

pub(crate) struct Load {
    accepted: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
    submitters: Mutex<JoinSet<()>>,
    notes: PathBuf,
}

impl Load {
    /// One submitter a project, over all APIs, of jobs that run `script`, so many milliseconds apart.
    pub(crate) async fn of(stack: &Stack, projects: usize, script: &str, pause_ms: u64) -> Self {
        let made = (0..projects).map(|_| stack.client.project(json!({"instruction": "an app under load"})));
        let projects: Vec<String> = join_all(made).await.iter().map(id).collect();
        let notes = stack.scratch.path().join("notes");
        let job = shell(&format!(
            "echo $DRYDOCK_JOB_ID $DRYDOCK_ATTEMPT $DRYDOCK_ATTEMPT_ID >> {}; {script}; echo x > x.txt",
            notes.display()
        ));
        let (accepted, stopped) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let mut submitters = JoinSet::new();
        for (number, project) in projects.into_iter().enumerate() {
            let base = &stack.client.bases()[number % stack.client.bases().len()];
            let url = format!("{base}/api/v1/projects/{project}/jobs");
            let pause = Duration::from_millis(pause_ms);
            submitters.spawn(submit(url, job.clone(), pause, accepted.clone(), stopped.clone()));
        }
        Self { accepted, stopped, submitters: Mutex::new(submitters), notes }
    }

    /// Awaits that so many more jobs are accepted, and one more has run.
    pub(crate) async fn accepts(&self, more: usize) {
        let (accepted, ran) = (self.accepted().len(), self.attempts().len());
        until("jobs are accepted and run", PATIENCE, || async {
            (self.accepted().len() >= accepted + more && self.attempts().len() > ran).then_some(())
        })
        .await;
    }

    /// Ends the submitters; the jobs that were accepted.
    pub(crate) async fn stop(&self) -> Vec<String> {
        self.stopped.store(true, Ordering::Relaxed);
        let submitters = std::mem::take(&mut *self.submitters.lock().unwrap());
        submitters.join_all().await;
        self.accepted()
    }

    /// Jobs answered with 2xx so far.
    pub(crate) fn accepted(&self) -> Vec<String> {
        self.accepted.lock().unwrap().clone()
    }

    /// What agents said they are: job, number and id of the attempt.
    pub(crate) fn attempts(&self) -> Vec<[String; 3]> {
        let notes = fs_err::read_to_string(&self.notes).unwrap_or_default();
        let whole = notes.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let words = whole.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        words.map(|words| words.try_into().unwrap()).collect()
    }

    /// No agent was ever told the attempt, or the number of an attempt, that another was told.
    pub(crate) fn assert_no_attempt_twice(&self) {
        let attempts = self.attempts();
        let ids: BTreeSet<_> = attempts.iter().map(|[_, _, id]| id).collect();
        let numbers: BTreeSet<_> = attempts.iter().map(|[job, number, _]| (job, number)).collect();
        assert_eq!((ids.len(), numbers.len()), (attempts.len(), attempts.len()), "{attempts:?}");
    }
}

async fn submit(url: String, job: Value, pause: Duration, accepted: Arc<Mutex<Vec<String>>>, stopped: Arc<AtomicBool>) {
    while !stopped.load(Ordering::Relaxed) {
        let answer = http().post(&url).json(&job).timeout(ANSWER).send().await;
        if let Ok(answer) = answer
            && answer.status().is_success()
            && let Ok(job) = answer.json::<Value>().await
        {
            accepted.lock().unwrap().push(id(&job));
        }
        tokio::time::sleep(pause).await;
    }
}
