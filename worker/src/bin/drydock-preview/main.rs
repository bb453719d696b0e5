//! The `preview` server of sessions: the files of the folder it is started in, for browsers. It only reads, follows no link that leads out,
//! and shows what is there now.

mod connections;
mod folder;
mod hosts;

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{Html, IntoResponse as _, Redirect, Response},
};
use clap::Parser as _;
use drydock_files::{FileError, Root};
use percent_encoding::percent_decode_str;
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tokio_util::io::ReaderStream;

use self::{
    connections::Limits,
    folder::{Found, look_up},
    hosts::Hosts,
};

/// Told to whoever asks by another name.
const STRANGER: &str =
    "This server is not known by that name. Ask it by its address, or start it with --allowed-host NAME.\n";

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
    /// Name by which browsers may ask for it, beside localhost and addresses; may be given again
    #[arg(long = "allowed-host", value_name = "NAME")]
    allowed_hosts: Vec<String>,
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
        let root = Root::at(Path::new(".")).context("open the folder")?;
        let listener = TcpListener::bind((cli.host, cli.port)).await.context("listen")?;
        let address = listener.local_addr()?;
        if let Some(file) = &cli.port_file {
            tell(file, address.port()).context("write the port")?;
        }
        say(&format!("preview: listening on {address}"));
        connections::serve(&listener, &router(root, Hosts::new(&cli.allowed_hosts)), &Limits::default()).await;
        Ok(())
    })
}

struct Site {
    root: Root,
    hosts: Hosts,
}

fn router(root: Root, hosts: Hosts) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(Site { root, hosts }))
}

/// Whole or not at all: it may be read at any moment.
fn tell(file: &Path, port: u16) -> io::Result<()> {
    let draft = file.with_extension("new");
    fs_err::write(&draft, format!("{port}\n"))?;
    fs_err::rename(draft, file)
}

async fn answer(State(site): State<Arc<Site>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if !site.hosts.allow(&uri, &headers) {
        return (StatusCode::FORBIDDEN, STRANGER).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path: Vec<u8> = percent_decode_str(uri.path()).collect();
    let shown = uri.path().to_owned();
    let found = tokio::task::spawn_blocking(move || look_up(&site.root, &path, &shown)).await;
    let mut response = match found {
        Ok(Ok(found)) => respond(found),
        Ok(Err(error)) => refused(error).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn refused(error: FileError) -> StatusCode {
    match error {
        FileError::NotFound | FileError::TooLong => StatusCode::NOT_FOUND,
        FileError::Outside
        | FileError::Link
        | FileError::NoSafeLinks
        | FileError::Forbidden
        | FileError::UnsupportedType(_) => StatusCode::FORBIDDEN,
        FileError::Moving => StatusCode::SERVICE_UNAVAILABLE,
        FileError::Other(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn respond(found: Found) -> Response {
    match found {
        Found::List(html) => Html(html).into_response(),
        Found::Folder(address) => Redirect::temporary(&address).into_response(),
        Found::File { file, bytes, kind } => {
            let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file).take(bytes)));
            ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_LENGTH, bytes.to_string())], body)
                .into_response()
        }
    }
}

#[expect(clippy::print_stdout, reason = "a command line program's own words")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A server of a folder with `a.txt`, and its port.
    async fn serving(limits: Limits) -> (tempfile::TempDir, u16) {
        let place = tempfile::tempdir().unwrap();
        fs_err::write(place.path().join("a.txt"), "text").unwrap();
        let root = Root::at(place.path()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = router(root, Hosts::new(&["worker-1".to_owned()]));
        drydock_runtime::tasks::spawn("test", async move { connections::serve(&listener, &router, &limits).await });
        (place, port)
    }

    async fn connect(port: u16) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap()
    }

    /// All that comes until the connection is closed.
    async fn rest(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        tokio::time::timeout(LONG / 6, stream.read_to_string(&mut answer)).await.expect("it is closed").unwrap();
        answer
    }

    async fn ask(port: u16, host: &str) -> String {
        let mut stream = connect(port).await;
        let request = format!("GET /a.txt HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(stream).await
    }

    /// Red when a name that somebody made lead here (DNS rebinding) is answered.
    #[tokio::test]
    async fn whoever_asks_by_another_name_gets_no_file() {
        let (_place, port) = serving(Limits::default()).await;
        for host in ["127.0.0.1", "worker-1:80", "localhost:1"] {
            let answer = ask(port, host).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\ntext"), "{host}: {answer}");
        }
        let answer = ask(port, "evil.example").await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("--allowed-host"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_that_never_asks_is_closed() {
        let (_place, port) = serving(Limits { header: Duration::from_millis(100), ..Limits::default() }).await;
        let mut stream = connect(port).await;
        stream.write_all(b"GET / HTT").await.unwrap();
        let answer = rest(stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }

    #[tokio::test]
    async fn connections_beyond_the_most_wait_for_a_place() {
        let (_place, port) = serving(Limits { header: LONG, connections: 1 }).await;
        let first = connect(port).await;
        let mut second = Box::pin(ask(port, "localhost"));
        let waited = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
        assert!(waited.is_err(), "there was no place: {waited:?}");
        drop(first);
        assert!(second.await.starts_with("HTTP/1.1 200 "));
    }
}
