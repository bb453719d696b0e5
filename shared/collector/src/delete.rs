//! Deleting objects that are doomed: the object first, then its row.

use std::collections::BTreeMap;

use drydock_database::{
    Database, DatabaseError,
    pack::{self, Doomed, Tally},
};
use drydock_runtime::exit::chain;
use drydock_storage::{Storage, StorageError, StorageErrorKind};
use futures_util::{StreamExt as _, stream};

/// Requests under way at a time.
const AT_ONCE: usize = 8;

/// What came of deletions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// Objects that are gone, and their rows.
    pub deleted: Tally,
    /// Requests that failed, by kind; what they were for is tried again later.
    pub failures: BTreeMap<&'static str, u64>,
}

impl Deletion {
    /// Counts another one's results in.
    pub(crate) fn add(&mut self, other: Self) {
        self.deleted.objects += other.deleted.objects;
        self.deleted.bytes += other.deleted.bytes;
        for (kind, count) in other.failures {
            *self.failures.entry(kind).or_default() += count;
        }
    }
}

/// Deletes each with one request. While object storage is away, the rest is left: who deletes next takes it over.
pub(crate) async fn delete_all(
    database: &Database,
    storage: &Storage,
    doomed: Vec<Doomed>,
) -> Result<Deletion, DatabaseError> {
    let mut deletion = Deletion::default();
    let mut answers = stream::iter(doomed)
        .map(async |doomed| (doomed, delete(database, storage, &doomed).await))
        .buffer_unordered(AT_ONCE);
    while let Some((doomed, answer)) = answers.next().await {
        match answer? {
            Ok(()) => {
                if pack::forget(&database.client().await?, &doomed).await? {
                    deletion.deleted.add(doomed.bytes);
                }
            }
            Err(error) => {
                let kind = error.kind();
                tracing::warn!(id = %doomed.object.id, "failed to delete an object: {}", chain(&error));
                *deletion.failures.entry(kind.as_str()).or_default() += 1;
                if matches!(kind, StorageErrorKind::Unavailable | StorageErrorKind::Unauthorized) {
                    break;
                }
            }
        }
    }
    Ok(deletion)
}

/// One that somebody else has taken over meanwhile is left to them: its bytes may be stored anew by now.
async fn delete(
    database: &Database,
    storage: &Storage,
    doomed: &Doomed,
) -> Result<Result<(), StorageError>, DatabaseError> {
    let object = doomed.object;
    if !pack::is_still_doomed(&database.client().await?, doomed).await? {
        return Ok(Ok(()));
    }
    Ok(storage.delete_once(&storage.keys(object.tenant).object(object.kind, object.id)).await)
}
