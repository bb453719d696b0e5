//! Where a private server keeps its data, and what is done there.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::command::{command, command_with, hand_over, run};

/// Small and fast: nothing of a test needs to survive a power failure, and a killed server still recovers.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 150
shared_buffers = 32MB
fsync = off
full_page_writes = off
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 100ms
wal_keep_size = 64MB
authentication_timeout = 5s
log_line_prefix = '%m [%p] %a '
timezone = 'UTC'
";
/// Of Debian's package `libfaketime`, which `make test` installs.
const FAKETIME: &str = "faketime/libfaketime.so.1";

/// A directory of the server's user, removed when dropped.
pub(super) struct Home {
    place: TempDir,
    skew: f64,
}

impl Home {
    pub(super) fn create() -> Self {
        let place =
            tempfile::Builder::new().prefix("drydock-pg-").tempdir().expect("a temporary directory can be made");
        hand_over(place.path());
        Self { place, skew: 0.0 }
    }

    /// The same with a clock that differs by so many seconds.
    pub(super) fn skewed(self, skew: f64) -> Self {
        Self { skew, ..self }
    }

    pub(super) async fn initialise(&self, password: &str) {
        let file = self.place.path().join("password");
        fs_err::write(&file, password).expect("our directory can be written");
        hand_over(&file);
        let mut initdb = command("initdb");
        initdb.args([
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]);
        initdb.arg(format!("--pwfile={}", file.display())).arg(format!("--pgdata={}", self.data().display()));
        run(initdb).await;
        fs_err::remove_file(file).expect("our file can be removed");
        let settings = self.data().join("postgresql.conf");
        let found_out = fs_err::read_to_string(&settings).expect("initdb wrote it");
        fs_err::write(&settings, found_out + SETTINGS).expect("our file can be written");
    }

    /// A copy of a running server, which follows it when started.
    pub(super) async fn copy_from(&self, primary: &str) {
        let mut copy = command("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync"]);
        copy.arg(format!("--dbname={primary}")).arg(format!("--pgdata={}", self.data().display()));
        run(copy).await;
    }

    pub(super) fn spawn(&self, port: u16) -> Child {
        let mut postgres = command_with(&self.clock(), "postgres");
        postgres.arg("-D").arg(self.data()).args(["-p", &port.to_string()]);
        let log = fs_err::File::options().create(true).append(true).open(self.place.path().join("log"));
        let log = log.expect("our directory can be written").into_parts().0;
        postgres.stdout(log.try_clone().expect("a descriptor is free")).stderr(log);
        postgres.spawn().expect("PostgreSQL is installed")
    }

    fn clock(&self) -> Vec<String> {
        if self.skew == 0.0 {
            return Vec::new();
        }
        let preload = format!("LD_PRELOAD={}", faketime().display());
        let monotonic = "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned();
        vec![preload, format!("FAKETIME={:+}s", self.skew), monotonic]
    }

    /// `pg_ctl` with `arguments`, to its end.
    pub(super) async fn control(&self, arguments: &[&str]) {
        run(self.pg_ctl(arguments)).await;
    }

    /// Stops the server while dropping; whether that worked.
    pub(super) fn stop_now(&self) -> bool {
        let mut stop = self.pg_ctl(&["stop", "--mode=immediate"]);
        stop.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    pub(super) fn log(&self) -> String {
        fs_err::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Command {
        let mut control = command("pg_ctl");
        control.args(arguments).args(["--wait", "--pgdata"]).arg(self.data());
        control
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }
}

fn faketime() -> PathBuf {
    let kinds = fs_err::read_dir("/usr/lib").expect("there are libraries").flatten();
    let found = kinds.map(|kind| kind.path().join(FAKETIME)).find(|path| path.exists());
    found.expect("the package libfaketime is installed; `make test` installs it")
}
