//! What a worker reports when an attempt ends: the shape of `dd_finish_group_v3`'s arguments.

use drydock_domain::agent::Tokens;
use serde::{Deserialize, Serialize};

/// How an attempt went. Times are seconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// One line for people: why it ended as it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The agent's summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The agent's last message, at most 4 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Paths that are new.
    pub created_files: Vec<String>,
    /// Paths whose content, kind or mode changed.
    pub modified_files: Vec<String>,
    /// Paths that are gone.
    pub deleted_files: Vec<String>,
    /// The agent's errors.
    pub errors: Vec<String>,
    /// Where the agent says its result can be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview_url: Option<String>,
    /// `.codex/request.json` as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<serde_json::Value>,
    /// `.codex/result.json` as completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// From the claim to the agent's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_start_s: Option<f64>,
    /// Time to create the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub materialize_s: Option<f64>,
    /// Time the agent ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_s: Option<f64>,
    /// Time to find, pack and upload the changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_s: Option<f64>,
    /// Bytes of log written.
    pub log_bytes: i64,
    /// What the agent says it used of its model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

/// A tree in object storage, about to become a version. Ids are hex.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredTree {
    /// Merkle id of the tree.
    pub tree_id: String,
    /// Its manifest, or that its delta belongs to.
    pub manifest_id: String,
    /// Its delta, base64; at most 64 KiB decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<String>,
    /// Every pack the manifest names.
    pub packs: Vec<StoredPack>,
    /// Files and symlinks in it.
    pub file_count: u32,
    /// Bytes of its files.
    pub total_bytes: u64,
}

/// A pack of a [`StoredTree`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredPack {
    /// BLAKE3 of the stored bytes, hex.
    pub id: String,
    /// Stored size.
    pub bytes: u64,
}

/// The part of a log that was not written while the attempt ran: at most 32 KiB, written with the finish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTail {
    /// Its place among the log's chunks, from 0.
    pub seq: i32,
    /// Bytes of log before it.
    pub offset: i64,
    /// The bytes.
    pub data: Vec<u8>,
}
