//! The `pack` table: every stored object, packs and manifests, as a row that is written before the object is uploaded, so that
//! no listing ever decides what lives. How it changes is told in `migrations/V0035__objects.sql`.

mod collect;
mod survey;

use deadpool_postgres::GenericClient;
use drydock_domain::{AttemptId, Digest, ObjectKind, TenantId};
use tokio_postgres::Row;

pub use self::{collect::*, survey::*};
use crate::{DatabaseError, again};

const ANNOUNCE: &str = "SELECT dd_announce_v2($1, $2, $3, $4, $5) AS announced";

/// One object of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// Whose.
    pub tenant: TenantId,
    /// What it holds.
    pub kind: ObjectKind,
    /// BLAKE3 of its stored bytes.
    pub id: Digest,
}

impl Object {
    /// Columns `tenant_id`, `kind` and `id`.
    fn from_row(row: &Row, operation: &'static str) -> Result<Self, DatabaseError> {
        let bad = |reason: String| DatabaseError::Row { operation, reason };
        Ok(Self {
            tenant: row.get::<_, uuid::Uuid>("tenant_id").into(),
            kind: row.get::<_, &str>("kind").parse().map_err(|error| bad(format!("{error}")))?,
            id: Digest::try_from(row.get::<_, &[u8]>("id")).map_err(|error| bad(error.to_string()))?,
        })
    }
}

/// Records that an object of `bytes` is about to be uploaded by `attempt` (`None`: by the API). What names it later, makes it
/// live. An upload whose attempt ends without that is collected.
///
/// # Errors
/// [`DatabaseError::Deleting`] while an object of the same bytes is being deleted: ask again in a moment. Or the database does
/// not answer.
pub async fn announce(
    conn: &impl GenericClient,
    object: Object,
    bytes: u64,
    attempt: Option<AttemptId>,
) -> Result<(), DatabaseError> {
    const OPERATION: &str = "record an object";
    let bytes =
        i64::try_from(bytes).map_err(|error| DatabaseError::Row { operation: OPERATION, reason: error.to_string() })?;
    let (tenant, kind, attempt) = (object.tenant.uuid(), object.kind.as_str(), attempt.map(AttemptId::uuid));
    let id = object.id.as_bytes().as_slice();
    let row = again::row(conn, OPERATION, ANNOUNCE, &[&tenant, &kind, &id, &bytes, &attempt]).await?;
    match row.get("announced") {
        "ok" => Ok(()),
        "deleting" => Err(DatabaseError::Deleting { id: object.id.to_string() }),
        other => Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown answer '{other}'") }),
    }
}
