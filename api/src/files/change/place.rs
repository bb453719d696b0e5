//! Where in a tree a change by hand may be made. No link is followed: what is behind one has a name of its own.

use axum::http::Uri;
use drydock_domain::{Entry, EntryKind, RelativePath, Tree};

use super::super::path::parse;
use crate::error::ApiError;

/// The path that an address names.
pub(super) fn named(uri: &Uri) -> Result<RelativePath, ApiError> {
    // Not the router's parameter: that is decoded already, and only where it is UTF-8.
    let raw = uri.path().split_once("/files/").map_or("", |(_, path)| path);
    let path = parse(raw)?;
    if path.is_protocol_file() {
        return Err(ApiError::Conflict(format!("'{path}' is written by the fleet, for each job anew").into()));
    }
    Ok(path)
}

/// Refuses a path below something that is no directory.
pub(super) fn must_be_open(tree: &Tree, path: &RelativePath) -> Result<(), ApiError> {
    let mut above = path.parent();
    while let Some(dir) = above {
        match tree.get(&dir).map(|entry| &entry.kind) {
            Some(EntryKind::Symlink { .. }) => return Err(link(&dir)),
            Some(EntryKind::File { .. }) => {
                return Err(ApiError::Conflict(format!("'{dir}' is a file, so nothing can be below it").into()));
            }
            Some(EntryKind::Dir { .. }) => return Ok(()),
            None => above = dir.parent(),
        }
    }
    Ok(())
}

/// What a file may be put in place of: another file, or nothing.
pub(super) fn must_be_a_file(there: Option<&Entry>) -> Result<(), ApiError> {
    match there.map(|entry| (&entry.path, &entry.kind)) {
        Some((path, EntryKind::Symlink { .. })) => Err(link(path)),
        Some((path, EntryKind::Dir { .. })) => Err(ApiError::Conflict(format!("'{path}' is a directory").into())),
        _ => Ok(()),
    }
}

fn link(path: &RelativePath) -> ApiError {
    ApiError::Conflict(format!("'{path}' is a symbolic link: name what it points to, or delete it first").into())
}
