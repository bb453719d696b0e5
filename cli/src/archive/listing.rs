//! What a version has, page by page.

use std::collections::HashMap;

use drydock_client::{
    Client, ClientError, Document,
    views::{FileEntry, Files},
};

use drydock_domain::RelativePath;

use super::Known;

const PAGE: u32 = 10_000;

/// The newest version, and all in it that a listing can name; tells of what it cannot.
///
/// # Errors
/// The server refuses, or stays away.
pub async fn listing(
    client: &Client,
    project: &str,
    tell: impl Fn(&str),
) -> Result<(u64, HashMap<String, Known>), ClientError> {
    let (mut known, mut cursor, mut version) = (HashMap::new(), None::<String>, None::<u64>);
    loop {
        let call = client.get(["projects", project, "files"]).query("limit", PAGE).query("all", true);
        let page: Document<Files> =
            call.query_opt("version", version).query_opt("cursor", cursor.as_ref()).document().await?;
        version = Some(page.value.version);
        let last = page.value.next_cursor.is_none() || page.value.files.is_empty();
        let (named, unnamed): (Vec<_>, Vec<_>) =
            page.value.files.into_iter().partition(|file| !file.path.contains(char::REPLACEMENT_CHARACTER));
        for file in unnamed {
            tell(&format!("{}: the name is not UTF-8, so what the version has there stays", file.path));
        }
        known.extend(named.into_iter().filter_map(entry));
        cursor = page.value.next_cursor;
        if last {
            return Ok((page.value.version, known));
        }
    }
}

/// What the fleet writes itself is not the version's.
fn entry(file: FileEntry) -> Option<(String, Known)> {
    // What is no path of a version is no server's of ours to name.
    let path = RelativePath::new(file.path.as_bytes()).ok()?;
    if path.is_protocol_file() {
        return None;
    }
    let known = match (file.link_target, file.blake3) {
        (None, None) if file.kind == "dir" => Known::Dir,
        (Some(target), _) => Known::Symlink(target),
        (None, Some(blake3)) => {
            Known::File { size: file.size, mode: u32::from_str_radix(&file.mode, 8).unwrap_or_default(), blake3 }
        }
        (None, None) => return None,
    };
    Some((file.path, known))
}
