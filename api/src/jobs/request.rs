//! What a new job may say, as a table: each line a field and its rule, in the order faults are reported.

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use drydock_database::job::Idempotency;
use drydock_domain::{Instruction, Isolation, JobType};
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
pub(super) const JOB_TYPES: &str = "'initial_project', 'edit' or 'command'";
/// Longest title, in characters.
const MAX_TITLE: usize = drydock_domain::instruction::MAX_TITLE_CHARS;
/// Most repetitions after a failure of the agent.
pub(crate) const MAX_RETRIES: i64 = 100;

/// A job as asked for.
#[derive(Debug)]
pub(crate) struct JobRequest {
    pub(super) job_type: JobType,
    /// Empty only for a command.
    pub(super) instruction: String,
    pub(super) title: String,
    pub(super) argv: Option<Vec<String>>,
    pub(super) agent: Option<String>,
    pub(super) priority: i16,
    pub(super) run_at: Option<DateTime<Utc>>,
    pub(super) timeout_s: Option<i32>,
    pub(super) read_only: bool,
    pub(super) keep_on_error: bool,
    pub(super) retries: i16,
    pub(super) min_isolation: Isolation,
    pub(super) labels: Value,
}

impl JobRequest {
    /// Reads a body. `offer` is what is known of the agent it names.
    pub(super) fn parse(body: Value, offer: &Offer) -> Result<Self, ApiError> {
        let mut fields = Fields::body(body)?;
        let job_type = fields.required("job_type", rules::one_of::<JobType>(JOB_TYPES));
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
        let run_at = fields.optional("run_at", rules::timestamp);
        let timeout_s = fields.optional("timeout_s", rules::number(1, i32::MAX.into()));
        let read_only = fields.optional("read_only", rules::boolean);
        let keep_on_error = fields.optional("keep_on_error", rules::boolean);
        let retries = fields.optional("retries", rules::number(0, MAX_RETRIES));
        let min_isolation = fields.optional("min_isolation", rules::one_of(ISOLATIONS));
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
                timeout_s,
                read_only: read_only.unwrap_or_default(),
                keep_on_error: keep_on_error.unwrap_or_default(),
                retries: retries.unwrap_or_default(),
                min_isolation: min_isolation.unwrap_or(DEFAULT_ISOLATION),
                labels: labels.unwrap_or_else(|| json!({})),
            })
        })
    }
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
