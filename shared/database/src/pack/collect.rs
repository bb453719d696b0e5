//! The collector's side: condemn what nothing names, doom what was condemned long ago, forget what is deleted. Every call is
//! bounded, checks what it does under the row's lock, and may be repeated or made by two at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;

use super::Object;
use crate::{DatabaseError, again};

const CONDEMN: &str = "SELECT kind, bytes, was, fate FROM dd_condemn_v1(make_interval(secs => $1), $2)";
const DOOM: &str = "SELECT tenant_id, id, kind, bytes, state, token
  FROM dd_doom_v1(make_interval(secs => $1), make_interval(secs => $2), $3)";
const FORGET: &str = "SELECT dd_forget_v1($1, $2, $3) AS forgotten";
/// Whether it is still this deletion's: asked before each, so that one that was slow deletes nothing that was taken over.
const STILL: &str = "SELECT EXISTS (SELECT 1 FROM pack WHERE tenant_id = $1 AND id = $2 AND state = 'deleted' AND state_at = $3) AS still";
const ADOPT: &str = "SELECT dd_adopt_v1($1, $2, $3, $4) AS token";
/// Everything there is; the collector counts it now and then.
const STATES: &str = "SELECT kind, state, count(*) AS objects, coalesce(sum(bytes), 0)::bigint AS bytes,
    coalesce(sum(revivals), 0)::bigint AS revivals, count(suspect_since) AS suspects FROM pack GROUP BY 1, 2";

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub objects: u64,
    /// Their stored size.
    pub bytes: u64,
}

impl Tally {
    /// One more object.
    pub const fn add(&mut self, bytes: i64) {
        self.objects += 1;
        self.bytes += bytes.unsigned_abs();
    }
}

/// What became of a batch of suspects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Condemned that were live.
    pub dropped: Tally,
    /// Condemned that were uploads which nobody finished.
    pub orphaned: Tally,
    /// Named by a version that is kept, or by a tree that an attempt left.
    pub named: Tally,
    /// Needed by a running attempt alone: looked at again.
    pub pinned: Tally,
}

impl Judged {
    /// Objects looked at.
    pub const fn total(&self) -> u64 {
        self.dropped.objects + self.orphaned.objects + self.named.objects + self.pinned.objects
    }
}

/// An object whose bytes are to be deleted now, by the holder of the token alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Which.
    pub object: Object,
    /// Its stored size.
    pub bytes: i64,
    /// What [`forget`] takes.
    pub token: DateTime<Utc>,
}

/// One batch of condemned objects whose time has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doom {
    /// To be deleted.
    pub doomed: Vec<Doomed>,
    /// Needed after all: they live again.
    pub revived: Tally,
}

/// Objects of one kind in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCount {
    /// `pack` or `manifest`
    pub kind: String,
    /// `uploading`, `live`, `condemned` or `deleted`
    pub state: String,
    /// How many, and their size.
    pub tally: Tally,
    /// How often those of them were condemned and needed after all.
    pub revivals: i64,
    /// Live ones that are to be looked at.
    pub suspects: i64,
}

/// Judges up to `most` objects suspected for `grace`, and as many uploads that old whose attempt is over.
///
/// # Errors
/// The database does not answer.
pub async fn condemn(conn: &impl GenericClient, grace: Duration, most: i32) -> Result<Judged, DatabaseError> {
    const OPERATION: &str = "condemn objects";
    let rows = again::rows(conn, OPERATION, CONDEMN, &[&grace.as_secs_f64(), &most]).await?;
    let mut judged = Judged::default();
    for row in &rows {
        let tally = match (row.get("fate"), row.get("was")) {
            ("condemned", "uploading") => &mut judged.orphaned,
            ("condemned", _) => &mut judged.dropped,
            ("named", _) => &mut judged.named,
            ("pinned", _) => &mut judged.pinned,
            (fate, _) => {
                return Err(DatabaseError::Row { operation: OPERATION, reason: format!("unknown fate '{fate}'") });
            }
        };
        tally.add(row.get("bytes"));
    }
    Ok(judged)
}

/// Takes up to `most` objects that were condemned `age` ago, and as many that another process set out to delete `settle` ago
/// without reporting, which must be longer than any request to object storage takes.
///
/// # Errors
/// The database does not answer.
pub async fn doom(
    conn: &impl GenericClient,
    age: Duration,
    settle: Duration,
    most: i32,
) -> Result<Doom, DatabaseError> {
    const OPERATION: &str = "take objects to delete";
    let rows = again::rows(conn, OPERATION, DOOM, &[&age.as_secs_f64(), &settle.as_secs_f64(), &most]).await?;
    let mut doom = Doom::default();
    for row in &rows {
        let bytes = row.get("bytes");
        match row.get("state") {
            "deleted" => {
                let object = Object::from_row(row, OPERATION)?;
                doom.doomed.push(Doomed { object, bytes, token: row.get("token") });
            }
            _ => doom.revived.add(bytes),
        }
    }
    Ok(doom)
}

/// Removes the row of an object whose bytes are gone; `false` where another process has taken it over, which then does so.
/// Only for who knows that no request of its own to delete it is under way any more.
///
/// # Errors
/// The database does not answer.
pub async fn forget(conn: &impl GenericClient, doomed: &Doomed) -> Result<bool, DatabaseError> {
    let (tenant, id) = (doomed.object.tenant.uuid(), doomed.object.id.as_bytes().as_slice());
    let row = again::row(conn, "forget an object", FORGET, &[&tenant, &id, &doomed.token]).await?;
    Ok(row.get("forgotten"))
}

/// Whether an object is still to be deleted by who holds this token.
///
/// # Errors
/// The database does not answer.
pub async fn is_still_doomed(conn: &impl GenericClient, doomed: &Doomed) -> Result<bool, DatabaseError> {
    let (tenant, id) = (doomed.object.tenant.uuid(), doomed.object.id.as_bytes().as_slice());
    let row = again::row(conn, "look at an object", STILL, &[&tenant, &id, &doomed.token]).await?;
    Ok(row.get("still"))
}

/// Gives an object of the bucket that has no row one, to be deleted; `None` where it has one by now, or something names it.
///
/// # Errors
/// The database does not answer.
pub async fn adopt(conn: &impl GenericClient, object: Object, bytes: u64) -> Result<Option<Doomed>, DatabaseError> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let (tenant, kind, id) = (object.tenant.uuid(), object.kind.as_str(), object.id.as_bytes().as_slice());
    let row = again::row(conn, "adopt an object", ADOPT, &[&tenant, &kind, &id, &bytes]).await?;
    Ok(row.get::<_, Option<DateTime<Utc>>>("token").map(|token| Doomed { object, bytes, token }))
}

/// All objects, by kind and state. Reads the whole table.
///
/// # Errors
/// The database does not answer.
pub async fn states(conn: &impl GenericClient) -> Result<Vec<StateCount>, DatabaseError> {
    let rows = conn.query(STATES, &[]).await.map_err(DatabaseError::query("count objects"))?;
    Ok(rows
        .iter()
        .map(|row| StateCount {
            kind: row.get("kind"),
            state: row.get("state"),
            tally: Tally {
                objects: row.get::<_, i64>("objects").unsigned_abs(),
                bytes: row.get::<_, i64>("bytes").unsigned_abs(),
            },
            revivals: row.get("revivals"),
            suspects: row.get("suspects"),
        })
        .collect())
}
