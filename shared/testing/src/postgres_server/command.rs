//! PostgreSQL's own programs, run as a user they accept: they refuse root.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The user that deploy/local runs PostgreSQL as under root.
const USER: &str = "postgres";

/// `program` of the newest PostgreSQL here, as the server's user, with nothing of our environment.
pub(super) fn command(program: &str) -> Command {
    command_with(&[], program)
}

/// The same with `environment` (`NAME=value`), which no program before it sees.
pub(super) fn command_with(environment: &[String], program: &str) -> Command {
    let mut command = as_user();
    command.args(environment).arg(directory().join(program));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").current_dir("/").stdin(Stdio::null());
    command
}

/// Runs it to its end; panics with what it said when it fails.
pub(super) async fn run(command: Command) {
    let (what, mut command) = (format!("{command:?}"), tokio::process::Command::from(command));
    let output = command.kill_on_drop(true).output().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{what}: {}\n{}", output.status, String::from_utf8_lossy(&said));
}

/// Whether this process is root, as whom PostgreSQL does not run.
pub(super) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Gives a path to the server's user.
pub(super) fn hand_over(path: &Path) {
    if is_root() {
        let done = Command::new("chown").arg(format!("{USER}:{USER}")).arg(path).status();
        assert!(done.is_ok_and(|done| done.success()), "cannot give {} to {USER}", path.display());
    }
}

/// Both exec, so the pid stays the same.
fn as_user() -> Command {
    if !is_root() {
        return Command::new("env");
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--init-groups", "--", "env"]);
    command
}

/// Debian keeps them off PATH, a directory a version.
fn directory() -> PathBuf {
    let versions = fs_err::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter(|version| version.path().join("bin/postgres").exists()).max_by_key(|version| {
        version.file_name().to_str().and_then(|number| number.parse::<u32>().ok()).unwrap_or_default()
    });
    let newest = newest.map(|version| version.path().join("bin"));
    newest
        .or_else(|| on_path(OsStr::new("initdb")))
        .expect("a PostgreSQL server is installed; `make test` installs one")
}

fn on_path(program: &OsStr) -> Option<PathBuf> {
    let path = crate::setting("PATH");
    std::env::split_paths(&path).find(|directory| directory.join(program).exists())
}
