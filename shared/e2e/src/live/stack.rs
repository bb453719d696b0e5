//! The stack as the checks see it: what was made so far, and every answer looked through for secrets.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use drydock_client::{
    Client, ClientError, Document,
    views::{Created, Files, Job, Project},
};
use reqwest::header;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{evidence::Place, secrets::Secrets};

/// How often a job is asked for, as clients do that cannot wait.
const POLL: Duration = Duration::from_millis(500);
/// Characters of a log that are kept as an excerpt.
const EXCERPT: usize = 4096;

/// The stack under validation.
pub(super) struct Stack {
    client: Client,
    secrets: Secrets,
    agent: Option<String>,
    timeout: Duration,
    leaked: Option<anyhow::Error>,
    /// The project L01 to L06 work on, and its first job.
    pub(super) project: Option<(String, Document<Job>)>,
    /// The agent that really works on it.
    pub(super) agent_in_use: String,
}

impl Stack {
    pub(super) fn new(client: Client, secrets: Secrets, agent: Option<String>, timeout: Duration) -> Self {
        Self { client, secrets, agent, timeout, leaked: None, project: None, agent_in_use: String::new() }
    }

    /// Fails where any answer so far held a secret.
    pub(super) fn nothing_leaked(&mut self) -> Result<()> {
        self.leaked.take().map_or(Ok(()), Err)
    }

    /// Creates a project and follows its first job to the end. Both answers become evidence.
    pub(super) async fn create(&mut self, place: &Place, instruction: &str) -> Result<(String, Document<Job>)> {
        let mut body = json!({"instruction": instruction});
        if let Some(agent) = &self.agent {
            body["agent"] = agent.as_str().into();
        }
        let created: Document<Created> =
            self.client.post(["projects"]).json(&body).idempotent().document().await.context("create a project")?;
        let Created { id, job_id } = &created.value;
        place.write("project_id.txt", format!("{id}\n"))?;
        let job = self.until_over(place, job_id).await?;
        let project: Document<Project> = self.client.get(["projects", id.as_str()]).document().await?;
        self.look_through("a project", &project.raw);
        self.agent_in_use.clone_from(&project.value.agent);
        Ok((id.clone(), job))
    }

    /// Submits an edit and follows it to the end.
    pub(super) async fn edit(&mut self, place: &Place, project: &str, instruction: &str) -> Result<Document<Job>> {
        let body = json!({"job_type": "edit", "instruction": instruction});
        let call = self.client.post(["projects", project, "jobs"]).json(&body).idempotent();
        let job: Document<Job> = call.document().await.context("submit an edit")?;
        place.write("project_id.txt", format!("{project}\n"))?;
        self.until_over(place, &job.value.id).await
    }

    /// Polls a job to its end.
    async fn until_over(&mut self, place: &Place, id: &str) -> Result<Document<Job>> {
        let end = Instant::now() + self.timeout;
        loop {
            let job: Document<Job> = self.client.get(["jobs", id]).document().await.context("poll a job")?;
            self.look_through("a job", &job.raw);
            place.write("response.json", &job.raw)?;
            if matches!(job.value.status.as_str(), "completed" | "error" | "cancelled") {
                return Ok(job);
            }
            ensure!(Instant::now() < end, "job {id} was still {} after {:?}", job.value.status, self.timeout);
            sleep(POLL).await;
        }
    }

    /// The job's whole log; its beginning becomes evidence.
    pub(super) async fn log(&mut self, place: &Place, job: &Job) -> Result<String> {
        let bytes = self
            .client
            .get(["projects", &job.project_id, "jobs", &job.id, "logs"])
            .bytes()
            .await
            .context("read the log")?;
        self.look_through("a log", &bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        place.write("result_excerpt.txt", text.chars().take(EXCERPT).collect::<String>())?;
        Ok(text)
    }

    /// `.codex/result.json` of a job, as evidence.
    pub(super) async fn result(&mut self, place: &Place, job: &Job) -> Result<Value> {
        let call =
            self.client.get(["projects", &job.project_id, "files", ".codex", "result.json"]).query("job", &job.id);
        let bytes = call.bytes().await.context("read .codex/result.json")?;
        self.look_through(".codex/result.json", &bytes);
        place.write("result.json", &bytes)?;
        serde_json::from_slice(&bytes).context(".codex/result.json is no JSON")
    }

    /// The paths of the project's newest version, all pages; the list becomes evidence.
    pub(super) async fn files(&mut self, place: &Place, project: &str) -> Result<Vec<String>> {
        let list: Document<Files> =
            self.client.get(["projects", project, "files"]).query("limit", 10_000).document().await?;
        self.look_through("a list of files", &list.raw);
        place.write("files.json", &list.raw)?;
        ensure!(
            list.value.next_cursor.is_none(),
            "the project has more files than an agent makes of these instructions"
        );
        Ok(list.value.files.into_iter().map(|file| file.path).collect())
    }

    /// A file's content; `None` where there is none.
    pub(super) async fn content(&mut self, project: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let route = ["projects", project, "files"].into_iter().chain(path.split('/'));
        match self.client.get(route).bytes().await {
            Ok(bytes) => {
                self.look_through(path, &bytes);
                Ok(Some(bytes.to_vec()))
            }
            Err(ClientError::Refused(refusal)) if refusal.status == 404 => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {path}")),
        }
    }

    /// `app.py` in the API's JSON form, as evidence; its content.
    pub(super) async fn app(&mut self, place: &Place, project: &str) -> Result<String> {
        let call = self.client.get(["projects", project, "files", "app.py"]).header(header::ACCEPT, "application/json");
        let file: Document<Value> = call.document().await.context("read app.py")?;
        self.look_through("app.py", &file.raw);
        place.write("app.json", &file.raw)?;
        match (file.value["encoding"].as_str(), file.value["content"].as_str()) {
            (Some("utf-8"), Some(content)) => Ok(content.to_owned()),
            (encoding, _) => bail!("app.py came with encoding {encoding:?}, not as UTF-8 text"),
        }
    }

    /// Whether the API is still well.
    pub(super) async fn is_ready(&self) -> Result<()> {
        self.client.get_at_root("readyz").bytes().await.context("the API is not ready any more")?;
        Ok(())
    }

    fn look_through(&mut self, what: &str, bytes: &[u8]) {
        if let Err(error) = self.secrets.absent_from(what, bytes) {
            self.leaked.get_or_insert(error);
        }
    }
}
