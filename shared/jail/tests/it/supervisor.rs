//! What the supervisor does when nobody is left to ask it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use drydock_domain::Isolation;
use drydock_jail::{Ended, Network, Order, Policy, Started};

const HELPER: &str = env!("CARGO_BIN_EXE_drydock-jail");
const LEVELS: [Isolation; 3] = [Isolation::LandlockWeak, Isolation::Landlock, Isolation::Namespace];

struct Jailed {
    child: Child,
    socket: UnixStream,
    said: BufReader<UnixStream>,
    _workspace: tempfile::TempDir,
}

impl Jailed {
    fn start(level: Isolation, script: &str) -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let policy = Policy {
            level,
            workspace: workspace.path().to_owned(),
            write: Vec::new(),
            read: Vec::new(),
            network: Network::Closed,
            open_files: None,
            processes: None,
            file_bytes: None,
        };
        let (socket, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(HELPER);
        command.arg("run").args(policy.to_args()).args(["/bin/sh", "sh", "-c", script]);
        let child = command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(socket.try_clone().unwrap());
        Self { child, socket, said, _workspace: workspace }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Awaits that the program has said something, and that everything that could say more is gone.
    fn silence(mut self) {
        let mut output = BufReader::new(self.child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        drop((self.socket, self.said));
        // Whatever lived on would hold the pipe open.
        std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_worker_that_is_gone_wants_nothing_to_live() {
    for level in LEVELS {
        Jailed::start(level, "trap '' TERM HUP; setsid sleep 300 & echo up; sleep 300").silence();
    }
}

#[test]
fn a_program_hears_sigterm_and_the_end_is_told() {
    for level in LEVELS {
        let mut jailed = Jailed::start(level, "trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done");
        assert!(matches!(jailed.line().parse(), Ok(Started::Running { pid }) if pid > 1), "{level}");
        let mut output = BufReader::new(jailed.child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        (&jailed.socket).write_all(&[Order::Terminate.letter()]).unwrap();
        let ended = jailed.line();
        assert!(matches!(ended.parse(), Ok(Ended::Exited { code: 9, .. })), "{level}: {ended}");
        assert_eq!(jailed.child.wait().unwrap().code(), Some(9), "{level}");
    }
}

#[test]
fn a_workspace_that_is_not_there_is_a_refusal_with_its_name() {
    for level in LEVELS {
        let policy = ["--level", level.as_str(), "--workspace", "/no/such", "--network", "closed", "--"];
        let output = Command::new(HELPER).arg("run").args(policy).args(["/bin/true", "true"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{level}: {said}");
        assert!(said.contains("refused"), "{level}: {said}");
    }
    assert!(!Path::new("/no/such").exists());
}
