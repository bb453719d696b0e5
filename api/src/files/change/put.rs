//! `PUT /projects/{id}/files/{path}`: one file, as it is sent.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use drydock_domain::{EntryKind, Mode, RelativePath};
use drydock_storage::{ChangeWriter, StorageError, TreeWriter};
use serde_json::Value;

use super::{
    super::tree::Loaded,
    commit::Change,
    condition::Condition,
    content::Content,
    one::{Edit, Seen, make},
    place,
    views::FileChange,
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    packs,
    state::Shared,
    validate::Fault,
};

/// Of a file that was not there.
const FILE: Mode = Mode::new(0o644);
/// Of the directories it lies in, where they were not there.
const DIR: Mode = Mode::new(0o755);

/// Put a file
///
/// Makes a new version with the body as the file's content. Where the newest has it so already, nothing is made and that is answered, so
/// that the call can be repeated. While a job that writes runs, it is refused, unless `while_running` is set: the job then meets a
/// conflict when it finishes, and runs again on the new version. Without `If-Match` the file is put into whatever version is the newest.
#[utoipa::path(
    put, path = "/api/v1/projects/{id}/files/{*path}", tag = "files",
    params(
        ("id" = uuid::Uuid, Path), ("path" = String, Path),
        ("mode" = Option<String>, Query, description = "Permission bits, octal, like `0755`; those it has, or 0644, by default"),
        ("while_running" = Option<bool>, Query, description = "Also while a job that writes runs"),
        ("If-Match" = Option<String>, Header, description = "Only while this is the newest version, its number in quotes like `\"3\"`, or the file has this tag"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only where nothing is there"),
    ),
    request_body(content_type = "application/octet-stream", description = "The content; its limit is `file_bytes` of `/limits`", content = Vec<u8>),
    responses(
        (status = 201, description = "The file is new; `ETag` is the version's number in quotes", body = FileChange),
        (status = 200, description = "It was there", body = FileChange),
        (status = 400), (status = 404), (status = 409, description = "A job is at work, or a directory or link is in the way"),
        (status = 412, description = "Another version is the newest"), (status = 413),
    )
)]
pub(crate) async fn put_file(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    uri: Uri,
    headers: HeaderMap,
    query: Query,
    body: Body,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let path = place::named(&uri)?;
    let mut fields = query.fields();
    let mode = fields.optional("mode", mode);
    let change = Change::take(caller, project, &mut fields);
    fields.finish(|| Some(()))?;
    let condition = Condition::read(&headers);
    let base = change.head(&app).await?;
    condition.check_at(&base, base.tree().get(&path).map(|entry| &entry.kind))?;
    packs::must_have_room(&app, change.caller.tenant).await?;
    let _place = app.uploads.begin(change.caller.tenant)?;
    let content = Content::take(&app, body).await?;
    let put = Put { path, mode, content, condition };
    let (version, seen, base) = make(&app, change, &put.condition, base, &put).await?;
    let view = FileChange {
        version,
        path: put.path.to_string(),
        change: match seen {
            Seen::Same => "unchanged",
            Seen::New => "created",
            Seen::Other => "modified",
        },
        size: Some(put.content.size),
        mode: Some(format!("{:04o}", put.mode(&base).bits())),
        blake3: Some(put.content.digest.to_string()),
    };
    Ok(view.answer())
}

struct Put {
    path: RelativePath,
    mode: Option<Mode>,
    content: Content,
    condition: Condition,
}

impl Put {
    fn mode(&self, base: &Loaded) -> Mode {
        self.mode.unwrap_or_else(|| match base.tree().get(&self.path).map(|entry| &entry.kind) {
            Some(EntryKind::File { mode, .. }) => *mode,
            _ => FILE,
        })
    }

    /// The directories it lies in, the topmost first.
    fn above(&self) -> Vec<RelativePath> {
        let mut above: Vec<RelativePath> = std::iter::successors(self.path.parent(), RelativePath::parent).collect();
        above.reverse();
        above
    }

    fn reading(&self) -> Result<super::content::Reading, ApiError> {
        self.content.again().map_err(|error| ApiError::Internal(format!("an upload cannot be read again: {error}")))
    }
}

impl Edit for Put {
    fn look(&self, base: &Loaded) -> Result<Seen, ApiError> {
        let there = base.tree().get(&self.path);
        self.condition.check_at(base, there.map(|entry| &entry.kind))?;
        place::must_be_open(base.tree(), &self.path)?;
        place::must_be_a_file(there)?;
        let wanted = EntryKind::File { size: self.content.size, mode: self.mode(base), blob: self.content.digest };
        Ok(match there {
            None => Seen::New,
            Some(entry) if entry.kind == wanted => Seen::Same,
            Some(_) => Seen::Other,
        })
    }

    fn change(
        &self,
        base: &Loaded,
    ) -> Result<impl FnOnce(&mut ChangeWriter) -> Result<(), StorageError> + Send + 'static, ApiError> {
        let (path, mode, above, mut reading) = (self.path.clone(), self.mode(base), self.above(), self.reading()?);
        Ok(move |writer: &mut ChangeWriter| {
            above.into_iter().try_for_each(|dir| writer.imply_dir(dir, DIR))?;
            writer.put_file(path, mode, &mut reading)
        })
    }

    fn begin(&self) -> Result<impl FnOnce(&mut TreeWriter) -> Result<(), StorageError> + Send + 'static, ApiError> {
        let (path, mode, above, mut reading) = (self.path.clone(), self.mode, self.above(), self.reading()?);
        Ok(move |writer: &mut TreeWriter| {
            above.into_iter().try_for_each(|dir| writer.add_dir(dir, DIR))?;
            writer.add_file(path, mode.unwrap_or(FILE), &mut reading)
        })
    }
}

fn mode(value: &Value) -> Result<Mode, Fault> {
    let digits = value.as_str().filter(|text| (3..=4).contains(&text.len()));
    let bits = digits.and_then(|text| u32::from_str_radix(text, 8).ok()).filter(|bits| *bits <= 0o777);
    bits.map(Mode::new).ok_or_else(|| Fault::value("Input should be permission bits in octal, like 0644 or 0755"))
}
