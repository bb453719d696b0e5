//! One program of the caller's choice, under limits of its own and without the agent protocol: no `.codex`, no adapter. What it writes to
//! standard output and to standard error is kept apart, whole up to a limit, and told line by line meanwhile.

use std::{
    ffi::OsString,
    io,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use drydock_domain::{AttemptId, agent::AgentRequest};
use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    ending::Ending,
    environment::{self, Places},
    error::AgentError,
    output::{Lines, MAX_LINE, idle_after},
    process::{self, Belongings, Running, Start},
    program,
    redact::Redactor,
};

const BLOCK: usize = 16 << 10;

/// A program to run.
pub struct Plain<'a> {
    /// Its command line; the first word is looked for on `PATH`, unless it has a slash.
    pub line: &'a [String],
    /// What it is told of by `DRYDOCK_…`.
    pub request: &'a AgentRequest,
    /// Marks all its processes.
    pub attempt: AttemptId,
    /// Working directory; others may work there too.
    pub workspace: &'a Path,
    /// Private home directory.
    pub home: &'a Path,
    /// Private directory for temporary files.
    pub tmp: &'a Path,
    /// Variables beside the fixed ones.
    pub variables: &'a [(&'a str, &'a str)],
    /// Longest time it may run.
    pub timeout: Duration,
    /// Most bytes of output, both kinds together.
    pub output_limit: usize,
    /// Ends it.
    pub cancel: CancellationToken,
    /// Receives its lines. It waits while this is full.
    pub output: mpsc::Sender<Bytes>,
}

/// What it came to.
#[derive(Debug)]
pub struct PlainExit {
    /// How it ended.
    pub ending: PlainEnding,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainEnding {
    /// Like any other program.
    Ended(Ending),
    /// It was killed for writing too much.
    OutputLimit,
}

/// Whether there is such a program on the path that programs get.
pub fn is_on_path(name: &str) -> bool {
    program::locate(name.as_ref(), &program::search_path()).is_ok()
}

/// Runs the program to its end; nothing of it is left when this returns. At a limit it is killed at once, with all it started.
///
/// # Errors
/// Only what is our own inability.
pub async fn run_plain(plain: Plain<'_>) -> Result<PlainExit, AgentError> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let name = plain.line.first().cloned().unwrap_or_default();
    let (running, out, err) = match start(&plain, &name).await {
        Ok(started) => started,
        Err(error) if process::agents_own_fault(&error) => {
            return Ok(PlainExit { ending: PlainEnding::Ended(Ending::Missing(name)), stdout, stderr });
        }
        Err(source) => return Err(AgentError::Spawn { agent: name, source }),
    };
    let redactor = Redactor::default();
    let room = Room { left: AtomicUsize::new(plain.output_limit), full: CancellationToken::new() };
    let ended = CancellationToken::new();
    let listening = async {
        let listen = |pipe, kept| listen(pipe, kept, &room, &redactor, &plain.output, &ended);
        tokio::try_join!(listen(out, &mut stdout), listen(err, &mut stderr)).map(|_| ())
    };
    let ending = async {
        let ending = end(running, &plain, &room).await;
        ended.cancel();
        ending
    };
    let (heard, ending) = tokio::join!(listening, ending);
    let ending = ending?;
    heard.map_err(|source| AgentError::Processes { operation: "read", source })?;
    Ok(PlainExit { ending, stdout, stderr })
}

async fn start(plain: &Plain<'_>, name: &str) -> io::Result<(Running, Receiver, Receiver)> {
    let path = program::search_path();
    let program = program::locate(name.as_ref(), &path)?;
    let places = Places { workspace: plain.workspace, home: plain.home, tmp: plain.tmp };
    let mut environment = vec![
        ("PATH".into(), path),
        ("HOME".into(), plain.home.into()),
        ("TMPDIR".into(), plain.tmp.into()),
        ("LANG".into(), "C.UTF-8".into()),
    ];
    environment.extend(environment::own(plain.request, plain.attempt, &places));
    environment.extend(plain.variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
    let ((out, stdout), (err, stderr)) = (io::pipe()?, io::pipe()?);
    let (out, err) = (Receiver::from_owned_fd(out.into())?, Receiver::from_owned_fd(err.into())?);
    let start = Start {
        program,
        walls: None,
        line: plain.line.iter().map(OsString::from).collect(),
        environment,
        workspace: plain.workspace.to_owned(),
        stdout: stdout.into(),
        stderr: stderr.into(),
        belongings: Belongings::new(plain.attempt, &[plain.home, plain.tmp]),
    };
    Ok((process::start(start).await?, out, err))
}

async fn end(mut running: Running, plain: &Plain<'_>, room: &Room) -> Result<PlainEnding, AgentError> {
    let ending = tokio::select! {
        biased;
        status = running.wait() => PlainEnding::Ended(Ending::of(status?)),
        () = room.full.cancelled() => PlainEnding::OutputLimit,
        () = plain.cancel.cancelled() => PlainEnding::Ended(Ending::Canceled),
        () = tokio::time::sleep(plain.timeout) => PlainEnding::Ended(Ending::TimedOut),
    };
    if !matches!(ending, PlainEnding::Ended(Ending::Exited(_) | Ending::Signaled(_))) {
        running.stop(Duration::ZERO).await?;
    }
    running.sweep().await?;
    // It may have ended by itself with the rest still in its pipe.
    Ok(if room.full.is_cancelled() { PlainEnding::OutputLimit } else { ending })
}

/// What may still be written.
struct Room {
    left: AtomicUsize,
    full: CancellationToken,
}

impl Room {
    /// How much of `wanted` is taken; what is not is lost, and the program with it.
    fn take(&self, wanted: usize) -> usize {
        let taken = |left: usize| Some(left.saturating_sub(wanted));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).unwrap_or_default();
        if left < wanted {
            self.full.cancel();
        }
        left.min(wanted)
    }
}

async fn listen(
    mut pipe: Receiver,
    kept: &mut Vec<u8>,
    room: &Room,
    redactor: &Redactor,
    output: &mpsc::Sender<Bytes>,
    ended: &CancellationToken,
) -> io::Result<()> {
    let (mut lines, mut block) = (Lines::new(MAX_LINE), vec![0; BLOCK]);
    loop {
        let read = tokio::select! {
            biased;
            read = pipe.read(&mut block) => read?,
            () = idle_after(ended) => break,
        };
        if read == 0 {
            break;
        }
        let taken = room.take(read);
        kept.extend_from_slice(&block[..taken]);
        lines.room().extend_from_slice(&block[..taken]);
        while let Some(line) = lines.next(redactor) {
            // Whoever is gone wants no more; the program is to end all the same.
            let _gone = output.send(line).await;
        }
    }
    if let Some(line) = lines.rest() {
        let _gone = output.send(line).await;
    }
    Ok(())
}
