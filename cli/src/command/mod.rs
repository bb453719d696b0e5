//! The command line and what each command does, one file each. A command asks the client, writes to the output, and says how
//! it ended.

mod admin;
mod audit;
mod batch;
mod config;
mod connection;
mod contexts;
mod daemon;
mod doctor;
mod grep;
mod job;
mod key;
mod labels;
mod list;
mod login;
mod manual;
mod pools;
mod project;
mod schedule;
mod session;
mod tenant;
mod top;
mod usage;
mod user;
mod version;
mod wait;
mod webhook;
mod workers;
mod workspace;

use std::{sync::Arc, time::Duration};

use clap::{Args, Parser, Subcommand};
use drydock_runtime::{config::positive_duration, exit::chain};
use tokio::time::Instant;

use self::connection::{Connection, Resolved};
use drydock_client::{Client, ClientError};

use crate::{
    CliError, Exit,
    output::{Format, Output, Terminal},
};

const ENVIRONMENT: &str = "\
Environment:
  DRYDOCK_API_URL        the server (--server)
  DRYDOCK_API_KEY        the key to send; or DRYDOCK_API_KEY_FILE, a file that holds it
  DRYDOCK_CONTEXT        the context (--context), of those in DRYDOCK_CONFIG, by default ~/.config/drydock/config.toml
  DRYDOCK_DATABASE_URL   the database, for `drydock admin` and `doctor`; or DRYDOCK_DATABASE_URL_FILE
  DRYDOCK_AMQP_URL       the broker, for `drydock doctor`; or DRYDOCK_AMQP_URL_FILE
  DRYDOCK_S3_…, AWS_…    object storage, for `drydock admin gc` and `doctor`; as the services have them

Exit codes:
  0  done, job completed        5  conflict
  1  job failed                 6  server or network
  2  usage                      7  time was up
  3  settings, authorization    8  job cancelled
  4  not found                130  Ctrl-C; the job goes on

Examples:
  drydock project create --instruction \"Print the first ten Fibonacci numbers\" --wait 60s
  drydock job submit PROJECT --type edit --instruction \"Add a --count option\" --wait
  drydock job logs JOB -f
  drydock batch submit jobs.ndjson --canary 10 --wait";

/// Coding agents on project workspaces, from the command line
#[derive(Debug, Parser)]
#[command(name = "drydock", version = drydock_runtime::build_info::VERSION, after_help = ENVIRONMENT)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    /// Give up after this time, like 30s (exit code 7); also accepted after most commands
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    timeout: Option<Duration>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    #[command(flatten)]
    connection: Connection,
    /// The form of data; where it is not a table, a call that fails has its error body on standard error in that form
    #[arg(short, long, global = true, value_enum, value_name = "FORM", default_value_t)]
    output: Format,
    /// Short for --output json
    #[arg(long, global = true, conflicts_with = "output")]
    json: bool,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Write no colours, on a terminal either; `NO_COLOR` in the environment does the same
    #[arg(long, global = true)]
    no_color: bool,
}

/// The time limit of one command.
#[derive(Clone, Copy, Debug, Args)]
struct Patience {
    /// Give up after this time, like 30s (exit code 7)
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    timeout: Option<Duration>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Projects: create, import, list, show, read files, delete
    #[command(subcommand, visible_alias = "projects")]
    Project(project::ProjectCommand),
    /// Jobs: submit, list, show, cancel, retry, wait, read logs
    #[command(subcommand, visible_alias = "jobs")]
    Job(job::JobCommand),
    /// Batches: many jobs submitted, watched, paused, cancelled and run again as one thing
    #[command(subcommand, visible_alias = "batches")]
    Batch(batch::BatchCommand),
    /// Show what changed between two versions, as `project diff`
    Diff(project::diff::DiffArgs),
    /// List a project's versions, as `project versions`
    Versions(project::versions::VersionsArgs),
    /// Make the files of an older version the newest again, as `project restore`
    Restore(project::restore::RestoreArgs),
    /// Make a project of a version, as `project fork`
    Fork(project::fork::ForkArgs),
    /// Write a version into a folder, as `project pull`
    Pull(project::pull::PullArgs),
    /// Make a folder a project's next version, as `project push`
    Push(project::push::PushArgs),
    /// List a version's files, as `project files`
    Files(project::files::FilesArgs),
    /// Submit a job, as `job submit`
    Submit(Box<job::submit::SubmitArgs>),
    /// Read a job's log or follow it, as `job logs`
    Logs(job::logs::LogsArgs),
    /// Wait until jobs are over, as `job wait`
    Wait(job::wait::WaitJobsArgs),
    /// Schedules: jobs at set times
    #[command(subcommand, visible_alias = "schedules")]
    Schedule(schedule::ScheduleCommand),
    /// Sessions: servers on a project's workspace, reached at host:port
    #[command(subcommand, visible_alias = "sessions")]
    Session(session::SessionCommand),
    /// Make a folder of this machine a part of the fleet: kept like a project's newest version, its jobs run in it
    Daemon(Box<daemon::DaemonArgs>),
    /// Workspaces that daemons hold: who does, and what lets them in
    #[command(subcommand, visible_alias = "workspaces")]
    Workspace(workspace::WorkspaceCommand),
    /// Webhooks: URLs that are told when jobs and batches end
    #[command(subcommand, visible_alias = "webhooks")]
    Webhook(webhook::WebhookCommand),
    /// Workers: list, drain, let them take jobs again
    Workers(workers::WorkersArgs),
    /// Pools: workers, slots, what waits
    Pools(pools::PoolsArgs),
    /// The operator's commands, which need the database itself
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Ask with a key from now on
    Login(login::LoginArgs),
    /// Forget the key
    Logout(login::LogoutArgs),
    /// Show who this is to the server, and what it may
    Whoami(login::WhoamiArgs),
    /// Contexts: servers by name, each with a key
    #[command(subcommand, visible_alias = "contexts")]
    Context(contexts::ContextCommand),
    /// Settings: where each value came from
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// API keys: create, list, revoke
    #[command(subcommand, visible_alias = "keys")]
    Key(key::KeyCommand),
    /// The audit log: who asked for what, and whether the log is whole
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Users of the tenant: create, list, change
    #[command(subcommand, visible_alias = "users")]
    User(user::UserCommand),
    /// Tenants, for operators: create, list, change
    #[command(subcommand, visible_alias = "tenants")]
    Tenant(tenant::TenantCommand),
    /// Show what was used: jobs that ended, slot time, bytes
    Usage(usage::UsageArgs),
    /// Look at everything between this command and a job: the API, the servers behind it, the workers
    ///
    /// One line a check: ok, warn, fail or skip, what was seen, and what to do.
    Doctor(doctor::DoctorArgs),
    /// Watch the fleet: slots, jobs, batches
    Top(top::TopArgs),
    /// Write a completion script for a shell
    Completion(manual::CompletionArgs),
    /// Write the manual page, or all of them into a folder
    Man(manual::ManArgs),
    /// Show the versions of this program and of the server
    Version(version::VersionArgs),
}

/// What every command works with.
#[derive(Debug)]
struct Context {
    connection: Connection,
    output: Arc<Output>,
}

impl Context {
    fn client(&self) -> Result<Client, CliError> {
        let Resolved { server, key } = self.connection.resolve()?;
        let output = Arc::clone(&self.output);
        Ok(Client::new(&server, key.as_ref())?.with_notice(Arc::new(move |text| output.note(text))))
    }
}

/// Runs the command to its end, or until Ctrl-C.
pub async fn run(cli: Cli) -> Exit {
    let Cli { global, timeout, command } = cli;
    let format = if global.json { Format::Json } else { global.output };
    let output = Arc::new(Output::new(format, global.quiet, Terminal::find(global.no_color, global.quiet)));
    let context = Context { connection: global.connection, output: Arc::clone(&output) };
    let timeout = command.timeout().or(timeout);
    // It ends in an order of its own.
    let hears_signals = matches!(command, Command::Daemon(_));
    let bounded = async {
        let work = dispatch(&context, command, timeout.map(|time| Instant::now() + time));
        match timeout {
            // Commands that wait look at the deadline themselves; this is for those that do not answer.
            Some(time) => {
                tokio::time::timeout(time + Duration::from_secs(1), work).await.unwrap_or(Err(CliError::TimeUp))
            }
            None => work.await,
        }
    };
    tokio::select! {
        outcome = bounded => outcome.unwrap_or_else(|error| failed(&output, &error)),
        _ = tokio::signal::ctrl_c(), if !hears_signals => interrupted(&output),
    }
}

async fn dispatch(context: &Context, command: Command, deadline: Option<Instant>) -> Result<Exit, CliError> {
    match command {
        Command::Project(command) => project::run(context, command, deadline).await,
        Command::Job(command) => job::run(context, command, deadline).await,
        Command::Batch(command) => batch::run(context, command, deadline).await,
        Command::Diff(args) => project::diff::run(context, args).await,
        Command::Versions(args) => project::versions::list(context, args).await,
        Command::Restore(args) => project::restore::run(context, args).await,
        Command::Fork(args) => project::fork::run(context, args).await,
        Command::Pull(args) => project::pull::run(context, args).await,
        Command::Push(args) => project::push::run(context, args).await,
        Command::Files(args) => project::files::run(context, args).await,
        Command::Submit(args) => job::submit::run(context, *args, deadline).await,
        Command::Logs(args) => job::logs::run(context, args).await,
        Command::Wait(args) => job::wait::run(context, args, deadline).await,
        Command::Schedule(command) => schedule::run(context, command).await,
        Command::Session(command) => session::run(context, command).await,
        Command::Daemon(args) => daemon::run(context, *args).await,
        Command::Workspace(command) => workspace::run(context, command).await,
        Command::Webhook(command) => webhook::run(context, command).await,
        Command::Workers(args) => workers::run(context, args, deadline).await,
        Command::Pools(args) => pools::run(context, args).await,
        Command::Admin(command) => admin::run(context, command).await,
        Command::Login(_) => login::login(context).await,
        Command::Logout(_) => login::logout(context),
        Command::Whoami(_) => login::whoami(context).await,
        Command::Context(command) => contexts::run(context, command),
        Command::Config(command) => config::run(context, command),
        Command::Top(args) => top::run(context, args).await,
        Command::Completion(args) => manual::completion(context, args),
        Command::Man(args) => manual::man(context, args),
        Command::Key(command) => key::run(context, command).await,
        Command::Audit(command) => audit::run(context, command).await,
        Command::User(command) => user::run(context, command).await,
        Command::Tenant(command) => tenant::run(context, command).await,
        Command::Usage(args) => usage::run(context, args).await,
        Command::Doctor(_) => doctor::run(context).await,
        Command::Version(args) => version::run(context, args).await,
    }
}

impl Command {
    /// The limit given after the command, which wins over the one before it.
    fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Project(command) => command.timeout(),
            Self::Job(command) => command.timeout(),
            Self::Batch(command) => command.timeout(),
            Self::Diff(args) => args.patience.timeout,
            Self::Versions(args) => args.patience.timeout,
            Self::Restore(args) => args.patience.timeout,
            Self::Fork(args) => args.patience.timeout,
            Self::Pull(args) => args.patience.timeout,
            Self::Push(args) => args.patience.timeout,
            Self::Files(args) => args.patience.timeout,
            Self::Logs(args) => args.patience.timeout,
            Self::Wait(args) => args.patience.timeout,
            Self::Schedule(command) => command.timeout(),
            Self::Session(command) => command.timeout(),
            Self::Workspace(command) => command.timeout(),
            Self::Webhook(command) => command.timeout(),
            Self::Workers(args) => args.timeout(),
            Self::Pools(args) => args.timeout(),
            Self::Doctor(args) => args.patience.timeout,
            Self::Usage(args) => args.patience.timeout,
            Self::Login(args) => args.patience.timeout,
            Self::Whoami(args) => args.patience.timeout,
            Self::Key(command) => command.timeout(),
            Self::Audit(command) => command.timeout(),
            Self::User(command) => command.timeout(),
            Self::Tenant(command) => command.timeout(),
            // The --timeout of a submission is the job's.
            Self::Submit(_) => None,
            Self::Top(args) => args.patience.timeout,
            Self::Admin(_)
            | Self::Daemon(_)
            | Self::Version(_)
            | Self::Logout(_)
            | Self::Context(_)
            | Self::Config(_)
            | Self::Completion(_)
            | Self::Man(_) => None,
        }
    }
}

fn failed(output: &Output, error: &CliError) -> Exit {
    let exit = error.exit();
    let body = match error {
        CliError::Client(error) => error.body(),
        _ => None,
    };
    match body {
        _ if exit == Exit::Ok => {}
        Some(body) if output.is_structured() => output.failure(body),
        None if output.is_structured() => output.failure(error.body().to_string().as_bytes()),
        _ => error_text(output, error),
    }
    if let CliError::Client(ClientError::Refused(refusal)) = error
        && refusal.status.as_u16() == 401
    {
        output.note("to ask with a key: drydock login, or set DRYDOCK_API_KEY or DRYDOCK_API_KEY_FILE");
    }
    exit
}

/// The differences of a schema have lines of their own.
fn error_text(output: &Output, error: &CliError) {
    for (number, line) in chain(error).lines().enumerate() {
        output.warn(&if number == 0 { format!("error: {line}") } else { line.to_owned() });
    }
    if let Some(remedy) = error.remedy() {
        output.warn(remedy);
    }
}

fn interrupted(output: &Output) -> Exit {
    if let Some(command) = output.resume() {
        output.note(&format!("interrupted; the job goes on. To come back: {command}"));
    }
    Exit::Interrupted
}

#[cfg(test)]
mod tests;
