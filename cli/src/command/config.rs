//! `drydock config explain`: each setting, its value, and where that came from. Asks no server, and shows no key.

use clap::{ArgMatches, Args, CommandFactory as _, Subcommand, ValueEnum, parser::ValueSource};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Cli, Context, connection::Resolved};
use crate::{CliError, Exit, contexts::Contexts, output::Table};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Show where each setting came from: a flag, the environment, the file of contexts, or the default
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock config explain
  drydock config explain server
  drydock config explain key --context staging

A flag wins over the environment, that over the context, and that over the default. Of a key, the part is shown that is no secret.")]
pub(super) struct ExplainArgs {
    /// One setting, instead of all
    #[arg(value_enum)]
    setting: Option<Setting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Setting {
    /// The file of contexts
    Config,
    /// The context in use
    Context,
    /// The server's address
    Server,
    /// The key that is sent
    Key,
    /// The form of data
    Output,
    /// Whether there are colours
    Colours,
    /// Whether there are bars
    Bars,
}

/// A value, and where it came from.
struct Found {
    value: String,
    from: String,
}

impl Found {
    fn new(value: impl Into<String>, from: impl Into<String>) -> Self {
        Self { value: value.into(), from: from.into() }
    }
}

pub(super) fn run(context: &Context, command: ConfigCommand) -> Result<Exit, CliError> {
    let ConfigCommand::Explain(args) = command;
    let look = Look { context, contexts: context.connection.contexts()?, given: Given::of_this_process() };
    let mut table = Table::new(&["SETTING", "VALUE", "FROM"]).whole();
    let mut items = Vec::new();
    let wanted = Setting::value_variants().iter().filter(|setting| args.setting.is_none_or(|one| one == **setting));
    for setting in wanted {
        let name = setting.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let Found { value, from } = look.explain(*setting)?;
        table.row([name.clone(), value.clone(), from.clone()]);
        items.push(json!({"setting": name, "value": value, "from": from}));
    }
    context.output.answer(json!({"items": items}).to_string().as_bytes(), || table.render()).map(|()| Exit::Ok)
}

struct Look<'a> {
    context: &'a Context,
    contexts: Contexts,
    given: Given,
}

impl Look<'_> {
    fn explain(&self, setting: Setting) -> Result<Found, CliError> {
        let connection = &self.context.connection;
        let name = connection.context_name(&self.contexts);
        let file = self.contexts.path().map(|path| path.display().to_string()).unwrap_or_default();
        Ok(match setting {
            Setting::Config => {
                let default = "default: drydock/config.toml in XDG_CONFIG_HOME, else in ~/.config";
                Found::new(
                    file,
                    self.given.by("config", "--config", "DRYDOCK_CONFIG").unwrap_or_else(|| default.to_owned()),
                )
            }
            Setting::Context => {
                let kept = if self.contexts.says_current() { format!("file {file}") } else { "default".to_owned() };
                let given = self.given.by("context", "--context", "DRYDOCK_CONTEXT");
                Found::new(name, given.unwrap_or(kept))
            }
            Setting::Server => {
                let kept = self.contexts.find(&name).map(|_| format!("context '{name}' in {file}"));
                let given = self.given.by("server", "--server", "DRYDOCK_API_URL");
                let from = given.or(kept).unwrap_or_else(|| "default".to_owned());
                Found::new(connection.server_for(&self.contexts, &name), from)
            }
            Setting::Key => self.key(&name, &file)?,
            Setting::Output => {
                let form = self.context.output.format().to_possible_value();
                let form = form.map(|form| form.get_name().to_owned()).unwrap_or_default();
                let short = self.given.flag("json").then(|| "flag --json".to_owned());
                let given = short.or_else(|| self.given.by("output", "--output", ""));
                Found::new(form, given.unwrap_or_else(|| "default".to_owned()))
            }
            Setting::Colours => {
                let flag = self.given.flag("no_color").then_some("flag --no-color");
                let on = self.context.output.terminal().colours;
                Found::new(yes(on), flag.unwrap_or("the terminal, NO_COLOR and TERM"))
            }
            Setting::Bars => {
                let flag = self.given.flag("quiet").then_some("flag --quiet");
                let on = self.context.output.terminal().moves;
                Found::new(yes(on), flag.unwrap_or("the terminal, CI and TERM"))
            }
        })
    }

    fn key(&self, name: &str, file: &str) -> Result<Found, CliError> {
        let connection = &self.context.connection;
        let shown = |key: &secrecy::SecretString| {
            let key = key.expose_secret().parse::<drydock_domain::ApiKey>();
            key.map_or_else(|_| "set".to_owned(), |key| format!("dd_{}_…", key.prefix()))
        };
        if let Some(key) = connection.given_key()? {
            let from = if self.given.flag("token_file") {
                "flag --token-file"
            } else {
                "environment DRYDOCK_API_KEY or DRYDOCK_API_KEY_FILE"
            };
            return Ok(Found::new(shown(&key), from));
        }
        let Resolved { key, .. } = connection.resolve()?;
        Ok(match (key, self.contexts.find(name).is_some_and(|context| context.key.is_some())) {
            (Some(key), _) => Found::new(shown(&key), format!("context '{name}' in {file}")),
            (None, true) => Found::new("none", format!("context '{name}' is for another server, and so is its key")),
            (None, false) => Found::new("none", "nowhere"),
        })
    }
}

/// What this process was started with.
struct Given(Option<ArgMatches>);

impl Given {
    fn of_this_process() -> Self {
        let mut matches = Cli::command().try_get_matches_from(std::env::args_os()).ok();
        while let Some((_, deeper)) = matches.as_ref().and_then(|found| found.subcommand()) {
            matches = Some(deeper.clone());
        }
        Self(matches)
    }

    fn source(&self, id: &str) -> Option<ValueSource> {
        self.0.as_ref()?.value_source(id)
    }

    fn flag(&self, id: &str) -> bool {
        self.source(id) == Some(ValueSource::CommandLine)
    }

    /// `flag --x` or `environment X`; `None` where it is neither.
    fn by(&self, id: &str, flag: &str, variable: &str) -> Option<String> {
        match self.source(id)? {
            ValueSource::CommandLine => Some(format!("flag {flag}")),
            ValueSource::EnvVariable => Some(format!("environment {variable}")),
            _ => None,
        }
    }
}

const fn yes(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}
