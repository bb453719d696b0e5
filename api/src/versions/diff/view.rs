//! A comparison as clients see it in JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    change::{Change, mode},
    patch::Section,
    plan::Omitted,
};

/// What differs between two versions.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DiffView {
    pub(super) from: i32,
    pub(super) to: i32,
    /// Files that differ, all of them counted.
    pub(super) total: usize,
    /// In path order.
    pub(super) files: Vec<FileDiff>,
    /// How many of `files` have no `diff`, by the reason: what to know before taking this for the whole.
    #[schema(value_type = std::collections::HashMap<String, usize>)]
    pub(super) omitted: BTreeMap<Omitted, usize>,
    /// Too many files came and went to compare all with each other: renames are only those with the same content.
    pub(super) renames_limited: bool,
    /// For `?cursor=`, when there are more files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

/// How one file or link differs.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct FileDiff {
    /// Where it is now, or was last.
    path: String,
    /// `created`, `modified`, `deleted`, `renamed`, `mode_changed` or `type_changed`.
    change: &'static str,
    /// Where a renamed file was.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_path: Option<String>,
    /// How alike a renamed file's contents are, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<u8>,
    /// Type and permissions before, octal: `100644` a file, `120000` a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_mode: Option<String>,
    /// Type and permissions after.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_mode: Option<String>,
    /// Bytes before.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_size: Option<u64>,
    /// Bytes after.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_size: Option<u64>,
    /// Lines that are new; absent where lines were not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    additions: Option<usize>,
    /// Lines that are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletions: Option<usize>,
    /// Unified diff in the form `git apply` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    /// Why there is no diff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) omitted: Option<Omitted>,
}

impl FileDiff {
    pub(super) fn of(change: &Change, section: Result<Section, Omitted>) -> Self {
        let renamed = match change {
            Change::Renamed { old, similarity, .. } => Some((old.path.to_string(), similarity.percent())),
            _ => None,
        };
        let (old_path, similarity) = renamed.unzip();
        let counts = section.as_ref().ok().map(|section| section.counts);
        let diff = section.and_then(|section| match String::from_utf8(section.text) {
            Ok(text) if text.is_empty() => Err(Omitted::Mode),
            Ok(text) => Ok(text),
            Err(_) => Err(Omitted::NotUtf8),
        });
        Self {
            path: change.path().to_string(),
            change: change.word(),
            old_path,
            similarity,
            old_mode: change.was().map(|entry| format!("{:o}", mode(entry))),
            new_mode: change.is().map(|entry| format!("{:o}", mode(entry))),
            old_size: change.was().map(drydock_domain::Entry::size),
            new_size: change.is().map(drydock_domain::Entry::size),
            additions: counts.map(|counts| counts.additions),
            deletions: counts.map(|counts| counts.deletions),
            omitted: diff.as_ref().err().copied(),
            diff: diff.ok(),
        }
    }
}
