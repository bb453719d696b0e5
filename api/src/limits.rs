//! `GET /limits`: every limit a client can run into, as this server has it set.

use std::num::NonZeroU32;

use axum::{Json, extract::State};
use drydock_domain::{
    instruction::{MAX_CHARS, MAX_TITLE_CHARS, MIN_PROJECT_CHARS},
    schedule::MAX_CRON_CHARS,
};
use drydock_storage::Limits;
use serde::Serialize;

use crate::{
    error::ApiError,
    extract::{MAX_PAGE, Query},
    files::{MAX_FILES_PAGE, MAX_JSON_FILE},
    jobs::{MAX_REASON, MAX_RETRIES},
    logs::MAX_PATTERN,
    sessions::MAX_IDLE_S,
    state::Shared,
    validate::rules,
    versions::{MAX_CHANGES, MAX_COMPARED, MAX_COMPARED_BYTES, MAX_COMPARED_TOTAL, MAX_RENAME_BYTES, MAX_RENAME_FILES},
    webhooks::MAX_WEBHOOKS,
};

/// Limits by what they bound. Sizes are bytes, times seconds, lengths characters.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LimitsView {
    body_bytes: usize,
    import_bytes: u64,
    import_timeout_s: u64,
    file_bytes: u64,
    project_instruction_min: usize,
    instruction_max: usize,
    title_max: usize,
    name_max: usize,
    labels_max: usize,
    label_name_max: usize,
    label_value_max: usize,
    depends_on_max: usize,
    cancel_reason_max: usize,
    cron_max: usize,
    argv_max: usize,
    argument_max: usize,
    priority_max: u8,
    retries_max: i64,
    wait_max_s: u64,
    streams_max: usize,
    search_pattern_max: usize,
    /// Searches in logs at once; of one tenant half of them.
    searches_max: usize,
    search_time_s: f64,
    /// Requests that make jobs, a second; none: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    job_requests_per_s: Option<NonZeroU32>,
    /// Of those, at once.
    #[schema(value_type = u32)]
    job_requests_burst: NonZeroU32,
    /// Other requests that may change something, a second; none: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    change_requests_per_s: Option<NonZeroU32>,
    /// Of those, at once.
    #[schema(value_type = u32)]
    change_requests_burst: NonZeroU32,
    page_max: i64,
    files_page_max: i64,
    json_file_bytes: u64,
    diff_changes_max: usize,
    diff_files_max: usize,
    diff_file_bytes: u64,
    diff_total_bytes: u64,
    diff_rename_files: usize,
    diff_rename_bytes: u64,
    tree_files_max: u64,
    tree_bytes_max: u64,
    idempotency_key_max: usize,
    webhooks_max: i32,
    /// Longest time that a session may wait for a worker.
    session_wait_s: u64,
    session_idle_max_s: i64,
}

/// Show limits
#[utoipa::path(get, path = "/api/v1/limits", tag = "fleet", responses((status = 200, body = LimitsView)))]
pub(crate) async fn limits(State(app): State<Shared>, query: Query) -> Result<Json<LimitsView>, ApiError> {
    query.fields().finish(|| Some(()))?;
    let (config, tree) = (&app.config, Limits::default());
    Ok(Json(LimitsView {
        body_bytes: config.body_limit,
        import_bytes: config.import_limit,
        import_timeout_s: config.import_timeout.as_secs(),
        file_bytes: config.file_limit,
        project_instruction_min: MIN_PROJECT_CHARS,
        instruction_max: MAX_CHARS,
        title_max: MAX_TITLE_CHARS,
        name_max: rules::MAX_NAME,
        labels_max: rules::MAX_LABELS,
        label_name_max: rules::MAX_LABEL_NAME,
        label_value_max: rules::MAX_LABEL_VALUE,
        depends_on_max: rules::MAX_DEPENDENCIES,
        cancel_reason_max: MAX_REASON,
        cron_max: MAX_CRON_CHARS,
        argv_max: rules::MAX_ARGV,
        argument_max: rules::MAX_ARG_CHARS,
        priority_max: 9,
        retries_max: MAX_RETRIES,
        wait_max_s: config.wait_limit.as_secs(),
        streams_max: config.stream_limit,
        search_pattern_max: MAX_PATTERN,
        searches_max: config.search_limit.get(),
        search_time_s: config.search_time.as_secs_f64(),
        job_requests_per_s: NonZeroU32::new(config.job_rate),
        job_requests_burst: config.job_burst,
        change_requests_per_s: NonZeroU32::new(config.change_rate),
        change_requests_burst: config.change_burst,
        page_max: MAX_PAGE,
        files_page_max: MAX_FILES_PAGE,
        json_file_bytes: MAX_JSON_FILE,
        diff_changes_max: MAX_CHANGES,
        diff_files_max: MAX_COMPARED,
        diff_file_bytes: MAX_COMPARED_BYTES,
        diff_total_bytes: MAX_COMPARED_TOTAL,
        diff_rename_files: MAX_RENAME_FILES,
        diff_rename_bytes: MAX_RENAME_BYTES,
        tree_files_max: tree.entries,
        tree_bytes_max: tree.bytes,
        idempotency_key_max: 255,
        webhooks_max: MAX_WEBHOOKS,
        session_wait_s: config.session_wait.as_secs(),
        session_idle_max_s: MAX_IDLE_S,
    }))
}
