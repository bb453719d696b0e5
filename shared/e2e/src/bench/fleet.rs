//! The stack with projects to work on, and the few things the phases do to it.

use std::{fmt::Write as _, io};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use drydock_cli::archive::{self, Exclude};
use drydock_client::{
    Client, Document, Ending, NewJob, Waited,
    views::{Job, Project},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Body, header};

/// How long an upload may take.
const UPLOAD: std::time::Duration = std::time::Duration::from_secs(600);

/// A running stack and its projects.
pub(super) struct Fleet {
    pub(super) client: Client,
    pub(super) projects: Vec<String>,
    pub(super) clients: usize,
}

impl Fleet {
    /// Imports as many one-file projects as are asked for.
    pub(super) async fn prepare(client: Client, projects: usize, clients: usize) -> Result<Self> {
        let tree = tempfile::tempdir()?;
        fs_err::write(tree.path().join("README.md"), "A project of the benchmark.\n")?;
        let made = (0..projects).map(|_| import(&client, tree.path()));
        let projects = stream::iter(made).buffer_unordered(clients).try_collect().await?;
        Ok(Self { client, projects, clients })
    }

    /// Submits a command; its id.
    pub(super) async fn submit(&self, project: &str, argv: &[&str]) -> Result<String> {
        let command = NewJob::command(argv.iter().copied());
        let job = self.client.submit_job(project, &command).await.context("submit a job")?;
        Ok(job.value.id)
    }

    /// Waits for a job; anything but success is an error.
    pub(super) async fn completed(&self, id: &str) -> Result<Job> {
        match self.client.wait_for(id, None).await? {
            Waited::Over(Ending::Completed, job) => Ok(job.value),
            Waited::Over(_, job) => bail!("job {id} ended as {}: {}", job.value.status, job.value.errors.join("; ")),
            Waited::TimeUp => bail!("job {id} is not over"),
        }
    }

    /// What a `true` that was run once must have left: one good attempt, no version, a log that tells of it.
    pub(super) async fn check_true(&self, id: &str) -> Result<Job> {
        let job: Document<Job> = self.client.get(["jobs", id]).document().await?;
        let job = job.value;
        let fault = |what: &str| format!("job {id}: {what}");
        ensure!(job.status == "completed", fault(&format!("its status is {}", job.status)));
        ensure!(job.attempts.len() == 1, fault(&format!("it took {} attempts", job.attempts.len())));
        ensure!(job.version.is_none(), fault("it made a version, though it changed nothing"));
        let log = self.client.get(["projects", &job.project_id, "jobs", id, "logs"]).bytes().await?;
        let log = String::from_utf8_lossy(&log);
        for line in ["[worker] Workspace: ", "[worker] Generation complete"] {
            ensure!(log.contains(line), fault(&format!("its log has no line with '{line}'")));
        }
        Ok(job)
    }
}

/// A project of everything below `directory`.
pub(super) async fn import(client: &Client, directory: &std::path::Path) -> Result<String> {
    let (blocks, _thread) = archive::stream(directory.to_owned(), Exclude::default(), |_| {});
    let call = client.post(["projects", "import"]).query("instruction", "A project of the benchmark").limit(UPLOAD);
    let call = call.header(header::CONTENT_TYPE, "application/x-tar");
    let answer: Bytes = call
        .stream_bytes(Body::wrap_stream(blocks.map(|block: io::Result<Bytes>| block)))
        .await
        .context("import a project")?;
    let project: Document<Project> = client.read(answer)?;
    Ok(project.value.id)
}

/// `1.2, 1.3, 1.4`
pub(super) fn joined(values: &[f64]) -> String {
    let mut text = String::new();
    for value in values {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{comma}{value:.1}");
    }
    text
}
