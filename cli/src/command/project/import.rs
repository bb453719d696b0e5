//! `drydock project import`: a directory as a tar stream, or an archive as it is.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use drydock_client::{Call, Client, ClientError, Document, views::Project};
use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use reqwest::{Body, StatusCode, header};
use tokio::{io::AsyncReadExt as _, task::JoinHandle, time::Instant};

use super::super::{Context, Patience, labels::Labels};
use crate::{
    CliError, Exit,
    archive::{self, Exclude, Totals},
    output::{Output, Progress, Unit, mebibytes, seconds},
};

/// How long the whole upload may take; the server has a limit of its own.
const LIMIT: Duration = Duration::from_secs(3600);
/// What the server says of an archive without files.
const NO_ARCHIVE: StatusCode = StatusCode::BAD_REQUEST;
const BLOCK: usize = 256 << 10;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock project import . --instruction \"A calculator in Rust\" --exclude target --exclude .git
  drydock project import release.tar.gz --instruction \"Keep this library up to date\" --agent codex

Writes the project's id. A directory is sent as it is: modes and symbolic links are kept, links
are not followed. What its .drydockignore ignores is left out; an archive is taken as it is.")]
pub(in crate::command) struct ImportArgs {
    /// A directory, or a file: tar, tar.gz or tar.zst
    source: PathBuf,
    /// What the project is, 5 to 2,000 characters
    #[arg(short, long, value_name = "TEXT")]
    instruction: String,
    /// The agent of its jobs, instead of the server's default
    #[arg(long)]
    agent: Option<String>,
    /// The pool of workers, instead of the server's default
    #[arg(long)]
    pool: Option<String>,
    #[command(flatten)]
    labels: Labels,
    /// Leave out a name wherever it occurs, or a path from the top if it has a slash; repeat for several
    #[arg(long, value_name = "NAME")]
    exclude: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) type Blocks = BoxStream<'static, io::Result<Bytes>>;

pub(super) async fn run(context: &Context, args: ImportArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let started = Instant::now();
    let is_dir = fs_err::metadata(&args.source).map_err(CliError::Input)?.is_dir();
    if !is_dir && !args.exclude.is_empty() {
        return Err(CliError::Usage("--exclude goes with a directory, not with an archive".to_owned()));
    }
    let output = &context.output;
    let (blocks, archive) = if is_dir { directory(output, &args) } else { file(&args.source).await? };
    let total = if is_dir { None } else { fs_err::metadata(&args.source).ok().map(|file| file.len()) };
    let sent = told(output, total, blocks);
    let answer = send(&client, &args, sent).await;
    let totals = match archive {
        Some(thread) => read(thread, answer.is_ok()).await?,
        None => None,
    };
    let project: Document<Project> = client.read(answer?)?;
    let took = seconds(started.elapsed().as_secs_f64());
    output.note(&format!(
        "imported {}in {took}: project {}",
        totals.map_or_else(String::new, sent_in_all),
        project.value.id
    ));
    output.answer(&project.raw, || project.value.id.clone()).map(|()| Exit::Ok)
}

fn sent_in_all(totals: Totals) -> String {
    let ignored = match totals.ignored {
        0 => String::new(),
        count => format!("without {count} ignored, "),
    };
    format!("{} files, {}, {ignored}", totals.files, mebibytes(totals.bytes))
}

/// Sends the blocks and reads the whole answer.
async fn send(client: &Client, args: &ImportArgs, blocks: Blocks) -> Result<Bytes, ClientError> {
    let sent = call(client, args).stream_bytes(Body::wrap_stream(blocks)).await;
    match sent {
        Err(broken @ ClientError::Broken { .. }) => Err(refusal(client, args).await.unwrap_or(broken)),
        sent => sent,
    }
}

/// A server that refuses the parameters may close the connection while it is being sent to, and its words get lost with the
/// rest (RFC 9112 §9.6). Asked again without an archive, it has nothing to close on, and nothing to import either.
async fn refusal(client: &Client, args: &ImportArgs) -> Option<ClientError> {
    match call(client, args).bytes().await {
        Err(ClientError::Refused(refusal)) if refusal.status != NO_ARCHIVE => Some(ClientError::Refused(refusal)),
        _ => None,
    }
}

fn call<'c>(client: &'c Client, args: &ImportArgs) -> Call<'c> {
    let call = client
        .post(["projects", "import"])
        .limit(LIMIT)
        .header(header::CONTENT_TYPE, "application/x-tar")
        .query("instruction", &args.instruction)
        .query_opt("agent", args.agent.as_ref())
        .query_opt("pool", args.pool.as_ref());
    let labels = args.labels.pairs();
    labels.fold(call, |call, pair| call.query("labels", pair))
}

/// What went wrong on this side says more than the request it broke; unless the server broke it off.
pub(super) async fn read(thread: JoinHandle<io::Result<Totals>>, accepted: bool) -> Result<Option<Totals>, CliError> {
    match thread.await {
        Ok(Ok(totals)) => Ok(Some(totals)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe && !accepted => Ok(None),
        Ok(Err(error)) => Err(CliError::Input(error)),
        Err(panic) => Err(CliError::Input(io::Error::other(panic))),
    }
}

fn directory(output: &Arc<Output>, args: &ImportArgs) -> (Blocks, Option<JoinHandle<io::Result<Totals>>>) {
    let output = Arc::clone(output);
    let exclude = Exclude::new(args.exclude.iter().cloned());
    let (blocks, thread) = archive::stream(args.source.clone(), exclude, move |text| output.warn(text));
    (blocks.boxed(), Some(thread))
}

async fn file(path: &Path) -> Result<(Blocks, Option<JoinHandle<io::Result<Totals>>>), CliError> {
    let file = fs_err::tokio::File::open(path).await.map_err(CliError::Input)?;
    let blocks = stream::try_unfold(file, async |mut file| {
        let mut block = Vec::with_capacity(BLOCK);
        let read = (&mut file).take(BLOCK as u64).read_to_end(&mut block).await?;
        Ok((read > 0).then(|| (Bytes::from(block), file)))
    });
    Ok((blocks.boxed(), None))
}

/// Tells how much was sent.
pub(super) fn told(output: &Arc<Output>, total: Option<u64>, blocks: Blocks) -> Blocks {
    let progress = Progress::begin(output, "sent", Unit::Bytes, total);
    blocks.inspect_ok(move |block| progress.add(block.len() as u64)).boxed()
}
