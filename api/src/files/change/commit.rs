//! From a stored tree to the newest version, if the one it was made of is still that.

use drydock_database::{
    report::StoredTree,
    version::{self, Author, ByHand, Changed},
};
use drydock_domain::{JobId, ProjectId};

use super::super::tree::{Loaded, Which, load};
use crate::{
    auth::{Actor, Caller},
    error::ApiError,
    state::App,
    validate::{Fields, rules},
};

/// Whose files are changed, and how much that may disturb.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) caller: Caller,
    pub(super) project: ProjectId,
    /// Also while a job that writes runs.
    pub(super) while_running: bool,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Try {
    /// This is the newest version now.
    Made(i32),
    /// The newest version is this one by now; or what was stored is gone, and the newest is the base still.
    Again(i32),
}

impl Change {
    /// Takes `while_running`.
    pub(super) fn take(caller: Caller, project: ProjectId, fields: &mut Fields) -> Self {
        let while_running = fields.optional("while_running", rules::flag).unwrap_or_default();
        Self { caller, project, while_running }
    }

    /// The newest version. Refuses a project whose files a job is changing, before anything is uploaded for nothing.
    pub(super) async fn head(&self, app: &App) -> Result<Loaded, ApiError> {
        let loaded = load(app, self.caller.tenant, self.project, Which::Head).await?;
        if !self.while_running
            && let Some(job) =
                version::writer(&app.client(self.caller.tenant).await?, self.caller.tenant, self.project).await?
        {
            return Err(busy(job));
        }
        Ok(loaded)
    }

    /// Makes `tree` the version after `base`.
    pub(super) async fn commit(&self, app: &App, base: i32, tree: StoredTree) -> Result<Try, ApiError> {
        let author = match self.caller.actor {
            Actor::Anyone => Author::User(self.project.uuid()),
            Actor::Key { id, .. } => Author::User(id.uuid()),
            Actor::Token { user, .. } => Author::User(user.uuid()),
            Actor::Daemon { id, .. } => Author::Daemon(id.uuid()),
        };
        let new = ByHand { project: self.project, base, tree, author, while_running: self.while_running };
        match version::change_files(&app.client(self.caller.tenant).await?, self.caller.tenant, &new).await? {
            Changed::Made(head) => Ok(Try::Made(head)),
            Changed::Moved(head) => Ok(Try::Again(head)),
            Changed::Gone => Ok(Try::Again(base)),
            Changed::Busy(job) => Err(busy(job)),
            Changed::NoProject => Err(ApiError::NO_PROJECT),
        }
    }
}

fn busy(job: JobId) -> ApiError {
    let detail = format!(
        "Job {job} is changing this project's files: wait for it, cancel it, or send while_running=true, which makes the \
         job run again on the new version"
    );
    ApiError::Conflict(detail.into())
}
