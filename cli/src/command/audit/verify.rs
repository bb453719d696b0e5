//! `drydock audit verify`

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
};

use clap::Args;
use serde_json::json;

use super::{
    super::{Context, Patience},
    chain::{Break, Link, Walk},
    export::LIMIT,
};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 1 where the chain breaks, with the position. Keep the last position and hash elsewhere: whoever could write the
whole log anew could not make it end in the same hash.

Examples:
  drydock audit verify
  drydock audit verify audit.ndjson
  drydock audit verify --after 5000 --hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)]
pub(in crate::command) struct VerifyArgs {
    /// An export; `-` is standard input; the server's log if none is named
    file: Option<PathBuf>,
    /// Begin after this position, which has to be there with the hash that is known
    #[arg(long, value_name = "POSITION", requires = "hash", value_parser = clap::value_parser!(u64).range(1..))]
    after: Option<u64>,
    /// The hash at that position
    #[arg(long, value_name = "HEX", requires = "after", value_parser = hash)]
    hash: Option<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

fn hash(text: &str) -> Result<String, String> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if lower && text.len() == 64 { Ok(text.to_owned()) } else { Err("a hash is 64 lower-case hex digits".to_owned()) }
}

pub(super) async fn run(context: &Context, args: VerifyArgs) -> Result<Exit, CliError> {
    let known = args.after.zip(args.hash).map(|(position, hash)| Link { position, hash });
    let mut walk = Walk::from(known);
    let followed = match args.file {
        Some(file) if file.as_os_str() == "-" => of_lines(&mut walk, std::io::stdin().lock())?,
        Some(file) => of_lines(&mut walk, BufReader::new(fs_err::File::open(file).map_err(CliError::Input)?))?,
        None => of_server(context, &mut walk).await?,
    };
    let (Link { position, hash }, records) = match followed.and_then(|()| walk.end()) {
        Ok(end) => end,
        Err(broken) => {
            context.output.warn(&format!("error: {broken}"));
            return Ok(Exit::Failed);
        }
    };
    let told = json!({"records": records, "position": position, "hash": hash});
    context.output.answer(told.to_string().as_bytes(), || {
        format!("{records} records follow one another; the last is at position {position}, its hash {hash}")
    })?;
    Ok(Exit::Ok)
}

fn of_lines(walk: &mut Walk, input: impl BufRead) -> Result<Result<(), Break>, CliError> {
    for line in input.split(b'\n') {
        if let Err(broken) = walk.take(&line.map_err(CliError::Input)?) {
            return Ok(Err(broken));
        }
    }
    Ok(Ok(()))
}

async fn of_server(context: &Context, walk: &mut Walk) -> Result<Result<(), Break>, CliError> {
    let client = context.client()?;
    let mut response = client.get(["audit", "export"]).query("after", walk.after()).send().await?;
    let mut rest = Vec::new();
    while let Some(part) = client.chunk(&mut response, LIMIT).await? {
        rest.extend_from_slice(&part);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if let Err(broken) = walk.take(&line[..end]) {
                return Ok(Err(broken));
            }
        }
    }
    if rest.is_empty() { Ok(Ok(())) } else { Ok(walk.take(&rest)) }
}
