//! The `preview` server of sessions: the files of the folder it is started in, for browsers. It only reads, follows no link that leads out,
//! and shows what is there now.

use std::{
    ffi::OsStr,
    io,
    net::{IpAddr, Ipv4Addr},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{Html, IntoResponse as _, Redirect, Response},
};
use clap::Parser as _;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use rustix::{
    fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2},
    io::Errno,
};
use tokio::net::TcpListener;
use tokio_util::io::ReaderStream;

/// Entries of a folder that are listed at most.
const LISTED: usize = 10_000;

/// Serves the files of the working directory over HTTP, read only.
#[derive(clap::Parser)]
#[command(name = "drydock-preview", version = drydock_runtime::build_info::VERSION)]
struct Cli {
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// File to write the port to
    #[arg(long)]
    port_file: Option<PathBuf>,
}

#[expect(clippy::print_stderr, reason = "a command line program's own words")]
fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("preview: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(".", flags, Mode::empty()).context("open the folder")?;
        let listener = TcpListener::bind((cli.host, cli.port)).await.context("listen")?;
        let port = listener.local_addr()?.port();
        if let Some(file) = &cli.port_file {
            tell(file, port).context("write the port")?;
        }
        say(&format!("preview: listening on {}:{port}", cli.host));
        let router = Router::new().fallback(answer).with_state(Arc::new(root));
        axum::serve(listener, router).await.context("serve")
    })
}

/// Whole or not at all: it may be read at any moment.
fn tell(file: &Path, port: u16) -> io::Result<()> {
    let draft = file.with_extension("new");
    fs_err::write(&draft, format!("{port}\n"))?;
    fs_err::rename(draft, file)
}

async fn answer(State(root): State<Arc<OwnedFd>>, method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path: Vec<u8> = percent_decode_str(uri.path()).collect();
    let shown = uri.path().to_owned();
    let found = tokio::task::spawn_blocking(move || look_up(&root, &path, &shown)).await;
    let mut response = match found {
        Ok(Ok(found)) => respond(found),
        Ok(Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(Errno::XDEV | Errno::LOOP | Errno::ACCESS | Errno::PERM | Errno::INVAL)) => {
            StatusCode::FORBIDDEN.into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

enum Found {
    File {
        file: std::fs::File,
        bytes: u64,
        kind: &'static str,
    },
    List(String),
    /// A folder is addressed with a slash, or its links lead elsewhere.
    Folder(String),
}

fn look_up(root: &OwnedFd, path: &[u8], shown: &str) -> Result<Found, Errno> {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    let is_folder = relative.is_empty() || relative.ends_with(b"/");
    let folder = if relative.is_empty() { b".".as_slice() } else { relative };
    if !is_folder {
        let opened = open(root, relative)?;
        return match file(opened, relative)? {
            Some(found) => Ok(found),
            None => Ok(Found::Folder(format!("{shown}/"))),
        };
    }
    let opened = open(root, folder)?;
    match open(&opened, b"index.html") {
        Ok(index) => file(index, b"index.html")?.ok_or(Errno::NOENT),
        Err(Errno::NOENT) => list(&opened, path).map(Found::List),
        Err(error) => Err(error),
    }
}

/// Below `root`, whatever links say. Nobody is waited for: a named pipe opens at once.
fn open(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat2(root, OsStr::from_bytes(path), flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

/// A plain file; none for a folder.
fn file(opened: OwnedFd, path: &[u8]) -> Result<Option<Found>, Errno> {
    let stat = fstat(&opened)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let bytes = u64::try_from(stat.st_size).unwrap_or_default();
            Ok(Some(Found::File { file: opened.into(), bytes, kind: kind(path) }))
        }
        FileType::Directory => Ok(None),
        _ => Err(Errno::ACCESS),
    }
}

fn list(folder: &OwnedFd, path: &[u8]) -> Result<String, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)?.take(LISTED) {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
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

fn respond(found: Found) -> Response {
    match found {
        Found::List(html) => Html(html).into_response(),
        Found::Folder(address) => Redirect::temporary(&address).into_response(),
        Found::File { file, bytes, kind } => {
            let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)));
            ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_LENGTH, bytes.to_string())], body)
                .into_response()
        }
    }
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

#[expect(clippy::print_stdout, reason = "a command line program's own words")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(directory: &Path) -> OwnedFd {
        rustix::fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

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
        let root = root(&inside);
        for path in ["/../secret", "/sub/../../secret", "/out", "/absolute", "//etc/passwd"] {
            let refused = look_up(&root, path.as_bytes(), path).err();
            assert_eq!(refused, Some(Errno::XDEV), "{path}");
        }
        for path in ["/sub/a.txt", "/in", "/sub/../in"] {
            assert!(matches!(look_up(&root, path.as_bytes(), path), Ok(Found::File { bytes: 1, .. })), "{path}");
        }
        assert!(matches!(look_up(&root, b"/sub", "/sub"), Ok(Found::Folder(address)) if address == "/sub/"));
        assert_eq!(look_up(&root, b"/none", "/none").err(), Some(Errno::NOENT));
    }

    #[test]
    fn a_folder_is_listed_unless_it_has_an_index() {
        let place = tempfile::tempdir().unwrap();
        fs_err::write(place.path().join("a <b>\".txt"), "").unwrap();
        let listed = |root: &OwnedFd| match look_up(root, b"/", "/") {
            Ok(Found::List(html)) => html,
            _ => String::new(),
        };
        let html = listed(&root(place.path()));
        assert!(html.contains("a &lt;b&gt;&quot;.txt") && html.contains("href=\"./a%20%3Cb%3E%22%2Etxt\""), "{html}");
        fs_err::write(place.path().join("index.html"), "<p>").unwrap();
        assert!(matches!(look_up(&root(place.path()), b"/", "/"), Ok(Found::File { bytes: 3, .. })));
    }
}
