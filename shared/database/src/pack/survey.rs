//! Reading all rows: what a collection would do and why, and which rows the bucket should have objects for. Changes nothing.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use drydock_domain::{Digest, ObjectKind, TenantId};
use uuid::Uuid;

use super::{Object, Tally};
use crate::DatabaseError;

/// One verdict an object. Names are looked for where they decide something: for suspects, old uploads and condemned ones.
const EXPLAIN: &str = "WITH pinned AS MATERIALIZED (SELECT DISTINCT * FROM dd_pinned_v1()),
  judged AS (
    SELECT o.tenant_id, o.bytes, CASE
      WHEN o.state = 'deleted' THEN 'deleting'
      WHEN o.state = 'live' AND o.suspect_since IS NULL THEN 'live'
      WHEN o.state = 'uploading' AND EXISTS (SELECT FROM attempt a WHERE a.id = o.attempt_id AND a.state = 'running') THEN 'uploading'
      WHEN o.state = 'uploading' AND o.state_at >= now() - make_interval(secs => $1) THEN 'young_upload'
      WHEN EXISTS (SELECT FROM pinned p WHERE p.tenant_id = o.tenant_id AND p.id = o.id) THEN 'pinned'
      WHEN dd_named_by_v1(o.tenant_id, o.id) IS NOT NULL THEN 'named'
      WHEN o.state = 'uploading' THEN 'condemn_orphan'
      WHEN o.state = 'live' AND o.suspect_since >= now() - make_interval(secs => $1) THEN 'young_suspect'
      WHEN o.state = 'live' THEN 'condemn'
      WHEN o.state_at >= now() - make_interval(secs => $2) THEN 'condemned'
      ELSE 'delete' END AS verdict
      FROM pack o)
SELECT t.name AS tenant, g.verdict, count(*) AS objects, coalesce(sum(g.bytes), 0)::bigint AS bytes
  FROM judged g JOIN tenant t ON t.id = g.tenant_id GROUP BY 1, 2 ORDER BY 1, 2";
const TENANTS: &str = "SELECT id FROM tenant ORDER BY id";
const LIVE: &str = "SELECT id, bytes FROM pack
  WHERE tenant_id = $1 AND kind = $2 AND id > $3 AND state = 'live' ORDER BY id LIMIT $4";
const KNOWN: &str = "SELECT (SELECT state FROM pack WHERE tenant_id = $1 AND id = $2) AS state,
    dd_named_by_v1($1, $2) IS NOT NULL OR EXISTS (SELECT FROM dd_pinned_v1() p WHERE p.tenant_id = $1 AND p.id = $2) AS named";

/// What a collection now would make of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Kept: nothing that named it was dropped.
    Live,
    /// Kept: something was dropped that named it, but something else still does.
    Named,
    /// Kept: a running attempt started from it.
    Pinned,
    /// Kept: it is suspected, but not for long enough.
    YoungSuspect,
    /// Kept: the attempt that uploads it is running.
    Uploading,
    /// Kept: announced a short time ago.
    YoungUpload,
    /// Would be condemned: nothing names it.
    Condemn,
    /// Would be condemned: an upload that nobody finished.
    CondemnOrphan,
    /// Condemned, not for long enough to be deleted.
    Condemned,
    /// Would be deleted: condemned long ago.
    Delete,
    /// Being deleted.
    Deleting,
}

impl Verdict {
    const ALL: [(Self, &'static str); 11] = [
        (Self::Live, "live"),
        (Self::Named, "named"),
        (Self::Pinned, "pinned"),
        (Self::YoungSuspect, "young_suspect"),
        (Self::Uploading, "uploading"),
        (Self::YoungUpload, "young_upload"),
        (Self::Condemn, "condemn"),
        (Self::CondemnOrphan, "condemn_orphan"),
        (Self::Condemned, "condemned"),
        (Self::Delete, "delete"),
        (Self::Deleting, "deleting"),
    ];
}

/// One tenant's objects of one verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The tenant's name.
    pub tenant: String,
    /// What would become of them.
    pub verdict: Verdict,
    /// How many.
    pub tally: Tally,
}

/// What a collection would do now, by tenant and verdict. Reads the whole table.
///
/// # Errors
/// The database does not answer.
pub async fn explain(
    conn: &impl GenericClient,
    grace: Duration,
    age: Duration,
) -> Result<Vec<Explained>, DatabaseError> {
    const OPERATION: &str = "explain a collection";
    let rows = conn
        .query(EXPLAIN, &[&grace.as_secs_f64(), &age.as_secs_f64()])
        .await
        .map_err(DatabaseError::query(OPERATION))?;
    rows.iter()
        .map(|row| {
            let word: &str = row.get("verdict");
            let known = Verdict::ALL.into_iter().find(|(_, known)| *known == word);
            let (verdict, _) = known.ok_or_else(|| DatabaseError::Row {
                operation: OPERATION,
                reason: format!("unknown verdict '{word}'"),
            })?;
            let tally = Tally {
                objects: row.get::<_, i64>("objects").unsigned_abs(),
                bytes: row.get::<_, i64>("bytes").unsigned_abs(),
            };
            Ok(Explained { tenant: row.get("tenant"), verdict, tally })
        })
        .collect()
}

/// All tenants.
///
/// # Errors
/// The database does not answer.
pub async fn tenants(conn: &impl GenericClient) -> Result<Vec<TenantId>, DatabaseError> {
    let rows = conn.query(TENANTS, &[]).await.map_err(DatabaseError::query("list tenants"))?;
    Ok(rows.iter().map(|row| row.get::<_, Uuid>("id").into()).collect())
}

/// Ids and sizes of a tenant's live objects of one kind that follow `after` (`None`: from the first on), in the order of ids.
///
/// # Errors
/// The database does not answer.
pub async fn live(
    conn: &impl GenericClient,
    tenant: TenantId,
    kind: ObjectKind,
    after: Option<Digest>,
    limit: i64,
) -> Result<Vec<(Digest, i64)>, DatabaseError> {
    const OPERATION: &str = "list objects";
    // Before the first: the empty string sorts before every id.
    let after = after.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice());
    let rows = conn
        .query(LIVE, &[&tenant.uuid(), &kind.as_str(), &after, &limit])
        .await
        .map_err(DatabaseError::query(OPERATION))?;
    let bad =
        |error: drydock_domain::DigestError| DatabaseError::Row { operation: OPERATION, reason: error.to_string() };
    rows.iter().map(|row| Ok((Digest::try_from(row.get::<_, &[u8]>("id")).map_err(bad)?, row.get("bytes")))).collect()
}

/// What the database knows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The state of its row, where it has one.
    pub state: Option<String>,
    /// Whether something needs it.
    pub named: bool,
}

/// What the database knows of an object.
///
/// # Errors
/// The database does not answer.
pub async fn known(conn: &impl GenericClient, object: Object) -> Result<Known, DatabaseError> {
    let row = conn
        .query_one(KNOWN, &[&object.tenant.uuid(), &object.id.as_bytes().as_slice()])
        .await
        .map_err(DatabaseError::query("read an object"))?;
    Ok(Known { state: row.get("state"), named: row.get("named") })
}
