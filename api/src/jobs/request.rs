//! What a new job may say, as a table: each line a field and its rule, in the order faults are reported.

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use drydock_database::job::{Idempotency, NewJob};
use drydock_domain::{Instruction, Isolation, JobId, JobType, ProjectId};
use serde_json::{Value, json};

use crate::{
    agents::Offer,
    error::ApiError,
    validate::{Fault, Fields, rules},
};

/// How the levels are told in a refusal.
pub(crate) const ISOLATIONS: &str = "'none', 'landlock-weak', 'landlock', 'namespace', 'userkernel' or 'vm'";
/// What a job accepts that says nothing: anything, the project's own least level still holds.
pub(crate) const DEFAULT_ISOLATION: Isolation = Isolation::None;
const JOB_TYPES: &str = "'initial_project', 'edit' or 'command'";
/// Longest title, in characters.
const MAX_TITLE: usize = drydock_domain::instruction::MAX_TITLE_CHARS;
/// Longest time a job may ask for, in seconds: about 68 years.
const MAX_SECONDS: i64 = i32::MAX as i64;
/// Most repetitions after a failure of the agent.
pub(crate) const MAX_RETRIES: i64 = 100;

/// A job as asked for.
#[derive(Clone, Debug)]
pub(crate) struct JobRequest {
    job_type: JobType,
    /// Empty only for a command.
    instruction: String,
    title: String,
    argv: Option<Vec<String>>,
    agent: Option<String>,
    priority: i16,
    run_at: Option<DateTime<Utc>>,
    depends_on: Vec<JobId>,
    timeout_s: Option<i32>,
    queue_timeout_s: Option<i32>,
    silence_timeout_s: Option<i32>,
    read_only: bool,
    keep_on_error: bool,
    retries: i16,
    min_isolation: Isolation,
    requires: Value,
    labels: Value,
}

/// Whether a job is asked for now, or what a schedule is to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Once,
    /// As a line of a batch: without dependencies.
    InBatch,
    /// Without a time and dependencies: those are of one job.
    BySchedule,
}

impl JobRequest {
    /// Reads a body. `offer` is what is known of the agent it names.
    pub(crate) fn read(mut fields: Fields, asked: Asked, offer: &Offer) -> Result<Self, ApiError> {
        let job_type = fields.required("job_type", submitted_type);
        let command = job_type == Some(JobType::Command);
        let check = rules::instruction(Instruction::for_job);
        let instruction =
            if command { fields.optional("instruction", check) } else { fields.required("instruction", check) };
        let title = fields.optional("title", rules::text(1, MAX_TITLE));
        let argv = match job_type {
            Some(JobType::Command) => fields.required("argv", rules::argv),
            Some(_) => fields.optional("argv", |_| Err(Fault::value("argv goes with job_type 'command' only"))),
            None => fields.optional("argv", rules::argv),
        };
        let agent = fields.optional("agent", |value| {
            let name = rules::name(value)?;
            if command { Ok(name) } else { offer.fault(&name).map_or(Ok(name), Err) }
        });
        let priority = fields.optional("priority", rules::number(0, 9));
        let run_at = if asked == Asked::BySchedule { None } else { fields.optional("run_at", rules::timestamp) };
        let depends_on = if asked == Asked::Once { fields.optional("depends_on", rules::jobs) } else { None };
        let timeout_s = fields.optional("timeout_s", rules::number(1, MAX_SECONDS));
        let queue_timeout_s = fields.optional("queue_timeout_s", rules::number(1, MAX_SECONDS));
        let silence_timeout_s = fields.optional("silence_timeout_s", rules::number(1, MAX_SECONDS));
        let read_only = fields.optional("read_only", rules::boolean);
        let keep_on_error = fields.optional("keep_on_error", rules::boolean);
        let retries = fields.optional("retries", rules::number(0, MAX_RETRIES));
        let min_isolation = fields.optional("min_isolation", rules::one_of(ISOLATIONS));
        let requires = fields.optional("requires", rules::labels);
        let labels = fields.optional("labels", rules::labels);
        fields.finish(|| {
            let first_words =
                || instruction.as_ref().map_or_else(|| command_title(argv.as_deref()), Instruction::title);
            Some(Self {
                job_type: job_type?,
                title: title.unwrap_or_else(first_words),
                instruction: instruction.map(|text| text.as_str().to_owned()).unwrap_or_default(),
                argv,
                agent,
                priority: priority.unwrap_or_default(),
                run_at,
                depends_on: depends_on.unwrap_or_default(),
                timeout_s,
                queue_timeout_s,
                silence_timeout_s,
                read_only: read_only.unwrap_or_default(),
                keep_on_error: keep_on_error.unwrap_or_default(),
                retries: retries.unwrap_or_default(),
                min_isolation: min_isolation.unwrap_or(DEFAULT_ISOLATION),
                requires: requires.unwrap_or_else(|| json!({})),
                labels: labels.unwrap_or_else(|| json!({})),
            })
        })
    }

    /// The row to write.
    pub(crate) fn into_new(self, project: ProjectId) -> NewJob {
        NewJob {
            argv: self.argv,
            agent: self.agent,
            priority: self.priority,
            read_only: self.read_only,
            keep_on_error: self.keep_on_error,
            retries: self.retries,
            timeout_s: self.timeout_s,
            queue_timeout_s: self.queue_timeout_s,
            silence_timeout_s: self.silence_timeout_s,
            min_isolation: self.min_isolation,
            requires: self.requires,
            labels: self.labels,
            run_at: self.run_at,
            depends_on: self.depends_on,
            ..NewJob::new(project, self.job_type, self.title, self.instruction)
        }
    }
}

/// A type that users submit: sessions have a route of their own.
fn submitted_type(value: &Value) -> Result<JobType, Fault> {
    let job_type: JobType = rules::one_of(JOB_TYPES)(value)?;
    job_type
        .is_submitted()
        .then_some(job_type)
        .ok_or_else(|| Fault::new("enum", format!("Input should be {JOB_TYPES}")))
}

/// The first line of a command, as one would type it.
fn command_title(argv: Option<&[String]>) -> String {
    let command = argv.unwrap_or_default().join(" ");
    command.lines().next().unwrap_or_default().chars().take(MAX_TITLE).collect()
}

/// The `Idempotency-Key`, with the hash of what the request asks for: `scope` is its route with ids.
pub(crate) fn idempotency(headers: &HeaderMap, scope: &str, body: &[u8]) -> Result<Option<Idempotency>, ApiError> {
    let Some(given) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = given.to_str().unwrap_or_default();
    if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(ApiError::BadRequest("Idempotency-Key should have 1 to 255 visible ASCII characters".into()));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(scope.as_bytes()).update(b"\0").update(body);
    Ok(Some(Idempotency { key: key.to_owned(), fingerprint: hasher.finalize().into() }))
}
