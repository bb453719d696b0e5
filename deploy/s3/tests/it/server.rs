//! One running `drydock-s3`, killed when dropped.

use std::{
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};

/// Far more than a start or a stop takes on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(root: &Path) -> Self {
        let file = root.join("address");
        let _left_by_an_earlier_one = fs_err::remove_file(&file);
        let child = command(root, "127.0.0.1:0", "drydock").arg("--address-file").arg(&file).spawn().unwrap();
        let started = Instant::now();
        let address = loop {
            match fs_err::read_to_string(&file) {
                Ok(address) => break address,
                Err(error) => assert!(started.elapsed() < DEADLINE, "{error}"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        Self { child, address }
    }

    pub(crate) fn client(&self, secret: &str) -> Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", self.address))
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("key", secret, None, None, "test"))
            .force_path_style(true)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }

    /// Sends SIGTERM; the exit code. Sooner than the server's own grace, because nothing is in flight.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        wait(&mut self.child, Duration::from_secs(5))
    }

    pub(crate) fn exit_code_with_bucket(root: &Path, bucket: &str) -> Option<i32> {
        let mut child = command(root, "127.0.0.1:0", bucket).spawn().unwrap();
        wait(&mut child, DEADLINE)
    }

    pub(crate) fn exit_at(root: &Path, address: &str) -> (Option<i32>, String) {
        let mut child = command(root, address, "drydock").stderr(Stdio::piped()).spawn().unwrap();
        let code = wait(&mut child, DEADLINE);
        let mut log = String::new();
        child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (code, log)
    }
}

/// The exit code of a process that must end by itself; one that does not is killed and fails the test.
fn wait(child: &mut Child, limit: Duration) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if started.elapsed() > limit {
            child.kill().unwrap();
            panic!("still running after {limit:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped_already = self.child.wait();
    }
}

fn command(root: &Path, address: &str, bucket: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drydock-s3"));
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "right secret");
    command.arg("--root").arg(root.join("objects")).args(["--address", address, "--bucket", bucket]);
    command
}
