//! What came of the lines of one request.

use serde::Serialize;
use serde_json::Value;

use super::super::views::BatchView;
use crate::error::ApiError;

/// Errors told; more are only counted.
pub(crate) const MAX_ERRORS: usize = 1000;

/// Lines of one request by what came of them.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) accepted: usize,
    pub(super) replayed: usize,
    pub(super) refused: usize,
    pub(super) errors: Vec<LineError>,
}

/// Why a line was refused.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct LineError {
    /// From 1.
    pub(super) line: i32,
    /// As in the body of an error: `validation_error`, `bad_request`, `not_found`, …
    error: &'static str,
    /// A text, or rows as for a validation error.
    #[schema(schema_with = crate::openapi::detail)]
    detail: Value,
}

impl Report {
    /// Counts a line that is the client's to mend; other errors are those of the whole request.
    pub(super) fn refuse(&mut self, line: i32, error: ApiError) -> Result<(), ApiError> {
        if error.is_ours() {
            return Err(error);
        }
        self.refused += 1;
        if self.errors.len() < MAX_ERRORS {
            let (error, detail) = error.in_short();
            self.errors.push(LineError { line, error, detail });
        }
        Ok(())
    }

    pub(super) fn add(&mut self, part: Self) {
        self.accepted += part.accepted;
        self.replayed += part.replayed;
        self.refused += part.refused;
        let room = MAX_ERRORS.saturating_sub(self.errors.len());
        self.errors.extend(part.errors.into_iter().take(room));
    }

    pub(super) fn into_view(mut self, batch: BatchView) -> LinesView {
        self.errors.sort_by_key(|error| error.line);
        LinesView {
            accepted: self.accepted,
            replayed: self.replayed,
            refused: self.refused,
            errors_left_out: self.refused - self.errors.len(),
            errors: self.errors,
            batch,
        }
    }
}

/// What came of the lines.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LinesView {
    /// New jobs.
    accepted: usize,
    /// Lines that came before.
    replayed: usize,
    /// Lines that made no job. If there are any, the batch stays open for them.
    refused: usize,
    /// The first 1,000 of those, by line.
    errors: Vec<LineError>,
    errors_left_out: usize,
    batch: BatchView,
}
