//! `drydock project put` and `rm-file`: one file, changed by hand; and what such changes may follow and disturb.

use std::{ffi::OsString, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use clap::Args;
use drydock_client::{Call, Document, views::FileChange};
use reqwest::{Body, header};
use tokio_util::io::ReaderStream;

use super::{
    super::{Context, Patience},
    read::file,
};
use crate::{CliError, Exit};

/// How long an upload may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// What a change by hand may follow, and disturb.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ByHand {
    /// Only while this version is the newest
    #[arg(long, value_name = "N")]
    pub(super) if_version: Option<u64>,
    /// Also while a job changes the project's files: it then runs again on the new version
    #[arg(long)]
    while_running: bool,
}

impl ByHand {
    /// The same in the API's words.
    pub(super) fn ask(self, call: Call<'_>) -> Call<'_> {
        let call = call.query_opt("while_running", self.while_running.then_some(true));
        match self.if_version {
            Some(version) => call.header(header::IF_MATCH, &format!("\"{version}\"")),
            None => call,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock project put PROJECT src/config.toml my-config.toml
  date | drydock project put PROJECT stamp.txt -
  drydock project put PROJECT run.sh run.sh --mode 755 --if-version 3

Writes the number of the version that has the file so.")]
pub(in crate::command) struct PutArgs {
    /// The project
    project: String,
    /// The file's path in it
    path: OsString,
    /// The file to put there, - for standard input
    file: PathBuf,
    /// Permission bits in octal, instead of those it has; a new file is as executable as the one that is sent
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    #[command(flatten)]
    by_hand: ByHand,
    #[command(flatten)]
    pub(super) patience: Patience,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock project rm-file PROJECT old.txt
  drydock project rm-file PROJECT build --recursive

Writes the number of the version without it. Older versions keep it.")]
pub(in crate::command) struct RemoveFileArgs {
    /// The project
    project: String,
    /// The file's path in it
    path: OsString,
    /// Also a directory, with all below it
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    by_hand: ByHand,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn put(context: &Context, args: PutArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let place = file(&args.project, &args.path)?;
    let mut mode = args.mode;
    let body = if args.file.as_os_str() == "-" {
        Body::wrap_stream(ReaderStream::new(tokio::io::stdin()))
    } else {
        let source = fs_err::tokio::File::open(&args.file).await.map_err(CliError::Input)?;
        let found = source.metadata().await.map_err(CliError::Input)?;
        if found.is_dir() {
            return Err(CliError::Usage("a directory is pushed: drydock push DIR --project PROJECT".to_owned()));
        }
        let executable = found.permissions().mode() & 0o111 != 0;
        mode = mode.or_else(|| executable.then(|| "755".to_owned()));
        Body::wrap_stream(ReaderStream::new(source))
    };
    let call = args.by_hand.ask(client.put_file(&place)).query_opt("mode", mode).limit(LIMIT);
    let answer = call.header(header::CONTENT_TYPE, "application/octet-stream").stream_bytes(body).await?;
    tell(context, &client.read(answer)?)
}

pub(super) async fn remove(context: &Context, args: RemoveFileArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let call = args.by_hand.ask(client.delete_file(&file(&args.project, &args.path)?));
    // Once: a second one would find the file gone.
    let call = call.query_opt("recursive", args.recursive.then_some(true)).once_only();
    tell(context, &call.document().await?)
}

fn tell(context: &Context, change: &Document<FileChange>) -> Result<Exit, CliError> {
    let FileChange { version, path, change: what } = &change.value;
    context.output.note(&format!("{what} {path}: version {version}"));
    context.output.answer(&change.raw, || version.to_string()).map(|()| Exit::Ok)
}
