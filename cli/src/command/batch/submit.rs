//! `drydock batch submit`

use std::{path::Path, sync::Arc};

use clap::Args;
use drydock_client::{
    Client, Document,
    views::{Batch, LineError, Lines},
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    super::{Context, Patience, labels::Labels},
    settings::Settings,
    upload::{Options, Source, hash, is_key_reused, upload},
    wait,
};
use crate::{CliError, Exit, output::Output};

/// Refused lines shown.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock batch submit jobs.ndjson --canary 10 --max-failure-rate 10% --wait
  generate-jobs | drydock batch submit - --project PROJECT --name nightly
  drydock batch submit mended.ndjson --batch BATCH

A line is a job with its project, or with a fork of its own:
  {\"project_id\": \"…\", \"job_type\": \"edit\", \"instruction\": \"Fix the build\"}
  {\"fork_of\": \"…\", \"version\": 3, \"job_type\": \"edit\", \"instruction\": \"Fix the build\"}
All that `job submit` takes may be said, except dependencies. Lines are accepted while they are sent. A line that is
refused keeps no other from it: mend it, and send the file again with --batch. The same file twice is one batch; what
broke off is taken up. Writes the batch's id.

Exit codes: 1 if lines were refused, or with --wait if a job failed or the batch paused by its own rules.")]
pub(in crate::command) struct SubmitArgs {
    /// The file, or - for standard input
    file: String,
    /// What to call it, instead of the file's name
    #[arg(long, conflicts_with = "batch")]
    name: Option<String>,
    /// Fill this batch, instead of making one
    #[arg(long, value_name = "BATCH")]
    batch: Option<String>,
    /// The project of lines that name none
    #[arg(long)]
    project: Option<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    labels: Labels,
    /// Leave it open for further lines
    #[arg(long)]
    open: bool,
    /// Only look which lines would be refused
    #[arg(long, conflicts_with_all = ["wait", "open"])]
    check: bool,
    /// Run the file once more, as another batch
    #[arg(long, conflicts_with = "batch")]
    again: bool,
    /// Wait until it is over
    #[arg(long, conflicts_with = "open")]
    wait: bool,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: SubmitArgs, deadline: Option<Instant>) -> Result<Exit, CliError> {
    let client = context.client()?;
    let source = if args.file == "-" { Source::Stdin } else { Source::File(args.file.clone().into()) };
    let batch = match &args.batch {
        Some(id) => id.clone(),
        None => create(&client, &source, &args).await?,
    };
    if !args.check {
        context.output.resumable(format!("drydock batch submit {} --batch {batch}", args.file));
    }
    let options = Options { project: args.project.clone(), more: args.open, check: args.check };
    let lines: Document<Lines> = upload(&client, &context.output, &batch, &source, &options).await?;
    tell(&context.output, &args, &batch, &lines.value);
    if !args.wait || lines.value.refused > 0 {
        context.output.answer(&lines.raw, || batch.clone())?;
        return Ok(if lines.value.refused > 0 { Exit::Failed } else { Exit::Ok });
    }
    wait::until_over(context, &client, &batch, deadline).await
}

/// The batch to fill. With the same file and the same words it is the same one.
async fn create(client: &Client, source: &Source, args: &SubmitArgs) -> Result<String, CliError> {
    let file = Path::new(&args.file).file_name().map(|name| name.to_string_lossy().into_owned());
    let name = match (&args.name, source) {
        (Some(name), _) => name.clone(),
        (None, Source::File(_)) => file.unwrap_or_else(|| args.file.clone()),
        (None, Source::Stdin) => "standard input".to_owned(),
    };
    let mut body: Map<String, Value> = args.settings.fields();
    body.insert("name".to_owned(), json!(name));
    let labels: Map<String, Value> =
        args.labels.pairs().filter_map(|pair| pair.split_once('=').map(|(n, v)| (n.to_owned(), v.into()))).collect();
    if !labels.is_empty() {
        body.insert("labels".to_owned(), labels.into());
    }
    let call = client.post(["batches"]).json(&body);
    let call = match source {
        Source::File(path) if !args.again && !args.check => {
            let project = args.project.as_deref().unwrap_or_default();
            call.idempotent_as(&format!("file:{}:{project}", hash(path).await?.to_hex()))
        }
        _ => call.idempotent(),
    };
    match call.document::<Batch>().await {
        Ok(batch) => Ok(batch.value.id),
        Err(error) if is_key_reused(&error) => Err(CliError::Usage(
            "this file was submitted before, with another name or other limits: `drydock batch ls` has it, \
             `drydock batch set` changes it; --again runs the file once more, as another batch"
                .to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

fn tell(output: &Arc<Output>, args: &SubmitArgs, batch: &str, lines: &Lines) {
    for error in lines.errors.iter().take(SHOWN) {
        output.warn(&text(error));
    }
    let more = lines.refused.saturating_sub(lines.errors.len().min(SHOWN));
    if more > 0 {
        output.warn(&format!("and {more} more lines were refused"));
    }
    let Lines { accepted, replayed, refused, .. } = lines;
    if args.check {
        output.note(&format!("{accepted} lines would be accepted, {refused} refused"));
        return;
    }
    output.note(&format!("{accepted} lines accepted, {replayed} came before, {refused} refused"));
    if *refused > 0 {
        output.warn(&format!(
            "the batch stays open: mend those lines, then `drydock batch submit {} --batch {batch}`; or go on without \
             them: `drydock batch close {batch}`",
            args.file
        ));
    }
}

/// `line 3: instruction: Field required`
fn text(error: &LineError) -> String {
    let said = match &error.detail {
        Value::Array(rows) => {
            let rows = rows.iter().map(|row| {
                let inside = row["loc"].as_array().into_iter().flatten().skip(1);
                let at: Vec<String> = inside.map(|part| part.to_string().replace('"', "")).collect();
                let msg = row["msg"].as_str().unwrap_or_default();
                if at.is_empty() { msg.to_owned() } else { format!("{}: {msg}", at.join(".")) }
            });
            rows.collect::<Vec<_>>().join("; ")
        }
        Value::String(said) => said.clone(),
        other => other.to_string(),
    };
    format!("line {}: {said}", error.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_line_is_one_line() {
        let error = |detail: Value| text(&LineError { line: 3, detail });
        assert_eq!(error(json!("Project not found")), "line 3: Project not found");
        let rows = json!([{"loc": ["body", "argv", 1], "msg": "too long"}, {"loc": ["body", "x"], "msg": "unknown"}]);
        assert_eq!(error(rows), "line 3: argv.1: too long; x: unknown");
        assert_eq!(error(json!([{"loc": ["body"], "msg": "no object"}])), "line 3: no object");
    }
}
