//! On a real terminal there are bars and a screen, on a pipe there are lines: the command runs on a pseudo-terminal of its own.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::Stdio,
    sync::mpsc,
    time::Instant,
};

use drydock_domain::Outcome;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::{
    batches::step,
    harness::{Api, PATIENCE},
    worker::Worker,
};

/// A command on a terminal.
struct OnTerminal {
    child: std::process::Child,
    keys: File,
    shown: mpsc::Receiver<Vec<u8>>,
    seen: String,
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _over = self.child.kill();
        let _over = self.child.wait();
    }
}

impl OnTerminal {
    fn start(api: &Api, words: &[&str], environment: &[(&str, &str)]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let own = openpt(flags).unwrap();
        grantpt(&own).unwrap();
        unlockpt(&own).unwrap();
        let size = rustix::termios::Winsize { ws_row: 40, ws_col: 150, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&own, size).unwrap();
        let name = ptsname(&own, Vec::new()).unwrap().into_string().unwrap();
        let theirs = || fs_err::OpenOptions::new().read(true).write(true).open(&name).unwrap().into_parts().0;
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_drydock"));
        command.args(words).env_clear().env("TERM", "xterm").env("DRYDOCK_API_URL", format!("http://{}", api.address));
        command.envs(environment.iter().copied());
        command.stdin(Stdio::from(theirs())).stdout(Stdio::from(theirs())).stderr(Stdio::from(theirs()));
        let child = command.spawn().unwrap();
        drop(command);
        let (sender, shown) = mpsc::channel();
        let mut screen = File::from(own.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut part = vec![0; 4096];
            // Ends with an error once nobody has the other end.
            while let Ok(read @ 1..) = screen.read(&mut part) {
                if sender.send(part[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keys: File::from(own), shown, seen: String::new() }
    }

    /// Waits until the terminal was shown these words.
    fn shows(&mut self, words: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.seen.contains(words) {
            let left = end.saturating_duration_since(Instant::now());
            let part = self.shown.recv_timeout(left).unwrap_or_else(|_| panic!("no '{words}' in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&part));
        }
    }

    /// Its exit code, once all it wrote was seen.
    fn end(&mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        while let Ok(part) = self.shown.recv_timeout(std::time::Duration::from_millis(300)) {
            self.seen.push_str(&String::from_utf8_lossy(&part));
        }
        code
    }
}

/// A batch of one job that waits: the ids of both.
async fn batch(api: &Api, project: &str, dir: &tempfile::TempDir) -> (String, String) {
    let file = dir.path().join("jobs.ndjson");
    fs_err::write(&file, "{\"job_type\":\"edit\",\"instruction\":\"change\"}\n").unwrap();
    let words = ["batch", "submit", file.to_str().unwrap(), "--project", project, "--again"];
    let batch = api.drydock_with(&words).ok().await.line();
    let jobs: serde_json::Value = serde_json::from_str(&api.get(&format!("/jobs?batch={batch}")).await).unwrap();
    let job = jobs["items"][0]["id"].as_str().unwrap().to_owned();
    (batch, job)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_a_bar_on_a_terminal_and_lines_elsewhere() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (project, first) = api.project().await;
    worker.end(&first, Outcome::Succeeded).await;
    let dir = tempfile::tempdir().unwrap();
    let (id, job) = batch(&api, &project, &dir).await;
    let mut waits = OnTerminal::start(&api, &["batch", "wait", &id], &[]);
    waits.shows("batch [");
    waits.shows("0/1");
    let mut plain: Vec<OnTerminal> = [("CI", "true"), ("TERM", "dumb")]
        .map(|variable| OnTerminal::start(&api, &["batch", "wait", &id], &[variable]))
        .into_iter()
        .collect();
    plain.iter_mut().for_each(|wait| wait.shows(": 0/1 done"));
    let pipe = api.drydock(&format!("batch wait {id}")).start();
    step(&api, &id).await;
    worker.end(&job, Outcome::Succeeded).await;
    step(&api, &id).await;
    let pipe = crate::harness::Ended::of(pipe).await.exit(0);
    assert!(!pipe.err.contains(['\u{1b}', '\r']) && !pipe.err.contains("batch ["), "{:?}", pipe.err);
    assert_eq!(waits.end(), Some(0));
    assert!(waits.seen.contains("completed"), "{:?}", waits.seen);
    for wait in &mut plain {
        assert_eq!(wait.end(), Some(0));
        assert!(!wait.seen.contains('\u{1b}') && !wait.seen.contains("batch ["), "{:?}", wait.seen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_that_want_them() {
    let api = Api::start().await;
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("a"), "text\n").unwrap();
    let words = ["project", "import", dir.path().to_str().unwrap(), "-i", "keep this"];
    let project = api.drydock_with(&words).ok().await.line();
    let diff = ["diff", project.as_str(), "0", "1"];
    for (more, environment, coloured) in [
        (None, None, true),
        (Some("--no-color"), None, false),
        (None, Some(("NO_COLOR", "0")), false),
        (None, Some(("NO_COLOR", "")), true),
        (None, Some(("TERM", "dumb")), false),
    ] {
        let words: Vec<&str> = diff.into_iter().chain(more).collect();
        let mut shown = OnTerminal::start(&api, &words, environment.as_slice());
        assert_eq!(shown.end(), Some(0));
        assert!(shown.seen.contains("+text"), "{:?}", shown.seen);
        assert_eq!(shown.seen.contains('\u{1b}'), coloured, "{more:?} {environment:?}: {:?}", shown.seen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn top_has_a_screen_and_gives_it_back() {
    let api = Api::start().await;
    let worker = Worker::start(&api).await;
    let (project, job) = api.project().await;
    worker.claim(&job).await;
    api.drydock(&format!("submit {project} -i later")).ok().await;
    let once = api.drydock("top --once").ok().await.text();
    assert_eq!(once.lines().next(), Some("workers   1 of 4 slots in use; 1 live, 0 draining, 0 drained, 0 lost"));
    assert_eq!(once.lines().nth(1), Some("jobs      1 running, 1 queued"));
    assert!(once.lines().any(|line| line.starts_with(&job) && line.contains(&project)), "{once}");
    assert_eq!(api.drydock("top").ok().await.text().lines().next(), once.lines().next(), "a pipe gets it once");
    let document = api.drydock("top -o json").ok().await.json();
    assert_eq!((&document["workers"]["busy"], &document["running"][0]), (&1.into(), &job.as_str().into()));
    let mut top = OnTerminal::start(&api, &["top", "--every", "100ms"], &[]);
    top.shows("\u{1b}[?1049h");
    top.shows("1 of 4 slots in use");
    let (_, second) = api.project().await;
    worker.claim(&second).await;
    top.shows("2 of 4 slots in use");
    top.keys.write_all(b"q").unwrap();
    assert_eq!(top.end(), Some(0));
    assert!(top.seen.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{:?}", top.seen);
    let mut top = OnTerminal::start(&api, &["top"], &[]);
    top.shows("slots in use");
    top.keys.write_all(&[3]).unwrap();
    assert_eq!(top.end(), Some(0));
}
