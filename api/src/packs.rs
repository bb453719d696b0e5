//! What the API stores of an upload: each object has a row before it is one, and the tree becomes what the database is told.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use drydock_database::{
    Database, DatabaseError, pack,
    report::{StoredPack, StoredTree},
    tenant,
};
use drydock_domain::{Digest, ObjectKind, TenantId};
use drydock_storage::{BoxError, PackInfo, PackRegistry, StorageError, Written, WrittenChanges};
use http_body_util::LengthLimitError;

use crate::{error::ApiError, state::App};

/// Records each object before it is uploaded.
pub(crate) struct Packs {
    pub(crate) database: Database,
    pub(crate) tenant: TenantId,
}

impl PackRegistry for Packs {
    async fn uploading(&self, kind: ObjectKind, id: Digest, bytes: u64) -> Result<(), BoxError> {
        let object = pack::Object { tenant: self.tenant, kind, id };
        Ok(pack::announce(&self.database.client_of(self.tenant).await?, object, bytes, None).await?)
    }
}

/// Refuses an upload of a tenant that has used up its quota of stored bytes, before its body comes. What goes beyond in the middle of it
/// is refused when it is recorded.
pub(crate) async fn must_have_room(app: &App, tenant: TenantId) -> Result<(), ApiError> {
    let lacks = tenant::lacks_storage(&app.client(tenant).await?, tenant).await?;
    lacks.map_or(Ok(()), |lacks| Err(ApiError::over_quota(&lacks)))
}

/// A whole tree, as the database is told of it.
pub(crate) fn whole(written: &Written) -> Result<StoredTree, ApiError> {
    Ok(StoredTree {
        tree_id: written.tree_id.to_string(),
        manifest_id: written.manifest_id.to_string(),
        delta: None,
        packs: packs(&written.packs),
        file_count: count(written.file_count)?,
        total_bytes: written.total_bytes,
    })
}

/// Changes to a tree, as the database is told of them.
pub(crate) fn changes(written: &WrittenChanges) -> Result<StoredTree, ApiError> {
    Ok(StoredTree {
        tree_id: written.tree_id.to_string(),
        manifest_id: written.stored.manifest.to_string(),
        delta: written.stored.delta.as_ref().map(|delta| STANDARD.encode(delta)),
        packs: packs(&written.packs),
        file_count: count(written.file_count)?,
        total_bytes: written.total_bytes,
    })
}

fn packs(packs: &[PackInfo]) -> Vec<StoredPack> {
    packs.iter().map(|pack| StoredPack { id: pack.id.to_string(), bytes: pack.bytes }).collect()
}

fn count(files: u64) -> Result<u32, ApiError> {
    u32::try_from(files).map_err(|error| ApiError::Internal(error.to_string()))
}

/// Why an archive was not stored. The limit of the body shows as a read error of the archive.
pub(crate) fn refused(error: StorageError, limit: usize) -> ApiError {
    if is_too_long(&error) {
        return ApiError::TooLarge(format!("The archive should have at most {limit} bytes").into());
    }
    match error {
        StorageError::Register(source) => match source.downcast::<DatabaseError>() {
            Ok(database) if matches!(*database, DatabaseError::Deleting { .. }) => {
                ApiError::Unavailable { detail: "The same bytes are being deleted", cause: None }
            }
            Ok(database) => (*database).into(),
            Err(other) => ApiError::Internal(other.to_string()),
        },
        other => other.into(),
    }
}

/// Whether a body that was longer than its limit is behind an error.
pub(crate) fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if inner.is::<LengthLimitError>() {
            return true;
        }
        cause = match inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    false
}
