//! A change to one path: tried on the newest version, and again on a newer one, as long as the condition holds.

use drydock_database::report::StoredTree;
use drydock_storage::{
    ChangeOptions, ChangeWriter, Delta, Limits, StorageError, TreeWriter, WriteOptions, write_changes, write_tree,
};

use super::{
    super::tree::Loaded,
    commit::{Change, Try},
    condition::{Condition, moved},
};
use crate::{
    error::ApiError,
    packs::{self, Packs},
    state::App,
};

/// Heads that are followed before it is given up.
const TRIES: usize = 5;

/// How one path changes.
pub(super) trait Edit: Sync {
    /// Looks at the version it is to be made to; the answer's fields, without the version.
    fn look(&self, base: &Loaded) -> Result<Seen, ApiError>;
    /// Makes it to a version.
    fn change(
        &self,
        base: &Loaded,
    ) -> Result<impl FnOnce(&mut ChangeWriter) -> Result<(), StorageError> + Send + 'static, ApiError>;
    /// Makes it to the empty one.
    fn begin(&self) -> Result<impl FnOnce(&mut TreeWriter) -> Result<(), StorageError> + Send + 'static, ApiError>;
}

/// Whether a change is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The version has it so already.
    Same,
    New,
    Other,
}

/// Makes the change; answers the version that has it, what was found before, and the version it was made to.
pub(super) async fn make(
    app: &App,
    change: Change,
    condition: &Condition,
    mut base: Loaded,
    edit: &impl Edit,
) -> Result<(i32, Seen, Loaded), ApiError> {
    let mut newest = base.number;
    for tried in 0..TRIES {
        if tried > 0 {
            base = change.head(app).await?;
        }
        let seen = edit.look(&base)?;
        let tree = if seen == Seen::Same { None } else { Box::pin(store(app, change, &base, edit)).await? };
        let Some(tree) = tree else {
            return Ok((base.number, Seen::Same, base));
        };
        match change.commit(app, base.number, tree).await? {
            Try::Made(version) => return Ok((version, seen, base)),
            Try::Again(head) => newest = head,
        }
    }
    if condition.is_given() {
        return Err(moved(newest));
    }
    Err(ApiError::Conflict(
        format!("Other changes came before this one each time, the last is version {newest}: send it again").into(),
    ))
}

async fn store(app: &App, change: Change, base: &Loaded, edit: &impl Edit) -> Result<Option<StoredTree>, ApiError> {
    let tenant = change.caller.tenant;
    let registry = Packs { database: app.database.clone(), tenant };
    let (limits, temp_dir) = (Limits::default(), app.config.temp_dir.clone());
    let failed = |error| packs::refused(error, usize::MAX);
    match &base.manifest {
        Some(manifest) => {
            let inline_max = Delta::INLINE_MAX;
            let options = ChangeOptions { tenant, base: manifest.clone(), limits, temp_dir, inline_max };
            let written = write_changes(&app.storage, options, &registry, edit.change(base)?).await.map_err(failed)?;
            written.as_ref().map(packs::changes).transpose()
        }
        None => {
            let options = WriteOptions { tenant, base: None, limits, temp_dir };
            let written = write_tree(&app.storage, options, &registry, edit.begin()?).await.map_err(failed)?;
            written.as_ref().map(packs::whole).transpose()
        }
    }
}
