//! `drydock push`, `drydock project push`: a folder as a project's next version. Only what differs is sent.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use drydock_client::{Call, Client, ClientError, Document, views::FilesChange};
use futures_util::StreamExt as _;
use reqwest::{Body, StatusCode, header};
use tokio::time::Instant;

use super::{
    super::{Context, Patience},
    by_hand::ByHand,
    import,
};
use crate::{
    CliError, Exit,
    archive::{self, Exclude, Known, Plan},
    output::{Output, mebibytes, one_line, seconds},
};

/// How long the whole upload may take; the server has a limit of its own.
const LIMIT: Duration = Duration::from_secs(3600);
/// Changed files told by name.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock push . --project PROJECT
  drydock project push my-folder --project PROJECT --if-version 7 --exclude target
  drydock push . --project PROJECT --dry-run

Makes a version in which the project's files, links and directories are those of the folder, and writes its number.
Only what differs is sent. What the folder's .drydockignore ignores is left out, unless the project has it already;
what --exclude names is neither sent nor removed, and with it directories that are gone stay, empty. With --if-version it is refused when another version is the newest: `drydock pull`
says which one a folder came from.")]
pub(in crate::command) struct PushArgs {
    /// The folder
    dir: PathBuf,
    /// The project
    #[arg(short, long, value_name = "PROJECT")]
    project: String,
    #[command(flatten)]
    by_hand: ByHand,
    /// Leave a name as it is wherever it occurs, or a path from the top if it has a slash; repeat for several
    #[arg(long, value_name = "NAME")]
    exclude: Vec<PathBuf>,
    /// Tell what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(in crate::command) patience: Patience,
}

pub(in crate::command) async fn run(context: &Context, args: PushArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    let started = Instant::now();
    let tell = |text: &str| context.output.warn(text);
    let (head, known) = archive::listing(&client, &args.project, tell).await?;
    let base = args.by_hand.if_version.unwrap_or(head);
    if base != head {
        return Err(CliError::Moved { meant: base, newest: head });
    }
    let plan = Arc::new(compare(context, &args, known).await?);
    if args.dry_run {
        return context
            .output
            .answer(document(&plan).to_string().as_bytes(), || lines(&plan).join("\n"))
            .map(|()| Exit::Ok);
    }
    let all = lines(&plan);
    all.iter().take(SHOWN).for_each(|line| context.output.note(line));
    if let Some(more) = all.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        context.output.note(&format!("… and {more} more; --dry-run lists all"));
    }
    let call = || {
        let call = client.patch(["projects", args.project.as_str(), "files"]).once_only().limit(LIMIT);
        args.by_hand.ask(call).header(header::IF_MATCH, &format!("\"{base}\""))
    };
    let (made, bytes) = send(&client, call, &context.output, args.dir.clone(), plan).await?;
    let FilesChange { version, parent, created, modified, deleted } = made.value;
    let took = seconds(started.elapsed().as_secs_f64());
    context.output.note(&if version == parent {
        format!("version {version} has these files already; nothing was changed, in {took}")
    } else {
        let size = mebibytes(bytes);
        format!("version {version}: {created} created, {modified} modified, {deleted} deleted, {size} in {took}")
    });
    context.output.answer(&made.raw, || version.to_string()).map(|()| Exit::Ok)
}

async fn compare(context: &Context, args: &PushArgs, known: HashMap<String, Known>) -> Result<Plan, CliError> {
    let (dir, output) = (args.dir.clone(), Arc::clone(&context.output));
    let exclude = Exclude::new(args.exclude.iter().cloned());
    let look = move || Plan::make(&dir, &exclude, &known, &mut |text| output.warn(text));
    let looked = tokio::task::spawn_blocking(look).await;
    looked.map_err(|panic| CliError::Input(std::io::Error::other(panic)))?.map_err(CliError::Input)
}

async fn send<'c>(
    client: &'c Client,
    call: impl Fn() -> Call<'c>,
    output: &Arc<Output>,
    dir: PathBuf,
    plan: Arc<Plan>,
) -> Result<(Document<FilesChange>, u64), CliError> {
    let (blocks, thread) = archive::stream_of(move |out| plan.write(&dir, out));
    let blocks = import::told(output, None, blocks.boxed());
    let answer =
        match call().header(header::CONTENT_TYPE, "application/x-tar").stream_bytes(Body::wrap_stream(blocks)).await {
            // Words that got lost with the connection: asked again with nothing to send, the server says them again.
            Err(broken @ ClientError::Broken { .. }) => match call().bytes().await {
                Err(ClientError::Refused(refusal)) if refusal.status == StatusCode::PRECONDITION_FAILED => {
                    output.warn(
                        "the newest version has changed, perhaps by this push: look at it with 'drydock versions'",
                    );
                    Err(broken)
                }
                Err(ClientError::Refused(refusal)) => Err(ClientError::Refused(refusal)),
                _ => Err(broken),
            },
            answer => answer,
        };
    let totals = import::read(thread, answer.is_ok()).await?;
    Ok((client.read(answer?)?, totals.map_or(0, |totals| totals.bytes)))
}

fn lines(plan: &Plan) -> Vec<String> {
    let named = |what: &str, path: &str| format!("{what:9} {}", one_line(path));
    let modified = texts(&plan.modified);
    let lines = [("created", created(plan)), ("modified", modified), ("deleted", deleted(plan))];
    lines.iter().flat_map(|(what, paths)| paths.iter().map(|path| named(what, path))).collect()
}

fn document(plan: &Plan) -> serde_json::Value {
    serde_json::json!({"created": created(plan), "modified": texts(&plan.modified), "deleted": deleted(plan)})
}

/// Files and links, then empty directories, which end in a slash.
fn created(plan: &Plan) -> Vec<String> {
    let dirs = texts(&plan.created_dirs).into_iter().map(|path| path + "/");
    texts(&plan.created).into_iter().chain(dirs).collect()
}

fn deleted(plan: &Plan) -> Vec<String> {
    plan.deleted.iter().cloned().chain(plan.deleted_dirs.iter().map(|path| format!("{path}/"))).collect()
}

fn texts(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
}
