//! `drydock completion` and `drydock man`: what packagers and shells want, made of the command line itself.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Context};
use crate::{CliError, Exit};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  source <(drydock completion bash)
  drydock completion zsh > \"${fpath[1]}/_drydock\"
  drydock completion fish > ~/.config/fish/completions/drydock.fish")]
pub(super) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock man | man -l -
  drydock man --dir /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(super) fn completion(context: &Context, args: CompletionArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "drydock", &mut script);
    context.output.data(&script).map(|()| Exit::Ok)
}

pub(super) fn man(context: &Context, args: ManArgs) -> Result<Exit, CliError> {
    let Some(dir) = args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(pages()).render(&mut page).map_err(CliError::Output)?;
        return context.output.data(&page).map(|()| Exit::Ok);
    };
    fs_err::create_dir_all(&dir).map_err(CliError::Files)?;
    clap_mangen::generate_to(pages(), &dir).map_err(CliError::Files)?;
    context.output.note(&format!("wrote the pages to {}", dir.display()));
    Ok(Exit::Ok)
}

/// Without `help`, which is a page for each command again.
fn pages() -> clap::Command {
    Cli::command().disable_help_subcommand(true)
}
