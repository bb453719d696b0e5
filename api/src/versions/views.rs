//! A version as clients see it.

use chrono::{DateTime, Utc};
use drydock_database::version::{MadeBy, VersionRow};
use serde::Serialize;
use uuid::Uuid;

/// A version, without its files.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct VersionView {
    number: i32,
    /// The one before; 0 is the empty one.
    parent: i32,
    /// The same tree has the same id everywhere.
    tree_id: String,
    file_count: i32,
    total_bytes: i64,
    /// What made it: `job`, `import`, `user`, `restore`, `fork`, `session` or `daemon`.
    author_kind: String,
    /// Which one: a job, the key of a change by hand (`user`), the project of an import or a restore, the project that was forked.
    author_id: Uuid,
    /// The version that a restore or a fork copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_version: Option<i32>,
    /// The job that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<MadeByView>,
    /// How many files that job changed, at most 10,000 of a kind; for the others see the diff to the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangeCounts>,
    created_at: DateTime<Utc>,
    /// When its files were dropped, by the project's retention; reading them answers 410.
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_at: Option<DateTime<Utc>>,
}

/// What a version's job is called, for people.
#[derive(Serialize, utoipa::ToSchema)]
struct MadeByView {
    id: Uuid,
    title: String,
    /// Which of its attempts, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<i16>,
}

/// Files by what became of them.
#[derive(Serialize, utoipa::ToSchema)]
struct ChangeCounts {
    created: i32,
    modified: i32,
    deleted: i32,
}

impl From<VersionRow> for VersionView {
    fn from(row: VersionRow) -> Self {
        let tree_id = drydock_domain::Digest::try_from(row.tree_id.as_slice());
        let (job, changes) = row.job.map(|made| made_by(row.author_id, made)).unzip();
        Self {
            number: row.number,
            parent: row.parent,
            tree_id: tree_id.map(|id| id.to_string()).unwrap_or_default(),
            file_count: row.file_count,
            total_bytes: row.total_bytes,
            author_kind: row.author_kind,
            author_id: row.author_id,
            source_version: row.source_version,
            job,
            changes,
            created_at: row.created_at,
            expired_at: row.expired_at,
        }
    }
}

fn made_by(id: Uuid, made: MadeBy) -> (MadeByView, ChangeCounts) {
    let MadeBy { title, attempt, created, modified, deleted } = made;
    (MadeByView { id, title, attempt }, ChangeCounts { created, modified, deleted })
}
