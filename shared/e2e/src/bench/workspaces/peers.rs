//! What people use otherwise, on the same disk and the same S3 server.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{trees::Tree, verdicts::Verdicts};

pub(super) struct Peers {
    pub(super) s5cmd: Option<PathBuf>,
    pub(super) aws: Option<PathBuf>,
}

/// How long they took.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) copy: Option<Duration>,
    pub(super) s5cmd: Option<Duration>,
    pub(super) aws: Option<Duration>,
}

impl Peers {
    pub(super) fn measure(&self, tree: &Tree, directory: &Path, verdicts: &Verdicts) -> Result<Beside> {
        let place = directory.join("beside");
        let fresh = || {
            let _ = fs_err::remove_dir_all(&place);
            place.clone()
        };
        let from = tree.path.as_os_str();
        let time = |what: &str, command: &mut Command| {
            let time = timed(command);
            verdicts.figure("beside", what, time);
            time
        };
        time("cp -al", Command::new("cp").arg("-al").arg(from).arg(fresh()));
        time("cp -a --reflink=always", Command::new("cp").args(["-a", "--reflink=always"]).arg(from).arg(fresh()));
        let copy = time("cp -a", Command::new("cp").arg("-a").arg(from).arg(fresh()));
        let config = drydock_testing::storage_config();
        let endpoint = config.endpoint.context("the tests' S3 server has an endpoint")?;
        let url = format!("s3://{}/beside-{:08x}/", config.bucket, rand::random::<u32>());
        let mut beside = Beside { copy, ..Beside::default() };
        if let Some(s5cmd) = &self.s5cmd {
            let run = |arguments: &[&str]| {
                let mut command = Command::new(s5cmd);
                command
                    .args(["--endpoint-url", &endpoint, "--log", "error"])
                    .args(arguments)
                    .env("AWS_REGION", "us-east-1");
                command
            };
            timed(&mut run(&["cp", &format!("{}/", tree.path.display()), &url]))
                .context("s5cmd could not upload the tree")?;
            beside.s5cmd = time("s5cmd cp", &mut run(&["cp", &format!("{url}*"), &format!("{}/", fresh().display())]));
            time("s5cmd sync, nothing changed", &mut run(&["sync", &format!("{}/", tree.path.display()), &url]));
            if let Some(aws) = &self.aws {
                let mut command = Command::new(aws);
                command.args([
                    "--endpoint-url",
                    &endpoint,
                    "--region",
                    "us-east-1",
                    "s3",
                    "sync",
                    "--only-show-errors",
                    &url,
                ]);
                beside.aws = time("aws s3 sync", command.arg(fresh()));
            }
        }
        fresh();
        Ok(beside)
    }
}

/// `None` when it fails.
fn timed(command: &mut Command) -> Option<Duration> {
    let began = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    status.success().then(|| began.elapsed())
}

/// Whether two directories hold the same.
pub(super) fn same(one: &Path, other: &Path) -> bool {
    Command::new("diff")
        .args(["-rq", "--no-dereference"])
        .arg(one)
        .arg(other)
        .status()
        .is_ok_and(|status| status.success())
}
