//! Reading what a change turns into what.

use drydock_domain::{Entry, EntryKind};
use drydock_storage::read_file;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{change::Change, patch::Section, similarity::Pieces};
use crate::{error::ApiError, files::Loaded, state::App};

/// Files read at the same time.
pub(super) const AT_ONCE: usize = 4;

/// The two versions that are compared.
pub(super) struct Versions<'a> {
    pub(super) app: &'a App,
    pub(super) old: &'a Loaded,
    pub(super) new: &'a Loaded,
}

impl Versions<'_> {
    /// The change as a section of a patch; `None` where contents are not text.
    pub(super) async fn section(&self, change: Change) -> Result<Option<Section>, ApiError> {
        let needed = change.needs_content();
        let old = self.content(self.old, change.was().filter(|_| needed)).await?;
        let new = self.content(self.new, change.is().filter(|_| needed)).await?;
        blocking(move || Section::of(&change, &old, &new).ok()).await
    }

    /// The pieces of files of the old version; those that are no text are left out.
    pub(super) async fn old_pieces(&self, files: Vec<Entry>) -> Result<Vec<(Entry, Pieces)>, ApiError> {
        self.pieces(self.old, files).await
    }

    /// The same for the new version.
    pub(super) async fn new_pieces(&self, files: Vec<Entry>) -> Result<Vec<(Entry, Pieces)>, ApiError> {
        self.pieces(self.new, files).await
    }

    async fn pieces(&self, version: &Loaded, files: Vec<Entry>) -> Result<Vec<(Entry, Pieces)>, ApiError> {
        let read = stream::iter(files).map(async |entry| {
            let content = self.content(version, Some(&entry)).await?;
            let pieces = blocking(move || Pieces::of(&content)).await?;
            Ok::<_, ApiError>(pieces.map(|pieces| (entry, pieces)))
        });
        read.buffered(AT_ONCE).try_filter_map(async |found| Ok(found)).try_collect().await
    }

    /// A file's bytes; a link's content is where it points, as in git.
    async fn content(&self, version: &Loaded, entry: Option<&Entry>) -> Result<Vec<u8>, ApiError> {
        match (entry.map(|entry| (&entry.kind, &entry.path)), &version.manifest) {
            (Some((EntryKind::Symlink { target }, _)), _) => Ok(target.as_bytes().to_vec()),
            (Some((EntryKind::File { .. }, path)), Some(manifest)) => {
                let file = read_file(&self.app.storage, version.tenant, manifest, path, None)?;
                Ok(file.stream.map_ok(|part| part.to_vec()).try_concat().await?)
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// Off the threads that serve requests.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ApiError::Internal(format!("failed to compare versions: {error}")))
}
