//! `DELETE /projects/{id}/files/{path}`

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use drydock_domain::{Entry, RelativePath};
use drydock_storage::{ChangeWriter, StorageError, TreeWriter};

use super::{
    super::tree::Loaded,
    commit::Change,
    condition::Condition,
    one::{Edit, Seen, make},
    place,
    views::FileChange,
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    state::Shared,
    validate::rules,
};

/// Delete a file
///
/// Makes a new version without it. Of a symbolic link, the link itself goes. While a job that writes runs, it is refused, unless
/// `while_running` is set: the job then meets a conflict when it finishes, and runs again on the new version.
#[utoipa::path(
    delete, path = "/api/v1/projects/{id}/files/{*path}", tag = "files",
    params(
        ("id" = uuid::Uuid, Path), ("path" = String, Path),
        ("recursive" = Option<bool>, Query, description = "Also a directory, with all below it"),
        ("while_running" = Option<bool>, Query, description = "Also while a job that writes runs"),
        ("If-Match" = Option<String>, Header, description = "Only while this is the newest version, its number in quotes like `\"3\"`, or the file has this tag"),
    ),
    responses(
        (status = 200, description = "`ETag` is the new version's number in quotes", body = FileChange),
        (status = 400), (status = 404), (status = 409, description = "A job is at work, or it is a directory"),
        (status = 412, description = "Another version is the newest"),
    )
)]
pub(crate) async fn delete_file(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    uri: Uri,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let path = place::named(&uri)?;
    let mut fields = query.fields();
    let recursive = fields.optional("recursive", rules::flag).unwrap_or_default();
    let change = Change::take(caller, project, &mut fields);
    fields.finish(|| Some(()))?;
    let base = change.head(&app).await?;
    let remove = Remove { path, recursive, condition: Condition::read(&headers) };
    let (version, ..) = make(&app, change, &remove.condition, base, &remove).await?;
    let path = remove.path.to_string();
    Ok(FileChange { version, path, change: "deleted", size: None, mode: None, blake3: None }.answer())
}

struct Remove {
    path: RelativePath,
    recursive: bool,
    condition: Condition,
}

impl Edit for Remove {
    fn look(&self, base: &Loaded) -> Result<Seen, ApiError> {
        let there = base.tree().get(&self.path);
        self.condition.check(base, there.map(|entry| &entry.kind))?;
        match there {
            None => Err(ApiError::NO_FILE),
            Some(entry) if Entry::is_dir(entry) && !self.recursive => {
                let detail =
                    format!("'{}' is a directory: to delete it with all below it, send recursive=true", self.path);
                Err(ApiError::Conflict(detail.into()))
            }
            Some(_) => Ok(Seen::Other),
        }
    }

    fn change(
        &self,
        _: &Loaded,
    ) -> Result<impl FnOnce(&mut ChangeWriter) -> Result<(), StorageError> + Send + 'static, ApiError> {
        let path = self.path.clone();
        Ok(move |writer: &mut ChangeWriter| {
            writer.remove(path);
            Ok(())
        })
    }

    fn begin(&self) -> Result<impl FnOnce(&mut TreeWriter) -> Result<(), StorageError> + Send + 'static, ApiError> {
        // The empty version has nothing to remove, and `look` says so.
        Err::<fn(&mut TreeWriter) -> Result<(), StorageError>, _>(ApiError::NO_FILE)
    }
}
