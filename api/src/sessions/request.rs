//! What a new session may say: each line a field and its rule.

use drydock_domain::ProjectId;

use crate::{
    error::ApiError,
    validate::{Fields, rules},
};

/// Longest time without a connection that may be asked for: a week.
pub(crate) const MAX_IDLE_S: i64 = 7 * 24 * 3600;
/// And the one of sessions that ask for none: what was forgotten shall not hold its project for ever.
const DEFAULT_IDLE_S: i32 = 3600;

/// A session as asked for.
#[derive(Debug)]
pub(super) struct SessionRequest {
    pub(super) project: ProjectId,
    pub(super) server: String,
    pub(super) idle_timeout_s: i32,
    pub(super) read_only: bool,
}

impl SessionRequest {
    /// Reads a body; where it may name no server, `default` is one.
    pub(super) fn read(mut fields: Fields, default: Option<&str>) -> Result<Self, ApiError> {
        let project = fields.required("project_id", rules::id);
        let server = match default {
            None => fields.required("server", rules::name),
            Some(default) => fields.optional("server", rules::name).or_else(|| Some(default.to_owned())),
        };
        let idle_timeout_s = fields.optional("idle_timeout_s", rules::number(1, MAX_IDLE_S));
        let read_only = fields.optional("read_only", rules::boolean);
        fields.finish(|| {
            Some(Self {
                project: project?,
                server: server?,
                idle_timeout_s: idle_timeout_s.unwrap_or(DEFAULT_IDLE_S),
                read_only: read_only.unwrap_or_default(),
            })
        })
    }
}
