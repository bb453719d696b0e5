//! What of the folder is shown: plain files and lists, below its root whatever links say, and nothing whose name begins with a dot.

use std::{
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
};

use drydock_domain::{PathError, RelativePath};
use drydock_files::{FileError, Links, Opened, Root};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rustix::{
    fs::{Dir, FileType},
    io::Errno,
};

/// Entries of a folder that are listed at most.
const LISTED: usize = 10_000;
/// The one hidden folder that is meant for the web (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// What a path leads to.
pub(crate) enum Found {
    File {
        file: std::fs::File,
        bytes: u64,
        kind: &'static str,
    },
    List(String),
    /// A folder is addressed with a slash, or its links lead elsewhere.
    Folder(String),
}

/// Finds what a decoded path leads to; `shown` is the path as it was asked for.
pub(crate) fn look_up(root: &Root, path: &[u8], shown: &str) -> Result<Found, FileError> {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    // Keys and history: `.env`, `.git`, `.codex`.
    if relative.split(|&byte| byte == b'/').any(is_hidden) {
        return Err(FileError::NotFound);
    }
    let is_folder = relative.is_empty() || relative.ends_with(b"/");
    if !is_folder {
        return match open(root, relative)? {
            Opened::Directory(_) => Ok(Found::Folder(format!("{shown}/"))),
            other => file(other, relative),
        };
    }
    let folder = match relative.strip_suffix(b"/") {
        None => root.top()?,
        Some(relative) => match open(root, relative)? {
            Opened::Directory(folder) => folder,
            _ => return Err(FileError::NotFound),
        },
    };
    // By its path from the root: a link of its folder may lead to another one.
    match open(root, &[relative, b"index.html"].concat()) {
        Ok(Opened::Directory(_)) => Err(FileError::NotFound),
        Ok(index) => file(index, b"index.html"),
        Err(FileError::NotFound) => Ok(Found::List(list(&folder, path)?)),
        Err(error) => Err(error),
    }
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".") && name != WELL_KNOWN
}

/// Below `root`, whatever links say.
fn open(root: &Root, path: &[u8]) -> Result<Opened, FileError> {
    let path = RelativePath::new(path).map_err(|error| match error {
        PathError::Absolute => FileError::Outside,
        PathError::TooLong | PathError::LongComponent => FileError::TooLong,
        _ => FileError::NotFound,
    })?;
    match root.open(&path, Links::Inside) {
        // Without links, then.
        Err(FileError::NoSafeLinks) => root.open(&path, Links::None),
        opened => opened,
    }
}

fn file(opened: Opened, path: &[u8]) -> Result<Found, FileError> {
    let file = opened.into_file()?;
    Ok(Found::File { bytes: file.length(), file: file.into_file(), kind: kind(path) })
}

fn list(folder: &OwnedFd, path: &[u8]) -> Result<String, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)?.take(LISTED) {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !is_hidden(name) {
            let slash = if entry.file_type() == FileType::Directory { "/" } else { "" };
            let address = percent_encode(name, NON_ALPHANUMERIC);
            names.push(format!("<li><a href=\"./{address}{slash}\">{}{slash}</a></li>", escaped(name)));
        }
    }
    names.sort();
    let title = escaped(path);
    Ok(format!(
        "<!doctype html><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1><ul>{}</ul>",
        names.concat()
    ))
}

fn escaped(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The types that browsers ask for by name; anything else they may look at themselves.
fn kind(path: &[u8]) -> &'static str {
    let extension = Path::new(OsStr::from_bytes(path)).extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        "pdf" => "application/pdf",
        "txt" | "md" | "rs" | "py" | "toml" | "yaml" | "yml" | "sh" | "log" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_folder_is_shown() {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("inside");
        fs_err::create_dir_all(inside.join("sub")).unwrap();
        fs_err::write(place.path().join("secret"), "s").unwrap();
        fs_err::write(inside.join("sub/a.txt"), "a").unwrap();
        std::os::unix::fs::symlink("../secret", inside.join("out")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", inside.join("absolute")).unwrap();
        std::os::unix::fs::symlink("sub/a.txt", inside.join("in")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, inside.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
        let root = Root::at(&inside).unwrap();
        let pipe = look_up(&root, b"/pipe", "/pipe").err();
        assert!(matches!(pipe, Some(FileError::UnsupportedType(_))), "{pipe:?}");
        for path in ["/../secret", "/sub/../../secret", "/sub/../in"] {
            assert_eq!(look_up(&root, path.as_bytes(), path).err(), Some(FileError::NotFound), "{path}");
        }
        for path in ["/out", "/absolute", "//etc/passwd"] {
            let refused = look_up(&root, path.as_bytes(), path).err();
            assert_eq!(refused, Some(FileError::Outside), "{path}");
        }
        for path in ["/sub/a.txt", "/in"] {
            assert!(matches!(look_up(&root, path.as_bytes(), path), Ok(Found::File { bytes: 1, .. })), "{path}");
        }
        assert!(matches!(look_up(&root, b"/sub", "/sub"), Ok(Found::Folder(address)) if address == "/sub/"));
        assert_eq!(look_up(&root, b"/none", "/none").err(), Some(FileError::NotFound));
    }

    #[test]
    fn where_links_cannot_be_followed_the_rest_is_shown() {
        let place = tempfile::tempdir().unwrap();
        fs_err::create_dir(place.path().join("sub")).unwrap();
        fs_err::write(place.path().join("sub/a.txt"), "a").unwrap();
        std::os::unix::fs::symlink("sub/a.txt", place.path().join("link")).unwrap();
        let root = Root::at(place.path()).unwrap().without_openat2();
        assert!(matches!(look_up(&root, b"/sub/a.txt", ""), Ok(Found::File { bytes: 1, .. })));
        assert!(matches!(look_up(&root, b"/sub/", ""), Ok(Found::List(_))));
        assert!(matches!(look_up(&root, b"/link", ""), Err(FileError::UnsupportedType(_))));
    }

    #[test]
    fn a_folder_is_listed_unless_it_has_an_index() {
        let place = tempfile::tempdir().unwrap();
        fs_err::write(place.path().join("a <b>\".txt"), "").unwrap();
        let listed = |root: &Root| match look_up(root, b"/", "/") {
            Ok(Found::List(html)) => html,
            _ => String::new(),
        };
        let html = listed(&Root::at(place.path()).unwrap());
        assert!(html.contains("a &lt;b&gt;&quot;.txt") && html.contains("href=\"./a%20%3Cb%3E%22%2Etxt\""), "{html}");
        fs_err::write(place.path().join("index.html"), "<p>").unwrap();
        assert!(matches!(look_up(&Root::at(place.path()).unwrap(), b"/", "/"), Ok(Found::File { bytes: 3, .. })));
    }

    #[test]
    fn what_begins_with_a_dot_is_not_shown() {
        let place = tempfile::tempdir().unwrap();
        for folder in [".git", ".well-known", "sub/.codex"] {
            fs_err::create_dir_all(place.path().join(folder)).unwrap();
        }
        for file in [".env", ".git/config", "sub/.codex/request.json", ".well-known/security.txt", "a.txt"] {
            fs_err::write(place.path().join(file), "x").unwrap();
        }
        let root = Root::at(place.path()).unwrap();
        for path in ["/.env", "/.git", "/.git/", "/.git/config", "/sub/.codex/request.json", "/sub/.codex/", "/."] {
            assert_eq!(look_up(&root, path.as_bytes(), path).err(), Some(FileError::NotFound), "{path}");
        }
        assert!(matches!(look_up(&root, b"/.well-known/security.txt", ""), Ok(Found::File { .. })));
        let Ok(Found::List(html)) = look_up(&root, b"/", "/") else { panic!("it has no index") };
        assert!(html.contains("a.txt") && html.contains(".well-known/"), "{html}");
        assert!(!html.contains(".env") && !html.contains(".git"), "{html}");
    }

    #[test]
    fn an_index_may_be_a_link_to_another_folder() {
        let place = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(place.path().join("site/docs")).unwrap();
        fs_err::write(place.path().join("page.html"), "<p>").unwrap();
        std::os::unix::fs::symlink("../../page.html", place.path().join("site/docs/index.html")).unwrap();
        std::os::unix::fs::symlink("../../page.html", place.path().join("site/index.html")).unwrap();
        let root = Root::at(place.path()).unwrap();
        assert!(matches!(look_up(&root, b"/site/docs/", ""), Ok(Found::File { bytes: 3, .. })));
        assert_eq!(look_up(&root, b"/site/", "").err(), Some(FileError::Outside), "it leads out");
    }
}
